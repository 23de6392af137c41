"""A manifest of any form becomes one row per user, in manifest order."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from tests.facts import predictor_facts
from tests.forms import in_all_forms
from tweetprofile.data.files.provenance import METADATA_KEY
from tweetprofile.engines.jobs import PredictJob
from tweetprofile.engines.shards import ShardEngine
from tweetprofile.errors import (
    ChangedInputError,
    ManifestError,
    OptionError,
    TooManyFailuresError,
)
from tweetprofile.job import Detail, PredictorFacts
from tweetprofile.predicting.plan import PredictOptions, plan_prediction
from tweetprofile.predicting.record import RunRecord
from tweetprofile.predicting.run import Progress, predict_manifest, run_plan
from tweetprofile.volumes.spec import VolumeSpec

Predict = Callable[[Path, Path, PredictOptions], pl.DataFrame]


@pytest.fixture
def options(model: Path, drawn_dump: Path) -> PredictOptions:
    return PredictOptions(checkpoint=model, image_root=drawn_dump, devices="cpu", precision="fp32")


@pytest.fixture(scope="module")
def predict() -> Iterator[Predict]:
    """Does what `predict_manifest` does, with workers that are kept for the next test."""
    with ExitStack() as stack:
        engines: dict[PredictJob, ShardEngine[PredictorFacts]] = {}

        def predict(manifest: Path, out: Path, options: PredictOptions) -> pl.DataFrame:
            plan = plan_prediction(manifest, out, options)
            if plan.job not in engines:
                engines[plan.job] = stack.enter_context(plan.engine())
            run_plan(plan, engines[plan.job])
            return pl.read_parquet(out)

        yield predict


def test_every_form_of_manifest_gives_the_same_profiles_in_manifest_order(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    manifest = dump / "test.parquet"
    reference = predict(manifest, tmp_path / "paths.out.parquet", options)
    ids = pl.read_parquet(manifest)["user_id"]
    assert reference["user_id"].to_list() == ids.to_list()
    for name, other in in_all_forms(dump, tmp_path).items():
        profiles = predict(other, tmp_path / f"{name}.out.parquet", options)
        without_names = pl.exclude("image_errors")
        assert profiles.select(without_names).equals(reference.select(without_names)), name


def test_real_photos_give_the_same_profiles_in_every_form(
    real_photos: list[Path], tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    groups = [real_photos[start : start + 11] for start in range(0, 110, 11)]
    ids = [f"user-{number}" for number in range(len(groups))]
    names = [[path.name for path in group] for group in groups]
    blobs = [[path.read_bytes() for path in group] for group in groups]
    tables = {
        "paths": pa.table({"user_id": ids, "images": names}),
        "bytes": pa.table({"user_id": ids, "images": blobs}),
        "huggingface": pa.table(
            {
                "user_id": ids,
                "images": [
                    [{"bytes": blob, "path": name} for blob, name in zip(*group, strict=True)]
                    for group in zip(blobs, names, strict=True)
                ],
            }
        ),
        "long": pa.table(
            {
                "user_id": [user for user in ids for _ in range(11)],
                "image": [name for group in names for name in group],
            }
        ),
    }
    rooted = replace(options, image_root=real_photos[0].parent)
    outputs = []
    for name, table in tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
        outputs.append(
            predict(tmp_path / f"{name}.parquet", tmp_path / f"{name}.out.parquet", rooted)
        )
    assert outputs[0]["user_id"].to_list() == ids
    assert all(output.equals(outputs[0]) for output in outputs)


@pytest.mark.parametrize("users_per_shard", [1, 4, 1000])
def test_the_shard_size_changes_nothing(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict, users_per_shard: int
) -> None:
    manifest = dump / "test.parquet"
    reference = predict(manifest, tmp_path / "a", options)
    other = predict(manifest, tmp_path / "b", replace(options, users_per_shard=users_per_shard))
    assert_frame_equal(reference, other, abs_tol=1e-4)


def test_limit_predicts_only_the_first_users(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    limited = replace(options, limit=3, users_per_shard=2)
    profiles = predict(dump / "test.parquet", tmp_path / "out", limited)
    ids = pl.read_parquet(dump / "test.parquet")["user_id"]
    assert profiles["user_id"].to_list() == ids.to_list()[:3]


def test_images_beyond_the_largest_number_per_user_are_counted_and_not_decoded(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    table = pq.read_table(dump / "test.parquet", columns=["user_id", "images"])
    given = [len(images) for images in table["images"].to_pylist()]
    profiles = predict(dump / "test.parquet", tmp_path / "out", replace(options, max_images=3))
    assert profiles["images_given"].to_list() == given
    tried = (profiles["frames_used"] + profiles["images_failed"]).to_list()
    assert tried == [min(number, 3) for number in given]
    first = table.set_column(
        1, "images", pa.array([images[:3] for images in table["images"].to_pylist()])
    )
    pq.write_table(first, dump / "first.parquet")
    same = predict(dump / "first.parquet", tmp_path / "first.out.parquet", options)
    assert same.drop("images_given").equals(profiles.drop("images_given"))
    counts = json.loads(pq.read_metadata(tmp_path / "out").metadata[METADATA_KEY.encode()])[
        "counts"
    ]
    assert counts["left_out"] == sum(given) - sum(min(number, 3) for number in given)


@pytest.mark.parametrize("cap", [{"max_pixels": 1}, {"max_image_bytes": 1}])
def test_images_over_a_limit_are_too_large(
    dump: Path,
    tmp_path: Path,
    options: PredictOptions,
    predict: Predict,
    cap: dict[str, Any],
) -> None:
    with pytest.raises(
        TooManyFailuresError, match=r"(not one of its .* images was|only image was not) usable: see"
    ):
        predict(dump / "test.parquet", tmp_path / "out", replace(options, limit=1, **cap))
    profiles = pl.read_parquet(tmp_path / "out")
    assert "too_large" in {error["reason"] for error in profiles["image_errors"][0]}
    assert profiles["frames_used"][0] == 0


def test_kept_columns_are_copied_as_they_are(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    frame = pl.read_parquet(dump / "test.parquet").rename({"gender": "said"}).with_row_index("n")
    manifest = dump / "renamed.parquet"
    frame.write_parquet(manifest)
    profiles = predict(manifest, tmp_path / "out", replace(options, keep=("said", "n")))
    assert profiles.columns[-2:] == ["said", "n"]
    assert profiles.select("said", "n").equals(frame.select("said", "n"))


def test_a_kept_column_of_arrows_view_type_is_copied_as_text(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    table = pq.read_table(dump / "test.parquet")
    said = pa.array([f"words {row}" for row in range(len(table))], pa.string_view())
    pq.write_table(table.append_column("said", said), dump / "views.parquet")
    profiles = predict(dump / "views.parquet", tmp_path / "out", replace(options, keep=("said",)))
    assert profiles["said"].to_list() == said.to_pylist()


def test_a_kept_column_must_exist(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    with pytest.raises(ManifestError, match="has no column 'age'; it has user_id"):
        predict(dump / "test.parquet", tmp_path / "out", replace(options, keep=("age",)))


def test_a_kept_column_must_not_clash_with_the_output(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    with pytest.raises(
        OptionError, match="`keep` gender: the output already has a column of that name"
    ):
        predict(dump / "test.parquet", tmp_path / "out", replace(options, keep=("gender",)))


def test_integer_ids_are_written_as_they_were_read(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    frame = pl.read_parquet(dump / "test.parquet")
    manifest = dump / "numbered.parquet"
    numbered = frame.with_columns(user_id=pl.int_range(frame.height, dtype=pl.UInt64) + 2**60)
    numbered.write_parquet(manifest)
    profiles = predict(manifest, tmp_path / "out", options)
    assert profiles["user_id"].equals(numbered["user_id"])


def test_an_empty_manifest_gives_an_empty_output_of_the_same_columns(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    pl.read_parquet(dump / "test.parquet").clear().write_parquet(tmp_path / "empty.parquet")
    empty = predict(tmp_path / "empty.parquet", tmp_path / "empty.out.parquet", options)
    full = predict(dump / "test.parquet", tmp_path / "full.out.parquet", options)
    assert empty.height == 0
    assert empty.schema == full.schema


def test_the_output_describes_its_run(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    predict(dump / "test.parquet", tmp_path / "out", options)
    described = json.loads(pq.read_metadata(tmp_path / "out").metadata[METADATA_KEY.encode()])
    assert described.keys() == {
        "version",
        "checkpoint_sha256",
        "network",
        "schema",
        "volume",
        "decoder",
        "device",
        "precision",
        "batch_size",
        "manifest_fingerprint",
        "image_root_sha256",
        "users_per_shard",
        "limit",
        "keep",
        "max_images",
        "clips",
        "orders",
        "views",
        "max_pixels",
        "max_image_bytes",
        "max_image_seconds",
        "detail",
        "run",
        "counts",
    }
    assert described["counts"]["users"] == pl.read_parquet(tmp_path / "out").height


def test_an_output_records_the_detail_of_its_model_unless_another_was_given(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    expected: dict[Detail | None, Detail] = {None: "frame", "full": "full"}
    for given, used in expected.items():
        chosen = replace(options, limit=1, detail=given)
        predict(dump / "test.parquet", tmp_path / used, chosen)
        described = json.loads(pq.read_metadata(tmp_path / used).metadata[METADATA_KEY.encode()])
        assert described["detail"] == used
        assert "detail" not in described["volume"]


def test_a_run_of_another_detail_is_not_resumed_and_one_without_had_that_of_frames(
    dump: Path, tmp_path: Path, options: PredictOptions
) -> None:
    plan = plan_prediction(dump / "test.parquet", tmp_path / "out", options)
    volume = asdict(VolumeSpec())
    frame, full = (
        plan.record(predictor_facts(volume=volume | {"detail": detail}))
        for detail in ("frame", "full")
    )
    assert frame.differences(full.facts) == ['`detail` ("frame" in that run)']
    facts = {name: each for name, each in frame.facts.items() if name != "detail"}
    of_0_1_0 = RunRecord.new(facts, overwrite=False)
    assert of_0_1_0.differences(frame.facts) == []
    assert of_0_1_0.differences(full.facts) == ['`detail` ("frame" in that run)']


def test_a_folder_of_shards_has_the_rows_of_the_single_file(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    small = replace(options, users_per_shard=2)
    one = predict(dump / "test.parquet", tmp_path / "one", small)
    predict_manifest(dump / "test.parquet", f"{tmp_path}/many/", small)
    parts = sorted((tmp_path / "many").iterdir())
    assert len(parts) == -(-one.height // 2)
    assert pl.concat([pl.read_parquet(part) for part in parts]).equals(one)


def test_too_many_unusable_images_are_an_error_after_the_output_is_complete(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict
) -> None:
    with pytest.raises(TooManyFailuresError, match=r"images failed, more than `max_failed` 0\.0"):
        predict(dump / "test.parquet", tmp_path / "out", replace(options, max_failed=0.0))
    assert pl.read_parquet(tmp_path / "out").height == pl.read_parquet(dump / "test.parquet").height


def test_progress_counts_up_to_all_users(
    dump: Path, tmp_path: Path, options: PredictOptions
) -> None:
    seen: list[Progress] = []
    small = replace(options, users_per_shard=2)
    summary = predict_manifest(dump / "test.parquet", tmp_path / "out", small, seen.append)
    done = [progress.counts.users for progress in seen]
    assert done == sorted(done)
    assert done[-1] == seen[-1].users_total == summary.counts.users


def test_planning_writes_nothing(dump: Path, tmp_path: Path, options: PredictOptions) -> None:
    plan = plan_prediction(dump / "test.parquet", tmp_path / "out", options)
    assert plan.users == pl.read_parquet(dump / "test.parquet").height
    assert [path.name for path in tmp_path.iterdir()] == ["dump"]


def test_a_manifest_that_changes_during_the_run_is_an_error_and_gives_no_output(
    dump: Path, tmp_path: Path, options: PredictOptions
) -> None:
    manifest = dump / "test.parquet"
    plan = plan_prediction(manifest, tmp_path / "out", options)
    pq.write_table(pq.read_table(manifest).slice(2), manifest)
    with (
        plan.engine() as engine,
        pytest.raises(ChangedInputError, match=r"test\.parquet was changed"),
    ):
        run_plan(plan, engine)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"users_per_shard": 0},
        {"limit": -1},
        {"max_failed": 1.5},
        {"batch_size": -1},
        {"max_images": 0},
        {"max_pixels": 0},
        {"max_image_bytes": 0},
        {"max_image_seconds": 0},
        {"detail": "most"},
        {"stall_seconds": 0.0},
    ],
)
def test_an_option_out_of_range_is_refused(
    dump: Path, tmp_path: Path, options: PredictOptions, predict: Predict, wrong: dict[str, Any]
) -> None:
    with pytest.raises(OptionError):
        predict(dump / "test.parquet", tmp_path / "out", replace(options, **wrong))
