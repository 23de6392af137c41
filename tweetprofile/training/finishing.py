"""The end of a training: the model, its card, and the description that both hold."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.checkpoints.fingerprints import TrainingFingerprint
from tweetprofile.checkpoints.text_part import TextPart
from tweetprofile.networks import AnyNetwork
from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.scoring.traits import TraitScore
from tweetprofile.training.calibration import TemperatureFit
from tweetprofile.training.card import CARD, make_card
from tweetprofile.training.folder import HEAD_FOLDER, write_card
from tweetprofile.training.held_out import HeldOut
from tweetprofile.training.plan import TrainingPlan
from tweetprofile.training.state import STATE
from tweetprofile.training.summary import TrainSummary
from tweetprofile.training.writing import explain_write_errors
from tweetprofile.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCounts:
    """The users of a training.

    Attributes:
        users: The number of users that the model learned from.
        val_users: The number of held-out users.
        left_out: The number of users who have nothing that the model could learn from.
        unlabelled: The number of users without a label.
    """

    users: int
    val_users: int
    left_out: int
    unlabelled: int


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model that was trained.

    Attributes:
        network: The whole network over images.
        best: The metrics of the model on the held-out users.
        kept_epochs: The epoch that was kept of each member.
        calibration: The temperature of each trait, and its effect.
        counts: The numbers of users.
        seen: The fingerprints of the users and images that the model has learned from.
        held_out: The logits of the held-out users by images; None if there are none.
        in_turn: Whether each user was held out by some of the networks.
        warnings: Sentences to read before trusting the scores.
        notes: Sentences for the model card.
        temperatures: The temperatures of the network; None for those of `calibration`.
        texts: The part that reads texts.
        parts: The scores of images, of texts and of both, if the model has both.
    """

    network: AnyNetwork
    best: EpochMetrics
    kept_epochs: tuple[int, ...]
    calibration: Mapping[str, TemperatureFit]
    counts: UserCounts
    seen: TrainingFingerprint
    held_out: HeldOut | None = None
    in_turn: bool = False
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    temperatures: Mapping[str, float] | None = None
    texts: TextPart | None = None
    parts: Mapping[str, Mapping[str, TraitScore]] = field(default_factory=dict)


def write_model(summary: TrainSummary, plan: TrainingPlan, trained: Trained) -> None:
    """Write the model card and the model, and remove the state, which is no longer needed."""
    temperatures = trained.temperatures
    if temperatures is None:
        temperatures = {name: each.temperature for name, each in trained.calibration.items()}
    training = _describe(summary, plan, trained)
    card = make_card(trained.network.spec, plan.options.volume_spec, plan.found.schema, training)
    write_card(plan.folder / CARD, card)
    with explain_write_errors(summary.checkpoint):
        save_checkpoint(summary.checkpoint, trained.network, training, temperatures, trained.texts)
        for folder in (plan.folder, plan.folder / HEAD_FOLDER):
            (folder / STATE).unlink(missing_ok=True)


def _describe(summary: TrainSummary, plan: TrainingPlan, trained: Trained) -> Mapping[str, Any]:
    """Return the description of the training that the checkpoint holds."""
    return {
        "version": __version__,
        "users": summary.users,
        "val_users": summary.val_users,
        "held_out_in_turn": summary.in_turn,
        "left_out": summary.left_out,
        "unlabelled": summary.unlabelled,
        "epochs": plan.options.epochs,
        "seconds": summary.seconds,
        "kept_epochs": summary.kept_epochs,
        "best": asdict(summary.best),
        "calibration": {name: asdict(each) for name, each in summary.calibration.items()},
        "settings": plan.settings,
        "finished": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "manifest": Path(plan.manifest.source).name,
        "run": plan.folder.absolute().name,
        "warnings": trained.warnings,
        "notes": trained.notes,
        "folds": {name: asdict(each) for name, each in summary.folds.items()},
        "seen": trained.seen.to_dict(),
        "parts": {
            name: {trait: asdict(score) for trait, score in scores.items()}
            for name, scores in summary.parts.items()
        },
        **_describe_backbone(plan),
    }


def _describe_backbone(plan: TrainingPlan) -> dict[str, Any]:
    """Return what the checkpoint says of the backbone's weights; nothing without a backbone."""
    if plan.options.learned is None or plan.options.use == "texts":
        return {}
    weights = {"weights": dict(plan.loaded.record)} if plan.loaded is not None else {}
    return {"learned": plan.options.learned, **weights}
