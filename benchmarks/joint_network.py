"""The joint network of `joint.py`: a user's images and a vector of the user's texts, one network.

The paper imagines a multimodal model as text and volume that enter common layers. Here the frames'
embeddings by a pretrained backbone are pooled, and the texts' weighted n-grams are reduced to a
vector by a truncated SVD (latent semantic analysis) of the users to learn from.

Shapes: N users, D frames of a user, C features of an embedding, V numbers of a text vector.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from joint_parts import JOINT, Predictions, calibrated, in_turn
from joint_users import Fold, Users
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from tweetprofile.networks.heads import Heads
from tweetprofile.texts.model import TermWeights
from tweetprofile.texts.spec import TextSpec
from tweetprofile.training.cache import Subset
from tweetprofile.training.calibration import calibrate
from tweetprofile.training.held_out import HeldOut
from tweetprofile.training.texts.kernels import block_kernels
from tweetprofile.training.texts.weighted import Weighted
from tweetprofile.traits import TraitSchema

_BATCH_SIZE = 64
_LEARNING_RATE = 1e-3
_LABEL_SMOOTHING = 0.1
_TEXT_NUMBERS = 256
"""V. More of them were worse: they tell the users to learn from apart, but not others."""

_TRIALS = 3
"""The networks of each design that are trained to choose one."""

_FEWEST_FRAMES = 0.3
"""In training, a user has a random share of the frames, from this one to all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A joint network.

    Attributes:
        frame_width: The width of a layer that every embedding passes before they are averaged; 0
            for none.
        common: The widths of the common layers.
        dropout: The share of what enters the common layers, and of what each of them gives, that
            is dropped.
        weight_decay: The weight decay of AdamW.
        epochs: The passes over the users.
    """

    frame_width: int = 0
    common: tuple[int, ...] = (256,)
    dropout: float = 0.5
    weight_decay: float = 0.05
    epochs: int = 30


DESIGNS: Mapping[str, Design] = {
    "one layer": Design(weight_decay=1.0),
    "one layer, fewer epochs": Design(weight_decay=1.0, epochs=15),
    "two layers": Design(weight_decay=1.0, common=(256, 128)),
    "a layer per frame, then one": Design(frame_width=128),
    "a layer per frame, then one; fewer epochs": Design(frame_width=128, dropout=0.3, epochs=15),
}


class JointNetwork(nn.Module):
    """Maps images and texts to logits through common layers.

    Args:
        design: The network.
        features: C.
        schema: The traits.
    """

    def __init__(self, design: Design, features: int, schema: TraitSchema) -> None:
        super().__init__()
        drop = nn.Dropout(design.dropout)
        self.drop = drop
        width = design.frame_width or features
        self.frame: nn.Module = nn.Identity()
        if design.frame_width:
            self.frame = nn.Sequential(nn.Linear(features, width), nn.GELU())
        layers: list[nn.Module] = []
        entering = width + _TEXT_NUMBERS
        for wide in design.common:
            layers += [nn.Linear(entering, wide), nn.GELU(), drop]
            entering = wide
        self.common = nn.Sequential(*layers)
        self.heads = Heads(entering, schema)
        self.heads.initialise()

    def forward(
        self, frames_NDC: torch.Tensor, mask_ND: torch.Tensor, texts_NV: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return the logits (N, classes) by trait."""
        shares_ND = mask_ND / mask_ND.sum(dim=1, keepdim=True)
        pooled = torch.einsum("ndc,nd->nc", self.frame(frames_NDC), shares_ND)
        logits: dict[str, torch.Tensor] = self.heads(
            self.common(torch.cat([self.drop(pooled), self.drop(texts_NV)], dim=1))
        )
        return logits


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the networks of a fold see of all users, those to learn from first.

    Attributes:
        frames_NDC: The embeddings of the users' frames, as the backbone gives them.
        mask_ND: 1 for a user's own frames, 0 for the others.
        kernel_NN: How similar the texts of two users are; 1 for a user and itself.
        labels_NT: The class numbers of the labels.
    """

    frames_NDC: torch.Tensor
    mask_ND: torch.Tensor
    kernel_NN: torch.Tensor
    labels_NT: torch.Tensor

    @classmethod
    def of(cls, users: Users, fold: Fold) -> "Inputs":
        """Read the embeddings and compare the texts of all users of a fold."""
        every = [fold.train, fold.test]
        frames = [
            np.asarray(part.cache.items_M[part.frames_of(position), 0], np.float32)
            for part in every
            for position in range(len(part))
        ]
        longest = max(map(len, frames))
        padded = np.zeros((len(frames), longest, frames[0].shape[1]), np.float32)
        mask = np.zeros((len(frames), longest), np.float32)
        for row, own in enumerate(frames):
            padded[row, : len(own)], mask[row, : len(own)] = own, 1
        labels = np.concatenate([part.labels for part in every])
        return cls(
            torch.from_numpy(padded),
            torch.from_numpy(mask),
            compare_texts(users, fold),
            torch.from_numpy(labels),
        )


def compare_texts(users: Users, fold: Fold) -> torch.Tensor:
    """Return the similarities of the texts of all users of a fold.

    The users to learn from decide which n-grams count, and how much.
    """
    spec = TextSpec()
    frequencies = np.zeros(spec.buckets, np.int64)
    for user in fold.train.users.tolist():
        frequencies[users.counts.of_user(user).buckets_J] += 1
    buckets = np.flatnonzero(frequencies >= 2)
    idf = np.log((1 + len(fold.train)) / (1 + frequencies[buckets])) + 1
    terms = TermWeights(
        spec=spec, buckets_F=buckets.astype(np.uint32), idf_F=idf.astype(np.float32)
    )
    every = np.concatenate([fold.train.users, fold.test.users])
    with tempfile.TemporaryDirectory(prefix="tweetprofile-") as folder:
        weighted = Weighted.of(users.counts, every, terms, Path(folder))
        return torch.stack(block_kernels(weighted, terms.block_starts)).mean(dim=0)


def text_vectors(kernel_NN: torch.Tensor, learns: torch.Tensor) -> torch.Tensor:
    """Return the vectors (N, V) of all users by a truncated SVD of those to learn from.

    The vector of a user to learn from leaves out the similarity with itself, which no other user
    has. With it, these users would have longer vectors than others.

    Args:
        kernel_NN: The similarities of all users.
        learns: The positions of the users to learn from.
    """
    squares, basis = torch.linalg.eigh(kernel_NN[learns][:, learns].double())
    squares, basis = squares[-_TEXT_NUMBERS:], basis[:, -_TEXT_NUMBERS:]
    similar = kernel_NN[:, learns].double()
    similar[learns, torch.arange(len(learns))] = 0
    vectors = similar @ (basis / squares.sqrt())
    vectors = vectors - vectors[learns].mean(dim=0)
    scaled: torch.Tensor = vectors / vectors[learns].square().mean().sqrt()
    return scaled.float()


def train_network(
    design: Design, inputs: Inputs, learns: torch.Tensor, schema: TraitSchema, seed: int
) -> dict[str, torch.Tensor]:
    """Train a network on some users; return the logits (N, classes) of all by trait."""
    torch.manual_seed(seed)
    frames = inputs.frames_NDC[learns][inputs.mask_ND[learns] > 0]
    mean, std = frames.mean(dim=0), frames.std(dim=0)
    frames_NDC = (inputs.frames_NDC - mean) / (std + 0.01 * std.mean())
    mask_ND, texts_NV = inputs.mask_ND, text_vectors(inputs.kernel_NN, learns)
    network = JointNetwork(design, frames_NDC.shape[2], schema)
    optimiser = torch.optim.AdamW(
        network.parameters(), _LEARNING_RATE, weight_decay=design.weight_decay
    )
    steps = design.epochs * (len(learns) // _BATCH_SIZE)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(design.epochs):
        order = learns[torch.randperm(len(learns))]
        for step in range(len(learns) // _BATCH_SIZE):
            own = order[step * _BATCH_SIZE : (step + 1) * _BATCH_SIZE]
            logits = network(frames_NDC[own], drop_frames(mask_ND[own]), texts_NV[own])
            loss = torch.stack(
                [
                    cross_entropy(
                        logits[name],
                        inputs.labels_NT[own, column],
                        label_smoothing=_LABEL_SMOOTHING,
                    )
                    for column, name in enumerate(schema.names)
                ]
            ).sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            rates.step()
    network.eval()
    with torch.inference_mode():
        predicted: dict[str, torch.Tensor] = network(frames_NDC, mask_ND, texts_NV)
    return predicted


def drop_frames(mask_ND: torch.Tensor) -> torch.Tensor:
    """Drop frames at random; every user keeps one or more."""
    kept = _FEWEST_FRAMES + (1 - _FEWEST_FRAMES) * torch.rand(len(mask_ND), 1)
    chances = torch.rand_like(mask_ND).masked_fill(mask_ND == 0, 2.0)
    dropped = (chances > kept) & (chances > chances.min(dim=1, keepdim=True).values)
    return mask_ND * ~dropped


def predict_joint(users: Users, fold: Fold, members: int) -> Predictions:
    """Choose a design, learn from the users of a fold, and predict the others.

    The design that predicts held-out users best is taken, and the mean of several networks of it.
    """
    inputs = Inputs.of(users, fold)
    schema = users.plan.found.schema
    losses = {}
    for name, design in DESIGNS.items():
        began = time.monotonic()
        held_out, _ = _learn(users, fold, inputs, design, _TRIALS)
        losses[name] = _loss(held_out, schema)
        seconds = time.monotonic() - began
        print(f"fold {fold.number}, {name}: loss {losses[name]:.3f}, {seconds:.0f} s", flush=True)
    best = min(losses, key=lambda name: losses[name])
    held_out, logits = _learn(users, fold, inputs, DESIGNS[best], members)
    print(f"fold {fold.number}: {best}", flush=True)
    return {JOINT: calibrated(users, held_out, logits, members)}


def _learn(
    users: Users, fold: Fold, inputs: Inputs, design: Design, members: int
) -> tuple[HeldOut, dict[str, torch.Tensor]]:
    """Train networks; return the logits of those they held out, and mean logits of the tested."""
    schema, seed = users.plan.found.schema, users.plan.options.seed
    held: list[HeldOut] = []
    tested: list[dict[str, torch.Tensor]] = []
    for member, (rest, out) in enumerate(in_turn(fold.train, seed, members)):
        learns, rows = _positions(fold.train, rest), _positions(fold.train, out)
        logits = train_network(design, inputs, learns, schema, seed + member)
        own = {name: each[rows] for name, each in logits.items()}
        held.append(HeldOut(out.users, out.labels, own))
        tested.append({name: each[len(fold.train) :] for name, each in logits.items()})
    mean = {name: torch.stack([each[name] for each in tested]).mean(dim=0) for name in schema.names}
    return HeldOut.join(held), mean


def _loss(held_out: HeldOut, schema: TraitSchema) -> float:
    """Return the cross-entropy of held-out users at the best temperatures, over all traits."""
    total = 0.0
    for column, name in enumerate(schema.names):
        logits, labels = held_out.labelled(name, column)
        total += float(cross_entropy(logits / calibrate(logits, labels).temperature, labels))
    return total


def _positions(every: Subset, some: Subset) -> torch.Tensor:
    order: NDArray[np.int64] = np.searchsorted(every.users, some.users)
    assert np.array_equal(every.users[order], some.users)
    return torch.from_numpy(order)
