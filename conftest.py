"""Fixtures of the upper floors."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tweetprofile.checkpoint import save_checkpoint
from tweetprofile.networks import VolumeNetwork, network_spec
from tweetprofile.traits import PRESETS
from tweetprofile.volumes import VolumeSpec

ROOT = Path(__file__).parent


def draw_dump(out: Path, *arguments: str) -> Path:
    """Run the example's own command, as a person would."""
    script = ROOT / "examples" / "make_dump.py"
    subprocess.run([sys.executable, str(script), str(out), *arguments], check=True)
    return out


@pytest.fixture(scope="session")
def drawn_dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 train and 6 test users: usual, short, long, without images, only damaged ones."""
    out = tmp_path_factory.mktemp("drawn") / "dump"
    return draw_dump(out, "--train-users", "12", "--test-users", "6")


@pytest.fixture
def dump(drawn_dump: Path, tmp_path: Path) -> Path:
    """The drawn dump, in a folder of its own that a test may add to."""
    return shutil.copytree(drawn_dump, tmp_path / "dump")


@pytest.fixture(scope="session")
def large_dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 train and 60 test users."""
    return draw_dump(tmp_path_factory.mktemp("large") / "dump")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of model1 that has learnt nothing, but whose normalisation has seen data."""
    torch.manual_seed(0)
    volume = VolumeSpec(height=32, width=32)
    spec = network_spec("model1", norm="batch")
    network = VolumeNetwork(spec, volume, PRESETS["mex-a3t-2019"])
    for parameter in network.heads.parameters():
        torch.nn.init.normal_(parameter, std=0.05)  # spread the classes, as training would
    network(torch.randn(8, 3, *volume.shape))
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_checkpoint(path, network, {})
    return path
