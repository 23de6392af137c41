"""Whether a frame depends on anything but its image, in each setting of the decoder.

nvJPEG's hardware decoder has ignored the order of a stream on Hopper, which gave black frames; and
which images of a batch it takes depends on the batch.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from threading import Barrier
from typing import Any

import torch

from gpu_steps.inputs import KINDS, read_images
from gpu_steps.threads import Setting, TunedDecoder, in_worker_threads, matrix_products, on_stream
from gpu_steps.work import Finding, Outcome, Work
from tweetprofile.decoders.dali import decode_arguments

_LOADS = (0.0, 0.65, 1.0)

_BLACK = "black"
"""Stands for the digest of a frame without any light; no drawn image has one."""

Digests = list[str]


@dataclass(frozen=True, slots=True)
class Alone:
    """Images, and the frames that they have when each is decoded by itself.

    Attributes:
        images: The encoded images.
        digests: The digest of the frame of each.
    """

    images: Sequence[bytes]
    digests: Digests

    def encoded(self, batch: Sequence[int]) -> list[bytes]:
        """Return the images of a batch, given by number."""
        return [self.images[number] for number in batch]

    def expected(self, batch: Sequence[int]) -> Digests:
        """Return the digests that the frames of a batch should have."""
        return [self.digests[number] for number in batch]


@dataclass
class Comparison:
    """How the frames of one setting compare with those of each image alone.

    Attributes:
        digest: The digest of all frames, each decoded alone.
        from_load_0: The images whose frame differs from that of load 0.
        compared: The frames compared, by how they were decoded.
        differing: Those that differ.
        black: The frames without any light.
    """

    digest: str
    from_load_0: int
    compared: Counter[str] = field(default_factory=Counter)
    differing: Counter[str] = field(default_factory=Counter)
    black: int = 0

    def add(self, how: str, found: Digests, expected: Digests) -> None:
        """Compare frames."""
        self.compared[how] += len(found)
        self.differing[how] += sum(map(str.__ne__, found, expected))
        self.black += found.count(_BLACK)


def check(work: Work) -> Outcome:
    """Decode the same images alone, among others, shuffled and in threads, and compare."""
    images = [each for kind in KINDS for each in read_images(work, kind)[: work.size(64, 4)]]
    usual = _decode_alone(work, Setting(), images)
    found = {
        (load, drained): compare(work, Setting(load, drained), usual)
        for load in _LOADS
        for drained in (True, False)
    }
    used = decode_arguments("cuda")["hw_decoder_load"], True
    findings = [
        _finding(setting, each, must_hold=setting == used) for setting, each in found.items()
    ]
    return Outcome(findings, {"images": len(images), "settings": _as_json(found)})


def compare(work: Work, setting: Setting, usual: Alone) -> Comparison:
    """Compare the frames of one setting with those of each image alone."""
    device = torch.device(work.device)
    alone = _decode_alone(work, setting, usual.images)
    together = blake2b("".join(alone.digests).encode(), digest_size=8).hexdigest()
    result = Comparison(together, sum(map(str.__ne__, alone.digests, usual.digests)))
    result.add("alone again", _decode_alone(work, setting, usual.images).digests, alone.digests)
    chance = random.Random(0)
    batch = [number % len(usual.images) for number in range(work.size(704, 24))]
    with on_stream(device):
        decoder = TunedDecoder(setting, device)
        _decode(decoder, alone, batch, result, "among others")
        for _ in range(work.size(3, 1)):
            _decode(decoder, alone, _shuffled(batch, chance), result, "shuffled")
    for thread in _decode_in_threads(work, setting, alone, batch):
        result.compared += thread.compared
        result.differing += thread.differing
        result.black += thread.black
    return result


def _decode_in_threads(
    work: Work, setting: Setting, alone: Alone, batch: Sequence[int]
) -> list[Comparison]:
    """Decode shuffled batches in three threads beside matrix products."""
    device = torch.device(work.device)

    def job(number: int, decoder: TunedDecoder, barrier: Barrier) -> Comparison:
        chance, result = random.Random(number), Comparison("", 0)
        barrier.wait()
        for _ in range(work.size(5, 1)):
            _decode(decoder, alone, _shuffled(batch, chance), result, "in threads")
        return result

    with matrix_products(device, work.size(4096, 64)):
        return in_worker_threads(3, device, setting, job)


def _decode(
    decoder: TunedDecoder, alone: Alone, batch: Sequence[int], result: Comparison, how: str
) -> None:
    found = _digests(decoder.decode(alone.encoded(batch)))
    result.add(how, found, alone.expected(batch))


def _decode_alone(work: Work, setting: Setting, images: Sequence[bytes]) -> Alone:
    device = torch.device(work.device)
    with on_stream(device):
        decoder = TunedDecoder(setting, device)
        return Alone(images, [_digests(decoder.decode([image]))[0] for image in images])


def _digests(frames_FHWC: torch.Tensor) -> Digests:
    return [
        blake2b(frame.tobytes(), digest_size=8).hexdigest() if frame.any() else _BLACK
        for frame in frames_FHWC.cpu().numpy()
    ]


def _shuffled(batch: Sequence[int], chance: random.Random) -> list[int]:
    return chance.sample(batch, len(batch))


def _finding(setting: tuple[float, bool], result: Comparison, *, must_hold: bool) -> Finding:
    load, drained = setting
    differing, compared = result.differing.total(), result.compared.total()
    good = not differing and not result.black
    name = f"hardware load {load:g}, stream {'drained' if drained else 'not drained'}"
    return Finding(
        f"{name}{', as in use' if must_hold else ''}",
        f"{differing} of {compared} frames differ, {result.black} are black; "
        f"{result.from_load_0} images differ from load 0",
        "no frame depends on others, none is black" if must_hold else "",
        good if must_hold else None,
    )


def _as_json(found: dict[tuple[float, bool], Comparison]) -> list[dict[str, Any]]:
    return [
        {
            "hw_decoder_load": load,
            "drained": drained,
            "digest_of_all_frames": each.digest,
            "images_that_differ_from_load_0": each.from_load_0,
            "frames_compared": dict(each.compared),
            "frames_that_differ": dict(each.differing),
            "black_frames": each.black,
        }
        for (load, drained), each in found.items()
    ]
