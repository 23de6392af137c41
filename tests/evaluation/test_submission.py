"""Submission files have exactly the format of MEX-A3T."""

from collections.abc import Callable
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("user", ['a"b', "a\tb", "a\nb"])
def test_an_id_that_would_break_a_line_is_refused(
    user: str, write_predictions: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(PredictionsError, match="character that a line of a MEX-A3T file"):
        write_submission(Predictions.read(write_predictions([user])), tmp_path)
