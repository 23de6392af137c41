"""Measure how many frames per second backbones embed, and which ways to compute them pay.

    python benchmarks/backbones.py [--compiled] [--backbones timm/resnet18,timm/convnext_atto@128]

Weights are random and frames are noise in memory. On a CPU there is one thread per processor, which
computes on that processor alone, as in `predict`; on a GPU there is one. `predict` folds batch
normalisation, keeps channels last and computes groups of one size. Every other way differs from
this one in a single respect, and all are measured in turn, round after round.
"""

import copy
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import click
import torch
from commands import start_as_worker
from report import report
from torch import nn

from tweetprofile.job import Precision, usable_processors
from tweetprofile.networks import build_backbone, fold_batch_norms
from tweetprofile.networks.timm_backbones import backbone_facts
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.workers.devices import precision_name, resolve_device, resolve_precision
from tweetprofile.workers.embedding import group_size

_BACKBONES = (
    "efficientnet-lite0@128",
    "efficientnet-lite0@224",
    "timm/resnet18",
    "timm/convnext_atto",
    "timm/convnext_tiny",
    "timm/vit_small_patch16_224",
    "timm/vit_base_patch16_clip_224.openai",
)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to compute embeddings.

    Attributes:
        group: The number of frames that are computed together.
        precision: The floating-point type.
        folded: Whether batch normalisation is folded into convolutions.
        channels_last: Whether weights and frames are in channels-last memory.
        compiled: Whether `torch.compile` has compiled the backbone.
    """

    group: int
    precision: Precision
    folded: bool = True
    channels_last: bool = True
    compiled: bool = False

    def __str__(self) -> str:
        words = [f"groups of {self.group}", self.precision]
        words += ["folded"] * self.folded + ["channels last"] * self.channels_last
        return ", ".join(words + ["compiled"] * self.compiled)

    @property
    def layout(self) -> torch.memory_format:
        """The memory format of weights and frames."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


@dataclass(frozen=True, slots=True)
class Subject:
    """A backbone at a frame size."""

    name: str
    side: int

    @classmethod
    def parse(cls, text: str) -> "Subject":
        """Read `NAME` or `NAME@SIDE`; without a side, it is the one that weights are made for."""
        name, _, side = text.partition("@")
        return cls(name, int(side) if side else backbone_facts(name).side)

    def __str__(self) -> str:
        return f"{self.name} at {self.side}"


class Contest:
    """The ways to compute one backbone, each with its own copy of it.

    Args:
        subject: The backbone.
        device: The device to compute on.
    """

    def __init__(self, subject: Subject, device: torch.device) -> None:
        torch.manual_seed(0)
        self._side, self._device = subject.side, device
        self._plain = build_backbone(subject.name, subject.side, subject.side).eval()
        self._networks: dict[Way, Callable[[torch.Tensor], object]] = {}

    @property
    def has_batch_norms(self) -> bool:
        """Whether there is anything to fold."""
        return any(isinstance(module, nn.BatchNorm2d) for module in self._plain.modules())

    def prepare(self, way: Way) -> float:
        """Compute a group, and compile before if it is to be compiled; return the seconds."""
        began = time.perf_counter()
        self._repeat(way, 0)
        return time.perf_counter() - began

    def measure(self, way: Way, seconds: float) -> float:
        """Return frames per second over about so much time, but at least one group per thread."""
        threads = usable_processors() if self._device.type == "cpu" else 1
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(lambda _: self._repeat(way, seconds), range(threads)))

    @torch.inference_mode()
    def _repeat(self, way: Way, seconds: float) -> float:
        """Compute groups until the time is over; return frames per second."""
        network = self._network(way)
        dtype = resolve_precision(way.precision, self._device)
        frames = torch.randn(way.group, 3, self._side, self._side, device=self._device)
        frames = frames.to(dtype=dtype, memory_format=way.layout)
        count, began = 0, time.perf_counter()
        while True:
            network(frames)
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            count += way.group
            elapsed = time.perf_counter() - began
            if elapsed >= seconds:
                return count / elapsed

    def _network(self, way: Way) -> Callable[[torch.Tensor], object]:
        """Return the copy for a way; the size of groups needs no copy unless it is compiled."""
        key = way if way.compiled else replace(way, group=0)
        if key not in self._networks:
            network = copy.deepcopy(self._plain)
            if way.folded:
                fold_batch_norms(network)
            dtype = resolve_precision(way.precision, self._device)
            network = network.to(  # type: ignore[call-overload]
                self._device, dtype=dtype, memory_format=way.layout
            )
            self._networks[key] = torch.compile(network) if way.compiled else network
        return self._networks[key]


@click.command()
@click.option(
    "--backbones",
    default=",".join(_BACKBONES),
    show_default=True,
    help="Names as in `train --backbone`, each with @SIDE for frames of another size.",
)
@click.option("--device", default="auto", show_default=True)
@click.option("--groups", default="1,2,4,8,16,32,64", show_default=True, help="Frames per group.")
@click.option(
    "--precisions",
    default="auto,fp32",
    show_default=True,
    help="Floating-point types; the first one is that of all other ways. auto is the one that "
    "`predict` chooses.",
)
@click.option("--compiled", is_flag=True, help="Also measure what `torch.compile` makes of it.")
@click.option("--seconds", default=2.0, show_default=True, help="The time of one measurement.")
@click.option("--rounds", default=3, show_default=True)
def main(
    backbones: str,
    device: str,
    groups: str,
    precisions: str,
    compiled: bool,
    seconds: float,
    rounds: int,
) -> None:
    """Measure backbones on one device."""
    torch.set_num_threads(1)
    where = resolve_device(device)
    dtypes = [resolve_precision(name, where) for name in precisions.split(",")]  # type: ignore[arg-type]
    names = list(dict.fromkeys(map(precision_name, dtypes)))
    results: dict[str, Any] = {}
    for text in backbones.split(","):
        subject = Subject.parse(text)
        contest = Contest(subject, where)
        chosen = ways(
            group_size(where, VolumeSpec(height=subject.side, width=subject.side)),
            precisions=names,  # type: ignore[arg-type]
            groups=map(int, groups.split(",")),
            folding=contest.has_batch_norms,
            compiled=compiled,
        )
        results[str(subject)] = compare(contest, chosen, seconds, rounds)
    show(results, {"device": str(where), "seconds": seconds, "rounds": rounds})


def ways(
    usual: int,
    *,
    precisions: Sequence[Precision],
    groups: Iterable[int],
    folding: bool,
    compiled: bool,
) -> list[Way]:
    """Return what is measured: how `predict` computes, then what differs in one respect.

    Args:
        usual: The group size of `predict`.
        precisions: The floating-point types, of which the first is that of all other ways.
        groups: The sizes of groups.
        folding: Whether there is batch normalisation to fold, and a way without.
        compiled: Whether there is a compiled way.
    """
    first = Way(usual, precisions[0], folded=folding)
    others = [replace(first, precision=precision) for precision in precisions]
    others += [replace(first, folded=False)] * folding
    others += [replace(first, channels_last=False)]
    others += [replace(first, compiled=True)] * compiled
    others += [replace(first, group=group) for group in groups]
    return list(dict.fromkeys([first, *others]))


def compare(contest: Contest, chosen: Sequence[Way], seconds: float, rounds: int) -> dict[str, Any]:
    """Measure ways in turn; return the seconds to prepare each, and its frames per second."""
    prepared = {way: contest.prepare(way) for way in chosen}
    rates: dict[Way, list[float]] = {way: [] for way in chosen}
    for _ in range(rounds):
        for way in chosen:
            rates[way].append(contest.measure(way, seconds))
    usual = rates[chosen[0]]
    return {
        str(way): {
            **asdict(way),
            "prepared": prepared[way],
            "frames_per_second": each,
            "factor": median(one / other for one, other in zip(each, usual, strict=True)),
        }
        for way, each in rates.items()
    }


def show(results: dict[str, Any], settings: dict[str, object]) -> None:
    """Print a row per backbone and way."""
    rows = [
        (
            subject if number == 0 else "",
            way,
            *(
                f"{rate:.1f}"
                for rate in (
                    median(each["frames_per_second"]),
                    min(each["frames_per_second"]),
                    max(each["frames_per_second"]),
                )
            ),
            f"{each['factor']:.2f}",
            f"{each['prepared']:.1f}",
        )
        for subject, all_ways in results.items()
        for number, (way, each) in enumerate(all_ways.items())
    ]
    report(
        "frames per second; the first way is that of predict",
        ("backbone", "way", "frames/s", "lowest", "highest", "times the first", "first group s"),
        rows,
        {"settings": settings, "backbones": results},
    )


if __name__ == "__main__":
    start_as_worker()
    main()
