"""`tweetprofile predict`: from a manifest to a table of profiles."""

from typing import Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command


@click.command(
    "predict", cls=Command, short_help="Write one profile a user, from a manifest of images."
)
@shared.manifest
@shared.output(
    "OUT",
    "File to write: .parquet (or no ending) for Parquet, .csv for R, Stata and spreadsheets; with "
    "a '/' at its end, a folder that gets a Parquet file a shard.",
)
@click.option(
    "--checkpoint",
    type=shared.CHECKPOINT,
    metavar="MODEL",
    help="Model to use: its file, or the folder of its run.  "
    "[default: $TWEETPROFILE_CHECKPOINT, else the one chosen by 'tweetprofile use']",
)
@shared.image_root
@shared.devices
@shared.decoder
@click.option(
    "--precision",
    type=click.Choice(["auto", "bf16", "fp16", "fp32"]),
    default="auto",
    show_default=True,
    help="Floating point to compute in; auto is the fastest that the hardware has.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=0),
    default=0,
    show_default="what suits the device",
    help="Users a forward pass.",
)
@click.option(
    "--users-per-shard",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Users written as one unit, which an interrupted run may have to redo.",
)
@click.option("--limit", type=click.IntRange(min=0), help="Only the first so many users.")
@click.option(
    "--keep", multiple=True, metavar="COLUMN", help="Copy a column of the manifest; repeatable."
)
@click.option(
    "--clips",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Volumes to make of a user with more than 11 images, each of others; their mean counts.",
)
@click.option(
    "--orders",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Orders of the frames to take the mean over, for model1 and model2, which see the order.",
)
@click.option(
    "--views",
    type=click.Choice([1, 2, 4]),
    default=1,
    show_default=True,
    help="Views of each frame to take the mean over: 2 with the mirrored one, 4 with the enlarged "
    "middle of both. A little more accurate, at as many times the network's time.",
)
@shared.caps
@click.option(
    "--max-failed",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Exit with code 3 if a larger share of the images failed.",
)
@shared.stall_seconds
@click.option(
    "--stats",
    type=shared.FILE,
    metavar="FILE",
    help="Write what the run came to, and the seconds of each stage, as JSON.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Work on this machine, or on those of a Ray cluster.",
)
@click.option(
    "--ray-address",
    metavar="ADDRESS",
    help="The cluster: auto on one of its machines, HOST:PORT, or ray://HOST:PORT.  [default: a "
    "cluster of this machine alone]",
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted run, if there is one.")
@shared.overwrite
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be done, stop.")
@shared.talk
def command(manifest: str, out: str, dry_run: bool, quiet: bool, **choices: Any) -> None:
    """Predict the profile of every user of MANIFEST and write them to OUT, as Parquet or CSV.

    MANIFEST is a Parquet file, a folder of them or a quoted glob, with the columns user_id and
    images: a list of paths, of the encoded files themselves, or of struct<bytes, path>. The long
    form, user_id and image with one row an image, is read too.

    OUT has one row for every user, in the manifest's order, whatever their images are like. For
    each trait: the most probable class, <trait>_confidence and <trait>_probabilities. Unusable
    images stand in image_errors with a reason; a user with none usable has null traits.

    CSV is flat: each probability is a column (gender_p_female), image_errors is text, and what a
    spreadsheet would run as a formula has an apostrophe before it. Read user_id as text: R and
    spreadsheets round long numbers. OUT.csv.json, beside it, says how the table was made.

    Each device has a worker process. A worker that crashes or hangs is replaced, and the user who
    makes it crash alone gets the status crashed. Finished shards stand in OUT.partial until all
    are there; after an interruption, a full disk or a power cut, --resume goes on with them.

    \b
    Exit codes: 0 every user has a row; 1 the run failed and can be resumed; 2 unusable input,
    nothing was done; 3 finished, but more images failed than --max-failed, or all; 130 interrupted.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    from tweetprofile.cli import predict_view as view
    from tweetprofile.cli.interruptions import interruptions
    from tweetprofile.predicting.plan import PredictOptions, plan_prediction
    from tweetprofile.predicting.run import run_plan

    options = PredictOptions(**choices, keep_logs=shared.debugging())
    plan = plan_prediction(manifest, out, options)
    with (
        interruptions(lambda: view.how_to_resume(plan)),
        view.started(plan.engine(), quiet=quiet) as engine,
    ):
        if not quiet:
            view.show_plan(plan, engine)
        if dry_run:
            return
        with view.predict_progress(plan.users, quiet=quiet) as on_progress:
            summary = run_plan(plan, engine, on_progress)
    if not quiet:
        view.show_summary(summary)
