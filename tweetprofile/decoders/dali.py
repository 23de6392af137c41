"""Decoding with NVIDIA DALI: a batch of images at once, on a GPU or on the CPU.

DALI's dynamic mode confines a failure to its batch and passes frames to torch without a copy. It
must receive screened images only (`screening.py`), which `GuardedDaliDecoder` ensures.
"""

import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tweetprofile.data.manifests.users import Encoded
from tweetprofile.decoders.base import DecodeOptions
from tweetprofile.job import usable_processors

HOST_TURN = Lock()
"""Held by the thread that reads, screens or hands over images. These are thousands of short calls
that let go of Python's lock and want it back: three threads that do so at the same time take twice
as long as one after the other."""

_SMALLEST_BATCH = 64
"""Batches with fewer images are filled up with tiny ones, in 30 us each.

For each power of two that the size of a batch rounds up to, DALI builds another decoder, which
takes time and memory of a GPU. The batches that try a few images of another one again would have
all sizes from 1.
"""

_FAILED_SAMPLE = re.compile(r"Failed to decode sample #(\d+)")


class SampleFailedError(Exception):
    """DALI gave up a batch because of one image.

    Attributes:
        position: The position of that image in the batch.
    """

    def __init__(self, position: int) -> None:
        super().__init__(f"image {position} of the batch failed")
        self.position = position


class DaliBatchDecoder:
    """Decodes batches of screened images on one device.

    Args:
        options: The size of the frames and the number of threads.
        device: The device that decodes and then holds the frames.
    """

    def __init__(self, options: DecodeOptions, device: torch.device) -> None:
        import nvidia.dali.experimental.dynamic as ndd  # noqa: PLC0415 - seconds, and only on Linux

        self._ndd = ndd
        self._device = device
        self._threads = options.threads or usable_processors()
        self._context = self._make_context()
        self._decode_arguments = decode_arguments(device.type)
        self._resize_arguments = resize_arguments(options.height, options.width)
        self._tiny = _draw_tiny_jpeg()

    def decode(self, images: Sequence[Encoded]) -> torch.Tensor:
        """Decode all images.

        Returns:
            (F, H, W, 3) uint8 on the device, one frame per image.

        Raises:
            SampleFailedError: One image cannot be decoded, and DALI names it.
            RuntimeError: Decoding failed, and DALI names no image as the cause.
        """
        padding = [self._tiny] * (_SMALLEST_BATCH - len(images))
        try:
            with self._context, self._on_device():
                return self._run([*images, *padding])[: len(images)]
        except RuntimeError as error:
            if (position := _failed_sample(error)) is not None:
                raise SampleFailedError(position) from None
            raise

    def _run(self, images: Sequence[Encoded]) -> torch.Tensor:
        # The hardware JPEG decoder of recent GPUs can ignore the order of a stream
        # (pytorch/vision #9606), so the stream is drained before and after its memory is used.
        self._drain()
        with HOST_TURN:
            encoded = self._make_writable(images)
        decoded = self._ndd.decoders.image(self._ndd.as_batch(encoded), **self._decode_arguments)
        frames = self._ndd.resize(decoded, **self._resize_arguments).torch()
        self._drain()
        assert isinstance(frames, torch.Tensor)
        return frames

    def _make_writable(self, images: Sequence[Encoded]) -> list[NDArray[np.uint8]]:
        """Return encoded images as arrays that DALI uses where they are.

        These are writable. Others, such as those of `bytes`, DALI copies one by one, which takes
        three times as long as copying them here.
        """
        arrays = [np.frombuffer(image, np.uint8) for image in images]
        return [each if each.flags.writeable else each.copy() for each in arrays]

    def _make_context(self) -> Any:
        if self._device.type == "cpu":
            return self._ndd.EvalContext(num_threads=self._threads)
        stream = torch.cuda.current_stream(self._device)
        return self._ndd.EvalContext(
            num_threads=self._threads,
            device_id=stream.device_index,
            cuda_stream=self._ndd.stream(stream=stream),
        )

    def _on_device(self) -> AbstractContextManager[object]:
        return nullcontext() if self._device.type == "cpu" else torch.cuda.device(self._device)

    def _drain(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()


def decode_arguments(device_type: str) -> dict[str, Any]:
    """Return the arguments of DALI's image decoder on a type of device."""
    from nvidia.dali import types  # noqa: PLC0415 - seconds, and only on Linux

    arguments: dict[str, Any] = {"device": "cpu", "output_type": types.RGB}
    if device_type == "cuda":
        # By default, its chroma upsampling differs from that of libjpeg, and so of the CPU. And by
        # default it gives a share of each batch to the hardware JPEG decoder, so that the pixels of
        # an image could depend on the other images of its batch.
        arguments |= {"device": "gpu", "jpeg_fancy_upsampling": True, "hw_decoder_load": 0.0}
    return arguments


def resize_arguments(height: int, width: int) -> dict[str, Any]:
    """Return the arguments of DALI's resize, which runs where the decoded images are."""
    from nvidia.dali import types  # noqa: PLC0415

    return {"size": [height, width], "interp_type": types.INTERP_LINEAR, "antialias": True}


def _draw_tiny_jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "JPEG")
    return file.getvalue()


def _failed_sample(error: BaseException | None) -> int | None:
    """Return the sample that an error names; DALI wraps that error in others that name none."""
    while error is not None:
        if match := _FAILED_SAMPLE.search(str(error)):
            return int(match[1])
        error = error.__cause__ or error.__context__
    return None
