"""Evidence is read by its contract, and what is damaged in it is left out."""

import math
from typing import Any

from tests.browsing.conftest import SCHEMA
from tweetprofile.browsing.evidence import MOST_TEXTS, read_evidence, way_of


def entry(index: int | None, gender: float | None, place: float | None = 0.5) -> dict[str, Any]:
    return {"index": index, "contributions": {"gender": gender, "place": place}}


def test_contributions_are_read_by_the_position_of_the_image() -> None:
    row = {
        "evidence": [entry(4, 1.5), entry(0, math.nan), None, entry(None, 1.0), entry(-1, 1.0)],
        "evidence_base": {"gender": -0.25, "place": None},
    }
    found = read_evidence(row, SCHEMA)
    assert found is not None
    assert found.images == {4: (1.5, 0.5), 0: (None, 0.5)}
    assert found.image_counts == (1, 2)
    assert found.base == (-0.25, None)
    assert found.texts == {}


def test_the_texts_that_contributed_most_to_some_trait_are_kept() -> None:
    texts = [entry(index, float(index), 100.0 if index == 1 else 0.0) for index in range(50)]
    found = read_evidence({"evidence": [], "text_evidence": texts}, SCHEMA)
    assert found is not None
    assert list(found.texts) == [1, *range(50 - MOST_TEXTS, 50)]
    assert found.text_counts == (50, 50)
    assert found.image_counts == (0, 0)


def test_profiles_without_evidence_have_none() -> None:
    assert read_evidence({"status": "ok"}, SCHEMA) is None
    assert read_evidence({"evidence": None}, SCHEMA) is None


def test_how_contributions_were_found_may_be_unknown() -> None:
    assert way_of({"evidence": "exact"}) == "exact"
    assert way_of({"evidence": "guessed"}) == way_of({}) == "unknown"


def test_fields_of_profiles_are_those_that_manifests_have() -> None:
    each = {"gender": 0.5, "place": math.inf}
    fields = [{"field": name, "contributions": each} for name in ("description", "name", "<b>")]
    row = {
        "evidence": [],
        "profile_evidence": [*fields, None, {"field": None, "contributions": None}],
    }
    found = read_evidence(row, SCHEMA)
    assert found is not None
    assert found.fields == {"name": (0.5, None), "description": (0.5, None)}
