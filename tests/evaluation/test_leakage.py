"""Scores on what a model learnt from are called so, whether file, users or images are the same."""

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
def trained(large_dump: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the drawn dump's training users."""
    run = tmp_path_factory.mktemp("seen") / "run"
    assert main(["train", str(large_dump / "train.parquet"), "-o", str(run), *QUICK]) == 0
    return run / "model.safetensors"


def look(manifest: Path, model: Path) -> Leakage:
    sha256 = load_checkpoint(model).sha256
    return find_leakage(Manifest.open(manifest), sha256, [model], None)


def test_new_users_with_new_images_are_not_taken_for_seen(large_dump: Path, trained: Path) -> None:
    seen = look(large_dump / "test.parquet", trained)
    assert not seen.found
    assert "none of these users and none of the images looked at" in seen.sentence


def test_the_manifest_that_it_was_trained_on_is_known(large_dump: Path, trained: Path) -> None:
    seen = look(large_dump / "train.parquet", trained)
    assert seen.same_manifest
    assert seen.users is not None
    assert seen.users.share > 0.9
    assert "how well it remembers" in seen.sentence


def test_the_same_users_are_known_in_another_file(
    large_dump: Path, trained: Path, tmp_path: Path
) -> None:
    frame = pl.read_parquet(large_dump / "train.parquet").head(20)
    frame.with_columns(images=pl.lit([], pl.List(pl.String))).write_parquet(tmp_path / "m.parquet")
    seen = look(tmp_path / "m.parquet", trained)
    assert (seen.same_manifest, seen.images) == (False, None)
    assert seen.found
    assert "of the users" in seen.sentence


def test_the_same_images_are_known_of_other_users_by_other_names(
    large_dump: Path, trained: Path, tmp_path: Path
) -> None:
    frame = pl.read_parquet(large_dump / "train.parquet").filter(pl.col("images").list.len() > 0)
    copies = []
    for number, images in enumerate(frame["images"].head(20)):
        shutil.copyfile(large_dump / images[0], tmp_path / f"{number}.jpg")
        copies.append([f"{number}.jpg"])
    ids = [f"other-{number}" for number in range(20)]
    pl.DataFrame({"user_id": ids, "images": copies}).write_parquet(tmp_path / "m.parquet")
    seen = look(tmp_path / "m.parquet", trained)
    assert seen.users is not None
    assert not seen.users.certain
    assert seen.images is not None
    assert seen.images.share > 0.5
    assert seen.found


def test_a_model_that_is_not_at_hand_leaves_the_question_open(
    large_dump: Path, model: Path
) -> None:
    manifest = Manifest.open(large_dump / "test.parquet")
    for sha256, candidates in (("0" * 64, [model]), (None, []), ("1", [Path("no such file")])):
        seen = find_leakage(manifest, sha256, candidates, None)
        assert not seen.found
        assert "was not checked: its checkpoint is not at hand" in seen.sentence
    older = find_leakage(manifest, load_checkpoint(model).sha256, [model], None)
    assert "did not keep fingerprints" in older.sentence


def test_evaluate_says_so_on_screen_and_in_every_file(
    large_dump: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    arguments = ["evaluate", str(large_dump / "train.parquet"), "--checkpoint", str(trained.parent)]
    said = CliRunner().invoke(cli, [*arguments, "-o", str(out), "--devices", "cpu"])
    assert said.exit_code == 0, said.output
    assert "The model was trained with this manifest" in " ".join(said.output.split())
    assert json.loads((out / "metrics.json").read_text())["trained_with"]["found"]
    assert (
        'class="note">The model was trained with this manifest' in (out / "report.html").read_text()
    )


def test_no_overlap_is_no_sentence_of_percentages() -> None:
    none = Overlap(0, 100, 0.0, certain=False)
    assert "%" not in Leakage(users=none, images=none).sentence
    with pytest.raises(CheckpointError):
        find_checkpoint(Path(__file__).parent)
