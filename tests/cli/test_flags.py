"""The command line shows flags, the library names parameters, and foreign names stay unaltered."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

import tweetprofile
from tweetprofile.cli import cli, main
from tweetprofile.cli.flags import RunningCommand, with_flags
from tweetprofile.cli.train_view import TrainView
from tweetprofile.errors import CONTINUE, CONTINUE_OR_RESTART, OptionError, WorkerError
from tweetprofile.importers import run as importing
from tweetprofile.importers.run import ImportSummary
from tweetprofile.predicting import plan


def context_of(name: str, **params: Any) -> click.Context:
    """Return the context of a command with parsed parameters."""
    command: click.Command | None = cli
    for part in name.split():
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), part)
    assert command is not None
    context = click.Context(command, info_name=name)
    context.params = params
    return context


@pytest.mark.parametrize(
    ("command", "message", "shown"),
    [
        ("predict", "`max_pixels` is 0; it must be 1.", "--max-pixels is 0; it must be 1."),
        ("predict", "pass `resume=True` to go on.", "pass --resume to go on."),
        ("predict", f"fix it, and {CONTINUE}.", "fix it, and pass --resume to continue the run."),
        ("inspect", f"fix it, and {CONTINUE}.", "fix it, and run the command again."),
        ("inspect", f"fix it, and {CONTINUE_OR_RESTART}.", "fix it, and run the command again."),
        ("predict", "pass `resume=True`, or `overwrite=True`", "pass --resume, or --overwrite"),
        ("predict", "`ray_address` (`engine=\"ray\"`)", "--ray-address (--engine ray)"),
        ("predict", 'give `devices="cpu"`: slow.', "give --devices cpu: slow."),
        ("predict", "`devices='tpu'`: none.", "--devices tpu: none."),
        ("predict", "`devices=cuda:0,tpu`: none.", "--devices cuda:0,tpu: none."),
        ("predict", "use `clips=2`.", "use --clips 2."),
        ("predict", 'use `image_root="/a b"`.', "use --image-root '/a b'."),
        ("predict", "use `image_root=FOLDER`.", "use --image-root FOLDER."),
        ("predict", "`manifest` is empty", "MANIFEST is empty"),
        ("predict", "`out` exists", "--out exists"),
        ("evaluate", "`run` has no metrics", "--run has no metrics"),
        ("use", "`run` is not a folder", "RUN is not a folder"),
        ("info", "no `checkpoint` is named", "no CHECKPOINT is named"),
        ("import twitter-api", "give `media_dir`.", "give --media-dir."),
        ("inspect", "with `full_decode=True`?", "with --full-decode?"),
        ("train", "`cache_gb` and `val`", "--cache-gb and --val"),
    ],
)  # fmt: skip
def test_parameters_of_the_running_command_are_shown_as_its_flags(
    command: str, message: str, shown: str
) -> None:
    assert with_flags(message, context_of(command)) == shown


@pytest.mark.parametrize(
    "message",
    [
        "`epochs` is 0",
        "`no_such_thing=True`",
        "`resume=False`",
        "`resume=1`",
        "`max_pixels=None`",
        "`manifest=x`",
        "`Max_Pixels`",
        "`max-pixels`",
        "run `tweetprofile import folder IMAGES -o m.parquet` first",
        "no backticks",
        "one ` only, max_pixels",
    ],
)
def test_anything_but_a_parameter_of_the_running_command_is_unaltered(message: str) -> None:
    assert with_flags(message, context_of("predict")) == message


def test_without_a_running_command_messages_are_unaltered() -> None:
    assert with_flags("`max_pixels` is 0") == "`max_pixels` is 0"


@pytest.mark.parametrize(
    "name",
    [
        "'`resume`'",
        "'a `resume=True` b'",
        "'it's `resume` here'",
        '"a `resume` b"',
        "('`resume`')",
        "/data/`resume`/a.jpg",
        "/data/a`resume`",
        "`resume`.jpg",
        "`resume`/a.jpg",
        "/data/a `b `resume`c",
        "'a\n`resume`\nb'",
    ],
)
def test_names_that_contain_backticks_are_shown_unaltered(name: str) -> None:
    context = context_of("predict")
    message = f"{name} exists; pass `overwrite=True`."
    assert with_flags(message, context) == f"{name} exists; pass --overwrite."
    message = f"pass `overwrite=True`: {name} exists"
    assert with_flags(message, context) == f"pass --overwrite: {name} exists"


@pytest.mark.parametrize("given", ["a `resume=True` b.parquet", Path("/x/a `resume` b/c.parquet")])
def test_values_of_the_command_line_are_shown_unaltered_without_quotes(given: object) -> None:
    context = context_of("predict", manifest=given, keep=("`overwrite`", "`resume`"))
    for name in (str(given), f"{given}.partial", f"{given}/model.safetensors", str(given)[-20:]):
        shown = with_flags(f"{name} exists; pass `overwrite=True`.", context)
        assert shown == f"{name} exists; pass --overwrite."


def test_an_unbalanced_quote_hides_no_parameter() -> None:
    context = context_of("predict")
    assert with_flags("the users' images: `max_pixels`", context) == (
        "the users' images: --max-pixels"
    )
    assert with_flags("a 'b and `max_pixels`", context) == "a 'b and --max-pixels"


def test_errors_of_a_command_name_its_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(manifest: str, *_: object) -> None:
        raise OptionError(f"{manifest}: `max_pixels` is 0; pass `resume=True`, not `epochs`.")

    monkeypatch.setattr(plan, "plan_prediction", refuse)
    assert main(["predict", "a `clips` b", "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        "tweetprofile: a `clips` b: --max-pixels is 0; pass --resume, not `epochs`.\n"
    )


def test_notes_and_warnings_of_train_name_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with context_of("train"), TrainView(quiet=False) as view:
        view.on_note("held out by `val_fraction`")
        view.on_warning("few users; pass `folds=5`")
    assert capsys.readouterr().err == (
        "held out by --val-fraction\nwarning: few users; pass --folds 5\n"
    )


def test_remarks_of_import_name_its_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import_dump = importing.import_dump

    def import_with_remark(*arguments: Any) -> ImportSummary:
        return replace(import_dump(*arguments), remarks=("found without `labels`.",))

    monkeypatch.setattr(importing, "import_dump", import_with_remark)
    (tmp_path / "dump" / "ada").mkdir(parents=True)
    (tmp_path / "dump" / "ada" / "1.jpg").write_bytes(b"not read")
    assert main(["import", "folder", str(tmp_path / "dump"), "-o", str(tmp_path / "m")]) == 0
    assert capsys.readouterr().err.startswith("found without --labels.\n")


def test_the_output_of_a_worker_is_shown_unaltered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise WorkerError("try another `decoder`. It printed:", "`decoder` failed")

    monkeypatch.setattr(plan, "plan_prediction", fail)
    assert main(["predict", "m", "-o", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "tweetprofile: try another --decoder. It printed:",
        "`decoder` failed",
    ]


def test_every_command_is_recorded_as_running() -> None:
    for name, arguments in {
        "predict": ["m", "-o", "o"],
        "train": ["m", "-o", "o"],
        "evaluate": ["m"],
        "inspect": ["m"],
        "split": ["m"],
        "use": ["r"],
        "info": [],
        "import folder": ["s", "-o", "o"],
        "import pan18": ["s", "-o", "o"],
        "import twitter-api": ["s", "-o", "o"],
        "import twitter-archive": ["s", "-o", "o"],
    }.items():
        running = RunningCommand()
        command = context_of(name).command
        with command.make_context(name, list(arguments), obj=running) as context:
            assert running.context is context


# --- the library does not name flags --------------------------------------------------------------

LIBRARY = Path(tweetprofile.__file__).parent


def long_flags() -> set[str]:
    """Return the long flags of all commands."""
    commands: list[click.Command] = [cli]
    flags = set()
    while commands:
        command = commands.pop()
        if isinstance(command, click.Group):
            context = click.Context(command)
            found = [command.get_command(context, name) for name in command.list_commands(context)]
            commands += [each for each in found if each is not None]
        flags |= {flag for each in command.params for flag in each.opts if flag.startswith("--")}
    return flags


def texts_of(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each string: f-strings as one string, docstrings excluded."""
    tree = ast.parse(source)
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)
        if isinstance(node, ast.JoinedStr):
            skipped.update(ast.walk(node))
            parts = [
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            ]
            yield node.lineno, "".join(parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            yield node.lineno, node.value


WHOLE_COMMAND = re.compile(r"(['`])tweetprofile [^'`]*\1")


def test_no_module_of_the_library_names_a_flag() -> None:
    flags = re.compile(rf"(?:{'|'.join(sorted(long_flags(), key=len, reverse=True))})(?![\w-])")
    found = []
    for path in sorted(LIBRARY.rglob("*.py")):
        if LIBRARY / "cli" in path.parents:
            continue
        for line, text in texts_of(path.read_text()):
            if named := flags.search(WHOLE_COMMAND.sub("", text)):
                found.append(f"{path.relative_to(LIBRARY)}:{line}: {named[0]}")
    assert not found, "\n".join(found)
