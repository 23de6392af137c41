"""`tweetprofile train`: trains a model on a labelled manifest."""

from pathlib import Path
from typing import Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command, Section, option
from tweetprofile.untrusted.toml_files import read_toml

_MODELS = ["deepset", "model1", "model2", "deepset-resnet18", "deepset-vgg11", "deepset-vgg16"]
"""All networks; the last three only so that runs of earlier versions can be resumed or repeated."""

_BY_RECIPE = "set by the recipe"

_CONFIG = "tweetprofile.config"
"""The key under which the context remembers the file that the settings came from."""


def _read_config(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    """Make the settings of a `train.toml` the defaults of this command."""
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
            raise click.BadParameter(
                f"{path} has '{name}', which is not a setting of train", context
            )
        is_flag = isinstance(known[name].type, click.types.BoolParamType)
        if isinstance(value, bool) != is_flag or not isinstance(value, str | int | float):
            kind = type(value).__name__
            raise click.BadParameter(f"{path} has a value of type {kind} for '{name}'", context)
    context.default_map = settings
    context.meta[_CONFIG] = path


@click.command("train", cls=Command, short_help="Train a network on labelled users.")
@shared.manifest
@option(
    Section.OUTPUT,
    "--out",
    "-o",
    "run",
    required=True,
    type=shared.FOLDER,
    metavar="RUN",
    help="Run folder to write.",
)
@option(
    Section.TRAINING,
    "--recipe",
    type=click.Choice(["default", "paper"]),
    default="default",
    show_default=True,
    help="Hyperparameters: those that work best (default), or those of the paper.",
)
@option(
    Section.MODEL,
    "--model",
    type=click.Choice(_MODELS),
    metavar="[deepset|model1|model2]",
    help="Network to train: deepset looks at each image on its own and adds up the results, in any "
    "order; model1 and model2 are those of the paper.  [default: deepset, or model1 with the "
    "recipe paper]",
)
@option(
    Section.MODEL,
    "--backbone",
    metavar="NAME",
    help="Network that others have trained to look at images, in place of the network's own "
    "layers: efficientnet-lite0, efficientnet-lite2, or timm/ and a name of timm.",
)
@option(
    Section.MODEL,
    "--weights",
    metavar="SOURCE",
    shell_complete=shared.complete_files,
    help="Weights of the backbone: 'package' for efficientnet-lite0 and -lite2, a file, 'cache' "
    "for the cache of the Hugging Face hub on this machine, or 'hub' to download them.  "
    "[default: random]",
)
@option(
    Section.MODEL,
    "--freeze/--no-freeze",
    default=None,
    help="Keep the backbone as it is, compute what it says of each image once, and train a head on "
    "that, which takes seconds.  [default: --freeze if the backbone has weights]",
)
@option(
    Section.MODEL,
    "--fine-tune",
    is_flag=True,
    help="Train the last layers of the backbone, too, after the head; the result is kept if it is "
    "better on the held-out users.",
)
@option(
    Section.MODEL,
    "--head",
    type=click.Choice(["auto", "sum", "clusters", "topics", "attention", "linear"]),
    default="auto",
    show_default=True,
    help="How a head combines the images of a user: it adds up their evidence (sum), counts them "
    "by clusters of similar images (clusters), also asks which of the user's traits each image was "
    "chosen for (topics), weighs them (attention), or is linear in their mean (linear); auto takes "
    "the best of the five in a cross-validation on the training users.",
)
@option(
    Section.MODEL,
    "--embed-views",
    type=click.Choice([1, 2, 4]),
    default=1,
    show_default=True,
    help="Views of each image that a head learns from: 2 adds the mirrored image, 4 the enlarged "
    "middle of both. Takes that many times as long to compute.",
)
@option(
    Section.INPUT,
    "--use",
    type=click.Choice(["images", "texts", "both"]),
    help="What the model sees of users.  [default: what MANIFEST has]",
)
@option(
    Section.TEXTS,
    "--profile-fields",
    is_flag=True,
    help="Also read the columns name, screen_name and description of users' own profiles, as far "
    "as MANIFEST has them. They can identify people.",
)
@option(
    Section.TEXTS,
    "--keep-vocabulary",
    is_flag=True,
    help="Also write vocabulary.csv: the words, pairs of words and characters that speak most for "
    "each class, if at least 5 users and 1% of them wrote them. The model itself has no words.",
)
@shared.text_caps
@option(
    Section.HELD_OUT,
    "--val",
    metavar="MANIFEST",
    shell_complete=shared.complete_files,
    help="Manifest of the held-out users. Images that they share with training users make their "
    "scores too good; a warning says how many there are.  [default: hold out some training users]",
)
@option(
    Section.HELD_OUT,
    "--val-fraction",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SHARE",
    default=0.1,
    show_default=True,
    help="Share of the users to hold out if --val is not given. The network is not trained on any "
    "of their images.",
)
@option(
    Section.HELD_OUT,
    "--folds",
    type=click.IntRange(2, 100),
    metavar="N",
    help="Number of folds to cross-validate with first: each fold trains a network and tests it on "
    "users that it has not seen. Shows the mean and spread of their scores; takes that many times "
    "as long.",
)
@option(
    Section.MODEL,
    "--init",
    type=shared.FILE,
    metavar="WEIGHTS",
    help="Checkpoint whose weights a network without --backbone starts from.",
)
@option(
    Section.TRAINING,
    "--epochs",
    type=click.IntRange(min=1),
    metavar="N",
    show_default=_BY_RECIPE,
    help="Largest number of passes over the users, divided among the members.",
)
@option(
    Section.TRAINING,
    "--patience",
    type=click.IntRange(min=1),
    metavar="N",
    show_default=_BY_RECIPE,
    help="Number of epochs without a better mean macro-F1 on the held-out users after which "
    "training stops.",
)
@option(
    Section.MODEL,
    "--members",
    type=click.IntRange(1, 64),
    metavar="N",
    show_default=_BY_RECIPE,
    help="Number of networks to train one after the other; the model predicts their mean, which "
    "takes that many times as long, except for heads of one backbone.",
)
@option(
    Section.TRAINING,
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    metavar="MINUTES",
    help="Train for as many epochs as fit into this time, as estimated from the first.  "
    "[default: no limit]",
)
@option(
    Section.MODEL,
    "--frame-size",
    type=click.IntRange(16, 1024),
    metavar="PIXELS",
    help="Width and height of a frame in pixels; half the size means a quarter of the pixels.  "
    "[default: 112, or what suits the backbone]",
)
@option(
    Section.MODEL,
    "--frames",
    type=click.IntRange(1, 1024),
    metavar="N",
    default=11,
    show_default=True,
    help="Number of frames per volume.",
)
@option(
    Section.MODEL,
    "--fill",
    type=click.Choice(["repeat", "zeros"]),
    default="repeat",
    show_default=True,
    help="How to fill the volume of a user with fewer images than frames.",
)
@option(
    Section.MODEL,
    "--norm",
    type=click.Choice(["batch", "none"]),
    show_default=_BY_RECIPE,
    help="Normalisation layers of the network.",
)
@option(
    Section.MODEL,
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SHARE",
    show_default=_BY_RECIPE,
    help="Share of the features that are dropped in training, before the classifier heads.",
)
@option(
    Section.TRAINING,
    "--batch-size",
    type=click.IntRange(min=1),
    metavar="N",
    show_default=_BY_RECIPE,
    help="Users per training step, over all devices.",
)
@option(
    Section.TRAINING,
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    metavar="RATE",
    show_default=_BY_RECIPE,
    help="Highest learning rate of the schedule.",
)
@option(
    Section.TRAINING,
    "--weight-decay",
    type=click.FloatRange(0),
    metavar="RATE",
    show_default=_BY_RECIPE,
    help="Weight decay of AdamW and Muon.",
)
@option(
    Section.INPUT,
    "--schema",
    shell_complete=shared.complete_files,
    default="labels",
    show_default=True,
    help="Traits and their classes: 'labels' for those found in MANIFEST, the preset mex-a3t-2019, "
    "or a TOML file.",
)
@option(
    Section.TRAINING,
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Random seed of the weights, the held-out users, the order of users and the augmentation.",
)
@shared.image_root
@shared.training_devices
@shared.decoder
@shared.detail("frame", "frame")
@option(
    Section.IMAGES,
    "--cache",
    type=shared.FOLDER,
    metavar="FOLDER",
    help="Folder to keep decoded frames in, for later runs to use.  [default: in your cache "
    "folder]",
)
@option(
    Section.IMAGES,
    "--cache-gb",
    type=click.FloatRange(0, min_open=True),
    metavar="GB",
    default=100.0,
    show_default=True,
    help="Gigabytes of decoded frames to keep there; the least recently used are removed.",
)
@option(
    Section.OUTPUT,
    "--log-to",
    type=click.Choice(["tensorboard"]),
    help="Write losses and scores per epoch as curves for TensorBoard, too, into RUN/tensorboard. "
    "Needs the extra tensorboard.",
)
@option(
    Section.ROBUSTNESS,
    "--resume",
    is_flag=True,
    help="Resume an interrupted run, if there is one.",
)
@shared.overwrite
@option(
    Section.TRAINING,
    "--config",
    type=shared.FILE,
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=_read_config,
    help="A train.toml of an earlier run, whose settings become the defaults.",
)
@shared.messages
def command(
    manifest: str, run: Path, overwrite: bool, resume: bool, quiet: bool, **choices: Any
) -> None:
    """Train a model on the labelled users of MANIFEST and write it to the folder RUN.

    \b
      tweetprofile train labelled.parquet -o run

    Labels are columns of classes named after their trait (gender, location, occupation, or any
    other); a null label is unknown. RUN receives model.safetensors, a MODEL_CARD.md that says how
    often the model is wrong, metrics.jsonl with one line per epoch, and train.toml with every
    setting.

    Predict with the model by --checkpoint RUN, or make it the default with 'tweetprofile use RUN'.

    If MANIFEST has a column texts, the model also reads texts, by a linear model of word and
    character n-grams. Images and texts are weighed on held-out users, and a user who has only one
    of them is predicted by it.

    Images are decoded once, in worker processes, and kept for later runs. Each member keeps its
    best epoch by mean macro-F1 on the held-out users, and the probabilities of the members' mean
    are calibrated on the same users. After an interruption, --resume continues with the epoch that
    was unfinished.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    from tweetprofile.cli.given import require_manifests, require_paths

    require_manifests(manifest, choices["val"])
    require_paths(choices["init"])

    from tweetprofile.cli import train_view as view
    from tweetprofile.cli.interruptions import interruptions
    from tweetprofile.data.files.storage import RemotePath
    from tweetprofile.training.run import train_manifest
    from tweetprofile.training.settings import TrainOptions

    # As text, because train.toml stores paths as text.
    paths = {name: each for name, each in choices.items() if isinstance(each, Path | RemotePath)}
    texts = {name: str(path) for name, path in paths.items()}
    options = TrainOptions(**(choices | texts))
    again = f"interrupted; run the same command with --resume to continue {run}."
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
