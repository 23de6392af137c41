"""`pan17`: texts with gender, variety and language; and the texts of `pan18`."""

from pathlib import Path

import pytest

from tests.importers.layouts.test_texts import Listed, Put, import_, rows_of
from tweetprofile.errors import OptionError
from tweetprofile.importers.run import ImportOptions, import_dump


def put_author(file: Path, *texts: str, lang: str = "es") -> None:
    documents = "".join(f"<document><![CDATA[{text}]]></document>" for text in texts)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'<author lang="{lang}"><documents>{documents}</documents></author>')


def test_pan18_gives_texts_beside_images(tmp_path: Path, put_image: Put) -> None:
    pan = tmp_path / "pan" / "en"
    put_image(pan / "photo" / "aa" / "aa.0.jpeg")
    put_author(pan / "text" / "aa.xml", "one &amp; all", "two")
    put_author(pan / "text" / "bb.xml", "three")
    (pan / "truth.txt").write_text("aa:::female\nbb:::male\n")
    import_("pan18", tmp_path / "pan")
    assert rows_of(tmp_path / "m.parquet", "images", "texts", "gender", "language") == [
        ("aa", ["pan/en/photo/aa/aa.0.jpeg"], ["one & all", "two"], "female", "en"),
        ("bb", [], ["three"], "male", "en"),
    ]


@pytest.mark.parametrize("truth", ["truth.txt", "es.txt", "truth-es-2017.txt"])
@pytest.mark.parametrize("separator", [":::", ";"])
def test_pan17_gives_texts_with_gender_variety_and_language(
    truth: str, separator: str, tmp_path: Path, listed: Listed
) -> None:
    folder = tmp_path / "pan" / "es"
    put_author(folder / "aa.xml", "uno", "dos")
    put_author(folder / "bb.xml", "tres")
    (folder / "readme.txt").write_text("A corpus.\nMade of texts.\n") if truth == "es.txt" else None
    (folder / truth).write_text(
        f"aa{separator}FEMALE{separator}mexico\n\nbb{separator}male{separator}peru\n"
    )
    for source in (tmp_path / "pan", folder):
        import_dump("pan17", source, tmp_path / "m.parquet", ImportOptions(overwrite=True))
        assert rows_of(
            tmp_path / "m.parquet", "images", "texts", "gender", "variety", "language"
        ) == [
            ("aa", [], ["uno", "dos"], "female", "mexico", "es"),
            ("bb", [], ["tres"], "male", "peru", "es"),
        ]
        assert listed(tmp_path / "m.parquet") == []


def test_pan17_lists_what_it_cannot_take(tmp_path: Path, listed: Listed) -> None:
    folder = tmp_path / "pan"
    put_author(folder / "en" / "aa.xml", "one", lang="en")
    (folder / "en" / "bb.xml").write_text("<html/>")
    (folder / "en" / "truth.txt").write_text("aa:::robot\nbb:::male\nzz:::male\nnothing\n")
    put_author(folder / "es" / "aa.xml", "uno")
    import_("pan17", folder)
    assert rows_of(tmp_path / "m.parquet", "gender", "language") == [("aa", None, "en")]
    assert listed(tmp_path / "m.parquet") == [
        ("bad_label", "truth.txt", 1),
        ("no_such_user", "truth.txt", 3),
        ("malformed", "truth.txt", 4),
        ("malformed", "bb.xml", 1),
        ("missing_file", "truth.txt", None),
        ("malformed", "aa.xml", None),
    ]


def test_age_groups_of_pan16_are_not_varieties(tmp_path: Path) -> None:
    put_author(tmp_path / "pan" / "aa.xml", "one")
    (tmp_path / "pan" / "truth.txt").write_text("aa:::female:::25-34\n")
    summary = import_("pan17", tmp_path / "pan")
    assert rows_of(tmp_path / "m.parquet", "gender", "variety") == [("aa", "female", None)]
    assert summary.left_out == {"values of truth files other than gender and variety": 1}


def test_a_folder_without_authors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(OptionError, match="is not a corpus of PAN 2015 to 2017"):
        import_("pan17", tmp_path / "other")
