"""The Tab key completes commands, options, choices and files in bash, zsh and fish, and at once."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "completion.md"
SHELLS = ("bash", "zsh", "fish")

COMPLETED = [
    ("tweetprofile tra", "tweetprofile train"),
    ("tweetprofile train --rec", "tweetprofile train --recipe"),
    ("tweetprofile train --recipe pa", "tweetprofile train --recipe paper"),
    ("tweetprofile import twitter-ar", "tweetprofile import twitter-archive"),
    ("tweetprofile inspect lab", "tweetprofile inspect labelled.parquet"),
    ("tweetprofile runs exp", "tweetprofile runs experiments/"),
]
"""What is typed, and what it is after the Tab key."""


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


@pytest.fixture(scope="module")
def home(shell: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder after the commands of the page for a shell; tweetprofile is on the PATH."""
    home = tmp_path_factory.mktemp(shell)
    program = home / "bin" / "tweetprofile"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tweetprofile "$@"\n')
    program.chmod(0o755)
    (home / "work" / "experiments").mkdir(parents=True)
    (home / "work" / "labelled.parquet").touch()
    (block,) = [each for each in blocks(PAGE) if f"{shell}_source" in each.text]
    for command in block.commands:
        done = subprocess.run(["sh", "-c", command], env=environment(home), check=False)
        assert done.returncode == 0
    return home


def environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
        "PS1": "> ",
    }


class Terminal:
    """A shell that somebody types into."""

    def __init__(self, command: list[str], home: Path) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=home / "work",
            env=environment(home),
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str, seconds: float = 30.0) -> str:
        """Return what the shell shows until a text appears; fail if it does not."""
        shown, until = "", time.monotonic() + seconds
        while text not in shown and time.monotonic() < until:
            if select.select([self._ours], [], [], 0.2)[0]:
                data = os.read(self._ours, 1 << 16).decode("utf-8", "replace")
                shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\x07]", "", data)
        assert text in shown, shown
        return shown


@pytest.fixture(scope="module")
def terminal(shell: str, home: Path) -> Iterator[Terminal | None]:
    """An interactive shell; None for fish, which can be asked without a terminal."""
    if shell == "fish":
        yield None
        return
    command = {"bash": ["bash", "-i"], "zsh": ["zsh", "-i"]}[shell]
    with Terminal(command, home) as terminal:
        terminal.type("echo re''ady\n")
        terminal.wait_for("ready")
        yield terminal


@pytest.mark.parametrize(("typed", "completed"), COMPLETED)
def test_the_tab_key_completes_commands_options_choices_and_files(
    shell: str, home: Path, terminal: Terminal | None, typed: str, completed: str
) -> None:
    if terminal is not None:
        terminal.type(f"{typed}\t")
        terminal.wait_for(completed)
        terminal.type("\x15")  # removes the line
        return
    done = subprocess.run(
        [shell, "-c", 'complete -C "$argv[1]"', typed],
        cwd=home / "work",
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    words = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert completed.rpartition(" ")[2] in words


@pytest.mark.parametrize("typed", ["tweetprofile ", "tweetprofile train --", "tweetprofile train "])
def test_completing_loads_no_heavy_library_and_succeeds(typed: str) -> None:
    words = typed.split(" ")
    program = (
        "import sys\nfrom tweetprofile.cli import main\ncode = main([])\n"
        "print(code, *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ
        | {
            "_TWEETPROFILE_COMPLETE": "bash_complete",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    code, *modules = done.stderr.split()
    assert code == "0"
    assert "," in done.stdout
    assert not {"torch", "numpy", "polars", "pyarrow", "rich", "PIL"}.intersection(modules)
