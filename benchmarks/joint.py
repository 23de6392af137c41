"""Compare a joint network of images and texts with late fusion, on users whom neither has seen.

    tweetprofile import pan17 pan17/training -o authors.parquet
    python benchmarks/joint.py users.parquet authors.parquet --image-root FOLDER --folder FOLDER

The users of the first manifest have images and the labels gender and location; each of them gets
the texts of an author of the second one, of the same gender and of one variety per location. Late
fusion is what `train` makes of images and texts: heads over embeddings, a linear model of n-grams,
and two weights per trait. The joint network takes the same embeddings and a vector of the same
n-grams into common layers (`joint_network.py`). Both learn from four fifths of the users and
predict the rest, in five folds that share neither images nor authors. In each fold, the users whom
networks hold out choose the design of the joint network; the tested users choose nothing.

Give no test users: what is measured decides what the package offers.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

import click
import numpy as np
import torch
from joint_network import predict_joint
from joint_parts import JOINT, LATE, MODELS, Predictions, Probabilities, predict_late
from joint_users import Fold, Users, folds_of, join_users, load
from numpy.typing import NDArray
from report import report, show_table
from torch.nn.functional import cross_entropy

from tweetprofile.scoring.calibration import calibration_error, reliability_bins
from tweetprofile.scoring.classes import ClassCounts
from tweetprofile.training.calibration import calibrate

DRAWS = 2000


METRICS = ("accuracy", "macro_f1", "log_loss")


@click.command()
@click.argument("images", type=click.Path(exists=True, path_type=Path))
@click.argument("texts", type=click.Path(exists=True, path_type=Path))
@click.option("--image-root", type=click.Path(exists=True, path_type=Path), required=True)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="A folder for joined users, embeddings and predictions; what it has is used again.",
)
@click.option("--folds", default=5, show_default=True)
@click.option("--members", default=10, show_default=True, help="Networks of the joint ensemble.")
@click.option("--head", default="sum", show_default=True, help="The head of late fusion.")
@click.option("--seed", default=0, show_default=True)
def main(
    images: Path,
    texts: Path,
    image_root: Path,
    folder: Path,
    folds: int,
    members: int,
    head: str,
    seed: int,
) -> None:
    """Predict every user once by each model, and compare them."""
    folder.mkdir(parents=True, exist_ok=True)
    joined = folder / "joined.parquet"
    if not joined.exists():
        join_users(images, texts, joined, seed)
    users = load(joined, folder, image_root, head)
    folded = list(folds_of(users, folds, seed))
    predicted = [predict_fold(users, fold, members, folder) for fold in folded]
    labels_NT = np.concatenate([fold.test.labels for fold in folded])
    models = {
        model: {
            name: np.concatenate([part[model][name] for part in predicted])
            for name in users.plan.found.schema.names
        }
        for model in MODELS
    }
    show(models, labels_NT, {"folds": folds, "members": members, "head": head, "seed": seed})


def predict_fold(users: Users, fold: Fold, members: int, folder: Path) -> Predictions:
    """Learn from the users of a fold, and predict the others by every model."""
    late = kept(folder / f"late-{fold.number}.npz", lambda: predict_late(users, fold))
    joint = kept(folder / f"joint-{fold.number}.npz", lambda: predict_joint(users, fold, members))
    return {**late, **joint}


def kept(path: Path, predict: Callable[[], Predictions]) -> Predictions:
    """Return the predictions that a file keeps; make them if there is none."""
    if not path.exists():
        made = predict()
        rows = {f"{model}/{name}": made[model][name] for model in made for name in made[model]}
        np.savez(path, **rows)  # type: ignore[arg-type]  # it takes `rows` for `allow_pickle`
    models: dict[str, dict[str, NDArray[np.float32]]] = {}
    with np.load(path) as arrays:
        for key, array in arrays.items():
            model, _, name = key.partition("/")
            models.setdefault(model, {})[name] = array
    return models


@dataclass(frozen=True, slots=True)
class Figures:
    """How good the predictions of a trait are.

    Attributes:
        accuracy: The share of users whose most probable class is right.
        macro_f1: The mean F1 of the classes.
        log_loss: The mean negative logarithm of the probability of the right class.
        lowest_loss: The same at the temperature that is best for these users, with which no
            calibration can compete.
        calibration: The calibration error.
    """

    accuracy: float
    macro_f1: float
    log_loss: float
    lowest_loss: float
    calibration: float

    @classmethod
    def of(cls, probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> "Figures":
        """Score the probabilities (N, K) of users."""
        confidence = probabilities.max(axis=1).astype(np.float64)
        right = probabilities.argmax(axis=1) == labels
        return cls(
            *score(probabilities, labels),
            lowest_loss=lowest_loss(probabilities, labels),
            calibration=calibration_error(reliability_bins(confidence, right)),
        )


def score(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[float, float, float]:
    """Return the accuracy, the macro-F1 and the log loss of the probabilities (N, K) of users."""
    counts = ClassCounts.of(labels, probabilities.argmax(axis=1), probabilities.shape[1])
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    loss = float(-np.log(np.maximum(own, 1e-9)).mean())
    return float(counts.accuracy), float(counts.macro_f1), loss


def lowest_loss(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the mean negative logarithm of the right class's probability, best calibrated."""
    logits = torch.from_numpy(np.log(np.maximum(probabilities, 1e-9)))
    targets = torch.from_numpy(labels)
    return float(cross_entropy(logits / calibrate(logits, targets).temperature, targets))


def differences(
    joint: Probabilities, late: Probabilities, labels_NT: NDArray[np.int64]
) -> dict[str, dict[str, list[float]]]:
    """Return by how much the joint network is above late fusion, with 95% intervals.

    Returns:
        Mean, low and high of a paired bootstrap, by trait (and `mean` over the traits) and metric.
    """
    random = np.random.default_rng(0)
    draws: dict[str, dict[str, list[float]]] = {
        name: {metric: [] for metric in METRICS} for name in (*joint, "mean")
    }
    for _ in range(DRAWS):
        drawn = random.integers(len(labels_NT), size=len(labels_NT))
        for column, name in enumerate(joint):
            one, other = (
                score(rows[name][drawn], labels_NT[drawn, column]) for rows in (joint, late)
            )
            for metric, first, second in zip(METRICS, one, other, strict=True):
                draws[name][metric].append(first - second)
        for metric in METRICS:
            each = [draws[name][metric][-1] for name in joint]
            draws["mean"][metric].append(float(np.mean(each)))
    return {
        name: {
            metric: [float(np.mean(own)), *np.quantile(own, [0.025, 0.975]).tolist()]
            for metric, own in metrics.items()
        }
        for name, metrics in draws.items()
    }


def show(models: Predictions, labels_NT: NDArray[np.int64], settings: Mapping[str, object]) -> None:
    """Print the figures of every model, and the differences of the two that see both."""
    traits = list(models[LATE])
    figures = {
        model: {
            name: Figures.of(rows[name], labels_NT[:, column]) for column, name in enumerate(traits)
        }
        for model, rows in models.items()
    }
    show_table(
        f"{len(labels_NT):,} users, each predicted once",
        ("", *(field.name for field in fields(Figures))),
        [
            (f"{name}, {model}", *(f"{value:.3f}" for value in astuple(own[name])))
            for name in traits
            for model, own in figures.items()
        ],
    )
    found = differences(models[JOINT], models[LATE], labels_NT)
    report(
        f"{JOINT} minus {LATE}, with 95% intervals",
        ("", *METRICS),
        [
            (name, *(f"{own[m][0]:+.3f} ({own[m][1]:+.3f} to {own[m][2]:+.3f})" for m in METRICS))
            for name, own in found.items()
        ],
        {
            "settings": settings,
            "figures": {
                model: {name: asdict(each) for name, each in own.items()}
                for model, own in figures.items()
            },
            "differences": found,
        },
    )


if __name__ == "__main__":
    main()
