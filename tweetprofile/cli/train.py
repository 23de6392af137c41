"""`tweetprofile train`: from a labelled manifest to a checkpoint."""

import tomllib
from pathlib import Path
from typing import Any

import click

from tweetprofile.cli import options as shared


def _read_config(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    """Make the settings of a `train.toml` the defaults of this call."""
    if path is None:
        return
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.BadParameter(f"{path} cannot be read as TOML: {error}", context) from None
    known = {option.name for option in context.command.params}
    for name in settings:
        if name not in known:
            raise click.BadParameter(f"{path} has '{name}', which is no setting of train", context)
    context.default_map = settings


@click.command("train", short_help="Train a network on labelled users.")
@click.argument("manifest")
@click.option(
    "--out", "-o", "run", required=True, type=shared.FOLDER, metavar="RUN", help="Folder to make."
)
@click.option("--val", metavar="MANIFEST", help="Users to validate on.  [default: set some aside]")
@click.option(
    "--val-fraction",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.15,
    show_default=True,
    help="Share of the users set aside to validate on, without --val.",
)
@click.option(
    "--model",
    type=click.Choice(["model1", "model2"]),
    default="model1",
    show_default=True,
    help="Four convolutional layers, or seven.",
)
@click.option(
    "--norm",
    type=click.Choice(["batch", "none"]),
    default="batch",
    show_default=True,
    help="Normalisation; 'none' is the paper's.",
)
@click.option(
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.3,
    show_default=True,
    help="Share of the fully connected stage dropped in training.",
)
@click.option(
    "--frame-size",
    type=click.IntRange(16, 1024),
    default=112,
    show_default=True,
    help="Side of a frame in pixels.",
)
@click.option(
    "--frames",
    type=click.IntRange(1, 1024),
    default=11,
    show_default=True,
    help="Frames of a volume.",
)
@click.option(
    "--fill",
    type=click.Choice(["repeat", "zeros"]),
    default="repeat",
    show_default=True,
    help="What fills the volume of a user with fewer images: their frames again, or nothing.",
)
@click.option(
    "--schema",
    default="labels",
    show_default=True,
    help="Traits and classes: 'labels' (those found), 'mex-a3t-2019', or a TOML file.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=20, show_default=True)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Users a step."
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=5e-4,
    show_default=True,
    help="The highest; it falls along a cosine.",
)
@click.option(
    "--weight-decay", type=click.FloatRange(0), default=0.05, show_default=True, help="Of AdamW."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights, split and order.")
@shared.image_root
@shared.device
@shared.decoder
@shared.overwrite
@click.option(
    "--config",
    type=shared.FILE,
    is_eager=True,
    expose_value=False,
    callback=_read_config,
    help="A train.toml of an earlier run: its settings become the defaults.",
)
@shared.talk
def command(
    manifest: str, run: Path, image_root: Path | None, overwrite: bool, quiet: bool, **choices: Any
) -> None:
    """Train a network on the labelled users of MANIFEST and write it to the folder RUN.

    Labels are text columns named as their trait (gender, location, occupation, or any other);
    null means unknown. RUN gets model.safetensors, which predict then uses unless told otherwise,
    metrics.jsonl with a line an epoch, and train.toml with every setting.
    """
    from tweetprofile.cli import train_view as view
    from tweetprofile.training.run import train_manifest
    from tweetprofile.training.settings import TrainOptions

    options = TrainOptions(image_root=str(image_root) if image_root else None, **choices)
    with view.TrainView(quiet=quiet) as observer:
        summary = train_manifest(manifest, run, options, observer, overwrite=overwrite)
    if not quiet:
        view.show_training(summary)
