"""Submission files have exactly the format of MEX-A3T."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.cli import main
from tweetprofile.errors import PredictionsError
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.evaluation.submission import write_submission


def test_there_is_one_file_per_trait_and_one_quoted_line_per_user(
    write_predictions: Callable[..., Path], tmp_path: Path
) -> None:
    out = write_predictions(["u1", "u2"], gender=[0, 1], place=[2, 0])
    write_submission(Predictions.read(out), tmp_path)
    assert (tmp_path / "gender.txt").read_bytes() == (
        b'"gender"\t"u1"\t"female"\n"gender"\t"u2"\t"male"\n'
    )
    assert (tmp_path / "place.txt").read_bytes() == (
        b'"place"\t"u1"\t"west"\n"place"\t"u2"\t"north"\n'
    )


def test_users_without_a_prediction_have_no_line_and_are_counted(
    write_predictions: Callable[..., Path], tmp_path: Path
) -> None:
    out = write_predictions(["u1", "u2"], frames=[11, 0], gender=[0, 1])
    (path, left_out), _ = write_submission(Predictions.read(out), tmp_path)
    assert left_out == 1
    assert path.read_text() == '"gender"\t"u1"\t"female"\n'


def test_a_user_who_occurs_twice_is_refused(
    write_predictions: Callable[..., Path], tmp_path: Path
) -> None:
    out = write_predictions(["u1", "u2", "u1"])
    with pytest.raises(PredictionsError, match="user 'u1' occurs twice; keep one row"):
        write_submission(Predictions.read(out), tmp_path)


def test_a_class_that_is_none_of_the_track_is_refused_and_remarked_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, labels, out = (tmp_path / name for name in ("t.csv", "m.parquet", "out"))
    table.write_text("user_id,gender\nu1,Male\nu2,female\n")
    pq.write_table(pa.table({"user_id": ["u1"], "images": [["a.png"]]}), labels)
    told = ["evaluate", str(labels), str(table), "--format", "mex-a3t", "-o", str(out)]
    assert main(told) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "'Male' is not a class of gender in MEX-A3T (female, male); correct it" in said
    assert "only in the predictions: 'Male' (1 row, not the same class as 'male')" in said
    assert not list(out.glob("*.txt"))


@pytest.mark.parametrize("user", ['a"b', "a\tb", "a\nb"])
def test_an_id_that_would_break_a_line_is_refused(
    user: str, write_predictions: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(PredictionsError, match="character that a line of a MEX-A3T file"):
        write_submission(Predictions.read(write_predictions([user])), tmp_path)
