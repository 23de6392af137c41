"""The options of a training that concern a backbone, and what they mean together."""

from dataclasses import dataclass
from typing import Literal, get_args

from tweetprofile.errors import OptionError
from tweetprofile.networks import EmbeddingSetSpec, Learned
from tweetprofile.networks.specs import HeadPool
from tweetprofile.networks.timm_backbones import LITE0, backbone_facts

HeadName = Literal["auto", "sum", "clusters", "topics", "attention", "linear"]

HEADS: dict[HeadName, tuple[HeadPool, int]] = {
    "sum": ("sum", 128),
    "clusters": ("clusters", 32),
    "topics": ("topics", 48),
    "attention": ("attention", 128),
    "linear": ("mean", 0),
}
"""How each head combines embeddings, and the width of its hidden layer."""

EMBED_VIEWS = (1, 2, 4)
"""The numbers of views of a frame that can be embedded, as in `predict`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneOptions:
    """The options of a training that concern a backbone, as `TrainOptions` describes them."""

    recipe: str
    model: str | None
    backbone: str | None
    weights: str | None
    freeze: bool | None
    fine_tune: bool
    head: HeadName
    embed_views: int
    norm: str | None
    members: int | None
    init: str | None
    folds: int | None


def check_backbone(options: BackboneOptions) -> None:
    """Check that the options of a backbone fit together.

    Raises:
        OptionError: A value is unknown, or two options contradict each other.
    """
    if options.head not in get_args(HeadName):
        raise OptionError(
            f"`head` is {options.head}; it must be one of {', '.join(get_args(HeadName))}."
        )
    if options.embed_views not in EMBED_VIEWS:
        raise OptionError(f"`embed_views` is {options.embed_views}; it must be 1, 2 or 4.")
    if options.backbone is None:
        given = [name for name in ("weights", "freeze", "fine_tune") if getattr(options, name)]
        if given:
            raise OptionError(
                f"`{given[0]}` is for a pretrained backbone; name it with `backbone`, for example "
                f'`backbone="{LITE0}"`.'
            )
        return
    _check_with_backbone(options)
    if options.weights is None and (options.freeze or options.fine_tune):
        name = "freeze" if options.freeze else "fine_tune"
        raise OptionError(
            f"`{name}` needs a backbone that has learned something; give its `weights`."
        )
    if options.freeze and options.fine_tune:
        raise OptionError("`freeze` and `fine_tune` exclude each other; give one of them.")
    learned = learned_of(options)
    if learned != "head" and (options.members or 1) > 1:
        raise OptionError(
            f"`members` is {options.members}, but several networks would each need the backbone "
            f"{options.backbone}; leave `members` out, or pass `freeze=True`."
        )
    if learned == "last" and options.folds is not None:
        raise OptionError(
            "`folds` cross-validates heads; leave `fine_tune` out to use it, or leave `folds` out."
        )


def _check_with_backbone(options: BackboneOptions) -> None:
    if options.model not in (None, "deepset"):
        raise OptionError(
            f"`model` is {options.model}, which has no backbone; leave `model` or `backbone` out."
        )
    if options.recipe != "default":
        raise OptionError(
            f"`recipe` is {options.recipe}, which trains the paper's network; leave `recipe` or "
            "`backbone` out."
        )
    if options.init is not None:
        raise OptionError(
            "`init` fills a whole network, and `backbone` takes its `weights`; leave `init` out."
        )
    if options.norm is not None:
        raise OptionError(
            f"`norm` is {options.norm}, but a backbone has its own normalisation; leave it out."
        )


_SUCCESSORS = {
    "deepset-resnet18": "timm/resnet18",
    "deepset-vgg11": "timm/vgg11_bn",
    "deepset-vgg16": "timm/vgg16_bn",
}
"""The backbones of timm that have taken the place of networks."""


def advice(options: BackboneOptions) -> str | None:
    """Return a sentence on what another backbone would bring; None if the options name one."""
    if options.backbone is not None or options.model in ("model1", "model2"):
        return None
    if options.recipe != "default":
        return None
    if (successor := _SUCCESSORS.get(options.model or "")) is not None:
        return (
            f"{options.model} is kept for runs of earlier versions; pass "
            f'`backbone="{successor}"` for the same layers with weights that others have trained.'
        )
    return (
        "this network learns to see from your users alone; one that has seen a million photographs "
        f'predicts better after less training: pass `backbone="{LITE0}"` and `weights="package"`.'
    )


def learned_of(options: BackboneOptions) -> Learned:
    """Return what the training changes: by default the head, if the backbone has weights."""
    if options.fine_tune:
        return "last"
    freeze = options.weights is not None if options.freeze is None else options.freeze
    return "head" if freeze else "all"


def embedding_spec(options: BackboneOptions, dropout: float) -> EmbeddingSetSpec:
    """Return the network over a backbone, with the head that is named, or that of `sum`.

    Raises:
        OptionError: The backbone is unknown, or timm is not installed.
    """
    assert options.backbone is not None
    facts = backbone_facts(options.backbone)
    pool, hidden = HEADS["sum" if options.head == "auto" else options.head]
    return EmbeddingSetSpec(
        f"deepset-{facts.name}",
        backbone=facts.name,
        features=facts.features,
        hidden=hidden,
        dropout=dropout,
        pool=pool,
    )
