"""Images per second of DALI alone, over batch sizes, threads and hardware load."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from gpu_steps.inputs import KINDS, read_images
from gpu_steps.threads import SIDE, Setting, images_per_second
from gpu_steps.work import Finding, Outcome, Work
from tweetprofile.decoders.dali import decode_arguments
from tweetprofile.decoders.scan_choice import shorten_jpeg
from tweetprofile.job import usable_processors

SHORTENED = "shortened progressive"
"""Progressive JPEGs without the scans that a frame cannot show, which DALI on a GPU does not get as
long as nothing is known about its speed with them."""

_USUAL_BATCH = 704
"""The images of 64 users."""

_MOST_THREADS = 8


@dataclass(frozen=True, slots=True)
class Trial:
    """One measurement.

    Attributes:
        batch: The images per batch.
        decoding_threads: The threads that decode on the CPU for each worker thread.
        worker_threads: The worker threads.
        load: The share of a batch that goes to the hardware decoder.
    """

    batch: int = _USUAL_BATCH
    decoding_threads: int = _MOST_THREADS
    worker_threads: int = 1
    load: float = 0.0


def measure(work: Work) -> Outcome:
    """Measure the decoder by itself; its images are in memory."""
    device, seconds = torch.device(work.device), work.size(0.8, 0.02)
    rates: list[dict[str, Any]] = []
    encoded = {kind: read_images(work, kind) for kind in KINDS}
    encoded[SHORTENED] = [_shortened(image) for image in encoded["progressive"]]
    for kind, images in encoded.items():
        for trial in trials():
            batch = [images[number % len(images)] for number in range(work.size(trial.batch, 8))]
            setting = Setting(trial.load, decoding_threads=work.size(trial.decoding_threads, 1))
            rate = images_per_second(batch, trial.worker_threads, device, setting, seconds)
            rates.append({"kind": kind, **asdict(trial), "images_per_second": rate})
    best = {kind: max(_in_use(rates, kind), key=_rate) for kind in encoded}
    findings = [Finding(f"DALI alone, {kind} JPEGs", _describe(best[kind])) for kind in encoded]
    for kind in encoded:
        fastest = max((each for each in rates if each["kind"] == kind), key=_rate)
        findings.append(Finding(f"fastest of all settings, {kind}", _describe(fastest)))
    figures = {"rates": rates, "alone": {kind: _rate(each) for kind, each in best.items()}}
    return Outcome(findings, figures)


def _shortened(image: bytes) -> bytes:
    short = shorten_jpeg(image, SIDE, guesses=True)
    return image if short is None else short.data


def trials() -> list[Trial]:
    """Return what is measured: each setting by itself."""
    processors = usable_processors()
    return [
        *(Trial(batch=batch) for batch in (64, 256, _USUAL_BATCH, 2 * _USUAL_BATCH)),
        *(Trial(load=load) for load in (0.65, 1.0)),
        *(Trial(decoding_threads=threads) for threads in (2, 16)),
        *(
            Trial(
                worker_threads=each,
                decoding_threads=min(_MOST_THREADS, max(1, processors // each)),
            )
            for each in (2, 3, 4)
        ),
    ]


def _in_use(rates: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the measurements with the hardware load and the batches of `predict`."""
    load = decode_arguments("cuda")["hw_decoder_load"]
    return [
        each
        for each in rates
        if each["kind"] == kind and each["load"] == load and each["batch"] == _USUAL_BATCH
    ]


def _rate(measured: dict[str, Any]) -> float:
    return float(measured["images_per_second"])


def _describe(measured: dict[str, Any]) -> str:
    return (
        f"{_rate(measured):,.0f} images/s (batch {measured['batch']}, {measured['worker_threads']} "
        f"worker threads x {measured['decoding_threads']}, hardware load {measured['load']:g})"
    )
