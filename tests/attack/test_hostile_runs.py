"""Whatever is in a run folder, `runs` lists it in bounded time and shows plain text."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.folders import finished_run, scores_of, unfinished_run
from tweetprofile.cli import runs_view
from tweetprofile.runs.listing import list_runs
from tweetprofile.training.folds import write_folds

FILES = ("model.safetensors", "train.toml", "metrics.jsonl", "folds.json")

JUNK = (
    b"\x1b[31m", b"\x00", b"1e400", b"-1", b"9" * 4000, b"[" * 5000, b'"', b"\xff", b"\n", b"{}\n",
    "\u202e\u009b".encode(), b"a." * 60 + b"a = 1\n", b"null", b"NaN",
)  # fmt: skip


def replace_bytes(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + chance.choice(JUNK) + data[place + chance.randrange(12) :]


def replace_a_value(data: bytes, chance: random.Random) -> bytes:
    """Replace a value of JSON or TOML, so that the rest can still be read."""
    places = [place for place, byte in enumerate(data[:20_000]) if byte in b":="]
    place = chance.choice(places or [0])
    end = min((data.find(mark, place) for mark in (b",", b"}", b"\n")), default=-1)
    value = chance.choice([b"null", b"-1", b"2", b'"x"', b"[]", b"{}", b"true", b"1e300", b"0.5"])
    value = value.ljust(end - place - 1) if end > place else value
    return data[: place + 1] + value + data[max(end, place + 1) :]


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    replace_bytes,
    replace_a_value,
    cut,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    finished_run(folder / "finished", {"gender": 0.5, "location": 0.4})
    unfinished = unfinished_run(folder / "unfinished", 0.1, 0.2, folds=3)
    write_folds(unfinished, {}, [scores_of({"gender": 0.3}), scores_of({"gender": 0.4})])
    return folder


def check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = list_runs(folder)
    assert len(listed.runs) + listed.left_out.foreign <= 2
    runs_view.show_runs(listed)
    runs_view.print_json(listed)
    shown = capsys.readouterr().out
    assert all(char == "\n" or char.isprintable() for char in shown)
    assert len(shown) < 100_000


@pytest.mark.parametrize(
    "seeds", [range(30), pytest.param(range(30, 500), marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_damaged_files_of_a_run_are_described(
    sound: Path, tmp_path: Path, seeds: range, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        folder = shutil.copytree(sound, tmp_path / str(seed))
        for _ in range(chance.randrange(1, 4)):
            path = folder / chance.choice(("finished", "unfinished")) / chance.choice(FILES)
            if path.exists() and (data := path.read_bytes()):
                path.write_bytes(chance.choice(DAMAGES)(data, chance))
        check(folder, capsys)
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_file_is_never_waited_for(
    sound: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(sound, tmp_path / "folder")
    for run, make in (("finished", os.mkfifo), ("unfinished", os.mkdir)):
        (folder / run / name).unlink(missing_ok=True)
        make(folder / run / name)
    check(folder, capsys)


def test_a_trait_may_have_any_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_run(tmp_path / "run", {"\x1b[2J" + "x" * 3000: 0.5, "[/red]": 0.4})
    check(tmp_path, capsys)
