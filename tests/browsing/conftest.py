"""Users with drawn images, labels and profiles, of whom some have hostile names."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.browsing.tables import add_evidence
from tweetprofile.browsing.options import BrowseOptions, BrowseSummary
from tweetprofile.browsing.run import browse_profiles
from tweetprofile.data.files.provenance import METADATA_KEY
from tweetprofile.data.images.reader import FailedImage
from tweetprofile.errors import Reason
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.workers.profiles import TextOutcome, UserOutcome, make_profiles

MARKUP = "<img src=x onerror=hacked=1>"
HOSTILE_ID = "</script><script>hacked=1</script>\u2028&amp;"
HOSTILE_IMAGE = '"><script>hacked=1<.png'
SCHEMA = TraitSchema(
    (Trait("gender", ("female", "male")), Trait("place", ("north", MARKUP, "__proto__")))
)
USERS = 30
SHARED, FAILING, MANY, NONE, HOSTILE = 3, 5, 7, 9, 11
"""Users with an image that user 4 has, too; with damaged images; with 15 images; without any;
with an id, an image and a text that are markup."""

ALL = 40
"""Users of the manifest without images."""


@dataclass(frozen=True)
class Made:
    """What a page was made of, and what was made.

    Attributes:
        folder: The folder of all files.
        ids: The ids of the users.
        truth: The class number of each user's labels, -1 for none; (users, traits).
        guess: The class number of each user's predictions, -1 for none; (users, traits).
        confidence: The probability of each prediction; (users, traits).
        images: The number of images of each user.
        status: The status of each user.
        page: The page with evidence.
        summary: What was said of it.
    """

    folder: Path
    ids: list[str]
    truth: NDArray[np.int64]
    guess: NDArray[np.int64]
    confidence: NDArray[np.float64]
    images: list[int]
    status: list[str]
    page: Path
    summary: BrowseSummary

    @property
    def profiles(self) -> Path:
        return self.folder / "profiles.parquet"

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.parquet"


def write_profiles(
    path: Path,
    outcomes: Sequence[UserOutcome],
    odds: dict[str, NDArray[np.float32]],
    schema: TraitSchema = SCHEMA,
) -> None:
    """Write profiles as `predict` does."""
    facts = {"network": "deepset", "schema": schema.to_dict(), "volume": {"frames": 11}}
    table = make_profiles(schema, outcomes, odds)
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: json.dumps(facts)}), path)


@pytest.fixture(scope="session")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    draw: Callable[..., Image.Image],
    encode: Callable[..., bytes],
) -> Made:
    """A page of 30 users with evidence, made once; nothing may change it."""
    folder = tmp_path_factory.mktemp("browsing")
    random = np.random.default_rng(0)
    ids = [HOSTILE_ID if user == HOSTILE else f"user-{user:02}" for user in range(USERS)]
    names = _write_images(folder, draw, encode)
    truth = np.stack([random.integers(-1, len(trait.classes), USERS) for trait in SCHEMA], axis=1)
    texts = [[f"{user}, text {each}" for each in range(3)] for user in range(USERS)]
    texts[HOSTILE][0] = MARKUP
    labels = {
        trait.name: pa.array(
            [None if code < 0 else trait.classes[code] for code in truth[:, place]]
        )
        for place, trait in enumerate(SCHEMA)
    }
    columns: dict[str, Any] = {"user_id": ids, "images": names, "texts": texts, **labels}
    pq.write_table(pa.table(columns), folder / "manifest.parquet")
    odds = {
        trait.name: random.dirichlet(np.ones(len(trait.classes)), USERS).astype(np.float32)
        for trait in SCHEMA
    }
    outcomes = [_outcome(user, ids[user], names[user]) for user in range(USERS)]
    write_profiles(folder / "profiles.parquet", outcomes, odds)
    add_evidence(folder / "profiles.parquet", SCHEMA, texts=[3] * USERS)
    seen = np.array([outcome.is_seen for outcome in outcomes])[:, None]
    each = np.stack([odds[trait.name].argmax(axis=1) for trait in SCHEMA], axis=1)
    page = folder / "page"
    summary = browse_profiles(
        folder / "profiles.parquet", folder / "manifest.parquet", page, BrowseOptions(texts=True)
    )
    return Made(
        folder=folder,
        ids=ids,
        truth=truth,
        guess=np.where(seen, each, -1),
        confidence=np.stack([odds[trait.name].max(axis=1) for trait in SCHEMA], axis=1).astype(
            float
        ),
        images=[len(own) for own in names],
        status=[outcome.status.value for outcome in outcomes],
        page=page,
        summary=summary,
    )


def _write_images(
    folder: Path, draw: Callable[..., Image.Image], encode: Callable[..., bytes]
) -> list[list[str]]:
    """Write two images per user and some odd ones; return the names of all by user."""
    names = [[f"{user}-{number}.png" for number in range(2)] for user in range(USERS)]
    names[MANY] = [f"{MANY}-{number}.png" for number in range(15)]
    names[HOSTILE] = [HOSTILE_IMAGE, f"{HOSTILE}-1.png"]
    for user, own in enumerate(names):
        for number, name in enumerate(own):
            (folder / name).write_bytes(encode(draw(40, 30, 100 * user + number), "PNG"))
    (folder / "again.png").write_bytes((folder / f"{SHARED}-0.png").read_bytes())
    names[SHARED + 1].append("again.png")
    (folder / "page.jpg").write_text("<html>404</html>")
    names[FAILING] = ["page.jpg", names[FAILING][0], "gone.png"]
    names[NONE] = []
    return names


def _outcome(user: int, user_id: str, names: Sequence[str]) -> UserOutcome:
    failed = {"page.jpg": Reason.NOT_AN_IMAGE, "gone.png": Reason.MISSING}
    errors = tuple(
        FailedImage(index, name, failed[name]) for index, name in enumerate(names) if name in failed
    )
    used = min(11, len(names) - len(errors))
    return UserOutcome(user_id, len(names), used, errors)


@pytest.fixture
def texts(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """`texts(**labels)` writes a manifest of texts alone, and profiles of its users."""

    def write(**labels: list[Any]) -> tuple[Path, Path]:
        ids = [f"user-{user:02}" for user in range(ALL)]
        columns = {
            "user_id": ids,
            "texts": [[f"text {each} of user {user}" for each in range(2)] for user in range(ALL)],
            **labels,
        }
        pl.DataFrame(columns).write_parquet(tmp_path / "m.parquet")
        random = np.random.default_rng(0)
        odds = {
            trait.name: random.dirichlet(np.ones(len(trait.classes)), ALL).astype(np.float32)
            for trait in SCHEMA
        }
        outcomes = [
            UserOutcome(user, 0, 0, (), texts=TextOutcome(2, 2, 0), texts_alone=True)
            for user in ids
        ]
        write_profiles(tmp_path / "p.parquet", outcomes, odds)
        return tmp_path / "p.parquet", tmp_path / "m.parquet"

    return write
