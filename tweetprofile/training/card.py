"""The model card next to a checkpoint: what the model is for, and how often it is wrong.

After Mitchell et al. 2019, "Model Cards for Model Reporting". All figures come from the run.
"""

import re
from collections.abc import Mapping
from typing import Any

from tweetprofile.networks import EmbeddingSetSpec, NetworkSpec, NoImagesSpec
from tweetprofile.plurals import count_of, one_or_many
from tweetprofile.scoring.uncertainty import wilson_interval
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.untrusted.text import printable
from tweetprofile.volumes.spec import VolumeSpec

CARD = "MODEL_CARD.md"
"""The name of the file in a run folder."""

_USE = """\
## What it is for, and what it is not for

Use it for research on groups of users: how a sample is composed, and how groups differ, with the
errors below taken into account. Use it only on data that you are permitted to use, under the terms
that apply to them.

Do not use it to decide anything about a person, or to find, rank or contact people by a trait. A
single prediction is often wrong. A confidence says how often predictions like it are right, not
that this one is. Leave out users with a low confidence, and report how many you left out.
"""

_LABELS = """\
People assigned the labels, and the model learns their errors too. A user who belongs to none of
the classes is assigned one nevertheless. Images show what people post, which is not who they are,
and differs between countries, years and platforms: expect worse results on other users than those
it was trained on.
"""


_TEXTS = """\
## What texts add to the risk

Texts name people, places and employers, and say outright what images at most suggest. A model that
reads them is right more often, and so does more harm where it is used against someone. It keeps
weights of hashed n-grams and no words, but whoever has the file can test a guess: whether a phrase
occurs, and which class it speaks for. Share the file with as much care as the texts. Words of a
language, region or time that the training users did not write count for nothing, and users who
quote others are taken for them.
"""

_PROFILES = """\
It also reads names and descriptions of users' own profiles. Names identify people, and tell where
their parents come from as well as their gender. Expect the model to be wrong more often where names
are other ones than those of the training users, and for users who go by a name that is not theirs.
"""


def make_card(
    network: NetworkSpec,
    volume_spec: VolumeSpec,
    schema: TraitSchema,
    training: Mapping[str, Any],
) -> str:
    """Return the card of a checkpoint as Markdown.

    Args:
        network: The network that was trained.
        volume_spec: The volumes that it takes.
        schema: The traits that it predicts.
        training: The description of the training in the checkpoint.
    """
    images = count_of(volume_spec.frames, "image")
    size = f"{images} per user, each {volume_spec.width} x {volume_spec.height}"
    alone = isinstance(network, NoImagesSpec)
    lacking = "text" if alone else "usable image"
    recipe = "" if alone else f" (recipe `{training['settings']['recipe']}`)"
    parts = [
        f"# Model card: {as_markdown(network.name)}, {as_markdown(', '.join(schema.names))}",
        f"Made by tweetprofile {training['version']}. {_what_it_sees(network, size, training)}",
        _USE,
        "## How often it is wrong",
        "\n".join(_scores(training)),
        *_parts(training),
        *_folds(training),
        "## What it was trained on",
        f"{count_of(training['users'], 'user')}{recipe}. {_held_out(training)}; "
        f"{training['left_out']:,} had no {lacking} and {training['unlabelled']:,} had no label."
        + ("" if alone else f" Images were decoded with the detail `{volume_spec.detail}`."),
        "\n".join(map(_classes, schema)),
        *_backbone(network, training),
        _LABELS,
        *([_TEXTS] if _reads_texts(training) else []),
        *([_PROFILES] if _reads_profiles(training) else []),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def as_markdown(text: str) -> str:
    """Return text without any meaning in Markdown or HTML: no link, no table, no tag.

    A backslash makes any ASCII punctuation literal (CommonMark 0.31, "Backslash escapes").
    """
    return re.sub(r"([!-+/:-@\[-`{-~.])", r"\\\1", printable(text))


def _reads_texts(training: Mapping[str, Any]) -> bool:
    return str(training["settings"].get("use", "images")) != "images"


def _reads_profiles(training: Mapping[str, Any]) -> bool:
    return bool(training["settings"].get("profile_fields"))


def _what_it_sees(network: NetworkSpec, size: str, training: Mapping[str, Any]) -> str:
    """Return sentences on what the model takes and what it does not see."""
    profiles = " and of the user's own profile" if _reads_profiles(training) else ""
    reads = (
        f"counts word and character n-grams of the texts of a user{profiles}, and assigns a "
        "probability to each class of each trait"
    )
    if isinstance(network, NoImagesSpec):
        return f"The model {reads}. It looks at no images."
    sees = f"The network {as_markdown(network.name)}{_together(training)} takes up to {size} pixels"
    if _reads_texts(training):
        return f"{sees}. Next to it, a linear model {reads}; the two are combined."
    return (
        f"{sees}, and assigns a probability to each class of each trait. It sees nothing else: no "
        "names, no text."
    )


def _parts(training: Mapping[str, Any]) -> list[str]:
    """Return the section that compares images, texts and both, for a model of both."""
    if not training.get("parts"):
        return []
    lines = [
        "Images alone, texts alone and both, on the same held-out users, who have both:",
        "",
        "| trait | what it sees | users | accuracy | majority baseline | macro-F1 |",
        "|---|---|---|---|---|---|",
    ]
    for part, scores in training["parts"].items():
        for name, score in scores.items():
            lines.append(
                f"| {as_markdown(name)} | {part} | {score['users']:,} | {score['accuracy']:.3f} | "
                f"{score['majority']:.3f} | {score['macro_f1']:.3f} |"
            )
    return ["\n".join(lines)]


def _classes(trait: Trait) -> str:
    return f"- {as_markdown(trait.name)}: {', '.join(map(as_markdown, trait.classes))}"


def _backbone(network: NetworkSpec, training: Mapping[str, Any]) -> list[str]:
    """Return the section on the backbone that others have designed, if there is one."""
    if not isinstance(network, EmbeddingSetSpec):
        return []
    name = as_markdown(network.backbone)
    if "weights" not in training:
        return [f"The backbone is {name}, which began with random weights."]
    weights = training["weights"]
    licence = as_markdown(weights["license"] or "unknown; ask its source before you publish")
    kept = {"head": "stayed as they are", "last": "were changed in the last stages"}
    return [
        f"The backbone is {name}. Its weights come from {as_markdown(weights['source'])} (licence: "
        f"{licence}) and {kept.get(training['learned'], 'were all changed')}. What it has learned "
        "to see, and on whose images, limits what this model can tell apart."
    ]


def _held_out(training: Mapping[str, Any]) -> str:
    if training.get("held_out_in_turn"):
        if _reads_texts(training) and not training.get("parts"):
            return (
                "Each user was held out by one of the models that were trained, from whom the "
                f"others learned: {training['val_users']:,} in all"
            )
        return (
            "Each head held out a part of the users, from whom other heads learned: "
            f"{training['val_users']:,} in all"
        )
    held_out = training["val_users"]
    return f"A further {count_of(held_out, 'user')} {one_or_many(held_out, 'was', 'were')} held out"


def _together(training: Mapping[str, Any]) -> str:
    members = len(training["kept_epochs"])
    return f" (the mean of {members}, trained one after the other)" if members > 1 else ""


def _folds(training: Mapping[str, Any]) -> list[str]:
    """Return the section on the cross-validation, if there was one."""
    if not training.get("folds"):
        return []
    count = training["settings"]["folds"]
    lines = [
        f"Cross-validated in {count} folds: each user was tested once, by a network that was "
        "trained neither on them nor on any of their images.",
        "",
        "| trait | users | accuracy | 95% interval | spread over folds | majority baseline | "
        "macro-F1 | spread |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, fold in training["folds"].items():
        low, high = wilson_interval(fold["accuracy"], fold["users"])
        lines.append(
            f"| {as_markdown(name)} | {fold['users']:,} | {fold['accuracy']:.3f} | {low:.3f} to "
            f"{high:.3f} | {fold['accuracy_spread']:.3f} | {fold['majority']:.3f} | "
            f"{fold['macro_f1']:.3f} | {fold['macro_f1_spread']:.3f} |"
        )
    return ["\n".join(lines)]


def _scores(training: Mapping[str, Any]) -> list[str]:
    scores, calibration = training["best"]["scores"], training["calibration"]
    if not scores:
        return ["Not measured: no users were held out. Measure it with `tweetprofile evaluate`."]
    lines = [
        f"Measured on {count_of(training['val_users'], 'held-out user')}. The best epoch was "
        "chosen and the confidences were calibrated on the same users, which flatters the "
        "figures a little.",
        *(f"**{warning}**" for warning in training.get("warnings", [])),
        *training.get("notes", []),
        "",
        "| trait | users | accuracy | majority baseline | macro-F1 | calibration error before | "
        "after |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, score in scores.items():
        each = calibration[name]
        lines.append(
            f"| {as_markdown(name)} | {score['users']:,} | {score['accuracy']:.3f} | "
            f"{score['majority']:.3f} | {score['macro_f1']:.3f} | {each['ece_before']:.3f} | "
            f"{each['ece_after']:.3f} |"
        )
    return lines
