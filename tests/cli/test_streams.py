"""Streams may be closed, full, unread or not in Unicode; no such stream damages a run."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.networks import build_network, network_spec
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.volumes.spec import VolumeSpec

COMMAND = [sys.executable, "-m", "tweetprofile"]


@pytest.fixture
def accented(tmp_path: Path) -> Path:
    """A model with class names that ASCII and Latin-1 cannot encode."""
    torch.manual_seed(0)
    schema = TraitSchema((Trait("origin", ("niña", "漢字")),))
    spec = replace(network_spec("deepset"), widths=(4,) * 4)
    network = build_network(spec, VolumeSpec(height=16, width=16), schema)
    network.initialise()
    path = tmp_path / "accented.safetensors"
    save_checkpoint(path, network, {})
    return path


def started(*arguments: object, **options: object) -> "subprocess.Popen[bytes]":
    command = [*COMMAND, *map(os.fspath, map(str, arguments))]
    return subprocess.Popen(command, **options)  # type: ignore[call-overload, no-any-return]


def unread(arguments: list[object], stream: str) -> tuple[int, bytes]:
    """Run with an unread pipe as one stream; return the exit code and the text of the other."""
    reading, writing = os.pipe()
    os.close(reading)
    other = "stderr" if stream == "stdout" else "stdout"
    with started(*arguments, **{stream: writing, other: subprocess.PIPE}) as process:
        os.close(writing)
        said = process.communicate()[0 if other == "stdout" else 1]
    return process.returncode, said


def full(arguments: list[object], stream: str) -> tuple[int, bytes]:
    """Run with a full disk as one stream; return the exit code and the text of the other."""
    other = "stderr" if stream == "stdout" else "stdout"
    with (
        Path("/dev/full").open("wb") as disk,
        started(*arguments, **{stream: disk, other: subprocess.PIPE}) as process,
    ):
        said = process.communicate()[0 if other == "stdout" else 1]
    return process.returncode, said


# --- stderr ------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [unread, full])
def test_a_run_continues_if_stderr_cannot_be_written(
    dump: Path, model: Path, tmp_path: Path, broken: object
) -> None:
    out = tmp_path / "out.parquet"
    arguments = ["predict", dump / "test.parquet", "-o", out, "--checkpoint", model]
    assert callable(broken)
    assert broken(arguments, "stderr") == (0, b"")
    assert out.exists()


def test_an_error_keeps_its_exit_code_if_stderr_cannot_be_written(tmp_path: Path) -> None:
    assert unread(["info", tmp_path / "nowhere"], "stderr") == (2, b"")
    assert full(["info", tmp_path / "nowhere"], "stderr") == (2, b"")


def test_closed_streams_do_not_damage_the_output(dump: Path, tmp_path: Path) -> None:
    """The next file would get a closed descriptor, and whatever is printed would go into it."""
    out = tmp_path / "manifest.parquet"
    folder = tmp_path / "users" / "ada"
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes(b"never looked at")
    line = f"'{sys.executable}' -m tweetprofile import folder '{folder.parent}' -o '{out}'"
    done = subprocess.run(["bash", "-c", f"{line} <&- >&- 2>&-"], check=False)
    assert done.returncode == 0
    assert out.read_bytes().startswith(b"PAR1")
    assert out.read_bytes().endswith(b"PAR1")


# --- stdout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_stdout_on_a_full_disk_is_one_sentence(model: Path, more: list[object]) -> None:
    code, said = full(["info", model, *more], "stdout")
    assert code == 1
    assert said.decode().splitlines() == [
        "tweetprofile: standard output cannot be written: No space left on device; redirect it to "
        "a disk with room and run the command again."
    ]


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_command_ends_quietly_if_nothing_reads_stdout(model: Path, more: list[object]) -> None:
    assert unread(["info", model, *more], "stdout") == (141, b"")


def test_help_on_a_full_disk_is_one_sentence_and_without_a_reader_is_quiet() -> None:
    code, said = full(["--help"], "stdout")
    assert code == 1
    assert re.fullmatch(rb"tweetprofile: [^\n]*No space left on device[^\n]*\n", said)
    assert unread(["--help"], "stdout") == (141, b"")


# --- terminals ---------------------------------------------------------------------------------


def shown(arguments: list[object], **environment: str | None) -> str:
    """Return what a command prints to stdout with changed variables; None removes one."""
    wanted = {name: value for name, value in environment.items() if value is not None}
    inherited = {name: value for name, value in os.environ.items() if name not in environment}
    with started(*arguments, stdout=subprocess.PIPE, env=inherited | wanted) as process:
        printed = process.communicate()[0]
    assert process.returncode == 0
    return printed.decode("latin-1")


@pytest.mark.parametrize(
    "columns",
    ["0", "²", *(pytest.param(each, marks=pytest.mark.slow) for each in ("-3", "wide", "9" * 11))],
)
def test_an_implausible_terminal_width_is_ignored(model: Path, columns: str) -> None:
    assert "gender" in shown(["info", model], COLUMNS=columns, LINES=columns)


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": None},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_characters_that_the_encoding_lacks_are_escaped(
    accented: Path, environment: dict[str, str | None]
) -> None:
    printed = shown(["info", accented], **environment)
    assert r"\u6f22\u5b57" in printed
    assert ("niña" if environment["PYTHONIOENCODING"] == "latin-1" else r"ni\xf1a") in printed
    assert r"\u25" not in printed  # boxes are drawn in ASCII


def on_a_terminal(arguments: list[object], code: int = 0, **environment: str | None) -> bytes:
    """Return what a command that ends with a code draws on a terminal, on both streams."""
    inherited = {name: value for name, value in os.environ.items() if name not in environment}
    wanted = {name: value for name, value in environment.items() if value is not None}
    ours, theirs = pty.openpty()
    drawn = b""
    with started(*arguments, stdout=theirs, stderr=theirs, env=inherited | wanted) as process:
        os.close(theirs)
        try:
            while data := os.read(ours, 1 << 16):
                drawn += data
        except OSError:  # on Linux, the other end is closed
            pass
    os.close(ours)
    assert process.returncode == code
    return drawn


@pytest.mark.parametrize(
    "term",
    [
        "dumb",
        pytest.param(None, marks=pytest.mark.slow),
        pytest.param("", marks=pytest.mark.slow),
    ],
)
def test_a_terminal_without_escape_sequences_gets_none(
    dump: Path, model: Path, tmp_path: Path, term: str | None
) -> None:
    arguments: list[object] = ["predict", dump / "test.parquet", "-o", tmp_path / "out.parquet"]
    drawn = on_a_terminal([*arguments, "--checkpoint", model], TERM=term)
    assert b"\x1b" not in drawn
    assert b"users (" in drawn


def test_no_color_turns_colours_off(model: Path) -> None:
    coloured = on_a_terminal(["info", model], TERM="xterm-256color", NO_COLOR=None)
    plain = on_a_terminal(["info", model], TERM="xterm-256color", NO_COLOR="1")
    assert b"gender" in plain
    assert not re.search(rb"\x1b\[[0-9;]*3[0-9]", plain)
    assert b"gender" in coloured


def test_an_error_is_red_on_a_terminal_that_has_colours() -> None:
    wrong: list[object] = ["runs", "nowhere"]
    coloured = on_a_terminal(wrong, code=2, TERM="xterm-256color", NO_COLOR=None)
    assert coloured.startswith(b"\x1b[1;31mtweetprofile:\x1b[0m nowhere does not exist")
    for environment in ({"TERM": "xterm-256color", "NO_COLOR": "1"}, {"TERM": "dumb"}):
        plain = on_a_terminal(wrong, code=2, **environment)
        assert plain.startswith(b"tweetprofile: nowhere does not exist"), environment
    piped = subprocess.run([*COMMAND, *map(str, wrong)], capture_output=True, check=False)
    assert piped.stderr.startswith(b"tweetprofile: nowhere does not exist")


# --- where a command runs, and how it ends -----------------------------------------------------


def test_a_deleted_working_folder_is_one_sentence(model: Path, tmp_path: Path) -> None:
    info = f"'{sys.executable}' -m tweetprofile info '{model}'"
    done = subprocess.run(
        ["bash", "-c", f"mkdir gone && cd gone && rmdir ../gone && {info}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "tweetprofile: the working folder was deleted or cannot be reached; change to another "
        "folder.\n"
    )


def test_info_needs_no_home_cache_or_temporary_folder(model: Path) -> None:
    nowhere = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "TMPDIR"), "/nonexistent")
    assert '"gender"' in shown(["info", model, "--json"], **nowhere)


def test_an_argument_that_is_not_utf8_is_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [*map(os.fsencode, COMMAND), b"info", os.fsencode(tmp_path) + b"/caf\xe9"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert re.fullmatch(rb"tweetprofile: [^\n]*caf\\udce9' contains bytes [^\n]+\n", done.stderr)


def test_ctrl_c_while_libraries_load_is_one_sentence(model: Path) -> None:
    with started("info", model, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        while "libtorch" not in maps.read_text():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    if process.returncode:  # unless the command was faster
        assert process.returncode == 130
        assert re.fullmatch(rb"\n?tweetprofile: interrupted; [^\n]+\n", said)
