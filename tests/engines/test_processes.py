"""`predict` as a process: killed, interrupted, resumed, and quiet whatever libraries print."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

WriteUsers = Callable[..., Path]

SHARDS = 12
USERS_PER_SHARD = 4


@pytest.fixture
def manifest(write_users: WriteUsers) -> Path:
    return write_users(SHARDS * USERS_PER_SHARD, {5: [], 17: [b"<html>"]})


@pytest.fixture
def command(model: Path) -> list[str]:
    """The command `predict` without its manifest and output."""
    options = ["--checkpoint", str(model), "--users-per-shard", str(USERS_PER_SHARD)]
    return [sys.executable, "-m", "tweetprofile", "predict", "--devices", "cpu", *options]


def start(command: list[str], *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(command: list[str], *arguments: object) -> tuple[int, str]:
    """Return the exit code and everything that the command printed."""
    process = start(command, *arguments)
    said = "".join(process.communicate(timeout=120))
    return process.returncode, said


def wait_until(happened: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def shards_of(out: Path) -> list[Path]:
    return sorted(out.with_name(f"{out.name}.partial").glob("shards/part-*.parquet"))


def identity(path: Path) -> tuple[int, int]:
    """Return what changes when the file is written again, but not when it is read."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def children_of(process: subprocess.Popen[str]) -> list[str]:
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


def is_running(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(),
    reason="this system does not list child processes",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.parquet", "out/"])
def test_a_run_that_is_killed_repeatedly_ends_as_if_it_had_never_been_killed(
    manifest: Path, command: list[str], tmp_path: Path, name: str
) -> None:
    generator = random.Random(name)
    assert run(command, manifest, "-o", tmp_path / "undisturbed")[0] == 0
    out = tmp_path / name.rstrip("/")
    finished: dict[Path, tuple[int, int]] = {}
    interrupted = 0
    for _ in range(4):
        process = start(command, manifest, "-o", f"{tmp_path}/{name}", "--resume")
        enough = len(finished) + generator.randint(0, 3)
        wait_until(lambda: process.poll() is not None or len(shards_of(out)) >= enough)  # noqa: B023
        time.sleep(generator.uniform(0, 0.02))  # the time for some shards, not all
        process.kill()
        process.communicate()
        now = {shard: identity(shard) for shard in shards_of(out)}
        assert now | finished == now or out.exists(), "a finished shard was lost or computed twice"
        finished, interrupted = now, interrupted + (0 < len(now) < SHARDS)
    assert interrupted, "it was never killed in the middle"
    code, said = run(command, manifest, "-o", f"{tmp_path}/{name}", "--resume")
    assert code == 0, said
    assert pl.read_parquet(out).equals(pl.read_parquet(tmp_path / "undisturbed"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "manifest.parquet",
        "out" if name == "out/" else "out.parquet",
        "undisturbed",
    ]


@pytest.mark.usefixtures("faulty_library")
def test_shards_finished_out_of_order_are_not_computed_twice(
    write_users: WriteUsers,
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest, out = write_users(40, {0: [b"FAULTYhang"]}), tmp_path / "out"
    process = start(command, manifest, "-o", f"{out}/", "--devices", "cpu,cpu")
    wait_until(lambda: len(shards_of(out)) >= 3)  # by the worker that does not hang
    process.kill()
    process.communicate()
    finished = {shard.name: identity(shard) for shard in shards_of(out)}
    monkeypatch.delenv("PYTHONPATH")  # without the library that hangs
    assert run(command, manifest, "-o", f"{out}/", "--devices", "cpu,cpu", "--resume")[0] == 0
    parts = {part.name: identity(part) for part in out.iterdir()}
    assert "part-00000.parquet" in parts.keys() - finished.keys()
    assert parts | finished == parts


@needs_proc
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interrupted_run_says_how_to_resume_and_leaves_no_process(
    manifest: Path, command: list[str], tmp_path: Path, number: int
) -> None:
    out = tmp_path / "out.parquet"
    process = start(command, manifest, "-o", out)
    wait_until(lambda: shards_of(out))
    workers = children_of(process)
    process.send_signal(number)
    said = process.communicate(timeout=5)[1].strip().splitlines()[-1]
    assert process.returncode == 130
    kept = len(shards_of(out))
    assert said == (
        f"tweetprofile: interrupted; {kept} of {SHARDS} shards {'is' if kept == 1 else 'are'} kept "
        f"in {out}.partial: run the same command with --resume to continue."
    )
    assert not any(map(is_running, workers))
    left = [path.name for path in (tmp_path / "out.parquet.partial").iterdir()]
    assert sorted(left) == ["run.json", "shards", "shards.jsonl"]
    code, said = run(command, manifest, "-o", out, "--resume")
    assert code == 0
    assert f"after {kept * USERS_PER_SHARD} from an earlier run" in said


@pytest.mark.usefixtures("faulty_library")
def test_ctrl_c_does_not_wait_for_a_worker_that_hangs(
    write_users: WriteUsers, command: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    process = start(command, write_users(9, {8: [b"FAULTYhang"]}), "-o", out)
    wait_until(lambda: len(shards_of(out)) == 2)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=5)[1]
    assert process.returncode == 130
    assert "2 of 3 shards are kept" in said


@needs_proc
def test_workers_end_with_a_supervisor_that_is_killed(
    manifest: Path, command: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    process = start(command, manifest, "-o", out)
    wait_until(lambda: shards_of(out))
    workers = children_of(process)
    assert len(workers) == 1
    process.kill()
    process.communicate()
    wait_until(lambda: not any(map(is_running, workers)), seconds=5)


@pytest.mark.usefixtures("faulty_library")
def test_the_output_of_libraries_does_not_reach_the_terminal_and_is_kept_for_debugging(
    write_users: WriteUsers, command: list[str], tmp_path: Path
) -> None:
    manifest, out = write_users(2, {1: [b"FAULTYprint"]}), tmp_path / "out.parquet"
    code, said = run(command, manifest, "-o", out)
    assert code == 0
    assert "noise" not in said
    assert not list(tmp_path.glob("*.log"))
    code, said = run(command, manifest, "-o", out, "--overwrite", "--debug")
    assert code == 0
    assert "noise" not in said
    log = (tmp_path / "out.parquet.worker-0.log").read_text()
    assert "noise on stdout" in log
    assert "noise on stderr" in log


@pytest.mark.slow
def test_a_complete_run_is_not_repeated(manifest: Path, command: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    assert run(command, manifest, "-o", out)[0] == 0
    before = identity(out)
    code, said = run(command, manifest, "-o", out, "--resume")
    assert code == 0
    assert "already complete" in said
    assert identity(out) == before


@pytest.mark.slow
def test_a_run_with_other_options_is_not_resumed(
    manifest: Path, command: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    process = start(command, manifest, "-o", out)
    wait_until(lambda: shards_of(out))
    process.kill()
    process.communicate()
    code, said = run(command, manifest, "-o", out, "--resume", "--max-images", 3, "--limit", 40)
    assert code == 2
    assert "differs in --limit (not given in that run), --max-images (12800 in that run)" in said
    assert shards_of(out)


@pytest.mark.slow
def test_modules_in_the_current_folder_are_not_imported(
    manifest: Path, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = tmp_path / "dump"
    dump.mkdir()
    for name in ("torch", "random", "tweetprofile"):
        (dump / f"{name}.py").write_text("raise SystemExit('code of the dump was run')")
    program = [str(Path(sys.executable).with_name("tweetprofile")), *command[3:]]
    monkeypatch.chdir(dump)
    code, said = run(program, manifest, "-o", tmp_path / "out.parquet")
    assert code == 0, said
