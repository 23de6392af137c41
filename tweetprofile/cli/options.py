"""Options that several commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from tweetprofile.cli.command import FunctionT, Section, option
from tweetprofile.plurals import count_of
from tweetprofile.untrusted.text import shorten

_MAX_NAME_BYTES = 220
"""Bytes of a file name; file systems allow 255."""


class _LocalPath(click.Path):
    """A path on this machine.

    A URI is refused: it would be read as a relative path, and a folder `s3:` would be created.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "://" in str(value):
            self.fail(
                f"'{value}' is a URI, but must be on a disk of this machine; give a path",
                param,
                ctx,
            )
        require_short_names(str(value))
        try:
            return super().convert(value, param, ctx)
        except ValueError:  # a NUL byte
            self.fail(f"'{value}' is not a path", param, ctx)


def require_short_names(path: str) -> None:
    """Raise UsageError if a name in a path is too long for the file system.

    The limit leaves some bytes for the names derived from it: `.partial`, logs, temporary files.
    """
    for name in path.split("/"):
        if len(os.fsencode(name)) > _MAX_NAME_BYTES:
            raise click.UsageError(
                f"the name '{shorten(name, 60)}' has {count_of(len(os.fsencode(name)), 'byte')}, "
                f"more than {_MAX_NAME_BYTES}; give a shorter one"
            )


def complete_files(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Let the shell complete a parameter with the names of files, for one that is a text here."""
    return [CompletionItem(incomplete, type="file")]


def check_names(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """Refuse a path, a glob or a URI with a name that is too long; for `callback` of parameters."""
    if value is not None:
        require_short_names(value)
    return value


def manifest(command: FunctionT) -> FunctionT:
    """Add the argument MANIFEST: a path, a glob or a URI."""
    return click.argument("manifest", callback=check_names, shell_complete=complete_files)(command)


def output(metavar: str, help_text: str) -> Callable[[FunctionT], FunctionT]:
    """Add --out, a path or a URI."""
    return option(
        Section.OUTPUT,
        "--out",
        "-o",
        required=True,
        metavar=metavar,
        help=help_text,
        callback=check_names,
        shell_complete=complete_files,
    )


FOLDER = _LocalPath(file_okay=False, path_type=Path)
FILE = _LocalPath(dir_okay=False, path_type=Path)
PATH = _LocalPath(path_type=Path)


class _Checkpoint(_LocalPath):
    """A model file, or the folder of the training run that wrote it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from tweetprofile.checkpoints.choice import find_checkpoint

        return find_checkpoint(super().convert(value, param, ctx))


CHECKPOINT = _Checkpoint(path_type=Path)


class _Root(click.ParamType[Any]):
    """A folder on this machine, or the URI of a folder in an object store."""

    name = "folder or URI"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "://" in str(value):
            from tweetprofile.data.files.storage import as_path, is_remote

            if is_remote(str(value)):
                return as_path(value)
        return FOLDER.convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return FOLDER.shell_complete(ctx, param, incomplete)


def _note_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta["tweetprofile.debug"] = value


def debugging() -> bool:
    """Return whether the running command was given --debug."""
    return bool(click.get_current_context().meta.get("tweetprofile.debug"))


def image_root(command: FunctionT) -> FunctionT:
    """Add --image-root."""
    return option(
        Section.IMAGES,
        "--image-root",
        type=_Root(),
        metavar="FOLDER",
        help="Folder that image paths are relative to and must not leave, or its s3:// or gs:// "
        "URI; '/' allows absolute paths.  [default: the folder of the manifest]",
    )(command)


def decoder(command: FunctionT) -> FunctionT:
    """Add --decoder."""
    return option(
        Section.IMAGES,
        "--decoder",
        type=click.Choice(["auto", "dali", "pillow"]),
        default="auto",
        show_default=True,
        help="Image decoder; auto is DALI on CUDA and Pillow on a CPU.",
    )(command)


def detail(shown: str, default: str | None = None) -> Callable[[FunctionT], FunctionT]:
    """Add --detail.

    Args:
        shown: The default, as the help describes it.
        default: The default; None if it depends on other options.
    """
    return option(
        Section.IMAGES,
        "--detail",
        type=click.Choice(["full", "frame"]),
        default=default,
        help="How much of an image to decode: all of it (full), or of a large JPEG only what a "
        f"frame can show (frame), which is faster.  [default: {shown}]",
    )


def training_devices(command: FunctionT) -> FunctionT:
    """Add --devices for training."""
    return option(
        Section.DEVICES,
        "--devices",
        default="auto",
        show_default=True,
        metavar="DEVICES",
        help="Devices to train on: auto (all CUDA devices, else the CPU), cpu, cuda, cuda:N, or "
        "several separated by commas. Each device has one process, and every batch is divided "
        "among them.",
    )(command)


def devices(command: FunctionT) -> FunctionT:
    """Add --devices for predicting."""
    return option(
        Section.DEVICES,
        "--devices",
        default="auto",
        show_default=True,
        metavar="DEVICES",
        help="Devices to predict on: auto (all CUDA devices, else the CPU), cpu, cuda, cuda:N, or "
        "several separated by commas, as in cuda:0,cuda:1. Each device has one worker process; "
        "cpu, and auto without CUDA, start one per four processors; for a model of texts alone up "
        "to one per processor, as many as have 4,000 users each (at most 16), if that is more.",
    )(command)


def caps(command: FunctionT) -> FunctionT:
    """Add --max-images, --max-pixels, --max-image-bytes and --max-image-seconds."""
    for add in (
        option(
            Section.IMAGES,
            "--max-image-seconds",
            type=click.FloatRange(0, min_open=True),
            metavar="SECONDS",
            default=10.0,
            show_default=True,
            help="Images that take more processor time to decode are unusable (too_slow).",
        ),
        option(
            Section.IMAGES,
            "--max-image-bytes",
            type=click.IntRange(min=1),
            metavar="BYTES",
            default=64 * 1024 * 1024,
            show_default=True,
            help="Larger image files are unusable (too_large) and not read.",
        ),
        option(
            Section.IMAGES,
            "--max-pixels",
            type=click.IntRange(min=1),
            metavar="PIXELS",
            default=40_000_000,
            show_default=True,
            help="Images with more pixels (width x height) are unusable (too_large).",
        ),
        option(
            Section.IMAGES,
            "--max-images",
            type=click.IntRange(min=1),
            metavar="N",
            default=12_800,
            show_default=True,
            help="Largest number of images per user; further images are counted but not read.",
        ),
    ):
        command = add(command)
    return command


def text_caps(command: FunctionT) -> FunctionT:
    """Add --max-texts and --max-text-bytes."""
    for add in (
        option(
            Section.TEXTS,
            "--max-text-bytes",
            type=click.IntRange(min=4),
            metavar="BYTES",
            default=100_000,
            show_default=True,
            help="Longer texts are cut, and counted.",
        ),
        option(
            Section.TEXTS,
            "--max-texts",
            type=click.IntRange(min=1),
            metavar="N",
            default=3_200,
            show_default=True,
            help="Largest number of texts per user, the newest; older ones are counted but not "
            "read.",
        ),
    ):
        command = add(command)
    return command


def stall_seconds(command: FunctionT) -> FunctionT:
    """Add --stall-seconds."""
    return option(
        Section.ROBUSTNESS,
        "--stall-seconds",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        default=300.0,
        show_default=True,
        help="A worker that finishes nothing, not even one image, for this many seconds counts "
        "as hung and is replaced.",
    )(command)


def overwrite(command: FunctionT) -> FunctionT:
    """Add --overwrite."""
    return option(
        Section.OUTPUT,
        "--overwrite",
        is_flag=True,
        help="Replace an earlier output of this command. Files that tweetprofile did not write are "
        "never replaced.",
    )(command)


def messages(command: FunctionT) -> FunctionT:
    """Add --quiet and --debug."""
    for add in (
        option(
            Section.OTHER,
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=_note_debug,
            help="Show where in the code an error came from, and keep what the decoding libraries "
            "print in OUT.worker-N.log.",
        ),
        option(Section.OTHER, "--quiet", "-q", is_flag=True, help="Show errors only."),
    ):
        command = add(command)
    return command
