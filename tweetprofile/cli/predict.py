"""`tweetprofile predict`: turns a manifest into a table of profiles."""

from typing import Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli import run_options
from tweetprofile.cli.command import Command, Section, option


@click.command("predict", cls=Command, short_help="Predict one profile per user of a manifest.")
@shared.manifest
@shared.output(
    "OUT",
    "File to write: Parquet for .parquet or no ending, CSV for .csv (R, Stata, spreadsheets). With "
    "a '/' at its end, a folder that gets one Parquet file per shard.",
)
@option(
    Section.MODEL,
    "--checkpoint",
    type=shared.CHECKPOINT,
    metavar="MODEL",
    help="Model to predict with: a model file, or the folder of a training run.  "
    "[default: $TWEETPROFILE_CHECKPOINT, else the model chosen by 'tweetprofile use']",
)
@shared.image_root
@shared.devices
@shared.decoder
@shared.detail("that of the model")
@run_options.precision
@run_options.batch_size("Users per forward pass.")
@run_options.users_per_shard
@run_options.limit("Predict")
@run_options.keep
@option(
    Section.MODEL,
    "--clips",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=1,
    show_default=True,
    help="Largest number of volumes for a user with more images than one volume holds, each with "
    "different images; their predictions are averaged.",
)
@option(
    Section.MODEL,
    "--orders",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=1,
    show_default=True,
    help="Orders of the frames to average over, for model1 and model2, which depend on the order.",
)
@option(
    Section.MODEL,
    "--views",
    type=click.Choice([1, 2, 4]),
    default=1,
    show_default=True,
    help="Views of each volume to average over: 2 adds the mirrored view, 4 also adds the enlarged "
    "middle of both. Slightly more accurate, but the network takes 2 or 4 times as long.",
)
@option(
    Section.TEXTS,
    "--parts",
    is_flag=True,
    help="Also write the probabilities by images alone and by texts alone, for models of both.",
)
@option(
    Section.MODEL,
    "--evidence",
    is_flag=True,
    help="Also write what each image, and each text, contributes to the predicted class of each "
    "trait. For model1 and model2, which do not add images up, the network takes up to 12 times as "
    "long.",
)
@shared.text_caps
@run_options.embedding_cache
@shared.caps
@run_options.max_failed
@shared.stall_seconds
@run_options.stats
@run_options.engine
@run_options.resume
@shared.overwrite
@run_options.dry_run
@shared.messages
def command(manifest: str, out: str, dry_run: bool, quiet: bool, **choices: Any) -> None:
    """Predict a profile for each user of MANIFEST and write the profiles to OUT.

    \b
      tweetprofile predict manifest.parquet -o profiles.parquet --checkpoint run

    MANIFEST is a Parquet file, a folder of Parquet files or a quoted glob. It has the columns
    user_id and images: a list of paths, of encoded image files, or of struct<bytes, path>. The long
    form works too: the columns user_id and image, with one row per image. A model that reads texts
    also takes the column texts, a list of strings, the oldest first (long form: text); a user is
    predicted by images, texts or both, whatever there is.

    OUT has one row per user in the order of the manifest, whatever state the images are in. For
    each trait it has the most probable class, <trait>_confidence and <trait>_probabilities.
    image_errors lists unusable images with the reason; users without a usable image, and without a
    text that the model reads, have null traits.

    CSV output is flat: each probability has a column (gender_p_female), image_errors is text, and
    an apostrophe precedes text that a spreadsheet would run as a formula. Read user_id as text,
    because R and spreadsheets round long numbers. OUT.csv.json records how the table was made.

    Predictions are made in worker processes. A worker that crashes or hangs is replaced; a user
    whose images crash a worker on their own gets the status crashed. Finished shards are kept in
    OUT.partial until the run is complete: after an interruption, a full disk or a power cut,
    --resume continues from them.

    \b
    Exit codes:
      0    every user has a row
      1    the run failed and can be resumed
      2    the input is unusable; nothing was done
      3    finished, but more images failed than --max-failed allows, or all did
      130  interrupted
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    from tweetprofile.cli.given import require_paths

    require_paths(choices["checkpoint"])

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
