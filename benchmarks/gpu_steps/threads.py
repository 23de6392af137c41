"""Several worker threads that decode at the same time, each on a stream of its own."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from threading import Barrier, Event, Thread
from typing import TypeVar

import torch

from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.dali import DaliBatchDecoder

T = TypeVar("T")

SIDE = 112


@dataclass(frozen=True, slots=True)
class Setting:
    """A way to decode.

    Attributes:
        load: The share of a batch that goes to the hardware decoder.
        drained: Whether the stream is drained around each batch.
        decoding_threads: The threads that decode on the CPU for each worker thread.
    """

    load: float = 0.0
    drained: bool = True
    decoding_threads: int = 8


class TunedDecoder(DaliBatchDecoder):
    """The decoder of `predict`, in another setting.

    Args:
        setting: The setting.
        device: The device to decode on.
    """

    def __init__(self, setting: Setting, device: torch.device) -> None:
        super().__init__(DecodeOptions(SIDE, SIDE, threads=setting.decoding_threads), device)
        self._decode_arguments["hw_decoder_load"] = setting.load
        self._drained = setting.drained

    def _drain(self) -> None:
        if self._drained:
            super()._drain()


def on_stream(device: torch.device) -> AbstractContextManager[object]:
    """Let the block run on a new stream of the device, if it has streams."""
    if device.type != "cuda":
        return nullcontext()
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return torch.cuda.stream(stream)


def in_worker_threads(
    worker_threads: int,
    device: torch.device,
    setting: Setting,
    job: Callable[[int, TunedDecoder, Barrier], T],
) -> list[T]:
    """Run a job in each worker thread, with a decoder of its own; return the results.

    Args:
        worker_threads: The number of worker threads.
        device: The device to decode on.
        setting: How to decode.
        job: A function of the thread's number, its decoder, and a barrier at which it waits until
            all are ready.
    """
    barrier = Barrier(worker_threads)
    results: dict[int, T] = {}
    errors: list[Exception] = []

    def run(number: int) -> None:
        try:
            with on_stream(device):
                results[number] = job(number, TunedDecoder(setting, device), barrier)
        except Exception as error:
            errors.append(error)
            barrier.abort()

    threads = [Thread(target=run, args=(number,)) for number in range(worker_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[number] for number in range(worker_threads)]


def images_per_second(
    images: Sequence[bytes],
    worker_threads: int,
    device: torch.device,
    setting: Setting,
    seconds: float,
) -> float:
    """Return the rate at which all worker threads together decode a batch over and over again."""

    def job(_number: int, decoder: TunedDecoder, barrier: Barrier) -> float:
        decoder.decode(images)
        barrier.wait()
        began, batches = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            decoder.decode(images)
            batches += 1
        return batches * len(images) / (time.perf_counter() - began)

    return sum(in_worker_threads(worker_threads, device, setting, job))


@contextmanager
def matrix_products(device: torch.device, side: int) -> Iterator[None]:
    """Multiply matrices on a stream of its own during the block."""
    stop = Event()

    def multiply() -> None:
        with on_stream(device):
            matrix = torch.randn(side, side, device=device)
            while not stop.is_set():
                for _ in range(20):
                    matrix = matrix @ matrix / side**0.5
                float(matrix[0, 0])  # wait, so that no endless queue builds up

    thread = Thread(target=multiply)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
