"""Options that several commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tweetprofile.untrusted.text import shorten

_LONGEST_NAME = 220
"""Bytes of a file's name; file systems take 255."""

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


class _LocalPath(click.Path):
    """A path on this machine; a URI would be taken for one, and a folder `s3:` made."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "://" in str(value):
            self.fail(f"'{value}' is a URI, and this must be on a disk; give a path", param, ctx)
        require_short(str(value))
        try:
            return super().convert(value, param, ctx)
        except ValueError:  # a NUL byte
            self.fail(f"'{value}' is no path", param, ctx)


def require_short(path: str) -> None:
    """Raise UsageError for a path with a name in it that no file system here takes.

    A few bytes are left to what is made beside it: `.partial`, logs, unfinished files.
    """
    for name in path.split("/"):
        if len(os.fsencode(name)) > _LONGEST_NAME:
            raise click.UsageError(
                f"'{shorten(name, 60)}' is a name of {len(os.fsencode(name))} bytes, and "
                f"{_LONGEST_NAME} at most can be used; give a shorter one"
            )


def _check_length(context: click.Context, parameter: click.Parameter, value: str) -> str:
    require_short(value)
    return value


def manifest(command: CommandT) -> CommandT:
    """Add the argument MANIFEST: a path, a glob or a URI."""
    return click.argument("manifest", callback=_check_length)(command)


def output(metavar: str, help_text: str) -> Callable[[CommandT], CommandT]:
    """Add --out, a path or a URI."""

    def add(command: CommandT) -> CommandT:
        return click.option(
            "--out", "-o", required=True, metavar=metavar, help=help_text, callback=_check_length
        )(command)

    return add


FOLDER = _LocalPath(file_okay=False, path_type=Path)
FILE = _LocalPath(dir_okay=False, path_type=Path)
PATH = _LocalPath(path_type=Path)


class _Checkpoint(_LocalPath):
    """A model's file, or the folder of the run that trained it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = super().convert(value, param, ctx)
        model = path / _MODEL
        if path.is_dir() and not model.is_file():
            self.fail(
                f"'{path}' is a folder without {_MODEL}, which 'train' writes at its end; give a "
                "model's file or the folder of a finished run",
                param,
                ctx,
            )
        return model if path.is_dir() else path


_MODEL = "model.safetensors"
"""Of a run's folder (`training/folder.py`, which would load too much here)."""

CHECKPOINT = _Checkpoint(path_type=Path)


class _Root(click.ParamType[Any]):
    """A folder here, or the URI of one in an object store."""

    name = "folder or URI"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "://" in str(value):
            from tweetprofile.data.files.storage import as_path, is_remote

            if is_remote(str(value)):
                return as_path(value)
        return FOLDER.convert(value, param, ctx)


def _note_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta["tweetprofile.debug"] = value


def debugging() -> bool:
    """Whether the command that runs was given --debug."""
    return bool(click.get_current_context().meta.get("tweetprofile.debug"))


def image_root(command: CommandT) -> CommandT:
    """Add --image-root."""
    return click.option(
        "--image-root",
        type=_Root(),
        metavar="FOLDER",
        help="Folder, or s3:// or gs:// URI of one, that image paths are relative to and may not "
        "leave; '/' allows absolute paths.  [default: the manifest's own folder]",
    )(command)


def decoder(command: CommandT) -> CommandT:
    """Add --decoder."""
    return click.option(
        "--decoder",
        type=click.Choice(["auto", "dali", "pillow"]),
        default="auto",
        show_default=True,
        help="What decodes images; auto is DALI on CUDA and Pillow on a CPU.",
    )(command)


def training_devices(command: CommandT) -> CommandT:
    """Add --devices for training."""
    return click.option(
        "--devices",
        default="auto",
        show_default=True,
        metavar="DEVICES",
        help="auto (all CUDA devices, else the CPU), cpu, cuda, cuda:N, or several with commas "
        "between; a process each, which share every batch.",
    )(command)


def devices(command: CommandT) -> CommandT:
    """Add --devices for predicting."""
    return click.option(
        "--devices",
        default="auto",
        show_default=True,
        metavar="DEVICES",
        help="auto (all CUDA devices, else the CPU), cpu, cuda, cuda:N, or several with commas "
        "between, as in cuda:0,cuda:1; a worker process each, for cpu or auto one for every four "
        "processors.",
    )(command)


def caps(command: CommandT) -> CommandT:
    """Add --max-images, --max-pixels, --max-image-bytes and --max-image-seconds."""
    command = click.option(
        "--max-image-seconds",
        type=click.FloatRange(0, min_open=True),
        default=10.0,
        show_default=True,
        help="Images whose decoding takes more processor time are too_slow.",
    )(command)
    command = click.option(
        "--max-image-bytes",
        type=click.IntRange(min=1),
        default=64 * 1024 * 1024,
        show_default=True,
        help="Larger files are too_large, and not read.",
    )(command)
    command = click.option(
        "--max-pixels",
        type=click.IntRange(min=1),
        default=40_000_000,
        show_default=True,
        help="Larger images (width x height) are too_large.",
    )(command)
    return click.option(
        "--max-images",
        type=click.IntRange(min=1),
        default=12_800,
        show_default=True,
        help="Images a user; those beyond are counted and not looked at.",
    )(command)


def stall_seconds(command: CommandT) -> CommandT:
    """Add --stall-seconds."""
    return click.option(
        "--stall-seconds",
        type=click.FloatRange(0, min_open=True),
        default=300.0,
        show_default=True,
        help="A worker that finishes nothing for so long, not even an image, hangs; it is "
        "replaced.",
    )(command)


def overwrite(command: CommandT) -> CommandT:
    """Add --overwrite."""
    return click.option(
        "--overwrite",
        is_flag=True,
        help="Replace an earlier output of this command; nothing else is ever replaced.",
    )(command)


def talk(command: CommandT) -> CommandT:
    """Add --quiet and --debug."""
    command = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_note_debug,
        help="Show where in the code an error came from, and keep what decoding libraries print, "
        "in OUT.worker-N.log.",
    )(command)
    return click.option("--quiet", "-q", is_flag=True, help="Print errors only.")(command)
