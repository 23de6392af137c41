"""On a cluster of this machine, `--engine ray` writes what `--engine local` writes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from tweetprofile.cli import main
from tweetprofile.errors import ChangedInputError, CheckpointError, ManifestError, OptionError
from tweetprofile.predicting.embedding import EmbedOptions
from tweetprofile.predicting.plan import PredictOptions, plan_prediction
from tweetprofile.predicting.run import Progress, embed_manifest, predict_manifest

pytestmark = pytest.mark.slow

ray = pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster that counts four processors, whatever the machine has; it ends with the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        patch.setenv("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
        ray.init(
            address="local",
            num_cpus=4,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            object_store_memory=100 << 20,
        )
        yield
        ray.shutdown()


@pytest.fixture
def options(model: Path) -> PredictOptions:
    return PredictOptions(checkpoint=model, devices="cpu", users_per_shard=3)


@pytest.fixture
def many(dump: Path) -> Path:
    """120 users: the 12 users of the dump, ten times."""
    twelve = pl.read_parquet(dump / "train.parquet")
    again = (twelve.with_columns(pl.col("user_id") + f"-{number}") for number in range(10))
    path = dump / "many.parquet"
    pl.concat(again).write_parquet(path)
    return path


def assert_equal(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    """Require the same ids, order, classes and counts, and probabilities within 1e-4."""
    shares = [name for name in expected.columns if name.endswith(("_confidence", "_probabilities"))]
    assert found.drop(shares).equals(expected.drop(shares))
    for name in shares:
        for one, other in zip(_numbers(found[name]), _numbers(expected[name]), strict=True):
            assert one == pytest.approx(other, abs=1e-4)


def _numbers(column: pl.Series) -> list[float | None]:
    if isinstance(column.dtype, pl.Struct):
        return [number for field in column.struct.fields for number in column.struct.field(field)]
    return column.to_list()


def test_one_worker_two_workers_and_ray_give_the_same(
    cluster: None, dump: Path, options: PredictOptions, tmp_path: Path
) -> None:
    ways = {
        "one": options,
        "two": replace(options, devices="cpu,cpu"),
        "ray": replace(options, devices="cpu,cpu", engine="ray"),
    }
    for name, each in ways.items():
        predict_manifest(dump / "train.parquet", tmp_path / name, each)
    expected = pl.read_parquet(tmp_path / "one")
    assert len(expected) == 12
    assert set(expected["status"]) > {"ok", "no_images", "unusable"}
    for name in ("two", "ray"):
        assert_equal(pl.read_parquet(tmp_path / name), expected)


def test_ray_gives_the_same_embeddings_to_the_last_bit(
    cluster: None, dump: Path, embedding_model: Path, tmp_path: Path
) -> None:
    local = EmbedOptions(checkpoint=embedding_model, devices="cpu", users_per_shard=3)
    for name, each in {
        "local": local,
        "ray": replace(local, engine="ray", devices="cpu,cpu", embedding_cache=tmp_path / "known"),
    }.items():
        embed_manifest(dump / "train.parquet", tmp_path / name, each)
    embeddings = pl.read_parquet(tmp_path / "ray")
    assert embeddings.equals(pl.read_parquet(tmp_path / "local"))
    assert set(embeddings["status"]) > {"ok", "no_images", "unusable"}
    assert list((tmp_path / "known").rglob("*.embeddings"))


def test_a_ray_actor_that_is_killed_loses_nothing(
    cluster: None, many: Path, options: PredictOptions, tmp_path: Path
) -> None:
    options = replace(options, users_per_shard=1)
    predict_manifest(many, tmp_path / "local", options)
    killed: list[int] = []

    def kill_one(progress: Progress) -> None:
        if not killed and progress.counts.users < 80:
            killed.append(_an_actor())
            os.kill(killed[0], signal.SIGKILL)

    on_ray = replace(options, engine="ray", devices="cpu,cpu")
    summary = predict_manifest(many, tmp_path / "ray", on_ray, kill_one)
    assert killed
    assert summary.counts.users == 120
    assert_equal(pl.read_parquet(tmp_path / "ray"), pl.read_parquet(tmp_path / "local"))


def _an_actor() -> int:
    """Return the process id of a Ray actor that predicts for this process."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _is_our_actor(entry):
            return int(entry.name)
    pytest.fail("there is no Ray actor to kill")


def _is_our_actor(entry: Path) -> bool:
    try:
        if not (entry / "cmdline").read_bytes().startswith(b"ray::MapWorker"):
            return False
        return os.getpid() in _ancestors(int(entry.name))
    except OSError:  # it has ended by now
        return False


def _ancestors(process: int) -> list[int]:
    found = []
    while process > 1:
        status = Path(f"/proc/{process}/stat").read_text()
        process = int(status.rpartition(")")[2].split()[1])
        found.append(process)
    return found


@pytest.mark.usefixtures("faulty_library")
def test_the_command_starts_a_cluster_and_a_user_who_crashes_a_worker_is_crashed(
    write_users: Callable[..., Path], model: Path, tmp_path: Path
) -> None:
    manifest = write_users(10, {4: [b"FAULTYSIGSEGV", b"?"]})
    out = tmp_path / "out.parquet"
    command = [
        *(sys.executable, "-m", "tweetprofile", "predict", str(manifest), "-o", str(out)),
        *("--checkpoint", str(model), "--engine", "ray", "--devices", "cpu"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.search(r"workers? (was|were) replaced", done.stderr)
    statuses = pl.read_parquet(out)["status"].to_list()
    assert statuses == ["ok"] * 4 + ["crashed"] + ["ok"] * 5


def test_an_interrupted_run_is_resumed_on_ray(
    cluster: None, many: Path, options: PredictOptions, tmp_path: Path
) -> None:
    class StopError(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.counts.users >= 20:
            raise StopError

    with pytest.raises(StopError):
        predict_manifest(many, tmp_path / "out", options, stop)
    on_ray = replace(options, engine="ray", resume=True)
    summary = predict_manifest(many, tmp_path / "out", on_ray)
    assert summary.resumed.users > 0
    assert summary.counts.users == 120
    predict_manifest(many, tmp_path / "undisturbed", options)
    assert_equal(pl.read_parquet(tmp_path / "out"), pl.read_parquet(tmp_path / "undisturbed"))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_stopped_says_how_to_resume_and_leaves_no_process(
    sent: signal.Signals, many: Path, model: Path, tmp_path: Path
) -> None:
    command = [
        *(sys.executable, "-m", "tweetprofile", "predict", str(many), "--engine", "ray"),
        *("-o", str(tmp_path / "out"), "--checkpoint", str(model), "--users-per-shard", "1"),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        shards = tmp_path / "out.partial" / "shards"
        while process.poll() is None and not list(shards.glob("*.parquet")):
            time.sleep(0.02)
        ours = [
            int(entry.name) for entry in Path("/proc").iterdir() if _is_below(entry, process.pid)
        ]
        assert ours
        process.send_signal(sent)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "run the same command with --resume to continue" in " ".join(said.split())
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(map(_lives, ours)):
        time.sleep(0.1)
    assert not [number for number in ours if _lives(number)]


def _lives(number: int) -> bool:
    with suppress(OSError):
        return ") Z" not in Path(f"/proc/{number}/stat").read_text()
    return False


def _is_below(entry: Path, process: int) -> bool:
    with suppress(OSError):
        return entry.name.isdigit() and process in _ancestors(int(entry.name))
    return False


def test_the_long_form_kept_columns_and_relative_paths_come_through(
    cluster: None,
    dump: Path,
    options: PredictOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users = pl.read_parquet(dump / "test.parquet").filter(pl.col("images").list.len() > 0)
    long = users.explode("images").rename({"images": "image", "gender": "told"})
    long.write_parquet(dump / "long.parquet")
    # Relative to this folder, which is not the one that Ray actors work in.
    monkeypatch.chdir(dump)
    options = replace(
        options, keep=("told",), limit=3, users_per_shard=2, image_root=Path("../dump")
    )
    for engine in ("local", "ray"):
        each = replace(options, engine=engine)
        predict_manifest("long.parquet", tmp_path / engine, each)
    assert_equal(pl.read_parquet(tmp_path / "ray"), pl.read_parquet(tmp_path / "local"))
    assert len(pl.read_parquet(tmp_path / "ray")) == 3


@pytest.mark.parametrize(
    ("devices", "sentence"),
    [
        ("cuda", "needs 1 Ray actors; the cluster has 0 GPUs"),
        ("cuda:1", "Ray chooses the GPUs; give cuda"),
        ("cpu,cpu,cpu,cpu,cpu", "needs 5 Ray actors; the cluster has 0 GPUs and 4 processors"),
    ],
)
def test_devices_that_the_cluster_lacks_are_refused(
    cluster: None, dump: Path, options: PredictOptions, devices: str, sentence: str, tmp_path: Path
) -> None:
    on_ray = replace(options, engine="ray", devices=devices)
    with pytest.raises(OptionError, match=sentence):
        predict_manifest(dump / "test.parquet", tmp_path / "out", on_ray)


def test_a_job_that_no_ray_actor_can_do_is_refused_with_its_reason(
    cluster: None, dump: Path, options: PredictOptions, tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").write_text("no such thing")
    on_ray = replace(options, engine="ray", checkpoint=tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        predict_manifest(dump / "test.parquet", tmp_path / "out", on_ray)


def test_a_manifest_that_is_damaged_further_in_is_named_by_the_ray_actor(
    cluster: None, dump: Path, options: PredictOptions, tmp_path: Path
) -> None:
    manifest = dump / "test.parquet"
    images = pq.read_metadata(manifest).row_group(0).column(1)
    data = bytearray(manifest.read_bytes())
    data[images.data_page_offset] ^= 0xFF  # counting users reads only their ids
    manifest.write_bytes(data)
    plan = plan_prediction(manifest, tmp_path / "out", replace(options, engine="ray"))
    with (
        plan.engine() as engine,
        pytest.raises(ManifestError, match=r"test\.parquet cannot be read"),
    ):
        list(engine.run_shards(plan.source, [0, 1]))


def test_a_manifest_that_changes_after_it_was_checked_ends_the_run(
    cluster: None, dump: Path, options: PredictOptions, tmp_path: Path
) -> None:
    manifest = dump / "test.parquet"
    plan = plan_prediction(manifest, tmp_path / "out", replace(options, engine="ray"))
    with plan.engine() as engine:
        manifest.write_bytes(manifest.read_bytes() + b"\0")
        with pytest.raises(ChangedInputError, match=r"test\.parquet was changed"):
            list(engine.run_shards(plan.source, [0, 1]))


def test_a_cluster_that_does_not_answer_is_named(
    dump: Path, model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    paths = (str(dump / "test.parquet"), "-o", str(tmp_path / "out"), "--checkpoint", str(model))
    command = ("-m", "tweetprofile", "predict", *paths, "--engine", "ray")
    done = subprocess.run(
        [sys.executable, *command, "--ray-address", "127.0.0.1:1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--ray-address 127.0.0.1:1: no cluster answers" in done.stderr


def test_a_ray_address_without_the_ray_engine_is_refused(
    dump: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(dump / "test.parquet"), "-o", "out", "--ray-address", "auto"]
    assert main(["predict", *paths]) == 2
    assert "--ray-address is for --engine ray" in capsys.readouterr().err
