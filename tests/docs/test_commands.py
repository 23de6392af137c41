"""Every command in README and docs/ works as it is written, in the order of its page.

README and the page on importing begin with a dump alone; the other pages with what earlier steps
made of it. Trainings are cut short by options that are added here. Commands marked `slow` run with
`--slow` only; those marked `not run` are counted here, so that none is excused unnoticed.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import click
import pyarrow.fs as pafs
import pytest

from tests.docs.pages import ROOT, Block, blocks, documents, name_of, outside_blocks
from tests.docs.transcripts import differences, on_a_terminal
from tweetprofile.cli import cli, main

NOT_RUN = {
    "README.md": 1,
    "docs/clusters.md": 3,
    "docs/completion.md": 6,
    "docs/gpu.md": 1,
    "docs/ten-million-users.md": 3,
    "docs/texts.md": 4,
    "docs/training.md": 1,
}
"""By page, the number of commands that are marked `not run`."""

FROM_A_DUMP = ("README.md", "docs/importing.md")
"""Pages that begin with a dump, and make everything else themselves."""

SHORT_TRAINING = ("--epochs", "1", "--frame-size", "16")

_OUTPUT_OPTIONS = ("-o", "--out")


def commands_of(page: Path, mark: str) -> list[str]:
    return [line for block in console(page) if block.mark == mark for line in block.commands]


def console(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language == "console"]


WITH_COMMANDS = [page for page in documents() if commands_of(page, "")]


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the page begins with, as the working folder."""
    begin = "dump_folder" if name_of(request.param) in FROM_A_DUMP else "prepared_folder"
    shutil.copytree(request.getfixturevalue(begin), tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "work"


class Reader:
    """Somebody who types the commands of a page, one after the other, in one folder."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._untouched = {path.name for path in folder.iterdir()}
        self._folder, self._patch = folder, patch

    def type(self, command: str) -> tuple[int, str]:
        """Run a command; return its exit code, and what it printed."""
        words = shlex.split(command, comments=True)
        self._clear_output(words)
        if words[0] != "tweetprofile":
            done = subprocess.run(
                ["bash", "-c", command], check=False, capture_output=True, text=True
            )
            return done.returncode, done.stdout + done.stderr
        arguments = words[1:]
        if arguments[0] == "train":
            arguments += SHORT_TRAINING
        with on_a_terminal(self._patch) as shown:
            code = main(arguments)
        return code, shown.getvalue()

    def _clear_output(self, words: list[str]) -> None:
        """Remove an output that the folder began with: the page makes it again."""
        for option, value in pairwise(words):
            if option in _OUTPUT_OPTIONS and value.strip("/") in self._untouched:
                path = self._folder / value
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                self._untouched.remove(value.strip("/"))
        if words[1:2] == ["split"]:
            for path in self._folder.glob(f"{Path(words[2]).stem}.*.parquet"):
                path.unlink()


def run_page(page: Path, folder: Path, wanted: Callable[[Block], bool]) -> list[str]:
    """Run the commands of the blocks that are wanted; name the first one that fails.

    Returns:
        What the page shows wrongly of what they print.
    """
    wrong = []
    with pytest.MonkeyPatch.context() as patch:
        reader = Reader(folder, patch)
        for block in filter(wanted, console(page)):
            for command, output in block.transcripts:
                where = f"{name_of(page)}:{block.line}: {command}"
                code, printed = reader.type(command)
                assert code == 0, f"{where}\n{printed}"
                if (difference := differences(output, printed)) is not None:
                    wrong.append(f"{where}\n{difference}")
    return wrong


@pytest.mark.parametrize(
    ("page", "folder"), [(page, page) for page in WITH_COMMANDS], indirect=["folder"],
    ids=[name_of(page) for page in WITH_COMMANDS],
)  # fmt: skip
def test_the_commands_of_a_page_work_in_its_order_and_print_what_it_shows(
    page: Path, folder: Path
) -> None:
    wrong = run_page(page, folder, lambda block: not block.mark)
    assert not wrong, "\n\n".join(wrong)


# --- slow ---------------------------------------------------------------------------------------

REPEATS = "repeats "
"""Commands that take seconds and are much like others: with --slow, the page is run with them."""

BUILDS = "builds and installs the package"
DEMO = "trains for minutes"
STORE = "starts a server that speaks S3"
RAY = "starts a Ray cluster"

WITH_REPEATS = [
    page for page in documents() if any(each.why.startswith(REPEATS) for each in console(page))
]


def because(page: Path, why: str) -> list[Block]:
    """Return the blocks of a page that give this reason; there must be one."""
    found = [block for block in console(page) if block.why == why]
    assert found, f"{name_of(page)} has no block marked 'slow: {why}'"
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "folder"), [(page, page) for page in WITH_REPEATS], indirect=["folder"],
    ids=[name_of(page) for page in WITH_REPEATS],
)  # fmt: skip
def test_all_commands_of_a_page_work_in_its_order(page: Path, folder: Path) -> None:
    wrong = run_page(page, folder, lambda block: not block.mark or block.why.startswith(REPEATS))
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("folder", [ROOT / "docs/object-stores.md"], indirect=True)
def test_the_commands_on_object_stores_work(store: pafs.FileSystem, folder: Path) -> None:
    (folder / "crawl").mkdir()
    shutil.copy("manifest.parquet", "crawl")
    shutil.copytree("dump", "crawl/dump")
    pafs.copy_files("crawl", "dumps/crawl", destination_filesystem=store)
    page = ROOT / "docs/object-stores.md"
    chosen = because(page, STORE)
    run_page(page, folder, lambda block: block in chosen)


@pytest.mark.slow
@pytest.mark.parametrize("folder", [ROOT / "docs/clusters.md"], indirect=True)
def test_a_run_on_ray_works_on_one_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for block in because(ROOT / "docs/clusters.md", RAY):
        for command in block.commands:
            # In a process of its own, because Ray cannot be started twice in one.
            words = [sys.executable, "-m", *shlex.split(command, comments=True)]
            subprocess.run(words, check=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the files that are in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "clone" / name)
    return tmp_path / "clone"


@pytest.mark.slow
def test_the_package_is_installed_as_the_pages_say(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the network: the dependencies and the build tools are those of this environment.
    venv.create(tmp_path / "venv", with_pip=True)
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    theirs = next((tmp_path / "venv").glob("lib/python3*/site-packages"))
    for old in [*theirs.glob("setuptools*"), theirs / "_distutils_hack", theirs / "pkg_resources"]:
        shutil.rmtree(old, ignore_errors=True)
    (theirs / "distutils-precedence.pth").unlink(missing_ok=True)
    (theirs / "ours.pth").write_text(ours)
    for name, value in {
        "PATH": f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's way to say that it is on
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_FORCE_REINSTALL": "1",
        "PYTHONPATH": "",
    }.items():
        monkeypatch.setenv(name, value)
    blocks_of_pages = [
        *because(ROOT / "README.md", BUILDS),
        *because(ROOT / "docs/clusters.md", BUILDS),
    ]
    for block in blocks_of_pages:
        for command in block.commands:
            subprocess.run(["bash", "-c", command], cwd=clone, check=True)
        said = subprocess.run(
            ["tweetprofile", "--version"], check=True, capture_output=True, text=True
        )
        assert said.stdout.startswith("tweetprofile")
    assert list((clone / "dist").glob("*.whl"))


@pytest.mark.slow
def test_the_demo_works(clone: Path) -> None:
    (clone / ".venv").symlink_to(Path(sys.prefix))
    stamp = f"cat pyproject.toml constraints.txt | cksum | diff - {sys.prefix}/up-to-date"
    if subprocess.run(["bash", "-c", stamp], cwd=clone, check=False).returncode:
        pytest.skip("bin/venv would install: the environment is not that of this pyproject.toml")
    assert [block.commands for block in because(ROOT / "README.md", DEMO)] == [["bin/demo"]]
    environment = os.environ | {"PYTHONPATH": str(clone)}
    subprocess.run(["bin/demo"], cwd=clone, check=True, env=environment)
    assert (clone / "demo" / "evaluation" / "report.html").exists()


# --- none is forgotten --------------------------------------------------------------------------


def test_every_command_is_run_or_excused_with_a_reason() -> None:
    excused = {name_of(page): len(commands_of(page, "not run")) for page in documents()}
    assert {page: count for page, count in excused.items() if count} == NOT_RUN


def test_every_slow_command_has_a_test_above() -> None:
    for page in documents():
        for block in console(page):
            if block.mark == "slow":
                known = block.why in (BUILDS, DEMO, STORE, RAY) or block.why.startswith(REPEATS)
                assert known, f"{name_of(page)}:{block.line}: {block.why}"


def test_commands_are_in_console_blocks_only() -> None:
    for page in documents():
        for block in blocks(page):
            assert block.language in {"console", "python", "text", "json", "toml"}, block
            if block.language != "console":
                assert not re.search(r"^\s*\$ ", block.text, re.MULTILINE), (
                    f"{name_of(page)}:{block.line}"
                )
        for number, line in outside_blocks(page):
            assert not re.match(r"\s*(\$ |```|~~~)", line), f"{name_of(page)}:{number}"


def test_output_is_shown_of_commands_that_are_always_run() -> None:
    for page in documents():
        for block in console(page):
            shows_output = any(output for _, output in block.transcripts)
            assert not (block.mark and shows_output), f"{name_of(page)}:{block.line}"


def test_the_pages_show_the_output_of_every_command() -> None:
    shown = {
        shlex.split(command)[1]
        for page in documents()
        for block in console(page)
        for command, output in block.transcripts
        if output and command.startswith("tweetprofile ")
    }
    commands = set(cli.list_commands(click.Context(cli)))
    assert commands <= shown, f"no page shows what these print: {commands - shown}"
