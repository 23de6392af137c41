"""A fingerprint finds what was added and hardly anything else, and tells leakage from chance."""

import json

import numpy as np
import pytest

from tweetprofile.checkpoints.fingerprints import Fingerprint, read_fingerprint
from tweetprofile.data.images.digests import image_digest, user_digest
from tweetprofile.untrusted.fields import FieldError


def digests(first: int, count: int) -> np.ndarray:
    return np.array([user_digest(number) for number in range(first, first + count)], np.uint64)


def test_everything_added_is_found_and_one_in_a_thousand_of_other_items() -> None:
    kept = Fingerprint.of(digests(0, 5_000))
    inside = kept.overlap(digests(0, 5_000))
    assert (inside.seen, inside.share, inside.certain) == (5_000, 1.0, True)
    outside = kept.overlap(digests(10_000, 20_000))
    assert 5 <= outside.seen <= 45
    assert not outside.certain


@pytest.mark.parametrize("known", [6, 40, 400])
def test_a_share_of_known_items_is_distinguished_from_chance(known: int) -> None:
    kept = Fingerprint.of(digests(0, 2_000))
    mixed = kept.overlap(np.concatenate([digests(0, known), digests(10_000, 400 - known)]))
    assert mixed.certain
    assert mixed.share == pytest.approx(known / 400, abs=0.01)


def test_chance_matches_are_not_mistaken_for_an_overlap() -> None:
    kept = Fingerprint.of(digests(0, 2_000))
    found = [kept.overlap(digests(10_000 + 600 * trial, 600)) for trial in range(200)]
    assert max(each.seen for each in found) > 2, "chance finds some now and then"
    assert sum(each.certain for each in found) <= 1


def test_a_filter_of_too_many_items_has_a_sample_and_still_estimates_shares() -> None:
    many = np.random.default_rng(0).integers(0, (1 << 64) - 1, 2_500_000, np.uint64)
    kept = Fingerprint.of(many)
    assert len(kept.bits) <= 1 << 21
    half = kept.overlap(np.concatenate([many[:5_000], digests(0, 5_000)]))
    assert half.tried < 6_000
    assert half.share == pytest.approx(0.5, abs=0.03)


def test_nothing_is_found_in_an_empty_fingerprint() -> None:
    none = np.empty(0, np.uint64)
    assert Fingerprint.of(none).overlap(digests(0, 10)).seen == 0
    assert Fingerprint.of(digests(0, 10)).overlap(none).tried == 0


def test_a_fingerprint_survives_json() -> None:
    kept = Fingerprint.of(digests(0, 100))
    again = read_fingerprint(json.loads(json.dumps(kept.to_dict())), "it")
    assert again.overlap(digests(0, 100)) == kept.overlap(digests(0, 100))


@pytest.mark.parametrize(
    "damage",
    [
        {"bits": "\x00"},
        {"bits": ""},
        {"bits": 7},
        {"sampled": 0},
        {"items": "many"},
    ],
)
def test_a_damaged_fingerprint_is_an_error_that_names_its_field(damage: dict[str, object]) -> None:
    with pytest.raises(FieldError, match="it"):
        read_fingerprint(Fingerprint.of(digests(0, 9)).to_dict() | damage, "it")


def test_a_user_has_the_same_digest_whether_the_id_is_a_number_or_text() -> None:
    assert user_digest(7) == user_digest("7") != user_digest("07")
    assert image_digest(b"7") != user_digest("7")
