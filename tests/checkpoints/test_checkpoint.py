"""A checkpoint consists of numbers and text; any other file is refused in one sentence."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tweetprofile.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from tweetprofile.errors import CheckpointError, OutputError
from tweetprofile.networks import (
    Network,
    build_network,
    ensemble_of,
    network_spec,
)
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import predict_manifest
from tweetprofile.traits import PRESETS
from tweetprofile.volumes.spec import VolumeSpec

SMALL = VolumeSpec(height=16, width=16)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(1)
    return build_network(network_spec("model1", norm="batch"), SMALL, PRESETS["mex-a3t-2019"])


@pytest.fixture
def model(tmp_path: Path, network: Network) -> Path:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, network, {"users": 7})
    return path


def rewrite(path: Path, change: Any, state_change: Any = lambda state: state) -> Path:
    """Write a copy with the header changed by `change` and the weights by `state_change`."""
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["tweetprofile"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header = change(header) or header
    changed = path.with_name("changed.safetensors")
    save_file(state_change(state), changed, {"tweetprofile": json.dumps(header)})
    return changed


def test_a_saved_checkpoint_loads_unchanged(model: Path, network: Network) -> None:
    loaded = load_checkpoint(model)
    assert loaded.network_spec == network.spec
    assert loaded.volume_spec == SMALL
    assert loaded.schema == PRESETS["mex-a3t-2019"]
    assert loaded.training == {"users": 7}
    volumes = torch.randn(2, 3, *SMALL.shape)
    expected = network.eval()(volumes)
    for trait, logits in loaded.network(volumes).items():
        torch.testing.assert_close(logits, expected[trait], atol=1e-5, rtol=1e-4)


def test_the_loaded_network_is_ready_to_predict(model: Path) -> None:
    network = load_checkpoint(model).network
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors does not exist"):
        load_checkpoint(tmp_path / "nowhere.safetensors")


class Trap:
    """An object whose pickle makes a folder when it is loaded: a checkpoint must never do that."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.folder,)


def test_a_pickle_is_refused_and_its_code_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(Trap(str(tmp_path / "sprung"))))
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_checkpoint(path)
    assert not (tmp_path / "sprung").exists()


def test_a_safetensors_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="was not written by tweetprofile"):
        load_checkpoint(path)


def test_a_truncated_file_is_refused(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_checkpoint(model)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_checkpoint(tmp_path)


def test_a_newer_format_is_refused_with_both_versions(model: Path) -> None:
    newer = rewrite(model, lambda header: header | {"format": 99})
    with pytest.raises(
        CheckpointError, match="has format 99, and this version of tweetprofile reads up to 6"
    ):
        load_checkpoint(newer)


def test_format_1_which_has_neither_kinds_nor_temperatures_is_read(model: Path) -> None:
    def age(header: dict[str, Any]) -> dict[str, Any]:
        del header["temperatures"], header["network"]["kind"]
        return header | {"format": 1}

    assert set(load_checkpoint(rewrite(model, age)).temperatures.values()) == {1.0}


def test_the_detail_is_saved_and_a_checkpoint_of_format_3_without_it_has_that_of_frames(
    tmp_path: Path,
) -> None:
    full = replace(SMALL, detail="full")
    network = build_network(network_spec("deepset"), full, PRESETS["mex-a3t-2019"])
    network.initialise()
    save_checkpoint(tmp_path / "full.safetensors", network, {})

    def age(header: dict[str, Any]) -> dict[str, Any]:
        del header["volume"]["detail"]
        return header | {"format": 3}

    assert load_checkpoint(tmp_path / "full.safetensors").volume_spec.detail == "full"
    older = rewrite(tmp_path / "full.safetensors", age)
    assert load_checkpoint(older).volume_spec.detail == "frame"


def test_an_ensemble_is_saved_and_predicts_the_mean_of_its_members(tmp_path: Path) -> None:
    schema = PRESETS["mex-a3t-2019"]
    members = [build_network(network_spec("deepset"), SMALL, schema) for _ in range(2)]
    for member in members:
        member.initialise()
    save_checkpoint(tmp_path / "two.safetensors", ensemble_of(members), {})
    loaded, volumes = load_checkpoint(tmp_path / "two.safetensors"), torch.randn(2, 3, 5, 32, 32)
    each = [member.eval()(volumes)["location"] for member in members]
    assert not torch.allclose(each[0], each[1])
    mean = torch.stack(each).mean(0)
    torch.testing.assert_close(loaded.network(volumes)["location"], mean, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("members", [0, 10**6, "two", True, 1.0, None])
def test_an_invalid_number_of_members_is_refused(model: Path, members: object) -> None:
    with pytest.raises(CheckpointError, match=r"has an invalid header: .*members"):
        load_checkpoint(rewrite(model, lambda header: header | {"members": members}))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), "hot"])
def test_an_invalid_temperature_is_refused(model: Path, temperature: object) -> None:
    wrong = rewrite(model, lambda header: header | {"temperatures": {"gender": temperature}})
    with pytest.raises(CheckpointError, match="has an invalid header"):
        load_checkpoint(wrong)


def test_a_missing_key_of_the_header_is_named(model: Path) -> None:
    cut = rewrite(model, lambda header: header.pop("volume") and header)
    with pytest.raises(CheckpointError, match="lacks 'volume'"):
        load_checkpoint(cut)


@pytest.mark.parametrize(
    "volume",
    [
        {"height": -1},
        {"height": "tall"},
        {"depth": 3},
        {"fill": "guess"},
        {"detail": "most"},
        [1, 2],
    ],
)
def test_a_header_out_of_range_is_refused(model: Path, volume: Any) -> None:
    wrong = rewrite(model, lambda header: header | {"volume": volume})
    with pytest.raises(CheckpointError, match="has an invalid header"):
        load_checkpoint(wrong)


def test_a_training_record_that_is_no_object_is_refused(model: Path) -> None:
    with pytest.raises(CheckpointError, match="has an invalid header"):
        load_checkpoint(rewrite(model, lambda header: header | {"training": [1]}))


def test_a_missing_weight_is_named(model: Path) -> None:
    def drop(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor for name, tensor in state.items() if name != "hidden.0.bias"}

    with pytest.raises(CheckpointError, match=r"weight 'hidden\.0\.bias' is missing"):
        load_checkpoint(rewrite(model, dict, drop))


def test_a_weight_of_the_wrong_shape_is_named_with_both_shapes(model: Path) -> None:
    def widen(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return state | {"hidden.0.bias": torch.zeros(3)}

    message = (
        r"weight 'hidden\.0\.bias' is float32 \(3,\), but its header requires float32 \(256,\)"
    )
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(rewrite(model, dict, widen))


def test_a_header_that_requires_terabytes_takes_no_memory(model: Path) -> None:
    greedy = rewrite(model, lambda header: header | {"volume": {"frames": 1024, "height": 256}})
    with pytest.raises(CheckpointError, match="but its header requires"):
        load_checkpoint(greedy)


# --- weights that are not finite ---------------------------------------------------------------


def damaged_weight(model: Path, name: str, value: float) -> Path:
    def damage(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        state[name].view(-1)[-1] = value
        return state

    return rewrite(model, dict, damage)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "name",
    [
        "hidden.0.weight",
        "heads.head_gender.bias",
        "blocks.1.norm.running_mean",
        "blocks.1.norm.running_var",
    ],
)
def test_weights_that_are_not_finite_are_refused_by_name(
    model: Path, name: str, value: float
) -> None:
    with pytest.raises(CheckpointError, match=rf"weight '{name}' contains infinite values or NaN"):
        load_checkpoint(damaged_weight(model, name, value))


def test_a_negative_variance_is_refused(model: Path) -> None:
    with pytest.raises(CheckpointError, match="running_var' contains negative variances"):
        load_checkpoint(damaged_weight(model, "blocks.0.norm.running_var", -1e-3))


def test_large_weights_whose_sum_overflows_are_accepted(model: Path) -> None:
    def enlarge(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return state | {"hidden.0.bias": torch.full((256,), 3e38)}

    assert load_checkpoint(rewrite(model, dict, enlarge)).state["hidden.0.bias"].max() > 2e38


def test_weights_too_large_to_compute_with_are_refused_before_anything_is_predicted(
    dump: Path, model: Path, tmp_path: Path
) -> None:
    enormous = damaged_weight(model, "blocks.0.conv.weight", 3e38)
    options = PredictOptions(checkpoint=enormous, devices="cpu", precision="fp32")
    with pytest.raises(CheckpointError, match="gives probabilities of 'gender' that are not num"):
        predict_manifest(dump / "test.parquet", tmp_path / "out.parquet", options)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": 1e400}, "holds Infinity, which is not a number"),
        ({"mean": 300}, "is not a grey level"),
        ({"std": 1e-300}, "std 1e-300 must be above 0"),
        ({"std": True}, "volume.std is true and must be a finite number"),
        ({"frames": 11.0}, "volume.frames is 11.0 and must be a whole number"),
    ],
)
def test_volumes_that_cannot_be_computed_are_refused(
    model: Path, change: dict[str, Any], message: str
) -> None:
    wrong = rewrite(model, lambda header: header | {"volume": header["volume"] | change})
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(wrong)


# --- headers that anybody may have written -----------------------------------------------------


def reword(path: Path, text: str) -> Path:
    """Write a copy with another text in place of the header."""
    with safe_open(path, "pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    changed = path.with_name("changed.safetensors")
    save_file(state, changed, {"tweetprofile": text})
    return changed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "its header is nested too deeply"),
        ('{"format": 3, "training": ' + "[" * 40 + "]" * 40 + "}", "nested too deeply"),
        ('{"format": 1e400}', "holds a number that is too large"),
        ('{"format": NaN}', "holds NaN, which is not a number"),
        ('{"format": 3, "format": 3}', "has the key 'format' twice"),
        ('{"format": true}', "its header.format is true and must be a whole number"),
        ('{"format": "3"}', "its header.format is '3' and must be a whole number"),
        ('{"format": 3.0}', "its header.format is 3.0 and must be a whole number"),
        ("[3]", "its header is a list and must be an object"),
        ("null", "its header is null and must be an object"),
        ("nothing", "its header is not JSON"),
        ('{"format": 3, "colour": "\\ud800"}', "holds half a surrogate pair"),
        ('{"format": 3, "colour": 1}', "its header has 'colour', which is unknown"),
        ("{}", "its header lacks 'format'"),
        ('{"format": -1}', "has format -1, which does not exist"),
        ('{"format": ' + "9" * 4000 + "}", "is an enormous number"),
        ('{"format": ' + "9" * 5000 + "}", "is not JSON"),
    ],
)
def test_a_text_that_is_no_header_is_refused_with_the_reason(
    model: Path, text: str, reason: str
) -> None:
    with pytest.raises(CheckpointError) as refused:
        load_checkpoint(reword(model, text))
    sentence = str(refused.value)
    assert sentence.startswith(f"{model.with_name('changed.safetensors')} has an invalid header: ")
    assert reason in sentence
    assert len(sentence) < 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("network", {"widths": [True, 32, 64, 128]}),
        ("network", {"widths": [16.0, 32, 64, 128]}),
        ("network", {"widths": 16}),
        ("network", {"widths": {"a": 1}}),
        ("network", {"widths": [4097, 32, 64, 128]}),
        ("network", {"widths": [1] * 65}),
        ("network", {"pools": [[2, 2]] * 4}),
        ("network", {"pools": [[True, True, True]] * 4}),
        ("network", {"pools": None}),
        ("network", {"name": None}),
        ("network", {"name": ""}),
        ("network", {"name": "x" * 300}),
        ("network", {"hidden": False}),
        ("network", {"norm": ["batch"]}),
        ("network", {"dropout": "0"}),
        ("network", {"kind": ["volume"]}),
        ("network", {"kind": "deepset"}),
        ("network", {"colour": 1}),
        ("training", {"best": []}),
        ("training", {"best": {"scores": {"gender": 1}}}),
        ("training", {"best": {"scores": {"gender": {"accuracy": "high"}}}}),
        ("training", {"users": "7"}),
        ("training", {"kept_epochs": 4}),
        ("training", {"version": 3}),
        ("training", {"warnings": "none"}),
        ("schema", {"gender": "female"}),
        ("schema", {"gender": [1, 2]}),
        ("temperatures", {"gender": True}),
        ("temperatures", {"gender": 1e-9}),
        ("temperatures", {"colour": 1.0}),
    ],
)
def test_a_field_of_another_type_is_refused_when_the_checkpoint_is_loaded(
    model: Path, field: str, value: dict[str, Any]
) -> None:
    wrong = rewrite(model, lambda header: header | {field: header[field] | value})
    with pytest.raises(CheckpointError, match="has an invalid header"):
        load_checkpoint(wrong)


# --- what else a path may lead to --------------------------------------------------------------


def test_pipes_devices_and_folders_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(CheckpointError, match="is not a readable safetensors file"):
            load_checkpoint(path)


@pytest.mark.parametrize("length", [0, 7, 1 << 40, (1 << 64) - 1])
def test_a_wrong_length_of_the_header_is_refused(model: Path, length: int) -> None:
    data = model.read_bytes()
    model.write_bytes(length.to_bytes(8, "little") + data[8:])
    with pytest.raises(CheckpointError, match="is not a readable safetensors file"):
        load_checkpoint(model)


def test_a_header_of_hundreds_of_megabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write((300 << 20).to_bytes(8, "little"))
        file.truncate(400 << 20)
    with pytest.raises(
        CheckpointError, match="its header has 314,572,800 bytes; at most 8,388,608"
    ):
        load_checkpoint(path)


def test_weights_and_checksum_belong_to_the_same_file_even_while_it_is_replaced(
    tmp_path: Path,
) -> None:
    path, expected = tmp_path / "model.safetensors", {}
    for seed in (1, 2):
        torch.manual_seed(seed)
        network = build_network(network_spec("deepset"), SMALL, PRESETS["mex-a3t-2019"])
        network.initialise()
        save_checkpoint(tmp_path / str(seed), network, {})
        checkpoint = load_checkpoint(tmp_path / str(seed))
        assert checkpoint.sha256 == hashlib.sha256((tmp_path / str(seed)).read_bytes()).hexdigest()
        expected[checkpoint.sha256] = float(checkpoint.state["heads.head_gender.weight"].sum())
    assert len(expected) == 2
    stop = threading.Event()

    def replace_it() -> None:
        while not stop.is_set():
            for seed in (1, 2):
                shutil.copyfile(tmp_path / str(seed), tmp_path / "next")
                (tmp_path / "next").replace(path)

    shutil.copyfile(tmp_path / "1", path)
    replacing = threading.Thread(target=replace_it)
    replacing.start()
    try:
        for _ in range(20):
            found = load_checkpoint(path)
            assert float(found.state["heads.head_gender.weight"].sum()) == expected[found.sha256]
    finally:
        stop.set()
        replacing.join()


def test_a_path_that_cannot_be_written_is_an_output_error(tmp_path: Path, network: Network) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save_checkpoint(tmp_path / "no" / "such" / "model.safetensors", network, {})


def test_no_unfinished_file_remains_next_to_a_checkpoint(model: Path) -> None:
    assert [path.name for path in model.parent.iterdir()] == ["model.safetensors"]


def test_loading_does_not_import_torchs_compiler(model: Path) -> None:
    """The import takes two seconds, and any random operation on the meta device triggers it."""
    code = (
        "import sys; from tweetprofile import load_checkpoint; "
        f"load_checkpoint({str(model)!r}).network; sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
