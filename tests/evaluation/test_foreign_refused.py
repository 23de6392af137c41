"""Foreign predictions that cannot be evaluated are refused in one sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.errors import PredictionsError
from tweetprofile.evaluation.evaluate import evaluate_predictions

GOOD = {"user_id": ["a", "b"], "gender": ["male", "female"]}


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"id": ["a"], "gender": ["male"]}, "has no column 'user_id'; it has id, gender"),
        ({"user_id": ["a"], "sex": ["male"]}, r"has no column named after a label \(gender\)"),
        (GOOD | {"user_id": ["a", "a"]}, "user 'a' occurs twice in .*; keep one row"),
        (GOOD | {"user_id": ["a", None]}, "row 1 has no user_id; name the user or drop the row"),
        (GOOD | {"user_id": [1.0, 2.0]}, "'user_id' is double, which rounds ids"),
        (GOOD | {"user_id": ["1.2e+17", "b"]}, "row 0 has the user_id '1.2e.17', a floating"),
        (GOOD | {"user_id": ["x", "y"]}, "has no user of"),
        (GOOD | {"gender": [0.25, 0.5]}, "column 'gender' holds floating-point numbers; write"),
        (GOOD | {"gender": [["male"], []]}, "column 'gender' is list.*; write classes as text"),
        (GOOD | {"gender_confidence": [0.5, float("nan")]}, "row 1 has a class, and the conf.*nan"),
        (GOOD | {"gender_confidence": [55.0, 61.0]}, "row 0 has a class, .* to 1 but 55"),
        (GOOD | {"gender_confidence": ["high", "low"]}, "confidence' does not hold numbers"),
        (GOOD | {"gender_p_male": [0.5, -1.0]}, "row 1 has a class, and the probabilities of"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_evaluated_is_one_sentence(
    columns: dict[str, Any],
    sentence: str,
    write_labels: Callable[..., Path],
    write_table: Callable[..., Path],
) -> None:
    labels = write_labels(["a", "b"], gender=["male", "female"])
    with pytest.raises(PredictionsError, match=sentence) as raised:
        evaluate_predictions(labels, write_table(**columns))
    assert "\n" not in str(raised.value)
    assert "foreign.parquet" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "has no column 'user_id'; it has none"),
        (b"user_id,gender\na\n", r"table\.csv:2: 1 cell, but 2 columns; correct the table"),
        (b"user_id,gender,gender\na,male,male\n", "column 'gender' occurs twice; rename one"),
        (b"user_id,gender\n,male\n", "row 0 has no user_id"),
        ("user_id,gender\né,m".encode() + b"\xff\n", r"table\.csv:2: 'm.*' is not UTF-8; save"),
        (b"user_id,gender\na," + b"m" * 20_000, r"table\.csv:2: a cell has 20,000 characters"),
        (b"user_id,gender\na," + b"m" * (17 << 20), r"table\.csv:2: a line of more than 16 Mi"),
        (b"user_id,gender\n" + b"".join(b"a%d,c%d\n" % (n, n) for n in range(5000)),
         "column 'gender' has more than 4,096 different values"),
    ],
)  # fmt: skip
def test_a_csv_file_that_cannot_be_evaluated_is_one_sentence(
    text: bytes, sentence: str, write_labels: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "table.csv").write_bytes(text)
    with pytest.raises(PredictionsError, match=sentence):
        evaluate_predictions(write_labels(["a"], gender=["male"]), tmp_path / "table.csv")


def test_text_that_is_not_utf8_is_one_sentence_in_parquet_too(
    write_labels: Callable[..., Path], tmp_path: Path
) -> None:
    bad = pa.array([b"m\xff", b"female"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"user_id": ["a", "b"], "gender": bad}), tmp_path / "bad.parquet")
    with pytest.raises(PredictionsError, match=r"bad\.parquet cannot be read as a table"):
        evaluate_predictions(write_labels(["a"], gender=["male"]), tmp_path / "bad.parquet")


def test_the_manifest_itself_is_no_set_of_predictions(manifest: Path) -> None:
    with pytest.raises(PredictionsError, match="is the manifest itself"):
        evaluate_predictions(manifest, manifest)
