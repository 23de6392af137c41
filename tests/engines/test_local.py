"""When workers crash or hang, the run continues, and only the user who caused it loses anything."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from tests.text_users import labelled_texts, save_text_model
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.errors import CheckpointError, OptionError, WorkerError
from tweetprofile.job import WorkerFacts, most_small_workers
from tweetprofile.predicting.plan import PredictOptions, plan_prediction

WriteUsers = Callable[..., Path]
Predict = Callable[[Path, PredictOptions], tuple[pl.DataFrame, tuple[str, ...]]]

slow = pytest.mark.slow

CULPRIT = 4
USERS = 10


@pytest.fixture
def options(options: PredictOptions) -> PredictOptions:
    return replace(options, stall_seconds=4.0)


def without_users(profiles: pl.DataFrame, culprits: Iterable[int]) -> pl.DataFrame:
    names = [f"user-{culprit}" for culprit in culprits]
    return profiles.filter(~pl.col("user_id").is_in(names))


@pytest.mark.usefixtures("faulty_library")
@pytest.mark.parametrize(
    "culprits",
    [
        {4: ("SIGSEGV", "was killed by SIGSEGV")},
        pytest.param(
            {
                0: ("SIGKILL", "was killed by SIGKILL"),
                1: ("exit", "ended with code 7"),
                8: ("hang with the lock", "hung for 4 s"),
            },
            marks=slow,
        ),
    ],
)
def test_a_user_who_crashes_a_worker_gets_the_status_crashed_and_no_other_row_changes(
    write_users: WriteUsers,
    options: PredictOptions,
    predict: Predict,
    culprits: dict[int, tuple[str, str]],
) -> None:
    faulty = {user: [b"FAULTY" + how.encode(), b"?"] for user, (how, _) in culprits.items()}
    profiles, deaths = predict(write_users(USERS, faulty), options)
    harmless = {user: [b"?"] for user in culprits}
    reference, none = predict(write_users(USERS, harmless, name="harmless"), options)
    assert none == ()
    assert without_users(profiles, culprits).equals(without_users(reference, culprits))
    for user, (_, said) in culprits.items():
        row = profiles.row(user, named=True)
        assert (row["status"], row["images_given"], row["gender"]) == ("crashed", 2, None)
        named = f"{said} while processing user user-{user}"
        assert any(death.endswith(named) for death in deaths)


@slow
@pytest.mark.usefixtures("faulty_library")
def test_two_devices_give_the_rows_of_one_although_a_worker_crashes(
    write_users: WriteUsers, options: PredictOptions, predict: Predict
) -> None:
    manifest = write_users(USERS, {CULPRIT: [b"FAULTYSIGSEGV"]})
    small = replace(options, batch_size=2, users_per_shard=3)
    both = replace(small, devices="cpu,cpu")
    assert predict(manifest, both)[0].equals(predict(manifest, small)[0])


@pytest.mark.gpu
@pytest.mark.usefixtures("faulty_library")
@pytest.mark.parametrize("devices", ["auto", "cuda", "cuda:0", "cuda:0,cuda:0"])
def test_workers_on_a_gpu_agree_with_the_cpu_although_one_crashes(
    write_users: WriteUsers, options: PredictOptions, predict: Predict, devices: str
) -> None:
    manifest = write_users(USERS, {CULPRIT: [b"FAULTYSIGSEGV"]})
    on_cpu, _ = predict(manifest, options)
    on_gpu, _ = predict(manifest, replace(options, devices=devices, decoder="auto"))
    assert on_gpu["status"].to_list() == on_cpu["status"].to_list()
    differences = (on_gpu["gender_confidence"] - on_cpu["gender_confidence"]).abs()
    assert differences.drop_nulls().max() < 0.02  # type: ignore[operator]


@slow
def test_a_machine_with_many_processors_gets_one_worker_per_four(
    write_users: WriteUsers, options: PredictOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(10))
    manifest = write_users(USERS, {})
    plan = plan_prediction(manifest, manifest.with_suffix(".out.parquet"), options)
    before = children()
    with LocalEngine(plan.job, plan.engine_options) as engine:
        assert len(children() - before) == len(engine.devices) == 3
        assert sorted(batch.first for batch, _ in engine.run(plan.manifest.batches(8, 2))) == [
            *range(0, USERS, 2)
        ]


def test_texts_get_one_worker_per_processor_and_the_rows_of_a_single_worker(tmp_path: Path) -> None:
    manifest = labelled_texts(tmp_path / "texts.parquet", 60)
    model = save_text_model(tmp_path / "texts.safetensors", ["el sol sale", "lira"], images=False)
    options = PredictOptions(checkpoint=model, devices="cpu", batch_size=4)
    plan = plan_prediction(manifest, tmp_path / "never written", options)
    rows = {}
    for processors in (1, 2):
        own = replace(plan.engine_options, processors=processors)
        before = children()
        with LocalEngine(replace(plan.job, rows=plan.source.content_rows), own) as engine:
            assert len(children() - before) == len(engine.devices) == processors
            done = {batch.first: part for batch, part in engine.run_shards(plan.source, [0])}
            assert engine.compute_slots <= processors  # each worker computes in one thread
        rows[processors] = pa.concat_tables([done[first] for first in sorted(done)])
    assert len(rows[1]) == 60
    assert rows[2].equals(rows[1])


def test_workers_that_read_texts_are_limited_on_large_machines_and_for_few_users() -> None:
    images = WorkerFacts(device="cpu", decoder="pillow", batch_size=4, cuda_devices=0)
    texts, many = replace(images, processors_per_worker=1), most_small_workers(None)
    assert [images.workers_on_cpu(each, many) for each in (1, 4, 10, 128)] == [1, 1, 3, 32]
    assert [texts.workers_on_cpu(each, many) for each in (1, 4, 10, 64, 128)] == [1, 4, 10, 16, 32]
    assert [most_small_workers(users) for users in (0, 7_999, 8_000, 10**6)] == [1, 1, 2, 16]


@slow
@pytest.mark.usefixtures("faulty_library")
@pytest.mark.parametrize("devices", ["cpu", "cpu,cpu"])
def test_all_other_users_are_predicted_while_one_hangs(
    write_users: WriteUsers, options: PredictOptions, devices: str, tmp_path: Path
) -> None:
    both = replace(options, devices=devices, batch_size=1, users_per_shard=2)
    manifest = write_users(USERS, {0: [b"FAULTYhang"]})
    plan = plan_prediction(manifest, tmp_path / "never written", both)
    with LocalEngine(plan.job, plan.engine_options) as engine:
        order = [batch.first for batch, _ in engine.run(plan.manifest.batches(2, 1))]
    assert sorted(order) == list(range(USERS))
    assert order[-1] == 0


@slow
@pytest.mark.usefixtures("faulty_library")
def test_only_an_image_that_crashes_dali_is_decoded_by_pillow(
    write_users: WriteUsers,
    options: PredictOptions,
    predict: Predict,
    monkeypatch: pytest.MonkeyPatch,
    draw: Callable[..., Image.Image],
    encode: Callable[..., bytes],
) -> None:
    pytest.importorskip("nvidia.dali", reason="DALI is for Linux")
    marked = encode(draw(48, 36), "JPEG", comment=b"FAULTY")
    manifest = write_users(USERS, {CULPRIT: [marked]})
    with_dali = replace(options, decoder="dali")
    reference, _ = predict(manifest, with_dali)
    monkeypatch.setenv("DALI_CRASHES", "1")
    profiles, deaths = predict(manifest, with_dali)
    assert len(deaths) == 2
    assert without_users(profiles, [CULPRIT]).equals(without_users(reference, [CULPRIT]))
    assert profiles.row(CULPRIT, named=True)["status"] == "ok"


@slow
def test_an_image_that_crashes_a_real_library_costs_its_user_only_that_image(
    write_users: WriteUsers,
    options: PredictOptions,
    predict: Predict,
    draw: Callable[..., Image.Image],
    encode: Callable[..., bytes],
) -> None:
    """nvImageCodec 0.9 crashes by a division on a JPEG 2000 whose tiles have no height."""
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is for Linux")
    whole = encode(draw(48, 36), "JPEG2000", no_jp2=True)
    assert whole.startswith(b"\xff\x4f\xff\x51")
    flat = whole[:28] + bytes(4) + whole[32:]
    others = [encode(draw(48, 36, image), "JPEG") for image in range(3)]
    manifest = write_users(USERS, {CULPRIT: [*others, flat]})
    profiles, deaths = predict(manifest, replace(options, decoder="dali"))
    culprit = profiles.row(CULPRIT, named=True)
    assert (culprit["status"], culprit["frames_used"]) == ("partial", 3)
    assert [error["reason"] for error in culprit["image_errors"]] == ["corrupt"]
    assert [death for death in deaths if "was killed by SIG" not in death] == []
    without_it, none = predict(
        write_users(USERS, {CULPRIT: others}, name="without"), replace(options, decoder="dali")
    )
    assert none == ()
    assert without_users(profiles, [CULPRIT]).equals(without_users(without_it, [CULPRIT]))


@pytest.mark.usefixtures("faulty_library")
def test_a_worker_that_cannot_start_ends_the_run_with_what_it_printed(
    write_users: WriteUsers,
    options: PredictOptions,
    predict: Predict,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EXIT_AT_ONCE", "1")
    with pytest.raises(WorkerError, match="3 times in a row") as caught:
        predict(write_users(USERS, {}), options)
    assert "ended with code 7" in str(caught.value)
    assert str(caught.value).endswith("no kernel image for this device")


def test_an_error_of_a_worker_is_raised_in_the_supervisor(
    write_users: WriteUsers, options: PredictOptions, predict: Predict, tmp_path: Path
) -> None:
    missing = replace(options, checkpoint=tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match=r"none\.safetensors does not exist"):
        predict(write_users(1, {}), missing)


def test_an_engine_can_be_used_again_after_a_run_that_was_abandoned(
    write_users: WriteUsers, options: PredictOptions
) -> None:
    manifest = write_users(USERS, {})
    plan = plan_prediction(manifest, manifest.with_suffix(".out.parquet"), options)
    with LocalEngine(plan.job, plan.engine_options) as engine:
        batch, profiles = next(iter(engine.run(plan.manifest.batches(8, 2))))
        again = {each.first: found for each, found in engine.run(plan.manifest.batches(8, 2))}
    assert sorted(again) == [0, 2, 4, 6, 8]
    assert again[batch.first] == profiles


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="not on this system")
def test_the_worker_is_killed_before_the_supervisor_when_memory_runs_out(
    write_users: WriteUsers, options: PredictOptions
) -> None:
    manifest = write_users(1, {})
    before = children()
    with plan_prediction(manifest, manifest.with_suffix(".out.parquet"), options).engine():
        (worker,) = children() - before
        assert Path(f"/proc/{worker}/oom_score_adj").read_text().strip() == "500"


@pytest.mark.parametrize("left_by", ["an error", "its end"])
def test_no_worker_outlives_the_engine(
    write_users: WriteUsers, options: PredictOptions, left_by: str
) -> None:
    manifest = write_users(1, {})
    plan = plan_prediction(manifest, manifest.with_suffix(".out.parquet"), options)
    before = children()
    try:
        with plan.engine():
            assert len(children() - before) == 1
            if left_by == "an error":
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert children() == before


def children() -> set[str]:
    """Return the ids of the child processes of this process."""
    own = Path(f"/proc/self/task/{os.getpid()}/children")
    if not own.exists():
        pytest.skip("this system does not list child processes")
    return set(own.read_text().split())


@pytest.mark.parametrize("devices", ["tpu", "cuda:x", "cpu,", "auto,cpu", "cpu:1", ""])
def test_unknown_devices_are_refused(devices: str) -> None:
    with pytest.raises(OptionError, match="give auto, cpu, cuda"):
        EngineOptions(devices)


def test_devices_of_two_kinds_are_refused() -> None:
    with pytest.raises(OptionError, match="name devices of one kind"):
        EngineOptions("cpu,cuda:0")


def test_a_stall_time_of_zero_is_refused() -> None:
    with pytest.raises(OptionError, match="`stall_seconds` is 0; it must be above 0"):
        EngineOptions(stall_seconds=0)


def test_workers_in_the_shape_of_a_gpu_give_the_same_rows(
    write_users: WriteUsers, options: PredictOptions
) -> None:
    manifest = write_users(USERS, {CULPRIT: [], 7: [b"?"]})
    large = replace(options, batch_size=64, users_per_shard=64)
    plan = plan_prediction(manifest, manifest.with_suffix(".out.parquet"), large)
    rows = []
    for worker_threads in (None, 3):
        engine_options = replace(plan.engine_options, worker_threads=worker_threads)
        with LocalEngine(plan.job, engine_options) as engine:
            assert worker_threads is None or engine.compute_slots == 3
            rows += [profiles for _, profiles in engine.run_shards(plan.source, range(plan.shards))]
    assert rows[0] == rows[1]


def test_embedded_images_and_files_give_the_same_profiles(
    write_users: WriteUsers, options: PredictOptions, predict: Predict, tmp_path: Path
) -> None:
    embedded = write_users(USERS, {CULPRIT: [b"?", b""], 7: []})
    table = pl.read_parquet(embedded)
    paths = []
    for user, images in enumerate(table["images"].to_list()):
        names = [f"{user}-{number}.jpg" for number in range(len(images))]
        for name, image in zip(names, images, strict=True):
            (tmp_path / name).write_bytes(image)
        paths.append(names)
    by_path = tmp_path / "by-path.parquet"
    table.with_columns(pl.Series("images", paths, pl.List(pl.String))).write_parquet(by_path)
    one, other = predict(embedded, options)[0], predict(by_path, options)[0]
    assert one.drop("image_errors").equals(other.drop("image_errors"))


def test_no_worker_threads_are_refused() -> None:
    with pytest.raises(OptionError, match="`worker_threads` is 0; it must be at least 1"):
        EngineOptions(worker_threads=0)
