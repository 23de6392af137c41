"""Several processes that train one network: gradients, normalisation and losses cover all of them.

With a single process, nothing here does anything.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import batch_norm
from torch.nn.parallel import DistributedDataParallel

from tweetprofile.errors import TrainingError
from tweetprofile.job import usable_processors
from tweetprofile.training.watching import (
    abort_group,
    end_with_the_first,
    raise_for_deaths,
    watched,
)

Backend = Literal["gloo", "nccl"]
"""What carries tensors between the processes."""

_CLEAN_UP_ONLY = "2"


@dataclass(frozen=True, slots=True)
class Rank:
    """One of the processes.

    Attributes:
        number: The number of the process, counted from 0; process 0 validates, writes and reports.
        world: The number of processes.
        device: The device that the process computes on.
        backend: What carries tensors between the processes.
    """

    number: int
    world: int
    device: torch.device
    backend: Backend = "gloo"

    def share(self, items: int) -> slice:
        """Return the range of a batch's items that this process computes."""
        return slice(items * self.number // self.world, items * (self.number + 1) // self.world)

    def totals(self, values: torch.Tensor) -> list[float]:
        """Return the sum of each value over all processes; the device is waited for."""
        totals = values.double()
        if self.world > 1:
            dist.all_reduce(totals)
        return totals.cpu().tolist()

    def broadcast(self, value: int) -> int:
        """Return the value of the first process, in every process."""
        shared = torch.tensor(value, device=self.device)
        if self.world > 1:
            dist.broadcast(shared, 0)
        return int(shared)

    def distribute(self, network: nn.Module) -> nn.Module:
        """Return a network that all processes train together, with the weights of the given one."""
        if self.world == 1:
            return network
        _synchronise_norms(network)
        return DistributedDataParallel(network)


@contextmanager
def all_ranks(
    devices: Sequence[torch.device], target: Callable[[Rank, Any], None], argument: Any
) -> Iterator[Rank]:
    """Run the block as the first process, and `target` in a process for each other device.

    Args:
        devices: The device of each process.
        target: The function that the other processes run; it must be importable by name.
        argument: The argument of the function; it must be picklable.

    Raises:
        WorkerError: One of the other processes died.
    """
    if len(devices) == 1:
        _make_current(devices[0])
        yield Rank(0, 1, devices[0])
        return
    with tempfile.TemporaryDirectory() as folder:
        world, backend = len(devices), choose_backend(devices)
        ranks = [Rank(number, world, device, backend) for number, device in enumerate(devices)]
        others = [_start(rank, Path(folder), target, argument) for rank in ranks[1:]]
        try:
            _wait_for_all(Path(folder), others)
            with _in_group(ranks[0], Path(folder)), watched(others):
                yield ranks[0]
            for process in others:
                process.join()
        except RuntimeError as error:
            # The library only reports a broken connection; say which process died instead.
            raise_for_deaths(others, error)
            raise
        finally:
            for process in others:
                process.kill()


def choose_backend(devices: Sequence[torch.device]) -> Backend:
    """Return what carries tensors between processes on these devices.

    NCCL is made for GPUs, but refuses two processes on one of them.
    """
    distinct = len(set(devices)) == len(devices)
    return "nccl" if distinct and devices[0].type == "cuda" else "gloo"


def _start(
    rank: Rank, folder: Path, target: Callable[[Rank, Any], None], argument: Any
) -> SpawnProcess:
    process = get_context("spawn").Process(
        target=_run_rank, args=(rank, folder, target, argument), daemon=True
    )
    process.start()
    return process


def _wait_for_all(folder: Path, processes: Sequence[SpawnProcess]) -> None:
    """Wait until every process has started; a group would wait half an hour for a dead one."""
    while len(list(folder.glob("arrived-*"))) < len(processes):
        raise_for_deaths(processes, None)
        time.sleep(0.05)


def _run_rank(rank: Rank, folder: Path, target: Callable[[Rank, Any], None], argument: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process handles Ctrl-C
    end_with_the_first()
    (folder / f"arrived-{rank.number}").touch()
    # A loss that is not finite is the same in all processes, and the first one says so.
    with _in_group(rank, folder), suppress(TrainingError):
        target(rank, argument)


@contextmanager
def _in_group(rank: Rank, folder: Path) -> Iterator[None]:
    """Join the group of processes for the block, with this process's share of the processors."""
    threads = torch.get_num_threads()
    _make_current(rank.device)
    if rank.device.type == "cpu":
        torch.set_num_threads(max(1, usable_processors() // rank.world))
    if rank.backend == "gloo" and sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all processes are on this machine
    # By default, NCCL ends a process whose group is aborted before it can say why.
    os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", _CLEAN_UP_ONLY)
    dist.init_process_group(
        rank.backend,
        init_method=f"file://{folder / 'rendezvous'}",
        rank=rank.number,
        world_size=rank.world,
    )
    try:
        yield
    except BaseException:
        abort_group()  # to leave it in good order, all processes would have to take part
        raise
    finally:
        dist.destroy_process_group()
        torch.set_num_threads(threads)


def _make_current(device: torch.device) -> None:
    """Let what names no device, such as pinned memory, belong to this one."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


class _Normalise(torch.autograd.Function):
    """Normalisation by the statistics of all processes.

    The gradient is that of the sum of all processes' losses. Both passes use the fused kernels of
    torch: written out in single steps, this took a third of a training's time on two CPU processes.
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
        _, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, None, None, mean, inverse, True, ctx.eps, [False, True, True]
        )
        total = torch.stack([grad_weight, grad_bias]).double()
        dist.all_reduce(total)
        along, common = (total / count).to(weight.dtype)
        # Normalisation removes two parts of the gradient: the one along x, and its mean.
        scale = weight * inverse
        slope = -scale * inverse * along
        offset = -scale * common - slope * mean
        by_channel = (1, -1, *[1] * (x.ndim - 2))
        grad_x = torch.addcmul(offset.view(by_channel), gradient.float(), scale.view(by_channel))
        grad_x = grad_x.addcmul_(x.float(), slope.view(by_channel)).to(x.dtype)
        return grad_x, grad_weight, grad_bias, None, None


class SyncedNorm(nn.Module):
    """Batch normalisation over the batches of all processes, on any device.

    PyTorch's `SyncBatchNorm` works on GPUs only. Parameters and buffers are shared with the layer
    that this one replaces, and have the same names.

    Args:
        norm: The layer to replace.
    """

    def __init__(self, norm: nn.BatchNorm2d | nn.BatchNorm3d) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers():
            self.register_buffer(name, buffer)
        self.eps = norm.eps
        self.momentum = norm.momentum or 0.1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise values (M, C, ...) by channel."""
        if not self.training:
            mean, var = self.get_buffer("running_mean"), self.get_buffer("running_var")
            return batch_norm(x, mean, var, self.weight, self.bias, eps=self.eps)
        with torch.no_grad():
            statistics = self._statistics(x)
            self._update_running(*statistics)
        normalised: torch.Tensor = _Normalise.apply(  # type: ignore[no-untyped-call]
            x, self.weight, self.bias, statistics, self.eps
        )
        return normalised

    def _statistics(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return means (C,), variances (C,) and values per channel, over all processes."""
        _, mean, inverse = torch.native_batch_norm(
            x, self.weight, self.bias, None, None, True, 0.0, self.eps
        )
        # In single precision, sums of squares lose digits where the mean is large.
        mean, var = mean.double(), inverse.double().pow(-2) - self.eps
        count = mean.new_full((1,), x.numel() / x.shape[1])
        total = torch.cat([mean * count, (var + mean.square()) * count, count])
        dist.all_reduce(total)
        count = total[-1]
        mean, square = (total[:-1] / count).chunk(2)
        var = (square - mean.square()).clamp(min=0)
        return mean.float(), var.float(), count

    def _update_running(self, mean: torch.Tensor, var: torch.Tensor, count: torch.Tensor) -> None:
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
