"""Leakage is reported, whether the manifest, the users or the images are the training data."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.checkpoints.choice import find_checkpoint
from tweetprofile.checkpoints.fingerprints import Overlap
from tweetprofile.cli import cli, main
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import CheckpointError
from tweetprofile.evaluation.leakage import Leakage, find_leakage

QUICK = ["--frame-size", "16", "--epochs", "1", "--batch-size", "4", "--devices", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def trained(medium_dump: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on the training users of the drawn dump."""
    run = tmp_path_factory.mktemp("seen") / "run"
    assert main(["train", str(medium_dump / "train.parquet"), "-o", str(run), *QUICK]) == 0
    return run / "model.safetensors"


def look(manifest: Path, model: Path) -> Leakage:
    sha256 = load_checkpoint(model).sha256
    return find_leakage(Manifest.open(manifest), sha256, [model], None)


def test_new_users_with_new_images_are_no_leakage(medium_dump: Path, trained: Path) -> None:
    seen = look(medium_dump / "test.parquet", trained)
    assert not seen.found
    assert "none of these users and none of the compared images" in seen.sentence


def test_the_training_manifest_is_recognised(medium_dump: Path, trained: Path) -> None:
    seen = look(medium_dump / "train.parquet", trained)
    assert seen.same_manifest
    assert seen.users is not None
    assert seen.users.share > 0.9
    assert "how well it remembers" in seen.sentence


def test_a_model_that_the_caller_names_is_compared_and_said_to_be_named(
    medium_dump: Path, trained: Path
) -> None:
    manifest = Manifest.open(medium_dump / "train.parquet")
    seen = find_leakage(manifest, None, [], None, made_by=trained)
    assert seen.found
    assert "that you named (the predictions record none) was trained on this" in seen.sentence


def test_the_training_users_are_recognised_in_another_file(
    medium_dump: Path, trained: Path, tmp_path: Path
) -> None:
    frame = pl.read_parquet(medium_dump / "train.parquet").head(20)
    frame.with_columns(images=pl.lit([], pl.List(pl.String))).write_parquet(tmp_path / "m.parquet")
    seen = look(tmp_path / "m.parquet", trained)
    assert (seen.same_manifest, seen.images) == (False, None)
    assert seen.found
    assert "of the users" in seen.sentence


def test_the_training_images_are_recognised_under_other_users_and_names(
    medium_dump: Path, trained: Path, tmp_path: Path
) -> None:
    frame = pl.read_parquet(medium_dump / "train.parquet").filter(pl.col("images").list.len() > 0)
    copies = []
    for number, images in enumerate(frame["images"].head(20)):
        shutil.copyfile(medium_dump / images[0], tmp_path / f"{number}.jpg")
        copies.append([f"{number}.jpg"])
    ids = [f"other-{number}" for number in range(20)]
    pl.DataFrame({"user_id": ids, "images": copies}).write_parquet(tmp_path / "m.parquet")
    seen = look(tmp_path / "m.parquet", trained)
    assert seen.users is not None
    assert not seen.users.certain
    assert seen.images is not None
    assert seen.images.share > 0.5
    assert seen.found


def test_without_the_checkpoint_leakage_is_reported_as_unchecked(
    medium_dump: Path, model: Path
) -> None:
    manifest = Manifest.open(medium_dump / "test.parquet")
    absent, unknown = "the checkpoint that made the predictions was not found", "do not record"
    for sha256, candidates, reason in (
        ("0" * 64, [model], absent),
        ("1", [Path("no such file")], absent),
        (None, [model], unknown),
    ):
        seen = find_leakage(manifest, sha256, candidates, None)
        assert not seen.found
        assert "It was not checked whether the model was trained on these users" in seen.sentence
        assert reason in seen.sentence
    older = find_leakage(manifest, load_checkpoint(model).sha256, [model], None)
    assert "recorded no fingerprints" in older.sentence


def test_evaluate_reports_leakage_on_screen_and_in_every_file(
    medium_dump: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    arguments = [
        "evaluate",
        str(medium_dump / "train.parquet"),
        "--checkpoint",
        str(trained.parent),
    ]
    said = CliRunner().invoke(cli, [*arguments, "-o", str(out), "--devices", "cpu"])
    assert said.exit_code == 0, said.output
    assert "The model was trained on this manifest" in " ".join(said.output.split())
    assert json.loads((out / "metrics.json").read_text())["trained_with"]["found"]
    assert (
        'class="note">The model was trained on this manifest' in (out / "report.html").read_text()
    )


def test_without_overlap_no_percentage_is_reported() -> None:
    none = Overlap(0, 100, 0.0, certain=False)
    assert "%" not in Leakage(users=none, images=none).sentence
    with pytest.raises(CheckpointError):
        find_checkpoint(Path(__file__).parent)
