"""Devices and precisions by name, which are refused in one sentence if the machine lacks them."""

import pytest
import torch

from tweetprofile.errors import OptionError
from tweetprofile.workers.devices import (
    precision_name,
    resolve_device,
    resolve_devices,
    resolve_precision,
)

CUDA = torch.cuda.is_available()
without_cuda = pytest.mark.skipif(CUDA, reason="this machine has CUDA")


@without_cuda
def test_auto_means_the_cpu_without_a_gpu() -> None:
    assert resolve_device("auto") == torch.device("cpu")


@without_cuda
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_cuda_without_a_gpu_is_refused_with_an_alternative(name: str) -> None:
    with pytest.raises(
        OptionError, match=f"`devices` is '{name}', .* no usable CUDA .*; pass `devices=\"cpu\"`"
    ):
        resolve_device(name)


@pytest.mark.gpu
def test_auto_means_the_first_gpu() -> None:
    assert resolve_device("auto") == torch.device("cuda", 0)


@pytest.mark.gpu
def test_a_missing_gpu_is_refused_with_the_number_of_gpus() -> None:
    with pytest.raises(OptionError, match="CUDA device"):
        resolve_device("cuda:99")


@pytest.mark.parametrize("name", ["gpu", "cpu:1", "cuda:x", ""])
def test_a_name_that_means_no_device_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="must be auto, cpu, cuda or cuda:N"):
        resolve_device(name)


def test_several_devices_are_separated_by_commas() -> None:
    assert resolve_devices("cpu,cpu") == [torch.device("cpu")] * 2


@without_cuda
def test_auto_means_one_cpu_process_without_a_gpu() -> None:
    assert resolve_devices("auto") == [torch.device("cpu")]


@pytest.mark.gpu
def test_auto_means_every_gpu() -> None:
    count = torch.cuda.device_count()
    assert resolve_devices("auto") == [torch.device("cuda", each) for each in range(count)]


@pytest.mark.gpu
def test_devices_of_two_kinds_are_refused() -> None:
    with pytest.raises(OptionError, match="must be of one kind"):
        resolve_devices("cpu,cuda:0")


@pytest.mark.parametrize("name", ["bf16", "fp16", "fp32"])
def test_a_precision_that_is_named_is_used(name: str) -> None:
    dtype = resolve_precision(name, torch.device("cpu"))  # type: ignore[arg-type]
    assert precision_name(dtype) == name


def test_auto_precision_on_a_cpu_is_bf16_only_if_the_hardware_multiplies_it() -> None:
    capabilities = torch.cpu.get_capabilities()
    native = capabilities["avx512_bf16"] or capabilities["amx_bf16"]
    expected = torch.bfloat16 if native else torch.float32
    assert resolve_precision("auto", torch.device("cpu")) == expected
