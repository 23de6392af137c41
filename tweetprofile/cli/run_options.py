"""Options that `predict` and `embed` share: the options of every run."""

from collections.abc import Callable

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import FunctionT, Section, option


def precision(command: FunctionT) -> FunctionT:
    """Add --precision."""
    return option(
        Section.DEVICES,
        "--precision",
        type=click.Choice(["auto", "bf16", "fp16", "fp32"]),
        default="auto",
        show_default=True,
        help="Floating-point format to compute in; auto is the fastest that the hardware supports.",
    )(command)


def batch_size(help_text: str) -> Callable[[FunctionT], FunctionT]:
    """Add --batch-size."""
    return option(
        Section.DEVICES,
        "--batch-size",
        type=click.IntRange(min=0),
        metavar="N",
        default=0,
        show_default="what suits the device",
        help=help_text,
    )


def users_per_shard(command: FunctionT) -> FunctionT:
    """Add --users-per-shard."""
    return option(
        Section.ROBUSTNESS,
        "--users-per-shard",
        type=click.IntRange(min=1),
        metavar="N",
        default=256,
        show_default=True,
        help="Users per shard; a resumed run repeats the shards that were unfinished.",
    )(command)


def limit(verb: str) -> Callable[[FunctionT], FunctionT]:
    """Add --limit."""
    return option(
        Section.INPUT,
        "--limit",
        type=click.IntRange(min=0),
        metavar="N",
        help=f"{verb} only this many users, the first of the manifest.",
    )


def keep(command: FunctionT) -> FunctionT:
    """Add --keep."""
    return option(
        Section.OUTPUT,
        "--keep",
        multiple=True,
        metavar="COLUMN",
        help="Copy this column of the manifest to the output; repeatable.",
    )(command)


def embedding_cache(command: FunctionT) -> FunctionT:
    """Add --embedding-cache and --embedding-cache-gb."""
    for add in (
        option(
            Section.MODEL,
            "--embedding-cache-gb",
            type=click.FloatRange(0, min_open=True),
            metavar="GB",
            default=20.0,
            show_default=True,
            help="Size of the embeddings of one backbone in --embedding-cache at which no more are "
            "added.",
        ),
        option(
            Section.MODEL,
            "--embedding-cache",
            type=shared.FOLDER,
            metavar="FOLDER",
            help="Keep the embeddings of frames in this folder for later runs, for models with a "
            "pretrained backbone; the rows stay the same. Good for dumps that are processed again, "
            "or grow.",
        ),
    ):
        command = add(command)
    return command


def max_failed(command: FunctionT) -> FunctionT:
    """Add --max-failed."""
    return option(
        Section.ROBUSTNESS,
        "--max-failed",
        type=click.FloatRange(0, 1),
        metavar="SHARE",
        default=1.0,
        show_default=True,
        help="Exit with code 3 if more than this share of the images failed.",
    )(command)


def stats(command: FunctionT) -> FunctionT:
    """Add --stats."""
    return option(
        Section.OUTPUT,
        "--stats",
        type=shared.FILE,
        metavar="FILE",
        help="Write a summary of the run, with the seconds per stage, to this JSON file.",
    )(command)


def engine(command: FunctionT) -> FunctionT:
    """Add --engine and --ray-address."""
    for add in (
        option(
            Section.DEVICES,
            "--ray-address",
            metavar="ADDRESS",
            help="Address of the Ray cluster: auto on one of its machines, HOST:PORT, or "
            "ray://HOST:PORT.  [default: a cluster of this machine alone]",
        ),
        option(
            Section.DEVICES,
            "--engine",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Run on this machine (local), or on the machines of a Ray cluster (ray).",
        ),
    ):
        command = add(command)
    return command


def resume(command: FunctionT) -> FunctionT:
    """Add --resume."""
    return option(
        Section.ROBUSTNESS,
        "--resume",
        is_flag=True,
        help="Resume an interrupted run, if there is one.",
    )(command)


def dry_run(command: FunctionT) -> FunctionT:
    """Add --dry-run."""
    return option(
        Section.OTHER,
        "--dry-run",
        is_flag=True,
        help="Check everything, show what would be done, and stop.",
    )(command)
