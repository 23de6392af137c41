"""The table of profiles keeps the contract of the output, column by column."""

import numpy as np
import pyarrow as pa
import pytest

from tweetprofile.data.images.reader import FailedImage
from tweetprofile.errors import Reason
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.workers.profiles import (
    Counts,
    UserOutcome,
    crashed_profile,
    make_profiles,
    profile_schema,
)

SCHEMA = TraitSchema((Trait("mood", ("calm", "cross", "merry")),))
CUT = FailedImage(2, "c.jpg", Reason.TRUNCATED)


@pytest.fixture
def profiles() -> pa.Table:
    outcomes = [
        UserOutcome("ada", 11, 11, ()),
        UserOutcome("bob", 3, 2, (CUT,)),
        UserOutcome("cy", 0, 0, ()),
        UserOutcome("di", 1, 0, (FailedImage(0, "d.jpg", Reason.MISSING),)),
    ]
    rows = [[0.2, 0.5, 0.3], [0.9, 0.1, 0.0], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8]]
    return make_profiles(SCHEMA, outcomes, {"mood": np.array(rows, dtype=np.float32)})


def test_the_columns_have_the_order_of_the_contract(profiles: pa.Table) -> None:
    assert profiles.column_names == [
        "user_id",
        "mood",
        "mood_confidence",
        "mood_probabilities",
        "frames_used",
        "images_given",
        "images_failed",
        "status",
        "image_errors",
    ]


def test_every_user_has_a_row_and_users_without_frames_have_null_traits(profiles: pa.Table) -> None:
    assert profiles["user_id"].to_pylist() == ["ada", "bob", "cy", "di"]
    assert profiles["mood"].to_pylist() == ["cross", "calm", None, None]
    assert profiles["mood_confidence"].to_pylist() == [
        pytest.approx(0.5),
        pytest.approx(0.9),
        None,
        None,
    ]


def test_probabilities_are_a_struct_of_all_classes_in_schema_order(profiles: pa.Table) -> None:
    kind = profiles.schema.field("mood_probabilities").type
    assert [(field.name, field.type) for field in kind] == [
        ("calm", pa.float32()),
        ("cross", pa.float32()),
        ("merry", pa.float32()),
    ]
    assert profiles["mood_probabilities"][0].as_py() == pytest.approx(
        {"calm": 0.2, "cross": 0.5, "merry": 0.3}
    )
    assert profiles["mood_probabilities"][2].as_py() is None


def test_the_status_summarises_the_outcome_of_the_images(profiles: pa.Table) -> None:
    assert profiles["status"].to_pylist() == ["ok", "partial", "no_images", "unusable"]


def test_each_unusable_image_is_named_with_its_reason(profiles: pa.Table) -> None:
    assert profiles["image_errors"].to_pylist()[1] == [
        {"index": 2, "image": "c.jpg", "reason": "truncated"}
    ]
    assert profiles["images_failed"].to_pylist() == [0, 1, 0, 1]


def test_counts_add_up(profiles: pa.Table) -> None:
    counts = Counts.of(profiles, max_images=2)
    assert (counts.users, counts.images, counts.failed, counts.left_out) == (4, 15, 2, 10)
    assert counts.statuses == {"ok": 1, "partial": 1, "no_images": 1, "unusable": 1}
    assert (counts + counts).statuses["ok"] == 2
    assert Counts() + counts == counts


def test_integer_ids_stay_integers() -> None:
    table = make_profiles(SCHEMA, [UserOutcome(7, 0, 0, ())], {"mood": np.zeros((1, 3), "f4")})
    assert table.schema == profile_schema(SCHEMA, pa.int64())


def test_a_user_who_crashes_the_worker_has_a_row_without_predictions() -> None:
    (row,) = crashed_profile(SCHEMA, "eve", 12).to_pylist()
    assert (row["user_id"], row["status"], row["images_given"]) == ("eve", "crashed", 12)
    assert row["mood"] is row["mood_confidence"] is row["mood_probabilities"] is None
    assert (row["frames_used"], row["images_failed"], row["image_errors"]) == (0, 0, [])


def test_no_users_give_an_empty_table_with_the_same_columns() -> None:
    table = make_profiles(SCHEMA, [], {"mood": np.empty((0, 3), np.float32)})
    assert len(table) == 0
    assert table.schema == profile_schema(SCHEMA, pa.string())
