"""The machine: driver, versions, GPUs and their JPEG hardware; and the package's own GPU tests."""

import ctypes
import importlib.util
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from report import machine

from gpu_steps.work import Finding, Outcome, Work

_PACKAGES = ("nvidia-nvimgcodec-cu13", "nvidia-nvjpeg", "polars", "simplejpeg")

_TESTS = Path(__file__).parents[2] / "tests"


def describe(work: Work) -> Outcome:
    """Describe hardware and versions."""
    figures: dict[str, Any] = machine()
    figures["packages"] |= {name: _version_of(name) for name in _PACKAGES}
    figures |= {"cuda": torch.version.cuda, "gpu_facts": _query_gpus()}
    figures["jpeg_hardware"] = _count_jpeg_engines()
    if not work.dry:
        capability = torch.cuda.get_device_capability()
        figures |= {"capability": capability, "bf16": torch.cuda.is_bf16_supported(False)}
    findings = [
        Finding("GPUs", ", ".join(figures["gpus"]) or "none"),
        Finding("driver", figures["gpu_facts"] or "none"),
        Finding("JPEG engines x cores", figures["jpeg_hardware"]),
        Finding("processors", f"{figures['processors']} x {figures['processor']}"),
        Finding("torch, DALI", f"{version('torch')}, {version('nvidia-dali-cuda130')}"),
    ]
    return Outcome(findings, figures)


def run_tests(work: Work) -> Outcome:
    """Run the tests that need a GPU; without one, they are only collected."""
    for package in ("pytest", "hypothesis"):
        if importlib.util.find_spec(package) is None:
            return Outcome(skipped=f"{package} is not installed")
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider"]
    folders = [str(_TESTS / name) for name in ("decoders", "workers", "engines", "training")]
    ended = subprocess.run(
        [*command, *folders],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(ended.stdout)
    counts = {
        word: int(number)
        for number, word in re.findall(
            r"(\d+) (passed|failed|errors?|skipped)", ended.stdout.strip().rpartition("\n")[2]
        )
    }
    good = ended.returncode == 0 and (work.dry or "passed" in counts)
    measured = ", ".join(f"{number} {word}" for word, number in counts.items())
    figures = {**counts, "failures": re.findall(r"^(?:FAILED|ERROR) (.*)$", ended.stdout, re.M)}
    return Outcome([Finding("tests marked gpu", measured, "all pass", good)], figures)


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _query_gpus() -> str:
    if (program := shutil.which("nvidia-smi")) is None:
        return ""
    fields = "name,driver_version,memory.total,power.limit,clocks.max.sm"
    command = [program, f"--query-gpu={fields}", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _count_jpeg_engines() -> str:
    """Return what nvJPEG says about the hardware decoders of the current GPU."""
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
    libraries = [path for folder in folders for path in folder.glob("*/lib/libnvjpeg.so.*")]
    if not libraries:
        return "unknown: no libnvjpeg"
    nvjpeg = ctypes.CDLL(str(libraries[0]))
    handle, engines, cores = ctypes.c_void_p(), ctypes.c_uint(), ctypes.c_uint()
    if code := nvjpeg.nvjpegCreateSimple(ctypes.byref(handle)):
        return f"unknown: nvJPEG does not start ({code})"
    code = nvjpeg.nvjpegGetHardwareDecoderInfo(handle, ctypes.byref(engines), ctypes.byref(cores))
    nvjpeg.nvjpegDestroy(handle)
    return f"none ({code})" if code else f"{engines.value} x {cores.value}"
