"""`tweetprofile embed`: turns a manifest into a table of embeddings."""

from typing import Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli import run_options
from tweetprofile.cli.command import Command, Section, option


@click.command("embed", cls=Command, short_help="Write one vector per image or per user.")
@shared.manifest
@shared.output(
    "OUT",
    "Parquet file to write. With a '/' at its end, a folder that gets one Parquet file per shard.",
)
@option(
    Section.OUTPUT,
    "--per",
    type=click.Choice(["image", "user"]),
    default="image",
    show_default=True,
    help="Write one vector per image, or one per user: the mean of the vectors of the images.",
)
@option(
    Section.MODEL,
    "--checkpoint",
    type=shared.CHECKPOINT,
    metavar="MODEL",
    help="Model whose backbone embeds: a model file, or the folder of a training run.  "
    "[default: $TWEETPROFILE_CHECKPOINT, else the model chosen by 'tweetprofile use']",
)
@option(
    Section.MODEL,
    "--backbone",
    metavar="NAME",
    help="Embed with this backbone, without a model: efficientnet-lite0, efficientnet-lite2, or "
    "timm/NAME for one of timm. It needs --weights.",
)
@option(
    Section.MODEL,
    "--weights",
    metavar="SOURCE",
    shell_complete=shared.complete_files,
    help="Weights of --backbone: package (of efficientnet-lite0 or -lite2), cache (of Hugging "
    "Face, on this machine), hub (downloaded from it), either with @COMMIT, or a file.",
)
@option(
    Section.MODEL,
    "--frame-size",
    type=click.IntRange(16, 1024),
    metavar="PIXELS",
    help="Width and height of the frames of --backbone.  [default: what suits the backbone]",
)
@option(
    Section.MODEL,
    "--frames",
    type=click.IntRange(1, 12_800),
    metavar="N",
    help="Largest number of images per user, spread evenly over the user's list.  [default: that "
    "of the model; 11 with --backbone]",
)
@shared.image_root
@shared.devices
@shared.decoder
@shared.detail("that of the model")
@run_options.precision
@run_options.batch_size(
    "Users that are embedded together, 8 or more; no vector depends on it, but the memory does."
)
@run_options.users_per_shard
@run_options.limit("Embed")
@run_options.keep
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
    """Write the embeddings of the images of each user of MANIFEST to OUT.

    \b
      tweetprofile embed manifest.parquet -o embeddings.parquet --checkpoint run

    An embedding is a vector of numbers that a pretrained network, the backbone, makes of an image:
    images that look alike have vectors that point in similar directions. They are for clustering
    and for finding similar images or users.

    OUT has one row per user in the order of the manifest, whatever state the images are in. With
    --per image, the column images lists the position of each image in the user's list and its
    embedding; with --per user, the column embedding is the mean, null for users without a usable
    image. The further columns are those of predict: frames_used, images_given, images_failed,
    status and image_errors.

    The backbone is that of a model that was trained with one, or the one that --backbone and
    --weights name. A model predicts from exactly these vectors.

    Embeddings are made in worker processes. Finished shards are kept in OUT.partial until the run
    is complete: after an interruption, a full disk or a power cut, --resume continues from them.

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

    from tweetprofile.cli import embed_view, predict_view
    from tweetprofile.cli.interruptions import interruptions
    from tweetprofile.predicting.embedding import EmbedOptions, planned_embedding
    from tweetprofile.predicting.run import run_plan

    options = EmbedOptions(**choices, keep_logs=shared.debugging())
    if not quiet:
        embed_view.show_download(options.backbone, options.weights)
    with (
        planned_embedding(manifest, out, options) as plan,
        interruptions(lambda: predict_view.how_to_resume(plan)),
        predict_view.started(plan.engine(), quiet=quiet) as engine,
    ):
        if not quiet:
            embed_view.show_plan(plan, engine)
        if dry_run:
            return
        with predict_view.predict_progress(plan.users, quiet=quiet) as on_progress:
            summary = run_plan(plan, engine, on_progress)
    if not quiet:
        predict_view.show_summary(summary)
