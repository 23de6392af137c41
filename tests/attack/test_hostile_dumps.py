"""JSON lines and archives, mutated at random: sound records are taken, the rest is counted."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tweetprofile.errors import TweetprofileError
from tweetprofile.importers.run import ImportOptions, ImportSummary, import_dump
from tweetprofile.importers.skipped import Line, Skipped
from tweetprofile.importers.tweets.shapes import items_of

ODD: list[Callable[[random.Random], Any]] = [
    lambda _: None, lambda _: True, lambda _: 1.5, lambda _: -1, lambda _: 10**400,
    lambda _: float("inf"), lambda _: float("nan"), lambda _: "", lambda _: "x" * 300,
    lambda _: "\ud800", lambda _: "\0", lambda _: "../../etc/passwd", lambda _: "http://[",
    lambda _: [], lambda _: {}, lambda _: [[]], lambda _: [None, 1, "a", {}, [{}]],
    lambda _: {"media": 5}, lambda _: {"id": {}}, lambda _: [{"media_key": []}],
    lambda _: "\x1b[31m", lambda r: str(r.random()), lambda r: r.randrange(1 << 70),
]  # fmt: skip
"""Values to put in place of others."""


def page(number: int, user: str, name: str) -> dict[str, Any]:
    photo = {"media_key": "3_a", "type": "photo", "url": f"https://pbs.twimg.com/media/{name}"}
    reference = {"type": "quoted", "id": "5", "author_id": "h9", "attachments": {"media": [photo]}}
    tweet = {
        "id": str(number), "author_id": user, "attachments": {"media_keys": ["3_a"]},
        "referenced_tweets": [{"type": "replied_to", "id": "4"}, reference],
    }  # fmt: skip
    return {"data": [tweet], "includes": {"media": [photo], "tweets": [dict(tweet)]}}


def status(number: int, user: str, name: str) -> dict[str, Any]:
    photo = {"type": "photo", "media_url_https": f"https://pbs.twimg.com/media/{name}"}
    return {
        "id_str": str(number), "id": number, "user": {"id_str": user, "id": 7}, "full_text": "a",
        "extended_entities": {"media": [photo | {"source_user_id_str": user}]},
        "entities": {"media": [photo]},
        "quoted_status": {"id_str": "3", "user": {"id_str": "h9"}, "entities": {"media": [photo]}},
        "extended_tweet": {"entities": {"media": []}},
    }  # fmt: skip


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values in a record, at every depth."""
    if isinstance(value, dict):
        inner = list(value.items())
    else:
        inner = list(enumerate(value)) if isinstance(value, list) else []
    return [path, *(each for key, one in inner for each in paths_in(one, (*path, key)))]


def mutated(record: dict[str, Any], chance: random.Random) -> Any:
    record = json.loads(json.dumps(record))
    for _ in range(chance.randint(1, 3)):
        *path, last = chance.choice([each for each in paths_in(record) if each])
        inner = record
        for key in path:
            inner = inner[key]
        if chance.random() < 0.2 and isinstance(inner, dict):
            del inner[last]
        else:
            inner[last] = chance.choice(ODD)(chance)
    return record


def damaged(text: str, chance: random.Random) -> str:
    """Cut the text of a record, or insert a character and drop the last; the result is invalid."""
    if chance.random() < 0.5:
        return text[: chance.randrange(1, len(text) - 1)]
    at = chance.randrange(len(text))
    return (text[:at] + chance.choice(['"', "{", "[", "}", "\0", "\ud800", ","]) + text[at:])[:-1]


def hostile_line(chance: random.Random, number: int) -> str:
    make = chance.choice([page, status])
    record = make(number, f"h{chance.randrange(9)}", "H.jpg")
    kind = chance.random()
    if kind < 0.5:
        return json.dumps(mutated(record, chance))
    if kind < 0.9:
        return damaged(json.dumps(record), chance)
    return chance.choice(
        ["[" * 5_000, '{"a":' * 5_000, "1" * 10_000, '{"id": ' + "9" * 10_000 + "}", "nul", "[]",
         "\x00", '{"data": [' + "{}," * 99 + "{}]}", "17", '"\\ud800"', "{}"]
    )  # fmt: skip


def import_(layout: Any, source: Path, media: Path | None = None) -> ImportSummary:
    return import_dump(layout, source, source.parent / "m.parquet", ImportOptions(media))


def images_of(folder: Path) -> dict[str, list[str]]:
    table = pl.read_parquet(folder / "m.parquet")
    return {
        user: [Path(image).name for image in images]
        for user, images in table.select("user_id", "images").iter_rows()
        if user.startswith("s")
    }


def lines_of(folder: Path) -> set[int]:
    table = pl.read_csv(folder / "m.parquet.skipped.csv", infer_schema=False)
    return set(table["line"].drop_nulls().cast(int).to_list())


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 10))]
)
def test_json_lines_with_arbitrary_values_never_stop_an_import(seed: int) -> None:
    chance = random.Random(seed)
    skipped = Skipped(None)
    for number in range(1_000):
        record = mutated(chance.choice([page, status])(number, "h1", "H.jpg"), chance)
        record = json.loads(json.dumps(record))
        if isinstance(record, dict):
            for photo in items_of(record, Line(skipped, Path("x"), number)):
                assert photo.user_id.encode()
                assert 0 <= photo.tweet < 1 << 63
    assert skipped.counts.total() > 100


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 20))]
)
def test_sound_lines_among_hostile_ones_are_taken_exactly(seed: int, tmp_path: Path) -> None:
    """Every line without a JSON object or list is listed with its number."""
    chance = random.Random(seed)
    (tmp_path / "media").mkdir()
    lines, expected, unreadable = [], {}, set()
    for number in range(1, 501):
        if chance.random() < 0.5:
            user, name = f"s{number}", f"S{number}.jpg"
            (tmp_path / "media" / name).touch()
            lines.append(json.dumps(chance.choice([page, status])(number, user, name)))
            expected[user] = [name]
        else:
            lines.append(hostile_line(chance, number))
            try:
                sound = isinstance(json.loads(lines[-1]), dict | list)
            except (ValueError, RecursionError):
                sound = False
            if not sound and lines[-1].strip():
                unreadable.add(number)
    text = "\n".join(lines) + "\n"
    (tmp_path / "tweets.jsonl").write_bytes(text.encode("utf-8", "surrogatepass"))
    import_("twitter-api", tmp_path / "tweets.jsonl", tmp_path / "media")
    assert images_of(tmp_path) == expected
    assert unreadable <= lines_of(tmp_path)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 20))]
)
def test_sound_records_of_an_archive_among_hostile_ones_are_taken_exactly(
    seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    data = tmp_path / "a" / "data"
    (data / "tweets_media").mkdir(parents=True)
    account = [{"account": {"accountId": "s7"}}]
    (data / "account.js").write_text(f"window.YTD.account.part0 = {json.dumps(account)}")
    records, expected, broken = [], [], 0
    for number in range(1, 501):
        record = {"tweet": status(number, "s7", f"S{number}.jpg")}
        text = json.dumps(record, indent=chance.choice([None, 2]))
        kind = chance.random()
        if kind < 0.4:
            (data / "tweets_media" / f"{number}-S{number}.jpg").touch()
            expected.append(f"{number}-S{number}.jpg")
        elif kind < 0.7:
            text = json.dumps({"tweet": mutated(record["tweet"], chance)})
        else:
            text, broken = text[: chance.randrange(12, len(text) - 2)], broken + 1
        records.append(text)
    (data / "tweets.js").write_text("window.YTD.tweets.part0 = [ " + ",\n".join(records) + " ]")
    summary = import_("twitter-archive", tmp_path / "a")
    assert images_of(tmp_path)["s7"] == expected
    assert sum(summary.skipped.values()) >= broken


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 40))]
)
def test_an_archive_of_any_bytes_is_imported_or_refused(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    data = tmp_path / "a" / "data"
    data.mkdir(parents=True)
    for number in range(25):
        sound = f"x = {json.dumps([{'tweet': status(1, 's7', 'A.jpg')}, {'account': {}}])}".encode()
        for name in ("account.js", "tweets.js", "tweets-part1.js"):
            content = bytearray(sound if chance.random() < 0.8 else chance.randbytes(300))
            for _ in range(chance.randrange(4)):
                content[chance.randrange(len(content))] = chance.choice(b'"{}[],:\\\x00\xff')
            (data / name).write_bytes(content[: chance.randrange(len(content) + 1)])
        (data / "account.js").write_bytes(
            b'x = [{"account": {"accountId": "s7"}}]' if number % 2 else content
        )
        (tmp_path / "m.parquet").unlink(missing_ok=True)
        try:
            import_("twitter-archive", tmp_path / "a")
        except TweetprofileError as error:
            assert "\n" not in str(error)
