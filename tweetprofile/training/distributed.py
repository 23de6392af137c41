"""Several processes that train one network: gradients, normalisation and losses add up over all.

Where there is one process, all of this is nothing.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import batch_norm
from torch.nn.parallel import DistributedDataParallel

from tweetprofile.errors import WorkerError
from tweetprofile.job import usable_processors

_DEATH_SECONDS = 5.0
"""Time for a process whose connection broke to be gone."""


@dataclass(frozen=True, slots=True)
class Rank:
    """One of the processes.

    Attributes:
        number: counted from 0; 0 validates, writes and speaks.
        world: how many there are.
        device: what it computes on.
    """

    number: int
    world: int
    device: torch.device

    def share(self, items: int) -> slice:
        """Its part of so many items of a batch."""
        return slice(items * self.number // self.world, items * (self.number + 1) // self.world)

    def add_up(self, value: float) -> float:
        """The sum of a number over all processes."""
        if self.world == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return float(total)

    def agree(self, value: int) -> int:
        """What the first process says."""
        said = torch.tensor(value, device=self.device)
        if self.world > 1:
            dist.broadcast(said, 0)
        return int(said)

    def distribute(self, network: nn.Module) -> nn.Module:
        """The network as all processes train it together; its weights are shared with the given."""
        if self.world == 1:
            return network
        _synchronise_norms(network)
        return DistributedDataParallel(network)


@contextmanager
def all_ranks(
    devices: Sequence[torch.device], target: Callable[[Rank, Any], None], argument: Any
) -> Iterator[Rank]:
    """Start `target` in a process for each device but the first; the block is the first's.

    Args:
        devices: one a process.
        target: what the other processes do; importable by name.
        argument: for it; picklable.
    """
    if len(devices) == 1:
        yield Rank(0, 1, devices[0])
        return
    with tempfile.TemporaryDirectory() as folder:
        ranks = [Rank(number, len(devices), device) for number, device in enumerate(devices)]
        others = [_start(rank, Path(folder), target, argument) for rank in ranks[1:]]
        try:
            _wait_for_all(Path(folder), others)
            with _joined(ranks[0], Path(folder)):
                yield ranks[0]
            for process in others:
                process.join()
        except RuntimeError as error:
            # What a library says of a connection that broke is no news; who has died is.
            _refuse_deaths(others, error)
            raise
        finally:
            for process in others:
                process.kill()


def _start(
    rank: Rank, folder: Path, target: Callable[[Rank, Any], None], argument: Any
) -> SpawnProcess:
    process = get_context("spawn").Process(
        target=_run_rank, args=(rank, folder, target, argument), daemon=True
    )
    process.start()
    return process


def _wait_for_all(folder: Path, processes: Sequence[SpawnProcess]) -> None:
    """Until every process has arrived: joining would wait half an hour for one that is dead."""
    while len(list(folder.glob("arrived-*"))) < len(processes):
        _refuse_deaths(processes, None)
        time.sleep(0.05)


def _refuse_deaths(processes: Sequence[SpawnProcess], cause: Exception | None) -> None:
    for number, process in enumerate(processes, 1):
        process.join(0 if cause is None else _DEATH_SECONDS)
        if process.exitcode:
            raise WorkerError(
                f"training process {number} of --devices ended with code {process.exitcode}; see "
                "what it printed, then train again with --resume."
            ) from cause


def _run_rank(rank: Rank, folder: Path, target: Callable[[Rank, Any], None], argument: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first one decides
    (folder / f"arrived-{rank.number}").touch()
    with _joined(rank, folder):
        target(rank, argument)


@contextmanager
def _joined(rank: Rank, folder: Path) -> Iterator[None]:
    """Be a member of the group of processes; each computes with its share of the processors."""
    threads = torch.get_num_threads()
    if rank.device.type == "cuda":
        torch.cuda.set_device(rank.device)
    else:
        torch.set_num_threads(max(1, usable_processors() // rank.world))
        if sys.platform == "linux":
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # they are all on this machine
    dist.init_process_group(
        "nccl" if rank.device.type == "cuda" else "gloo",
        init_method=f"file://{folder / 'meeting'}",
        rank=rank.number,
        world_size=rank.world,
    )
    try:
        yield
    finally:
        dist.destroy_process_group()
        torch.set_num_threads(threads)


class _Normalise(torch.autograd.Function):
    """Normalisation by statistics of all processes, which each of them takes a part in.

    The gradient is that of the sum of all processes' losses. What torch has fused is used: written
    out in single steps, this took a third of the time of a training on two CPU processes.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        statistics: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        eps: float,
    ) -> torch.Tensor:
        mean, var, count = statistics
        ctx.save_for_backward(x, weight, mean, (var + eps).rsqrt(), count)
        ctx.eps = eps
        return batch_norm(x, mean, var, weight, bias, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, mean, inverse, count = ctx.saved_tensors
        _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, None, None, mean, inverse, True, ctx.eps, [False, True, True]
        )
        total = torch.stack([of_weight, of_bias]).double()
        dist.all_reduce(total)
        along, all_alike = (total / count).to(weight.dtype)
        # The gradient less what normalisation takes from it: the part along x, and its mean.
        scale = weight * inverse
        slope = -scale * inverse * along
        offset = -scale * all_alike - slope * mean
        by_channel = (1, -1, *[1] * (x.ndim - 2))
        of_x = torch.addcmul(offset.view(by_channel), gradient.float(), scale.view(by_channel))
        of_x = of_x.addcmul_(x.float(), slope.view(by_channel)).to(x.dtype)
        return of_x, of_weight, of_bias, None, None


class SyncedNorm(nn.Module):
    """Batch normalisation over the batches of all processes, on any device.

    PyTorch's own is for GPUs alone. Parameters and buffers are named, and shared with, those of the
    normalisation that it stands for.
    """

    def __init__(self, norm: nn.BatchNorm2d | nn.BatchNorm3d) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers():
            self.register_buffer(name, buffer)
        self.eps = norm.eps
        self.momentum = norm.momentum or 0.1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(M, C, ...) normalised by channel."""
        if not self.training:
            mean, var = self.get_buffer("running_mean"), self.get_buffer("running_var")
            return batch_norm(x, mean, var, self.weight, self.bias, eps=self.eps)
        with torch.no_grad():
            statistics = self._over_all(x)
            self._remember(*statistics)
        normalised: torch.Tensor = _Normalise.apply(  # type: ignore[no-untyped-call]
            x, self.weight, self.bias, statistics, self.eps
        )
        return normalised

    def _over_all(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(C,) means, (C,) variances, and values a channel, of all processes together."""
        _, mean, inverse = torch.native_batch_norm(
            x, self.weight, self.bias, None, None, True, 0.0, self.eps
        )
        # Sums of squares lose digits where the mean is large; in double they do not.
        mean, var = mean.double(), inverse.double().pow(-2) - self.eps
        count = mean.new_full((1,), x.numel() / x.shape[1])
        total = torch.cat([mean * count, (var + mean.square()) * count, count])
        dist.all_reduce(total)
        count = total[-1]
        mean, square = (total[:-1] / count).chunk(2)
        var = (square - mean.square()).clamp(min=0)
        return mean.float(), var.float(), count

    def _remember(self, mean: torch.Tensor, var: torch.Tensor, count: torch.Tensor) -> None:
        unbiased = (var * count / (count - 1).clamp(min=1)).float()
        self.get_buffer("running_mean").lerp_(mean, self.momentum)
        self.get_buffer("running_var").lerp_(unbiased, self.momentum)
        self.get_buffer("num_batches_tracked").add_(1)


def _synchronise_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, (nn.BatchNorm2d, nn.BatchNorm3d)):
            setattr(module, name, SyncedNorm(child))
        else:
            _synchronise_norms(child)
