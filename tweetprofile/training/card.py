"""The model card that goes beside a checkpoint: what it is for, and how wrong it is.

After Mitchell et al. 2019, "Model Cards for Model Reporting"; every figure is the run's own.
"""

import re
from collections.abc import Mapping
from typing import Any

from tweetprofile.networks import NetworkSpec
from tweetprofile.scoring.uncertainty import wilson_interval
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.untrusted.text import printable
from tweetprofile.volumes.spec import VolumeSpec

CARD = "MODEL_CARD.md"
"""Name of its file in a run's folder."""

_USE = """\
## What it is for, and what not

For research on groups of users: how a sample is made up, and how groups differ, with the errors
below carried along. Use it on data that you may use, under the terms they came with.

Not for deciding anything about a person, nor for finding, ranking or approaching people by a trait.
Single predictions are often wrong, and a confidence says how often such predictions are right, not
that this one is. Leave unsure users out, and say how many.
"""

_LABELS = """\
Labels are what somebody assigned to users; their errors are learnt, too. Whoever fits none of the
classes is given one all the same. Images show what people post, which is not who they are, and
differs between countries, years and platforms: on other users than those it learnt from, expect
worse.
"""


def make_card(
    network: NetworkSpec,
    volume_spec: VolumeSpec,
    schema: TraitSchema,
    training: Mapping[str, Any],
) -> str:
    """The card of a checkpoint as Markdown.

    Args:
        network: that was trained.
        volume_spec: what it takes.
        schema: what it predicts.
        training: what the checkpoint says of its training.
    """
    size = f"{volume_spec.frames} images of a user, each {volume_spec.width} x {volume_spec.height}"
    recipe = training["settings"]["recipe"]
    parts = [
        f"# Model card: {as_markdown(network.name)}, {as_markdown(', '.join(schema.names))}",
        f"Made by tweetprofile {training['version']}. The network "
        f"{as_markdown(network.name)}"
        f"{_together(training)} takes up to {size} pixels, and gives a probability to each class "
        "of each trait. Nothing else is seen: no name, no text.",
        _USE,
        "## How wrong it is",
        "\n".join(_scores(training)),
        *_folds(training),
        "## What it was trained on",
        f"{training['users']:,} users (recipe `{recipe}`), {training['val_users']:,} more set "
        f"aside; {training['left_out']:,} had no usable image and {training['unlabelled']:,} no "
        "label.",
        "\n".join(map(_classes, schema)),
        _LABELS,
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def as_markdown(text: str) -> str:
    """A text that means nothing in Markdown or HTML: no link, no table, no tag.

    A backslash before any sign of ASCII makes it a letter (CommonMark 0.31, "Backslash escapes").
    """
    return re.sub(r"([!-+/:-@\[-`{-~.])", r"\\\1", printable(text))


def _classes(trait: Trait) -> str:
    return f"- {as_markdown(trait.name)}: {', '.join(map(as_markdown, trait.classes))}"


def _together(training: Mapping[str, Any]) -> str:
    members = len(training["kept_epochs"])
    return f" (the mean of {members}, trained one after the other)" if members > 1 else ""


def _folds(training: Mapping[str, Any]) -> list[str]:
    """What a cross-validation found, where there was one."""
    if not training.get("folds"):
        return []
    count = training["settings"]["folds"]
    lines = [
        f"Cross-validated in {count} folds: each user was tested on once, by a network that had "
        "seen neither them nor any of their images.",
        "",
        "| trait | users | accuracy | 95% | spread over folds | always the most frequent class | "
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
        return ["Not measured: no user was set aside. Measure it with `tweetprofile evaluate`."]
    lines = [
        f"On {training['val_users']:,} users set aside, among whom the best epoch was chosen and "
        "the confidences were calibrated; both flatter a little.",
        *(f"**{warning}**" for warning in training.get("warnings", [])),
        *training.get("notes", []),
        "",
        "| trait | users | accuracy | always the most frequent class | macro-F1 | calibration "
        "error before | after |",
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
