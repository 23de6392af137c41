"""`embed` writes the vectors that `predict` computes with, for every user of a manifest."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from tests.facts import embedder_facts
from tests.forms import in_all_forms
from tweetprofile.checkpoints.backbone import Backbone
from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.data.files.provenance import METADATA_KEY, Kind, kind_of
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.engines.jobs import EmbedJob
from tweetprofile.engines.shards import ShardEngine
from tweetprofile.errors import CheckpointError, OptionError, OutputError, PredictionsError
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.job import EmbedderFacts, PredictorOptions
from tweetprofile.networks import EmbeddingSet
from tweetprofile.predicting.embedding import EmbedOptions, planned_embedding
from tweetprofile.predicting.output import RowWriter
from tweetprofile.predicting.output_checks import check_output
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.record import RunRecord
from tweetprofile.predicting.rows import EmbeddingRows
from tweetprofile.predicting.run import embed_manifest, predict_manifest, run_plan
from tweetprofile.workers.devices import exact_numerics
from tweetprofile.workers.embedder import Embedder
from tweetprofile.workers.feature_rows import EMBEDDINGS, EmbeddedUser, make_embedding_rows
from tweetprofile.workers.predictor import Predictor
from tweetprofile.workers.profiles import UserOutcome

Embed = Callable[[Path, Path, EmbedOptions], pl.DataFrame]

OUTCOME = ("frames_used", "images_given", "images_failed", "status", "image_errors")


@pytest.fixture(scope="module")
def root(
    drawn_dump: Path,
    tmp_path_factory: pytest.TempPathFactory,
    good_images: dict[str, bytes],
    damaged_images: dict[str, bytes],
) -> Path:
    """A copy of the drawn dump, with good and damaged images beside those of its users."""
    folder = tmp_path_factory.mktemp("embedding") / "dump"
    shutil.copytree(drawn_dump, folder)
    for name, data in {**good_images, **damaged_images}.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def options(embedding_model: Path, root: Path) -> EmbedOptions:
    return EmbedOptions(
        checkpoint=embedding_model, image_root=root, devices="cpu", precision="fp32"
    )


@pytest.fixture(scope="module")
def embed() -> Iterator[Embed]:
    """Does what `embed_manifest` does, with workers that are kept for the next test."""
    with ExitStack() as stack:
        engines: dict[EmbedJob, ShardEngine[EmbedderFacts]] = {}

        def embed(manifest: Path, out: Path, options: EmbedOptions) -> pl.DataFrame:
            with planned_embedding(manifest, out, options) as plan:
                if plan.job not in engines:
                    engines[plan.job] = stack.enter_context(plan.engine())
                run_plan(plan, engines[plan.job])
            return pl.read_parquet(out)

        yield embed


def vectors_of(embeddings: pl.DataFrame) -> list[NDArray[np.float32]]:
    """Return the vectors of each user's images, (F, C)."""
    width = embeddings.schema["images"].inner.fields[1].dtype.shape[0]  # type: ignore[attr-defined]
    return [
        np.array([each["embedding"] for each in images], np.float32).reshape(-1, width)
        for images in embeddings["images"]
    ]


def described(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pq.read_metadata(path).metadata[METADATA_KEY.encode()])
    return found


# --- rows --------------------------------------------------------------------------------------


def test_every_user_has_a_row_with_a_vector_for_each_usable_image(
    dump: Path, tmp_path: Path, options: EmbedOptions, embed: Embed
) -> None:
    manifest = pl.read_parquet(dump / "test.parquet")
    embeddings = embed(dump / "test.parquet", tmp_path / "out", options)
    assert embeddings.columns == ["user_id", "images", *OUTCOME]
    assert embeddings["user_id"].to_list() == manifest["user_id"].to_list()
    assert {"ok", "no_images", "unusable"} <= set(embeddings["status"])
    for row in embeddings.to_dicts():
        used = [image["index"] for image in row["images"]]
        assert len(used) == row["frames_used"] <= 11
        assert used == sorted(set(used))
        assert not {error["index"] for error in row["image_errors"]} & set(used)
        assert all(np.isfinite(image["embedding"]).all() for image in row["images"])


def test_the_vector_of_a_user_is_the_mean_of_the_images_and_null_without_any(
    dump: Path, tmp_path: Path, options: EmbedOptions, embed: Embed
) -> None:
    images = embed(dump / "test.parquet", tmp_path / "images", options)
    users = embed(dump / "test.parquet", tmp_path / "users", replace(options, per="user"))
    assert users.columns == ["user_id", "embedding", *OUTCOME]
    assert users.drop("embedding").equals(images.drop("images"))
    for each, mean in zip(vectors_of(images), users["embedding"], strict=True):
        if len(each):
            assert np.array_equal(mean, each.mean(0, dtype=np.float64).astype(np.float32))
        else:
            assert mean is None


def test_every_form_of_manifest_gives_the_same_embeddings(
    dump: Path, tmp_path: Path, options: EmbedOptions, embed: Embed
) -> None:
    reference = embed(dump / "test.parquet", tmp_path / "paths", options)
    forms = in_all_forms(dump, tmp_path)
    # Workers read embedded images themselves, which takes workers of their own.
    for name in ("long",):
        other = embed(forms[name], tmp_path / f"{name}-out", options)
        without_names = pl.exclude("image_errors")
        assert other.select(without_names).equals(reference.select(without_names)), name


@pytest.mark.slow
def test_embedded_images_give_the_same_embeddings(
    dump: Path, tmp_path: Path, options: EmbedOptions, embed: Embed
) -> None:
    reference = embed(dump / "test.parquet", tmp_path / "paths", options)
    forms = in_all_forms(dump, tmp_path)
    for name in ("bytes", "huggingface"):
        embed_manifest(forms[name], tmp_path / f"{name}-out", options)
        other = pl.read_parquet(tmp_path / f"{name}-out")
        without_names = pl.exclude("image_errors")
        assert other.select(without_names).equals(reference.select(without_names)), name


def test_damaged_images_are_named_and_change_no_other_vector(
    tmp_path: Path,
    options: EmbedOptions,
    embed: Embed,
    good_images: dict[str, bytes],
    damaged_images: dict[str, bytes],
) -> None:
    good, bad = list(good_images)[:4], list(damaged_images)[:6]
    mixed = [name for pair in zip(good, bad, strict=False) for name in pair]
    users = pa.table({"user_id": ["good", "mixed", "bad"], "images": [good, mixed, bad]})
    pq.write_table(users, tmp_path / "manifest.parquet")
    embeddings = embed(tmp_path / "manifest.parquet", tmp_path / "out", options)
    first, second, third = vectors_of(embeddings)
    assert np.array_equal(first, second)
    assert [image["index"] for image in embeddings["images"][1]] == [0, 2, 4, 6]
    assert len(third) == 0
    assert embeddings["status"].to_list() == ["ok", "partial", "unusable"]
    assert [error["image"] for error in embeddings["image_errors"][2]] == bad


def test_an_image_that_users_share_has_the_same_vector_everywhere(
    dump: Path, tmp_path: Path, options: EmbedOptions, embed: Embed
) -> None:
    ids = pl.read_parquet(dump / "test.parquet")
    images = next(each for each in ids["images"].to_list() if len(each) >= 3)
    users = pa.table({"user_id": ["a", "b"], "images": [images[:3], [images[2], images[0]]]})
    pq.write_table(users, dump / "shared.parquet")
    first, second = vectors_of(embed(dump / "shared.parquet", tmp_path / "out", options))
    assert np.array_equal(first[[2, 0]], second)


def test_the_first_users_can_be_embedded_and_columns_kept(
    dump: Path, tmp_path: Path, options: EmbedOptions, embed: Embed
) -> None:
    frame = pl.read_parquet(dump / "test.parquet")
    some = replace(options, limit=3, keep=("gender",), users_per_shard=2)
    embeddings = embed(dump / "test.parquet", tmp_path / "out", some)
    assert embeddings.columns[-1] == "gender"
    assert embeddings.select("user_id", "gender").equals(frame.select("user_id", "gender")[:3])
    with pytest.raises(OptionError, match="`keep` images: the output already has a column"):
        embed(dump / "test.parquet", tmp_path / "other", replace(options, keep=("images",)))


def test_an_empty_manifest_gives_an_empty_output_of_the_same_columns(
    dump: Path, tmp_path: Path, options: EmbedOptions, embed: Embed
) -> None:
    pl.read_parquet(dump / "test.parquet").clear().write_parquet(dump / "empty.parquet")
    for per in ("image", "user"):
        chosen = replace(options, per=per)
        empty = embed(dump / "empty.parquet", tmp_path / f"empty-{per}", chosen)
        full = embed(dump / "test.parquet", tmp_path / f"full-{per}", chosen)
        assert empty.height == 0
        assert empty.schema == full.schema


def test_the_output_describes_its_run(
    dump: Path, tmp_path: Path, options: EmbedOptions, embed: Embed, embedding_model: Path
) -> None:
    embed(dump / "test.parquet", tmp_path / "out", options)
    found = described(tmp_path / "out")
    expected = {
        "kind": "embeddings",
        "backbone": "timm/test_resnet",
        "backbone_digest": Backbone.of(load_checkpoint(embedding_model)).digest,
        "features": 96,
        "frames": 11,
        "height": 32,
        "width": 32,
        "per": "image",
        "detail": "frame",
        "precision": "fp32",
        "device": "cpu",
    }
    assert {name: found[name] for name in expected} == expected
    assert found["counts"]["users"] == pl.read_parquet(tmp_path / "out").height
    assert kind_of(tmp_path / "out") is Kind.EMBEDDINGS


def test_large_rows_are_written_in_several_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tweetprofile.predicting.output._BYTES_PER_GROUP", 3000)
    facts = embedder_facts(features=64)
    rows = EmbeddingRows("image")
    schema = rows.schema(facts, pa.string())
    record = RunRecord.new({"kind": "embeddings"}, overwrite=False)
    vectors = np.arange(11 * 64, dtype=np.float16)
    user = EmbeddedUser(np.arange(11, dtype=np.int32).tobytes(), vectors.tobytes())
    with RowWriter(str(tmp_path / "out"), schema, record, 4) as writer:
        for shard in range(4):
            outcome = UserOutcome(str(shard), 11, 11, ())
            made = make_embedding_rows([outcome], [user])
            table = rows.of(made, facts).add_column(0, "user_id", made["user_id"])
            writer.write(shard, table, writer.counts)
        writer.finish()
    assert pq.read_metadata(tmp_path / "out").num_row_groups == 4
    assert all(
        np.array_equal(each.reshape(-1), vectors)
        for each in vectors_of(pl.read_parquet(tmp_path / "out"))
    )


# --- the same numbers as `predict` ----------------------------------------------------------------


def probabilities_from(
    embeddings: pl.DataFrame, model: Path, users_per_batch: int
) -> dict[str, NDArray[np.float32]]:
    """Put embeddings through the head of a model, in the batches in which `predict` does."""
    checkpoint = load_checkpoint(model)
    network = checkpoint.network
    assert isinstance(network, EmbeddingSet)
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in checkpoint.schema.names}
    users = vectors_of(embeddings)
    frames = checkpoint.volume_spec.frames
    for start in range(0, len(users), users_per_batch):
        batch = users[start : start + users_per_batch]
        padded = np.zeros((len(batch), frames, batch[0].shape[1]), np.float32)
        mask = np.zeros((len(batch), frames), bool)
        for row, each in enumerate(batch):
            padded[row, : len(each)], mask[row, : len(each)] = each, True
        with torch.inference_mode(), exact_numerics(torch.device("cpu"), torch.float32):
            logits = network.head(torch.from_numpy(padded), torch.from_numpy(mask))
            for name, found in rows.items():
                scaled = logits[name] / checkpoint.temperatures[name]
                found.append(scaled.softmax(dim=1).numpy())
    return {name: np.concatenate(each) for name, each in rows.items()}


def assert_same_bits(profiles: pl.DataFrame, embeddings: pl.DataFrame, model: Path) -> None:
    """Check that embeddings lead to exactly these probabilities, with shards of four users."""
    assert profiles.select("user_id", *OUTCOME).equals(embeddings.select("user_id", *OUTCOME))
    expected = probabilities_from(embeddings, model, users_per_batch=4)
    has_frames = (profiles["frames_used"] > 0).to_numpy()
    assert has_frames.any()
    for name, each in expected.items():
        written = profiles[f"{name}_probabilities"].struct.unnest().to_numpy()
        assert np.array_equal(written[has_frames], each[has_frames]), name


@pytest.fixture
def profiles(dump: Path, tmp_path: Path, embedding_model: Path, drawn_dump: Path) -> pl.DataFrame:
    """What `predict` writes, four users at a time."""
    options = PredictOptions(
        embedding_model, drawn_dump, devices="cpu", precision="fp32", batch_size=4,
        users_per_shard=4,
    )  # fmt: skip
    predict_manifest(dump / "train.parquet", tmp_path / "profiles.parquet", options)
    return pl.read_parquet(tmp_path / "profiles.parquet")


def test_embeddings_are_those_that_predict_uses_to_the_last_bit(
    dump: Path,
    tmp_path: Path,
    profiles: pl.DataFrame,
    options: EmbedOptions,
    embed: Embed,
    embedding_model: Path,
) -> None:
    embeddings = embed(dump / "train.parquet", tmp_path / "out", options)
    assert_same_bits(profiles, embeddings, embedding_model)


@pytest.mark.slow
def test_they_are_so_with_a_cache_on_two_workers_and_after_an_interruption(
    dump: Path,
    tmp_path: Path,
    profiles: pl.DataFrame,
    options: EmbedOptions,
    embedding_model: Path,
) -> None:
    manifest = dump / "train.parquet"
    cached = replace(options, embedding_cache=tmp_path / "cache", users_per_shard=4)
    for name in ("cold", "warm"):
        embed_manifest(manifest, tmp_path / name, cached)
        assert_same_bits(profiles, pl.read_parquet(tmp_path / name), embedding_model)
    assert list((tmp_path / "cache").rglob("*.embeddings"))

    again = PredictOptions(
        embedding_model, options.image_root, devices="cpu", precision="fp32", batch_size=4,
        users_per_shard=4, embedding_cache=tmp_path / "cache",
    )  # fmt: skip
    predict_manifest(manifest, tmp_path / "again.parquet", again)
    assert pl.read_parquet(tmp_path / "again.parquet").equals(profiles)

    embed_manifest(manifest, tmp_path / "two", replace(options, devices="cpu,cpu"))
    assert_same_bits(profiles, pl.read_parquet(tmp_path / "two"), embedding_model)

    killed = replace(options, users_per_shard=4)
    run_until_killed(manifest, tmp_path / "resumed", killed)
    assert len(list((tmp_path / "resumed.partial" / "shards").iterdir())) > 0
    # Where embeddings are kept changes no row, so it may change in between.
    embed_manifest(manifest, tmp_path / "resumed", replace(cached, resume=True))
    assert_same_bits(profiles, pl.read_parquet(tmp_path / "resumed"), embedding_model)


def run_until_killed(manifest: Path, out: Path, options: EmbedOptions) -> None:
    """Embed in a process that is killed as soon as a shard is complete."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tweetprofile import EmbedOptions, embed_manifest\n"
        "manifest, out, model, root = map(Path, sys.argv[1:])\n"
        "def kill(progress):\n"
        "    if list(out.with_name(out.name + '.partial').glob('shards/*.parquet')):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        f"options = EmbedOptions(model, root, devices='cpu', precision='fp32',"
        f" users_per_shard={options.users_per_shard})\n"
        "embed_manifest(manifest, out, options, kill)\n"
    )
    paths = (manifest, out, options.checkpoint, options.image_root)
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, paths)],
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == -signal.SIGKILL


def test_known_embeddings_lead_to_the_same_profiles_and_the_same_vectors(
    dump: Path, tmp_path: Path, embedding_model: Path
) -> None:
    row = pl.read_parquet(dump / "test.parquet").row(0, named=True)
    user = UserImages(row["user_id"], tuple(map(ImageRef, row["images"])))
    checkpoint = load_checkpoint(embedding_model)
    plain = PredictorOptions(dump, device="cpu", precision="fp32")
    cached = replace(plain, embedding_cache=tmp_path / "cache")
    expected = Predictor(checkpoint, plain)([user])
    vectors = Embedder(Backbone.of(checkpoint), None, plain)([user])
    for _ in range(2):
        assert Predictor(checkpoint, cached)([user]).equals(expected)
        known = Embedder(Backbone.of(checkpoint), None, cached)([user])
        assert known[EMBEDDINGS].equals(vectors[EMBEDDINGS])


# --- a backbone without a model -------------------------------------------------------------------


@pytest.mark.slow
def test_a_backbone_with_the_weights_of_a_model_gives_its_embeddings(
    dump: Path, tmp_path: Path, options: EmbedOptions, embed: Embed, embedding_model: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    save_file(dict(Backbone.of(load_checkpoint(embedding_model)).state), weights)
    bare = replace(
        options, checkpoint=None, backbone="timm/test_resnet", weights=str(weights), frame_size=32
    )
    with planned_embedding(dump / "test.parquet", tmp_path / "out", bare) as plan:
        file = plan.job.backbone
        assert file.is_file()
        with plan.engine() as engine:
            run_plan(plan, engine)
    assert not file.exists(), "the temporary file is removed"
    embeddings = pl.read_parquet(tmp_path / "out")
    assert embeddings.equals(embed(dump / "test.parquet", tmp_path / "of-model", options))
    assert (
        described(tmp_path / "out")["backbone_digest"]
        == described(tmp_path / "of-model")["backbone_digest"]
    )


def test_weights_are_an_input_that_the_output_does_not_replace(
    dump: Path, tmp_path: Path, options: EmbedOptions
) -> None:
    weights = tmp_path / "weights.parquet"
    weights.write_bytes(b"weights")
    bare = replace(options, checkpoint=None, backbone="timm/test_resnet", weights=str(weights))
    with (
        pytest.raises(OutputError, match=r"weights\.parquet is the weights .* that this run reads"),
        planned_embedding(dump / "test.parquet", weights, replace(bare, overwrite=True)),
    ):
        pytest.fail("it was planned")


def test_the_cache_of_embeddings_is_not_replaced_by_the_output(
    dump: Path, tmp_path: Path, options: EmbedOptions
) -> None:
    cached = replace(options, embedding_cache=tmp_path / "known")
    with (
        pytest.raises(OutputError, match=r"is the embedding cache .* that this run reads"),
        planned_embedding(dump / "test.parquet", f"{tmp_path}/known/", cached),
    ):
        pytest.fail("it was planned")


def test_a_model_without_a_backbone_is_refused_with_the_remedy(
    dump: Path, tmp_path: Path, model: Path, drawn_dump: Path
) -> None:
    options = PredictorOptions(drawn_dump, device="cpu", embedding_cache=tmp_path / "cache")
    with pytest.raises(CheckpointError, match="model1, which computes no embeddings; use a model"):
        EmbedJob(model, None, options=options).actor_arguments()
    with pytest.raises(OptionError, match=r"`embedding_cache` is .*model1 computes no embeddings"):
        Predictor(load_checkpoint(model), options)


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "weights": ({"weights": "package"}, "`weights` is for a backbone without a model"),
    "size": ({"frame_size": 64}, "`frame_size` is for a backbone without a model"),
    "both": ({"backbone": "x", "checkpoint": Path("m")}, "`checkpoint` and `backbone` exclude"),
    "bare": ({"backbone": "x"}, "`backbone` is x, which embeds nothing without weights"),
    "ray": ({"backbone": "x", "weights": "hub", "engine": "ray"}, "`backbone` is for one machine"),
    "frames": ({"frames": 0}, "`frames` is 0; it must be from 1 to"),
    "per": ({"per": "tweet"}, "`per` is tweet; it must be image or user"),
    "limit": ({"limit": -1}, "`limit` is -1; it must be at least 0"),
}
"""Options that do not go together, and what is said of them."""


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_options_that_contradict_each_other_are_refused(name: str) -> None:
    options, sentence = CONTRADICTIONS[name]
    with pytest.raises(OptionError, match=sentence):
        EmbedOptions(**options)


# --- resuming and replacing -----------------------------------------------------------------------


def test_a_run_is_resumed_only_with_the_same_weights_frames_and_kind_of_vector(
    dump: Path, tmp_path: Path, options: EmbedOptions
) -> None:
    with planned_embedding(dump / "test.parquet", tmp_path / "out", options) as plan:
        facts = embedder_facts()
        record = plan.record(facts)
        per_user = replace(plan, rows=EmbeddingRows("user"))
        assert record.differences(per_user.record(facts).facts) == ['`per` ("image" in that run)']
        cached = replace(plan, options=replace(options, embedding_cache=tmp_path / "cache"))
        assert record.differences(cached.record(facts).facts) == []
    changes: dict[str, tuple[Any, str]] = {
        "backbone_digest": ("1" * 64, "weights of the backbone"),
        "size": (replace(facts.size, frames=3), "`frames` (11 in that run)"),
        "precision": ("bf16", '`precision` ("fp32" in that run)'),
        "batch_size": (99, ""),
    }
    for name, (value, said) in changes.items():
        other = plan.record(replace(facts, **{name: value}))
        assert ", ".join(record.differences(other.facts)) == said


def test_earlier_embeddings_are_replaced_only_on_request(
    dump: Path, tmp_path: Path, options: EmbedOptions, embed: Embed
) -> None:
    out = tmp_path / "out"
    embed(dump / "test.parquet", out, options)
    with pytest.raises(OutputError, match="exists; choose another name or pass `overwrite=True`"):
        embed(dump / "test.parquet", out, options)
    users = embed(dump / "test.parquet", out, replace(options, per="user", overwrite=True))
    assert "embedding" in users.columns


def write_table(out: Path | str, kind: str, *, complete: bool) -> None:
    """Write an output of one shard, or leave a run that has finished one of two."""
    facts = {"kind": "embeddings"} if kind == "embeddings" else {"network": "model1"}
    record = RunRecord.new(facts, overwrite=False)
    table = pa.table({"user_id": ["a"]})
    with RowWriter(str(out), table.schema, record, 1 if complete else 2) as writer:
        writer.write(0, table, writer.counts)
        if complete:
            writer.finish()


@pytest.mark.parametrize("complete", [True, False], ids=["complete", "unfinished"])
@pytest.mark.parametrize(
    ("earlier", "kind"),
    [("predictions", Kind.EMBEDDINGS), ("embeddings", Kind.PREDICTIONS)],
)
def test_embeddings_never_replace_predictions_nor_predictions_embeddings(
    tmp_path: Path, earlier: str, kind: Kind, complete: bool
) -> None:
    out = tmp_path / "out"
    write_table(out, earlier, complete=complete)
    sentence = (
        f"not {kind} that tweetprofile wrote, so it is not replaced"
        if complete
        else "belongs to no unfinished run of this command"
    )
    for resume in (False, True):
        with pytest.raises(OutputError, match=sentence):
            check_output(str(out), overwrite=True, resume=resume, kind=kind)
    own = Kind.PREDICTIONS if kind is Kind.EMBEDDINGS else Kind.EMBEDDINGS
    check_output(str(out), overwrite=True, kind=own)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.parquet", "out/"])
def test_nor_do_they_in_an_object_store(store: pafs.FileSystem, name: str) -> None:
    out = f"s3://dumps/{name}"
    write_table(out, "predictions", complete=True)
    with pytest.raises(OutputError, match="is not a table of embeddings that tweetprofile wrote"):
        check_output(out, overwrite=True, kind=Kind.EMBEDDINGS)
    check_output(out, overwrite=True)
    other = f"s3://dumps/other-{name}"
    write_table(other, "embeddings", complete=True)
    check_output(other, overwrite=True, kind=Kind.EMBEDDINGS)
    with pytest.raises(OutputError, match="is not a table of predictions that tweetprofile wrote"):
        check_output(other, overwrite=True)


def test_embeddings_do_not_fit_into_csv(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="a vector does not fit into a cell of CSV; name it"):
        check_output(f"{tmp_path}/out.csv", overwrite=False, kind=Kind.EMBEDDINGS)


def test_embeddings_are_not_taken_for_profiles(
    dump: Path, tmp_path: Path, options: EmbedOptions, embed: Embed
) -> None:
    embed(dump / "test.parquet", tmp_path / "out.parquet", options)
    with pytest.raises(PredictionsError, match="does not contain profiles written by"):
        Predictions.read(tmp_path / "out.parquet")
