"""Devices and precisions by name, which are refused in one sentence if the machine lacks them."""

import pytest
import torch

from tweetprofile.errors import OptionError
from tweetprofile.workers.devices import (
    DeviceSettings,
    device_settings,
    exact_numerics,
    is_out_of_memory,
    precision_name,
    resolve_device,
    resolve_devices,
    resolve_only_device,
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


@without_cuda
def test_a_missing_gpu_is_named_by_the_number_that_the_user_gave() -> None:
    with pytest.raises(OptionError, match=r"`devices` is 'cuda:5', but .* no usable CUDA device"):
        resolve_only_device("cuda:5")


@pytest.mark.gpu
def test_the_only_gpu_that_a_worker_sees_is_its_first_one() -> None:
    assert resolve_only_device("cuda:5") == torch.device("cuda", 0)


def test_on_a_cpu_two_worker_threads_share_a_compute_slot() -> None:
    assert device_settings(torch.device("cpu"), processors=4) == DeviceSettings(
        worker_threads=8, compute_slots=4, decoding_threads=1
    )


def test_on_a_gpu_all_worker_threads_compute_and_share_the_processors() -> None:
    assert device_settings(torch.device("cuda"), processors=16) == DeviceSettings(
        worker_threads=3, compute_slots=3, decoding_threads=5
    )
    assert device_settings(torch.device("cuda"), processors=128).decoding_threads == 8
    assert device_settings(torch.device("cuda"), processors=1).decoding_threads == 1


def test_a_cpu_can_work_in_the_shape_of_a_gpu() -> None:
    assert device_settings(torch.device("cpu"), processors=2, worker_threads=3) == DeviceSettings(
        worker_threads=3, compute_slots=3, decoding_threads=1
    )


def numerics() -> tuple[bool, str, str]:
    cudnn = torch.backends.cudnn
    conv, matmul = cudnn.conv, torch.backends.cuda.matmul  # type: ignore[attr-defined]
    return cudnn.deterministic, conv.fp32_precision, matmul.fp32_precision


def test_fp32_on_a_gpu_has_all_of_its_digits_and_results_repeat() -> None:
    before = numerics()
    with exact_numerics(torch.device("cuda"), torch.float32):
        assert numerics() == (True, "ieee", "ieee")
    assert numerics() == before


def test_numerics_are_restored_when_the_last_of_several_predictors_is_done() -> None:
    before, gpu = numerics(), torch.device("cuda")
    first, second = exact_numerics(gpu, torch.bfloat16), exact_numerics(gpu, torch.float32)
    first.__enter__()
    assert numerics() == (True, *before[1:])
    second.__enter__()
    first.__exit__(None, None, None)
    assert numerics() == (True, "ieee", "ieee"), "the second one still computes"
    second.__exit__(None, None, None)
    assert numerics() == before


def test_nothing_is_changed_for_a_cpu() -> None:
    before = numerics()
    with exact_numerics(torch.device("cpu"), torch.float32):
        assert numerics() == before


def test_a_lack_of_memory_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as lack:
        torch.empty(1 << 60)
    assert is_out_of_memory(lack.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    with pytest.raises(RuntimeError) as other:
        torch.empty(2) @ torch.empty(3)
    assert not is_out_of_memory(other.value)
