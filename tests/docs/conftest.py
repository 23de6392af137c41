"""A folder as the pages assume it: a dump, labels, and what earlier steps made of them."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

Draw = Callable[..., Image.Image]

USERS = 40
IMAGES_PER_USER = 3


def _write_images(folder: Path, draw: Draw, first: int, users: int) -> list[str]:
    """Write `folder/USER/IMAGE` for some users; return their ids."""
    ids = [f"user-{number:02d}" for number in range(first, first + users)]
    for place, user in enumerate(ids):
        (folder / user).mkdir(parents=True)
        for image in range(IMAGES_PER_USER):
            seed = 1000 * first + 10 * place + image
            draw(48, 36, seed).save(folder / user / f"{image}.jpg", "JPEG")
    return ids


def _labels(ids: list[str]) -> dict[str, list[str]]:
    return {
        "user_id": ids,
        "gender": [("female", "male")[place % 2] for place in range(len(ids))],
        "location": [("north", "center")[place // 2 % 2] for place in range(len(ids))],
    }


def _write_labels(path: Path, labels: dict[str, list[str]]) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(labels)
        rows.writerows(zip(*labels.values(), strict=True))


def _write_tweets(folder: Path, draw: Draw) -> None:
    """Two tweets of API v2 with a photo each, and the photos by their media keys."""
    (folder / "tweets").mkdir()
    (folder / "photos").mkdir()
    for number, user in enumerate(("101", "102")):
        key = f"PHOTO{number}"
        url = f"https://pbs.twimg.com/media/{key}.jpg"
        tweet = {
            "id": str(900 + number),
            "author_id": user,
            "created_at": "2020-01-05T10:00:00.000Z",
            "attachments": {"media_keys": [f"3_{number}"]},
        }
        media = [{"media_key": f"3_{number}", "type": "photo", "url": url}]
        page = {"data": [tweet], "includes": {"media": media}}
        (folder / "tweets" / f"{number}.jsonl").write_text(json.dumps(page) + "\n")
        draw(48, 36, number).save(folder / "photos" / f"{key}.jpg", "JPEG")


def _write_archive(folder: Path, draw: Draw) -> None:
    """The unpacked archive of one account with one photo."""
    data = folder / "archive" / "data"
    (data / "tweets_media").mkdir(parents=True)
    account = [{"account": {"accountId": "77", "username": "ada"}}]
    media = {
        "id_str": "1",
        "type": "photo",
        "media_url_https": "https://pbs.twimg.com/media/ABC.jpg",
    }
    tweet = {
        "id_str": "1234",
        "created_at": "Wed Jan 01 10:00:00 +0000 2020",
        "full_text": "",
        "entities": {"media": [media]},
        "extended_entities": {"media": [media]},
    }
    texts = {"account": account, "tweets": [{"tweet": tweet}]}
    for name, value in texts.items():
        (data / f"{name}.js").write_text(f"window.YTD.{name}.part0 = {json.dumps(value)}")
    draw(48, 36).save(data / "tweets_media" / "1234-ABC.jpg", "JPEG")


def _write_pan18(folder: Path, draw: Draw) -> None:
    """One language of PAN's corpus of 2018, with two users."""
    language = folder / "pan18" / "en"
    for user in ("a1", "b2"):
        (language / "photo" / user).mkdir(parents=True)
        draw(48, 36).save(language / "photo" / user / f"{user}.0.jpeg", "JPEG")
    (language / "truth.txt").write_text("a1:::male\nb2:::female\n")


def _write_pan17(folder: Path) -> None:
    """One language of PAN's corpus of 2017, with two authors."""
    language = folder / "pan17" / "es"
    language.mkdir(parents=True)
    for author in ("a1", "b2"):
        document = f"<document><![CDATA[hola, soy {author}]]></document>"
        (language / f"{author}.xml").write_text(
            f'<author lang="es"><documents>{document}</documents></author>'
        )
    (language / "truth.txt").write_text("a1:::male:::peru\nb2:::female:::chile\n")


@pytest.fixture(scope="session")
def dump_folder(tmp_path_factory: pytest.TempPathFactory, draw: Draw) -> Path:
    """What people begin with: images in a folder per user, a table of labels, other dumps."""
    folder = tmp_path_factory.mktemp("documented") / "start"
    ids = _write_images(folder / "dump", draw, 0, USERS)
    _write_labels(folder / "labels.csv", _labels(ids))
    _write_images(folder / "new-users", draw, 100, 4)
    _write_tweets(folder, draw)
    _write_archive(folder, draw)
    _write_pan18(folder, draw)
    _write_pan17(folder)
    return folder


def _write_manifest(folder: Path, labelled: pl.DataFrame) -> None:
    """The first users without their labels, as a crawl leaves them: some images are no use."""
    broken, page = folder / "dump/user-01/broken.jpg", folder / "dump/user-02/page.jpg"
    broken.write_bytes((folder / "dump/user-01/0.jpg").read_bytes()[:600])
    page.write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>")
    users = {each["user_id"]: each["images"] for each in labelled[:6].to_dicts()}
    users["user-01"] = [*users["user-01"], "dump/user-01/broken.jpg"]
    users["user-02"] = ["dump/user-02/page.jpg", "dump/user-02/gone.jpg"]
    users["user-03"] = []
    rows = {"user_id": list(users), "images": list(users.values())}
    pl.DataFrame(rows).write_parquet(folder / "manifest.parquet")


@pytest.fixture(scope="session")
def prepared_folder(
    tmp_path_factory: pytest.TempPathFactory,
    dump_folder: Path,
    model: Path,
    embedding_model: Path,
) -> Path:
    """The same, after the steps that a page takes for granted: manifests, and a model in `run/`.

    The model in `run-lite0/` has a backbone, too: a smaller one than its name says.
    """
    folder = tmp_path_factory.mktemp("documented") / "prepared"
    shutil.copytree(dump_folder, folder)
    ids = sorted(path.name for path in (folder / "dump").iterdir())
    images = [[f"dump/{user}/{image}.jpg" for image in range(IMAGES_PER_USER)] for user in ids]
    labelled = pl.DataFrame({"images": images, **_labels(ids)})
    labelled.write_parquet(folder / "labelled.parquet")
    parts = {"train": labelled[:28], "validation": labelled[28:32], "test": labelled[32:]}
    for name, users in parts.items():
        users.write_parquet(folder / f"labelled.{name}.parquet")
    _write_manifest(folder, labelled)
    (folder / "run").mkdir()
    shutil.copy(model, folder / "run" / "model.safetensors")
    (folder / "run-lite0").mkdir()
    shutil.copy(embedding_model, folder / "run-lite0" / "model.safetensors")
    epoch: dict[str, Any] = {"epoch": 1, "loss": 4.5, "val_loss": None, "scores": {}}
    epoch |= {"mean_macro_f1": 0.0, "learning_rate": 0.001, "seconds": 1.0}
    (folder / "run" / "metrics.jsonl").write_text(json.dumps(epoch) + "\n")
    return folder
