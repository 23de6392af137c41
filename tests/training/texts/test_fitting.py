"""A model of texts learns what is in the texts, and is scored on users it has not seen."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.training.texts.drawn import SPEC, counts_of, draw_texts
from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.texts.ngrams import count_ngrams
from tweetprofile.training.texts import fitting
from tweetprofile.training.texts.directions import SharedDirections, corrected
from tweetprofile.training.texts.fitting import TextFit, TextSetting, TextUsers, fit_texts
from tweetprofile.training.texts.solver import Multiply, Solutions
from tweetprofile.traits import Trait, TraitSchema

USERS = 120
SCHEMA = TraitSchema((Trait("gender", ("female", "male")), Trait("region", ("n", "s", "w"))))


def draw_labels(seed: int = 0) -> NDArray[np.int64]:
    """Draw a class of each trait per user."""
    random = np.random.default_rng(seed)
    return np.stack([random.integers(0, 2, USERS), random.integers(0, 3, USERS)], axis=1)


def draw_users(labels_NT: NDArray[np.int64]) -> TextUsers:
    """Draw texts whose words depend on both traits of a user."""
    genders = draw_texts(labels_NT[:, 0], seed=1)
    regions = draw_texts(labels_NT[:, 1], seed=2)
    texts = [one + other for one, other in zip(genders, regions, strict=True)]
    return TextUsers(counts=counts_of(texts), users_N=np.arange(USERS), labels_NT=labels_NT)


def fit(users: TextUsers, folder: Path, schema: TraitSchema = SCHEMA) -> TextFit:
    folder.mkdir(exist_ok=True)
    return fit_texts(users, schema, SPEC, 0, folder)


def accuracy(fitted: TextFit, trait: int) -> float:
    """Return the share of held-out users who are predicted right, of those with a label."""
    held_out = fitted.held_out
    labels = held_out.labels_RT[:, trait]
    logits = [*held_out.logits.values()][trait].numpy()
    return float((logits.argmax(axis=1) == labels)[labels != UNKNOWN].mean())


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Compute in one thread: matrices of so few users are too small to be divided."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def users() -> TextUsers:
    return draw_users(draw_labels())


@pytest.fixture(scope="module")
def fitted(users: TextUsers, tmp_path_factory: pytest.TempPathFactory) -> TextFit:
    return fit(users, tmp_path_factory.mktemp("fitted"))


@pytest.fixture(scope="module")
def of_sample(users: TextUsers, tmp_path_factory: pytest.TempPathFactory) -> TextFit:
    """The same with kernels of 80 users only, as if all of them did not fit into memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "MOST_BY_KERNEL", 80)
        return fit(users, tmp_path_factory.mktemp("sampled"))


def test_users_who_were_held_out_are_predicted_better_than_by_chance(fitted: TextFit) -> None:
    assert accuracy(fitted, 0) > 0.8
    assert accuracy(fitted, 1) > 0.7


def test_every_user_is_held_out_once(users: TextUsers, fitted: TextFit) -> None:
    assert fitted.held_out.users_R.tolist() == list(range(USERS))
    assert np.array_equal(fitted.held_out.labels_RT, users.labels_NT)
    assert {name: each.shape for name, each in fitted.held_out.logits.items()} == {
        "gender": (USERS, 2),
        "region": (USERS, 3),
    }


def test_settings_are_chosen_per_trait(fitted: TextFit) -> None:
    assert list(fitted.settings) == ["gender", "region"]
    for setting in fitted.settings.values():
        assert sum(setting.block_weights) == pytest.approx(1)
        assert setting.cost in fitting._COSTS


def test_held_out_logits_of_meaningless_labels_are_chance(users: TextUsers, tmp_path: Path) -> None:
    order = np.random.default_rng(3).permutation(USERS)
    shuffled = replace(users, labels_NT=users.labels_NT[order])
    fitted = fit(shuffled, tmp_path)
    assert accuracy(fitted, 0) < 0.65
    assert accuracy(fitted, 1) < 0.5


def test_a_users_own_label_does_not_change_the_users_logits(
    users: TextUsers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = TextSetting((0.5, 0.25, 0.25), 100.0)  # the label may change which setting is best
    monkeypatch.setattr(fitting, "_choose", lambda *_: setting)
    changed = users.labels_NT.copy()
    changed[5] = 1 - changed[5, 0], (changed[5, 1] + 1) % 3
    one = fit(users, tmp_path / "one")
    other = fit(replace(users, labels_NT=changed), tmp_path / "other")
    for name, logits in one.held_out.logits.items():
        assert torch.equal(other.held_out.logits[name][5], logits[5])
        assert not torch.equal(other.held_out.logits[name], logits)


def test_the_model_predicts_its_training_users(users: TextUsers, fitted: TextFit) -> None:
    rows = [fitted.model.logits(users.counts.of_user(user)) for user in range(USERS)]
    for column, trait in enumerate(SCHEMA):
        predicted = [int(row[trait.name].argmax()) for row in rows]
        assert np.mean(np.array(predicted) == users.labels_NT[:, column]) > 0.95


@pytest.mark.parametrize("most", [USERS, 60])
def test_logits_of_the_model_are_those_of_the_kernel(
    users: TextUsers, tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "MOST_BY_KERNEL", most)
    of_kernel: list[torch.Tensor] = []

    def recording(
        solutions: Solutions, directions: Sequence[SharedDirections], multiply: Multiply
    ) -> Solutions:
        solutions = corrected(solutions, directions, multiply)
        of_kernel.append(solutions.logits_BNK[0])
        return solutions

    monkeypatch.setattr(fitting, "corrected", recording)
    schema = TraitSchema(SCHEMA.traits[:1])
    fitted = fit(replace(users, labels_NT=users.labels_NT[:, :1]), tmp_path, schema)
    of_model = [fitted.model.logits(users.counts.of_user(user))["gender"] for user in range(USERS)]
    assert fitted.model.weights_FK.dtype == np.float16
    largest = float(of_kernel[-1].abs().max())
    assert np.stack(of_model) == pytest.approx(of_kernel[-1].numpy(), abs=2e-3 * largest)


def test_more_users_than_kernels_hold_are_learned_from_too(
    users: TextUsers, fitted: TextFit, of_sample: TextFit
) -> None:
    assert len(of_sample.held_out.users_R) == USERS // fitting.FOLDS
    assert set(of_sample.held_out.users_R) < set(fitted.held_out.users_R)
    predicted = [
        [each.model.logits(users.counts.of_user(user))["gender"].argmax() for user in range(USERS)]
        for each in (fitted, of_sample)
    ]
    assert np.mean(predicted[0] == users.labels_NT[:, 0]) > 0.95
    assert np.mean(predicted[1] == users.labels_NT[:, 0]) > 0.95


def test_both_ways_are_as_accurate_on_new_users(fitted: TextFit, of_sample: TextFit) -> None:
    labels = draw_labels(seed=9)
    new = draw_users(labels)
    shares = []
    for each in (fitted, of_sample):
        rows = [each.model.logits(new.counts.of_user(user)) for user in range(USERS)]
        shares.append(float(np.mean([row["gender"].argmax() for row in rows] == labels[:, 0])))
    assert min(shares) > 0.75
    assert shares[0] == pytest.approx(shares[1], abs=0.05)


@pytest.mark.parametrize("part", [0, 1])
def test_both_ways_score_held_out_users_alike(
    fitted: TextFit, of_sample: TextFit, part: int
) -> None:
    name = SCHEMA.traits[part].name
    own = torch.from_numpy(of_sample.held_out.users_R)
    expected, found = fitted.held_out.logits[name][own], of_sample.held_out.logits[name]
    same = expected.argmax(dim=1) == found.argmax(dim=1)
    assert same.float().mean() > 0.8


def test_users_without_a_label_of_a_trait_count_for_the_others(
    users: TextUsers, tmp_path: Path
) -> None:
    labels = users.labels_NT.copy()
    labels[:30, 0] = UNKNOWN
    labels[20:50, 1] = UNKNOWN
    fitted = fit(replace(users, labels_NT=labels), tmp_path)
    assert accuracy(fitted, 0) > 0.75
    assert accuracy(fitted, 1) > 0.65
    assert np.array_equal(fitted.held_out.labels_RT, labels[fitted.held_out.users_R])


def test_users_without_a_label_of_any_trait_teach_nothing(users: TextUsers, tmp_path: Path) -> None:
    labels = users.labels_NT.copy()
    labels[:20] = UNKNOWN
    fitted = fit(replace(users, labels_NT=labels), tmp_path)
    assert fitted.held_out.users_R.tolist() == list(range(20, USERS))


def test_a_class_without_users_is_never_predicted(users: TextUsers, tmp_path: Path) -> None:
    schema = TraitSchema((SCHEMA.traits[0], Trait("region", ("n", "s", "w", "e"))))
    fitted = fit(users, tmp_path, schema)
    assert accuracy(fitted, 1) > 0.7
    assert fitted.held_out.logits["region"].shape == (USERS, 4)
    assert (fitted.held_out.logits["region"].argmax(dim=1) != 3).all()


def test_a_trait_without_labels_does_no_harm_to_the_others(
    users: TextUsers, tmp_path: Path
) -> None:
    labels = users.labels_NT.copy()
    labels[:, 1] = UNKNOWN
    fitted = fit(replace(users, labels_NT=labels), tmp_path)
    assert accuracy(fitted, 0) > 0.8
    logits = fitted.model.logits(users.counts.of_user(0))
    assert logits["region"].tolist() == [0, 0, 0]


def test_ngrams_of_a_single_user_do_not_count(users: TextUsers, fitted: TextFit) -> None:
    secret = count_ngrams(["zzqqxx zzqqxx"], SPEC)
    buckets, frequencies = np.unique(users.counts.buckets_J, return_counts=True)
    assert set(fitted.model.terms.buckets_F.tolist()) == set(buckets[frequencies >= 2].tolist())
    assert len(secret.buckets_J)


@pytest.mark.parametrize("count", [2, 7])
def test_very_few_users_can_be_learned_from(count: int, tmp_path: Path) -> None:
    labels = np.arange(count)[:, None] % 2
    few = TextUsers(
        counts=counts_of(draw_texts(labels[:, 0].tolist())),
        users_N=np.arange(count),
        labels_NT=labels,
    )
    fitted = fit(few, tmp_path, TraitSchema(SCHEMA.traits[:1]))
    assert fitted.held_out.logits["gender"].isfinite().all()


def test_some_users_of_a_manifest_are_learned_from(users: TextUsers, tmp_path: Path) -> None:
    own = np.arange(0, USERS, 2)
    fitted = fit(replace(users, users_N=own, labels_NT=users.labels_NT[own]), tmp_path)
    assert fitted.held_out.users_R.tolist() == own.tolist()
    assert accuracy(fitted, 0) > 0.7


def test_the_same_seed_gives_the_same_model(
    users: TextUsers, fitted: TextFit, tmp_path: Path
) -> None:
    again = fit(users, tmp_path)
    assert again.settings == fitted.settings
    assert np.array_equal(again.model.weights_FK, fitted.model.weights_FK)
