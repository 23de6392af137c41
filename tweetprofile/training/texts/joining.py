"""Whole models with texts: of texts alone, or of images and texts together."""

from collections.abc import Mapping
from dataclasses import replace

from tweetprofile.checkpoints.text_part import TextHeader, TextPart
from tweetprofile.networks import NoImages, NoImagesSpec
from tweetprofile.plurals import count_of, one_or_many
from tweetprofile.scoring.fusion import Fusion
from tweetprofile.scoring.traits import mean_macro_f1
from tweetprofile.training.fingerprint import fingerprint_text_users
from tweetprofile.training.finishing import Trained, UserCounts
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.plan import TrainingPlan
from tweetprofile.training.texts.fusing import FusionFit, class_shares, fit_fusion
from tweetprofile.training.texts.learning import LearnedTexts

_FEWEST_USERS = 20
"""The fewest users who have images and texts from whom weights can be fitted."""


def model_of_texts(plan: TrainingPlan, texts: LearnedTexts) -> Trained:
    """Return a model that reads texts and looks at no images."""
    header = TextHeader(texts.spec, _temperatures(texts))
    held_out = texts.held_out.users_R
    return Trained(
        network=NoImages(NoImagesSpec(), plan.options.volume_spec, plan.found.schema),
        best=texts.metrics,
        kept_epochs=(1,),
        calibration=texts.calibration,
        counts=UserCounts(
            users=len(texts.users_N),
            val_users=len(held_out),
            left_out=texts.left_out,
            unlabelled=texts.unlabelled,
        ),
        seen=fingerprint_text_users(plan.manifest, plan.validation, texts.users_N, held_out),
        in_turn=plan.validation is None,
        notes=(texts.note,),
        temperatures=dict.fromkeys(plan.found.schema.names, 1.0),
        texts=TextPart(texts.model, header),
    )


def with_texts(
    plan: TrainingPlan, images: Trained, texts: LearnedTexts, observer: TrainObserver
) -> Trained:
    """Return a model of images and texts, with weights fitted on users whom both held out.

    If too few held-out users have both, images and texts count half each, and a warning says so.
    """
    schema, fit = plan.found.schema, None
    if images.held_out is not None:
        fit = fit_fusion(images.held_out, texts.held_out, texts.labels_NT, schema)
    if fit is None or fit.users < _FEWEST_USERS:
        return _with_even_weights(plan, images, texts, observer, 0 if fit is None else fit.users)
    note = _describe(fit)
    observer.on_note(note)
    return replace(
        _joined(images, texts, fit.fusion),
        best=replace(
            images.best, scores=fit.scores["both"], mean_macro_f1=mean_macro_f1(fit.scores["both"])
        ),
        calibration=fit.calibration,
        notes=(*images.notes, texts.note, note),
        parts=fit.scores,
    )


def _with_even_weights(
    plan: TrainingPlan,
    images: Trained,
    texts: LearnedTexts,
    observer: TrainObserver,
    users: int,
) -> Trained:
    """Return a model in which images and texts count half each, as cautious as either alone."""
    warning = (
        f"{count_of(users, 'held-out user')} {one_or_many(users, 'has', 'have')} a usable image, a "
        f"text and a label, too few to weigh images against texts ({_FEWEST_USERS} are needed): "
        "each counts half, and the scores are those of images alone."
    )
    observer.on_warning(warning)
    fusion = {
        trait.name: Fusion(0.5, 0.5, class_shares(texts.labels_NT[:, column], len(trait.classes)))
        for column, trait in enumerate(plan.found.schema)
    }
    joined = _joined(images, texts, fusion)
    return replace(joined, warnings=(*images.warnings, warning))


def _joined(images: Trained, texts: LearnedTexts, fusion: Mapping[str, Fusion]) -> Trained:
    header = TextHeader(texts.spec, _temperatures(texts), fusion)
    return replace(
        images,
        temperatures={name: each.temperature for name, each in images.calibration.items()},
        notes=(*images.notes, texts.note),
        texts=TextPart(texts.model, header),
    )


def _temperatures(texts: LearnedTexts) -> dict[str, float]:
    return {name: each.temperature for name, each in texts.calibration.items()}


def _describe(fit: FusionFit) -> str:
    """Return a sentence on the weights, and on whom they were fitted."""
    weights = "; ".join(
        f"{name} {each.images:.2f} : {each.texts:.2f}" for name, each in fit.fusion.items()
    )
    return (
        f"images and texts weigh {weights}, fitted on {fit.users:,} held-out users who have both; "
        "users who have one of them are predicted by it."
    )
