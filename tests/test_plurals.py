"""Messages speak of `1 user`, not of `1 users` or `1 user(s)`."""

import re
from pathlib import Path

import pytest

import tweetprofile
from tests.facts import predictor_facts
from tweetprofile.cli.predict_view import show_summary
from tweetprofile.data.manifests.sources import describe_files
from tweetprofile.plurals import count_of, listed, one_or_many
from tweetprofile.predicting.summary import PredictSummary
from tweetprofile.workers.profiles import Counts

PACKAGE = Path(tweetprofile.__file__).parent


def test_a_noun_fits_its_number() -> None:
    assert [count_of(number, "user") for number in (0, 1, 2000)] == [
        "0 users",
        "1 user",
        "2,000 users",
    ]
    assert count_of(2, "class", "classes") == "2 classes"
    assert [one_or_many(number, "has", "have") for number in (1, 2)] == ["has", "have"]


def test_a_prediction_of_one_user_counts_one_user(capsys: pytest.CaptureFixture[str]) -> None:
    counts = Counts(users=1, images=1, left_out=1)
    deaths = ("the worker on cpu was killed",)
    show_summary(PredictSummary("out", counts, 1.0, predictor_facts(), deaths=deaths))
    shown = capsys.readouterr().err
    assert "1 worker was replaced: the worker on cpu was killed" in shown
    assert "1 image beyond --max-images was not read." in shown
    assert "1 user (none), 1 image, 0 failed" in shown


def test_files_are_counted_in_words() -> None:
    assert describe_files(["a.parquet"]) == "1 file (a.parquet)"
    assert describe_files(["a.parquet", "b.parquet"]) == "2 files (a.parquet, b.parquet)"


def test_no_message_leaves_the_plural_to_the_reader() -> None:
    for path in PACKAGE.rglob("*.py"):
        texts = re.findall(r'"[^"\n]*"', path.read_text(encoding="utf-8"))
        for text in texts:
            assert not re.search(r"[a-z]\((?:s|es|ies)\)", text), f"{path}: {text}"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_words_are_listed_as_in_a_sentence(words: list[str], sentence: str) -> None:
    assert listed(words) == sentence
