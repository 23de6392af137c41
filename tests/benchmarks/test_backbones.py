"""The benchmarks of pretrained backbones compare one network, in one way and in another."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from backbones import Contest, Subject, Way, ways
from commands import command_of, predict_command, seconds_of
from dump import draw_large_photos, encode, write_users
from models import ModelOptions, make_model

from tests.benchmarks.scripts import run, write_photos
from tweetprofile import Checkpoint, load_checkpoint
from tweetprofile.networks import EmbeddingSetSpec

SMALL = "timm/test_resnet"

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    return [encode(photo, "baseline") for photo in draw_large_photos(20, (120, 90))]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, photos: list[bytes]) -> Checkpoint:
    options = ModelOptions(backbone=SMALL, frame_size=64)
    return load_checkpoint(make_model(tmp_path_factory.mktemp("model"), photos, options))


def test_an_image_comes_again_only_after_three_quarters_of_all_others(
    tmp_path: Path, photos: list[bytes]
) -> None:
    manifest = write_users(tmp_path, photos, users=12)
    names = [name for user in pq.read_table(manifest)["images"].to_pylist() for name in user]
    places = {name: [at for at, each in enumerate(names) if each == name] for name in names}
    gaps = [int(gap) for each in places.values() for gap in np.diff(each)]
    assert min(gaps) > 15
    assert len(set(gaps)) > 3, "the order changes from one time to the next"


def test_a_model_over_a_backbone_has_an_untrained_head_that_tells_users_apart(
    checkpoint: Checkpoint,
) -> None:
    spec = checkpoint.network_spec
    assert isinstance(spec, EmbeddingSetSpec)
    assert (spec.backbone, spec.pool) == (SMALL, "sum")
    assert checkpoint.volume_spec.shape == (11, 64, 64)
    noise = torch.randint(0, 256, (16, 11, 64, 64, 3), dtype=torch.uint8)
    logits = checkpoint.network(checkpoint.volume_spec.normalise(noise))
    assert all(each.std(0).min() > 0.01 for each in logits.values())


def test_a_model_without_a_backbone_takes_another_frame_size(
    tmp_path: Path, photos: list[bytes]
) -> None:
    model = make_model(tmp_path, photos[:4], ModelOptions("deepset", frame_size=32))
    assert load_checkpoint(model).volume_spec.shape == (11, 32, 32)


def test_options_of_a_model_reach_another_benchmark() -> None:
    given = ModelOptions("deepset", SMALL, 32).arguments
    assert given == ["--model=deepset", f"--backbone={SMALL}", "--frame-size=32"]
    assert ModelOptions().arguments == ["--model=model1"]


def test_every_way_differs_from_that_of_predict_in_one_respect() -> None:
    first, *others = ways(
        16, precisions=["bf16", "fp32"], groups=[1, 16, 64], folding=True, compiled=True
    )
    assert first == Way(16, "bf16", folded=True, channels_last=True, compiled=False)
    assert [str(way) for way in others] == [
        "groups of 16, fp32, folded, channels last",
        "groups of 16, bf16, channels last",
        "groups of 16, bf16, folded",
        "groups of 16, bf16, folded, channels last, compiled",
        "groups of 1, bf16, folded, channels last",
        "groups of 64, bf16, folded, channels last",
    ]


def test_folding_is_measured_where_there_is_batch_normalisation() -> None:
    assert Contest(Subject(SMALL, 32), CPU).has_batch_norms
    assert not Contest(Subject("timm/test_vit", 160), CPU).has_batch_norms
    unfolded = ways(16, precisions=["fp32"], groups=[], folding=False, compiled=False)
    assert [str(way) for way in unfolded] == [
        "groups of 16, fp32, channels last",
        "groups of 16, fp32",
    ]


def test_a_backbone_is_measured_at_the_size_of_its_weights_or_at_another_one() -> None:
    assert Subject.parse(f"{SMALL}@48") == Subject(SMALL, 48)
    assert Subject.parse("timm/resnet18") == Subject("timm/resnet18", 224)


def test_a_way_is_measured_for_at_least_one_group() -> None:
    contest = Contest(Subject(SMALL, 32), CPU)
    for way in (Way(2, "fp32"), Way(2, "fp32", folded=False, channels_last=False)):
        assert contest.prepare(way) > 0
        assert contest.measure(way, seconds=0) > 0


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["dataloader", "dataloader-tuned"])
def test_a_peer_computes_the_network_of_the_checkpoint(
    tmp_path: Path, photos: list[bytes], checkpoint: Checkpoint, peer: str
) -> None:
    manifest = write_users(tmp_path, photos, users=6)
    ours, theirs = tmp_path / "ours.parquet", tmp_path / "theirs.parquet"
    exact = ("--precision", "fp32", "--decoder", "pillow", "--detail", "full")
    seconds_of(predict_command(manifest, checkpoint.path, ours, *exact))
    seconds_of(command_of(peer, manifest, checkpoint.path, theirs, backbone=True))
    for trait in checkpoint.schema:
        column = f"{trait.name}_probabilities"
        assert probabilities(theirs, column) == pytest.approx(
            probabilities(ours, column), abs=0.02
        ), "other rows differ by far more"
        assert probabilities(ours, column).std(axis=0).max() > 0.05


def probabilities(path: Path, column: str) -> np.ndarray:
    rows = pq.read_table(path).sort_by("user_id")[column].to_pylist()
    return np.array([list(row.values()) if isinstance(row, dict) else row for row in rows])


@pytest.mark.slow
def test_predict_is_compared_with_peers_and_with_the_bound_of_decoding_and_backbone(
    tmp_path: Path, photos: list[bytes]
) -> None:
    folder = write_photos(tmp_path, photos)
    results = run(
        "throughput.py",
        photos=folder,
        backbone="efficientnet-lite0",
        frame_size=64,
        peers="dataloader-tuned",
        small=5,
        large=20,
    )
    assert results["settings"]["backbone"] == "efficientnet-lite0"
    assert results["share_of_bound"] > 0
    agreement = results["agreement"]["dataloader-tuned"]
    assert agreement["mean difference"] <= agreement["largest difference"] < 0.3
    assert agreement["same classes"] > 0.7


@pytest.mark.slow
def test_backbones_are_compared_by_name_and_size() -> None:
    results = run(
        "backbones.py",
        backbones=f"{SMALL}@32,timm/test_vit@160",
        device="cpu",
        groups="1",
        seconds=0,
    )
    assert list(results["backbones"]) == [f"{SMALL} at 32", "timm/test_vit at 160"]
    for measured in results["backbones"].values():
        assert all(len(way["frames_per_second"]) == 1 for way in measured.values())
        assert next(iter(measured.values()))["factor"] == 1
