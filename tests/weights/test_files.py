"""Files of weights: read as numbers, and refused when they are anything else."""

import collections
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tweetprofile.errors import CheckpointError
from tweetprofile.weights.files import read_weights_file


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "conv.weight": torch.randn(4, 3, 3, 3, generator=generator),
        "conv.bias": torch.randn(4, generator=generator).half(),
        "bn.num_batches_tracked": torch.tensor(7),
    }


def save(path: Path, value: Any, **options: Any) -> Path:
    torch.save(value, path, **options)
    return path


def same(found: dict[str, torch.Tensor]) -> bool:
    expected = weights()
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], tensor) for name, tensor in expected.items()
    )


def test_a_safetensors_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(weights(), path)
    file = read_weights_file(path)
    assert same(file.tensors)
    assert len(file.sha256) == 64


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("ending", ["pth", "pt", "bin"])
def test_a_file_of_torch_is_read_in_its_new_and_its_legacy_format(
    ending: str, zipped: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"weights.{ending}"
    save(path, collections.OrderedDict(weights()), _use_new_zipfile_serialization=zipped)
    assert same(read_weights_file(path).tensors)


@pytest.mark.parametrize("key", ["state_dict", "model", "state_dict_ema"])
def test_the_weights_are_found_among_other_things_of_a_training(key: str, tmp_path: Path) -> None:
    value = {"epoch": 90, "arch": "resnet18", key: {"state_dict": weights()}, "optimizer": {}}
    assert same(read_weights_file(save(tmp_path / "weights.pth", value)).tensors)


class _Attack:
    """An object that runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_never_runs_code(protocol: int, tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(_Attack(mark), protocol))
    with pytest.raises(CheckpointError, match=r"not a readable file of weights"):
        read_weights_file(path)
    assert not mark.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_torch_never_runs_code_and_says_what_it_would_call(
    zipped: bool, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    value = {**weights(), "extra": _Attack(mark)}
    path = save(tmp_path / "weights.pth", value, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"it calls \w+\.system\)") as refused:
        read_weights_file(path)
    assert not mark.exists()
    assert "weights_only" not in str(refused.value)


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/constants.pkl", b"")
        archive.writestr("model/data.pkl", b"")
    with pytest.raises(CheckpointError, match="TorchScript program; save its state_dict"):
        read_weights_file(path)


def test_a_compressed_archive_is_refused_before_it_grows(tmp_path: Path) -> None:
    original, path = save(tmp_path / "plain.pth", weights()), tmp_path / "weights.pth"
    with zipfile.ZipFile(original) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry), zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="it is compressed"):
        read_weights_file(path)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(share: float, zipped: bool, tmp_path: Path) -> None:
    path = save(tmp_path / "weights.pth", weights(), _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match="not a readable file of weights"):
        read_weights_file(path)


def test_a_tensor_that_claims_more_numbers_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "weights.pth", {"a": torch.zeros(1).expand(1 << 40)})
    with pytest.raises(CheckpointError, match="'a' is not a plain tensor"):
        read_weights_file(path)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(2, 2).to_sparse(),
        torch.zeros(2, dtype=torch.complex64),
        torch.zeros(2, device="meta"),
    ],
)
def test_tensors_without_plain_numbers_are_refused(tensor: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a readable file of weights"):
        read_weights_file(save(tmp_path / "weights.pth", {"a": tensor}))


@pytest.mark.parametrize("value", [[torch.zeros(1)], torch.zeros(1), "weights", 3])
def test_a_file_without_named_weights_is_refused(value: object, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no weights by name"):
        read_weights_file(save(tmp_path / "weights.pth", value))


@pytest.mark.parametrize("name", ["weights.npz", "weights", "model.onnx"])
def test_another_kind_of_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"data")
    with pytest.raises(CheckpointError, match=r"ends in none of .safetensors, .pth, .pt, .bin"):
        read_weights_file(tmp_path / name)


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_missing_file_a_folder_and_a_pipe_are_refused(ending: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        read_weights_file(tmp_path / f"none.{ending}")
    (tmp_path / f"folder.{ending}").mkdir()
    os.mkfifo(tmp_path / f"pipe.{ending}")
    for name in ("folder", "pipe"):
        with pytest.raises(CheckpointError, match="not a readable file of weights"):
            read_weights_file(tmp_path / f"{name}.{ending}")
