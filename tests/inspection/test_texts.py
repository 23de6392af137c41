"""An inspection reports how many texts users have, how long they are and in which script."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.cli import main
from tweetprofile.inspection import InspectOptions, inspect_manifest
from tweetprofile.inspection.report import Range, TextTotals
from tweetprofile.inspection.scripts import scripts_of


def script_of(text: str) -> str:
    (script,), _ = scripts_of(pa.array([text], pa.large_string()))
    return script


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("¿Qué tal? https://t.co/абв", "Latin"),
        ("Доброе утро, @someone_with_a_long_name https://t.co/abcdefghijk", "Cyrillic"),
        ("\u202eمرحبت", "Arabic"),
        ("בוקר טוב", "Hebrew"),
        ("καλημέρα", "Greek"),
        ("早上好", "Chinese characters"),
        ("おはようございます 日本", "Japanese kana"),
        ("좋은 아침", "Korean"),
        ("သန်း", "another script"),
        ("👩‍👩‍👧 123 !!! @user", "no letters"),
        ("", "no letters"),
    ],
)
def test_a_text_has_the_script_of_most_of_its_letters(text: str, script: str) -> None:
    assert script_of(text) == script


def test_texts_of_any_length_are_told_apart() -> None:
    texts = ["a" * 5_000_000, "д", "", "e" * 3_000_000, "ж" * 3_000_000, "z"]
    scripts, characters = scripts_of(pa.array(texts, pa.large_string()))
    assert scripts == ["Latin", "Cyrillic", "no letters", "Latin", "Cyrillic", "Latin"]
    assert characters.tolist() == [len(text) for text in texts]


def write(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def inspect(manifest: Path, **options: Any) -> TextTotals | None:
    return inspect_manifest(manifest, InspectOptions(**options)).texts


def test_texts_are_counted_beside_images(tmp_path: Path) -> None:
    manifest = write(
        tmp_path / "m.parquet",
        user_id=[1, 2, 3, 4],
        images=[["1.jpg"], ["2.jpg"], None, []],
        texts=[["hola", None, "привет мир"], [], ["uno", "dos", "tres", "cuatro"], None],
        lang=["ru", "es", "es", None],
    )
    assert inspect(manifest, max_texts=3, max_text_bytes=5) == TextTotals(
        given=6,
        left_out=1,
        cut=2,
        null=1,
        undecodable=0,
        per_user=Range(0, 0, 4),
        characters=Range(2, 4, 5),
        users={"images and texts": 1, "images only": 1, "texts only": 1, "neither": 1},
        scripts={"Latin": 4, "Cyrillic": 1},
        languages={"es": 2, "ru": 1},
    )


@pytest.mark.parametrize("sample", [None, 2])
def test_a_manifest_with_texts_only_is_inspected_in_the_long_form(
    tmp_path: Path, sample: int | None
) -> None:
    manifest = write(
        tmp_path / "m.parquet", user_id=[1, 1, 2, 3, 4, 4], text=["a", "b", "c", None, "d", "e"]
    )
    found = inspect(manifest, sample=sample)
    assert found is not None
    assert sum(found.users.values()) == (sample or 4)
    assert found.users["images only"] == 0
    if sample is None:
        assert (found.given, found.per_user) == (5, Range(0, 1, 2))


def test_a_manifest_without_a_column_of_texts_has_no_such_report(tmp_path: Path) -> None:
    assert inspect(write(tmp_path / "m.parquet", user_id=[1], images=[["1.jpg"]])) is None


def test_the_report_shows_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = write(tmp_path / "m.parquet", user_id=[1, 2], texts=[["hola", None], None])
    assert main(["inspect", str(manifest)]) == 0
    shown = capsys.readouterr().out
    assert "Texts per user  from 0 to 1, median 0" in shown
    assert "Null elements of lists, which count as no text: 1." in shown
