"""`pan18`: the corpus as its organisers distribute it."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tweetprofile.errors import OptionError
from tweetprofile.importers.run import import_dump

Put = Callable[[Path], Path]
Listed = Callable[[Path], list[tuple[str, str, int | None]]]


@pytest.fixture
def corpus(tmp_path: Path, put_image: Put) -> Path:
    """Make two languages whose truth files have different names."""
    for place in ("en/photo/aa/aa.0.jpeg", "en/photo/aa/aa.1.png", "en/photo/bb/bb.0.jpeg"):
        put_image(tmp_path / "pan" / place)
    put_image(tmp_path / "pan" / "es" / "photo" / "cc" / "cc.0.jpeg")
    (tmp_path / "pan" / "en" / "truth.txt").write_text("aa:::female\nbb:::male\n")
    (tmp_path / "pan" / "es" / "es.txt").write_text("cc:::male\n")
    return tmp_path / "pan"


def test_all_languages_are_taken_with_their_labels(
    corpus: Path, tmp_path: Path, listed: Listed
) -> None:
    import_dump("pan18", corpus, tmp_path / "m.parquet")
    assert pl.read_parquet(tmp_path / "m.parquet").rows() == [
        ("aa", ["pan/en/photo/aa/aa.0.jpeg", "pan/en/photo/aa/aa.1.png"], "female", "en"),
        ("bb", ["pan/en/photo/bb/bb.0.jpeg"], "male", "en"),
        ("cc", ["pan/es/photo/cc/cc.0.jpeg"], "male", "es"),
    ]
    assert listed(tmp_path / "m.parquet") == []


def test_one_language_is_taken_by_itself(corpus: Path, tmp_path: Path) -> None:
    import_dump("pan18", corpus / "es", corpus / "es" / "m.parquet")
    assert pl.read_parquet(corpus / "es" / "m.parquet").rows() == [
        ("cc", ["photo/cc/cc.0.jpeg"], "male", "es")
    ]


def test_malformed_lines_of_the_truth_file_are_listed(
    corpus: Path, tmp_path: Path, listed: Listed
) -> None:
    (corpus / "en" / "truth.txt").write_text(
        "aa:::female\nbb;male\n\nbb:::robot\naa:::male\nzz:::male\n"
    )
    (corpus / "es" / "es.txt").unlink()
    import_dump("pan18", corpus, tmp_path / "m.parquet")
    assert pl.read_parquet(tmp_path / "m.parquet")["gender"].to_list() == ["female", None, None]
    assert listed(tmp_path / "m.parquet") == [
        ("malformed", "truth.txt", 2),
        ("bad_label", "truth.txt", 4),
        ("bad_label", "truth.txt", 5),
        ("no_such_user", "truth.txt", 6),
        ("missing_file", "truth.txt", None),
    ]


def test_a_folder_that_is_not_the_corpus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(OptionError, match="is not PAN 2018's corpus"):
        import_dump("pan18", tmp_path / "other", tmp_path / "m.parquet")
