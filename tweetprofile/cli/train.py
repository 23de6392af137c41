"""`tweetprofile train`: from a labelled manifest to a checkpoint."""

from pathlib import Path
from typing import Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command
from tweetprofile.untrusted.toml_files import read_toml

_MODELS = ["deepset", "deepset-resnet18", "deepset-vgg11", "deepset-vgg16", "model1", "model2"]

_BY_RECIPE = "the recipe's"

_CONFIG = "tweetprofile.config"
"""Under this key the context remembers which file the settings are from."""


def _read_config(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    """Make the settings of a `train.toml` the defaults of this call."""
    if path is None:
        return
    try:
        settings = read_toml(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise click.BadParameter(f"{path} cannot be read as TOML: {reason}", context) from None
    known = {option.name: option for option in context.command.params}
    for name, value in settings.items():
        if name not in known:
            raise click.BadParameter(f"{path} has '{name}', which is no setting of train", context)
        is_flag = isinstance(known[name].type, click.types.BoolParamType)
        if isinstance(value, bool) != is_flag or not isinstance(value, str | int | float):
            kind = type(value).__name__
            raise click.BadParameter(f"{path} has a {kind} for '{name}', not a value", context)
    context.default_map = settings
    context.meta[_CONFIG] = path


@click.command("train", cls=Command, short_help="Train a network on labelled users.")
@shared.manifest
@click.option(
    "--out", "-o", "run", required=True, type=shared.FOLDER, metavar="RUN", help="Folder to make."
)
@click.option(
    "--recipe",
    type=click.Choice(["default", "paper"]),
    default="default",
    show_default=True,
    help="How to learn: the way that works, or the paper's.",
)
@click.option(
    "--model",
    type=click.Choice(_MODELS),
    help="Network: deepset looks at each image by itself and adds up what they say, in any order; "
    "model1 and model2 are the paper's.  [default: deepset; model1 for the paper's recipe]",
)
@click.option(
    "--val",
    metavar="MANIFEST",
    help="Users to validate on; images that they share with users to learn from flatter the "
    "scores, and are warned of.  [default: set some aside]",
)
@click.option(
    "--val-fraction",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the users set aside to validate on, without --val. Their images are kept out "
    "of what is learnt from.",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 100),
    help="Cross-validate first: train so many networks, each tested on users that it has not seen, "
    "and tell the mean of their scores and its spread. It takes as many times as long.",
)
@click.option(
    "--init",
    type=shared.FILE,
    metavar="WEIGHTS",
    help="Weights to start from: a checkpoint, or torchvision's resnet18 or vgg as safetensors.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    show_default=_BY_RECIPE,
    help="Passes over the users, at most; the members share them.",
)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    show_default=_BY_RECIPE,
    help="Epochs without a better mean macro-F1 on the users set aside, after which training ends.",
)
@click.option(
    "--members",
    type=click.IntRange(1, 64),
    show_default=_BY_RECIPE,
    help="Networks that learn one after the other and predict their mean, at as many times the "
    "network's time.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="Have as many epochs as fit into that time, going by the first.  [default: any time]",
)
@click.option(
    "--frame-size",
    type=click.IntRange(16, 1024),
    default=112,
    show_default=True,
    help="Side of a frame in pixels; half of it is a quarter of the pixels.",
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
    help="What fills the volume of a user with fewer images.",
)
@click.option(
    "--norm",
    type=click.Choice(["batch", "none"]),
    show_default=_BY_RECIPE,
    help="Normalisation of the network.",
)
@click.option(
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    show_default=_BY_RECIPE,
    help="Share of the features before the heads dropped in training.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    show_default=_BY_RECIPE,
    help="Users a step, over all devices.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    show_default=_BY_RECIPE,
    help="The highest.",
)
@click.option(
    "--weight-decay", type=click.FloatRange(0), show_default=_BY_RECIPE, help="Of AdamW and Muon."
)
@click.option(
    "--schema",
    default="labels",
    show_default=True,
    help="Traits and classes: 'labels' for those found, mex-a3t-2019, or a TOML file.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of weights, split, order and augmentation.",
)
@shared.image_root
@shared.training_devices
@shared.decoder
@click.option(
    "--cache",
    type=shared.FOLDER,
    help="Folder for decoded frames, which later runs use again.  [default: in your cache folder]",
)
@click.option(
    "--cache-gb",
    type=click.FloatRange(0, min_open=True),
    default=100.0,
    show_default=True,
    help="Gigabytes that decoded frames may take there; those used longest ago are removed.",
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted run, if there is one.")
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
    manifest: str, run: Path, overwrite: bool, resume: bool, quiet: bool, **choices: Any
) -> None:
    """Train a network on the labelled users of MANIFEST and write it to the folder RUN.

    Labels are text columns named as their trait (gender, location, occupation, or any other);
    null means unknown. RUN gets model.safetensors, MODEL_CARD.md that says how wrong it is,
    metrics.jsonl with a line per epoch, and train.toml with every setting. Predict with it by
    --checkpoint RUN, or make it the default with `tweetprofile use RUN`.

    Images are decoded once, in worker processes, and kept for later runs. The best epoch by mean
    macro-F1 on the users set aside is kept, of each member, and the probabilities of what they
    predict together are calibrated on these users. After an interruption, --resume goes on with
    the epoch that was under way.
    """
    from tweetprofile.cli import train_view as view
    from tweetprofile.cli.interruptions import interruptions
    from tweetprofile.data.files.storage import RemotePath
    from tweetprofile.training.run import train_manifest
    from tweetprofile.training.settings import TrainOptions

    # Paths as text, as train.toml has them.
    paths = {name: each for name, each in choices.items() if isinstance(each, Path | RemotePath)}
    texts = {name: str(path) for name, path in paths.items()}
    options = TrainOptions(**(choices | texts))
    again = f"interrupted; run the same command with --resume to go on with {run}."
    with interruptions(lambda: again), view.TrainView(quiet=quiet) as observer:
        summary = train_manifest(
            manifest,
            run,
            options,
            observer,
            overwrite=overwrite,
            resume=resume,
            config=click.get_current_context().meta.get(_CONFIG),
        )
    if not quiet:
        view.show_training(summary)
