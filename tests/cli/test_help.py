"""Help is quick, complete, readable, and right about defaults."""

import inspect
import re
import shlex
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import click
import pytest

from tweetprofile import __version__
from tweetprofile.cli import cli, main
from tweetprofile.cli.command import Option, Section
from tweetprofile.importers.run import ImportOptions
from tweetprofile.inspection import InspectOptions
from tweetprofile.inspection.contact_sheets import SheetOptions
from tweetprofile.networks import PRESETS
from tweetprofile.predicting.embedding import EmbedOptions
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.training.recipes import RECIPES
from tweetprofile.training.settings import TrainOptions

LAYOUTS = ("folder", "pan18", "twitter-api", "twitter-archive")
COMMANDS = cli.list_commands(click.Context(cli))
COMMANDS_AND_LAYOUTS = (*COMMANDS, *(f"import {layout}" for layout in LAYOUTS))
HEAVY = ("torch", "nvidia.dali", "polars", "pyarrow", "numpy", "PIL", "rich")


def command(name: str) -> click.Command:
    found: click.Command | None = cli
    for part in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), part)
    assert found is not None
    return found


def help_of(name: str) -> str:
    return command(name).get_help(click.Context(command(name), info_name=f"tweetprofile {name}"))


def modules_after(code: str) -> set[str]:
    """Return the modules that a new Python process has imported after running `code`."""
    report = "import sys; print(*sys.modules, sep='\\n', file=sys.stderr)"
    program = f"try:\n    {code}\nexcept SystemExit:\n    pass\n{report}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "code",
    [
        "import tweetprofile",
        "from tweetprofile.cli import main; main(['--help'])",
        *(
            f"from tweetprofile.cli import main; main({name.split()!r} + ['--help'])"
            for name in COMMANDS_AND_LAYOUTS
        ),
    ],
)
def test_help_and_import_load_no_heavy_library(code: str) -> None:
    assert not modules_after(code).intersection(HEAVY)


@pytest.mark.parametrize("name", COMMANDS_AND_LAYOUTS)
def test_the_help_of_every_option_is_a_whole_sentence(name: str) -> None:
    assert command(name).help
    for parameter in command(name).params:
        if isinstance(parameter, click.Option):
            words = (parameter.help or "").partition("  [default: ")[0]
            assert re.fullmatch(r"[A-Z].*[^.]\.", words), f"{name} {parameter.opts[0]}: {words}"


@pytest.mark.parametrize("name", ["", *COMMANDS_AND_LAYOUTS])
def test_help_opens_with_one_sentence_and_an_example(name: str) -> None:
    first, second, *_ = inspect.cleandoc(command(name).help or "").split("\n\n")
    assert re.fullmatch(r"[A-Z](?:[^.]|\.(?! |$))*\.", first, re.DOTALL), first
    mark, *examples = second.splitlines()
    assert mark == "\b", "click keeps the lines of an example as they are"
    assert examples[0].startswith(f"  tweetprofile {name}".rstrip() + " ")
    for example in examples:
        program, *arguments = shlex.split(example)
        assert program == "tweetprofile"
        example_of, *rest = arguments
        if example_of == "import":
            example_of, *rest = f"import {rest[0]}", *rest[1:]
        command(example_of).make_context(example_of, rest)


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", ["", *COMMANDS_AND_LAYOUTS])
def test_no_line_of_the_help_is_wider_than_the_terminal(
    name: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(map(len, help_of(name).splitlines())) <= columns


@pytest.mark.parametrize("name", COMMANDS_AND_LAYOUTS)
def test_every_option_is_in_exactly_one_section_of_the_help(name: str) -> None:
    if isinstance(command(name), click.Group):
        return
    sections: dict[str, list[str]] = {}
    heading = ""
    for line in help_of(name).splitlines():
        if re.fullmatch(r"\S.*:", line):
            heading = line.removesuffix(":")
        elif heading and (found := re.match(r"  (?:-\w, )?(--[a-z-]+)", line)):
            sections.setdefault(heading, []).append(found[1])
    assert set(sections) <= set(Section)
    assert list(sections) == [each for each in Section if each in sections], "always in this order"
    listed = [flag for flags in sections.values() for flag in flags]
    own = [each for each in command(name).params if isinstance(each, click.Option)]
    assert sorted(listed) == sorted(["--help", *(max(each.opts, key=len) for each in own)])
    for each in own:
        assert isinstance(each, Option)
        assert max(each.opts, key=len) in sections[each.section]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("predict", PredictOptions),
        ("embed", EmbedOptions),
        ("train", TrainOptions),
        ("inspect", InspectOptions),
        ("inspect", SheetOptions),
        *((f"import {layout}", ImportOptions) for layout in LAYOUTS),
    ],
)
def test_the_defaults_of_a_command_are_those_of_its_options(name: str, options: type[Any]) -> None:
    parameters = {parameter.name: parameter.default for parameter in command(name).params}
    for field in fields(options):
        if field.default in (None, (), False) or field.default is MISSING:
            continue
        assert parameters[field.name] == field.default, field.name


def test_train_offers_every_network_and_every_recipe() -> None:
    choices = {each.name: each.type for each in command("train").params}
    for name, known in (("model", PRESETS), ("recipe", RECIPES)):
        offered = choices[name]
        assert isinstance(offered, click.Choice)
        assert sorted(offered.choices) == sorted(known)


@pytest.mark.parametrize("name", COMMANDS)
def test_readme_names_every_command(name: str) -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert f"tweetprofile {name}" in readme.read_text()


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("Usage: tweetprofile [OPTIONS] COMMAND")


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tweetprofile", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"tweetprofile, version {__version__}"
