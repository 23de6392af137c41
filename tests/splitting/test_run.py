"""A split has every user once, every class in its share, and no image in two parts."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tweetprofile.cli import main
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import ManifestError, OptionError, OutputError
from tweetprofile.splitting.run import SplitOptions, split_manifest

MakeDump = Callable[..., Path]


@pytest.fixture
def make_dump(tmp_path: Path, draw: Callable[..., Image.Image]) -> MakeDump:
    """Return `make_dump([[0, 1], [1]])`: it makes users with these pictures, one per file."""

    def make(lists: list[list[int]], **columns: list[str | None]) -> Path:
        pictures = {number for images in lists for number in images}
        for number in pictures:
            draw(8, 8, number).save(tmp_path / f"{number}.png")
        paths = []
        for user, images in enumerate(lists):
            (tmp_path / str(user)).mkdir(exist_ok=True)
            for number in images:
                shutil.copyfile(tmp_path / f"{number}.png", tmp_path / str(user) / f"{number}.png")
            paths.append([f"{user}/{number}.png" for number in images])
        ids = [f"u{user}" for user in range(len(lists))]
        frame = pl.DataFrame({"user_id": ids, "images": paths, **columns})
        frame.write_parquet(tmp_path / "m.parquet")
        return tmp_path / "m.parquet"

    return make


def contents(part: Path) -> set[str]:
    """Return the digests of all images of a part."""
    return {
        hashlib.sha256((part.parent / path).read_bytes()).hexdigest()
        for images in pl.read_parquet(part)["images"]
        for path in images
    }


def test_users_who_share_an_image_stay_together_and_every_user_is_in_a_part(
    make_dump: MakeDump,
) -> None:
    lists = [[10 * (user // 3), 1000 + user] for user in range(60)]
    manifest = make_dump(lists)
    summary = split_manifest(manifest)
    paths = [part.path for part in summary.parts]
    assert [path.name for path in paths] == [
        "m.train.parquet", "m.validation.parquet", "m.test.parquet",
    ]  # fmt: skip
    assert [part.users for part in summary.parts] == [42, 6, 12]
    together = pl.concat([pl.read_parquet(path) for path in paths]).sort("user_id")
    assert together.equals(pl.read_parquet(manifest).sort("user_id"))
    train, validation, test = map(contents, paths)
    assert not train & test
    assert not train & validation
    assert not validation & test
    assert (summary.groups, summary.shared) == (20, 20)
    assert all(part.images_removed == 0 for part in summary.parts)


def test_an_image_that_nearly_all_users_have_stays_with_the_test_users(make_dump: MakeDump) -> None:
    manifest = make_dump([[7, 100 + user] if user % 5 else [7] for user in range(50)])
    summary = split_manifest(manifest, options=SplitOptions(validation=0.2, test=0.2))
    train, validation, test = (contents(part.path) for part in summary.parts)
    assert not train & test
    assert not train & validation
    assert not validation & test
    _, _, tested = summary.parts
    assert tested.images_removed == tested.emptied == 0
    assert sum(part.images_removed for part in summary.parts) == 40
    users = pl.concat([pl.read_parquet(part.path) for part in summary.parts])
    assert users["user_id"].n_unique() == 50, "users without an image are kept"
    empty = int((users["images"].list.len() == 0).sum())
    assert empty == sum(part.emptied for part in summary.parts) > 0


def test_every_part_gets_its_share_of_every_class(make_dump: MakeDump) -> None:
    genders = [("female", "male", None, "male")[user % 4] for user in range(200)]
    manifest = make_dump([[user] for user in range(200)], gender=genders)
    train, validation, test = split_manifest(manifest).parts
    assert train.classes["gender"] == {"female": 35, "male": 70}
    assert validation.classes["gender"] == {"female": 5, "male": 10}
    assert test.classes["gender"] == {"female": 10, "male": 20}


def test_in_folds_every_user_is_tested_once_on_images_that_were_not_learnt_from(
    make_dump: MakeDump,
) -> None:
    generator = np.random.default_rng(0)
    manifest = make_dump([generator.choice(30, 4, replace=False).tolist() for _ in range(40)])
    summary = split_manifest(manifest, options=SplitOptions(folds=4))
    assert len(summary.parts) == 8
    tested: list[str] = []
    for train, test in zip(summary.parts[::2], summary.parts[1::2], strict=True):
        assert train.path.name.endswith(".train.parquet")
        assert train.users + test.users == 40
        assert not contents(train.path) & contents(test.path)
        everyone = pl.read_parquet(manifest)
        frame = pl.read_parquet(test.path)
        assert frame.equals(everyone.filter(pl.col("user_id").is_in(frame["user_id"].to_list())))
        tested += frame["user_id"].to_list()
    assert sorted(tested) == sorted(pl.read_parquet(manifest)["user_id"].to_list())


def test_parts_of_artificial_users_still_say_that_they_are_artificial(make_dump: MakeDump) -> None:
    manifest = make_dump([[user] for user in range(12)])
    for metadata in (None, {"artificial": "drawn"}):
        pq.write_table(pq.read_table(manifest).replace_schema_metadata(metadata), manifest)
        parts = split_manifest(manifest, options=SplitOptions(overwrite=True)).parts
        found = {Manifest.open(part.path).is_artificial for part in parts}
        assert found == {metadata is not None}


def test_embedded_images_are_split_too(tmp_path: Path, make_dump: MakeDump) -> None:
    manifest = make_dump([[user // 2] for user in range(20)])
    embedded = [
        [{"bytes": (tmp_path / path).read_bytes(), "path": path} for path in images]
        for images in pl.read_parquet(manifest)["images"]
    ]
    pl.read_parquet(manifest).with_columns(images=pl.Series(embedded)).write_parquet(manifest)
    summary = split_manifest(manifest, options=SplitOptions(validation=0, test=0.3))
    assert [part.users for part in summary.parts] == [14, 6]
    parts = [Manifest.open(part.path) for part in summary.parts]
    bytes_of = [
        {image.data for batch in part.shards(99) for user in batch.users for image in user.images}
        for part in parts
    ]
    assert not bytes_of[0] & bytes_of[1]
    assert len(bytes_of[0] | bytes_of[1]) == 10


def test_images_that_cannot_be_read_are_compared_by_their_paths(tmp_path: Path) -> None:
    lists = [[f"{user // 2}.jpg"] for user in range(20)]
    ids = [str(user) for user in range(20)]
    pl.DataFrame({"user_id": ids, "images": lists}).write_parquet(tmp_path / "m.parquet")
    summary = split_manifest(tmp_path / "m.parquet")
    assert (summary.unreadable, summary.groups) == (20, 10)


def test_overwrite_replaces_an_earlier_split_and_nothing_else(make_dump: MakeDump) -> None:
    manifest = make_dump([[user] for user in range(10)])
    split_manifest(manifest)
    with pytest.raises(OutputError, match=r"m\.train\.parquet exists"):
        split_manifest(manifest)
    split_manifest(manifest, options=SplitOptions(seed=1, overwrite=True))
    own = manifest.with_name("m.test.parquet")
    pl.DataFrame({"thesis": [1]}).write_parquet(own)
    before = own.read_bytes()
    with pytest.raises(OutputError, match=r"m\.test\.parquet"):
        split_manifest(manifest, options=SplitOptions(overwrite=True))
    assert own.read_bytes() == before


def test_the_same_seed_gives_the_same_split(make_dump: MakeDump) -> None:
    manifest = make_dump([[user] for user in range(40)])
    parts = []
    for seed in (1, 1, 2):
        split_manifest(manifest, options=SplitOptions(seed=seed, overwrite=True))
        parts.append(pl.read_parquet(manifest.with_name("m.test.parquet"))["user_id"].to_list())
    assert parts[0] == parts[1] != parts[2]


def test_the_parts_of_a_folder_need_a_folder_of_their_own(
    tmp_path: Path, make_dump: MakeDump, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = make_dump([[user] for user in range(10)])
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(2):
        frame = pl.read_parquet(manifest).slice(number * 5, 5)
        frame.with_columns(
            images=pl.col("images").list.eval(pl.lit("../") + pl.element())
        ).write_parquet(folder / f"{number}.parquet")
    assert main(["split", str(folder)]) == 2
    assert "pass one as --out" in capsys.readouterr().err
    (tmp_path / "parts").mkdir()
    arguments = ["split", str(folder), "-o", str(tmp_path / "parts"), "--image-root", str(folder)]
    assert main(arguments) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"Image paths are still relative to {folder}: give it as --image-root." in said
    assert (tmp_path / "parts" / "many.train.parquet").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"validation": 0.5, "test": 0.5}, "leave no users to train on"),
        ({"validation": 0.0, "test": 0.0}, "set none aside"),
        ({"test": 1.0}, "`test` is 1; it must be"),
        ({"folds": 1}, "`folds` is 1; it must be from 2 to 100"),
    ],
)
def test_shares_that_are_out_of_range_are_refused(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        SplitOptions(**options)  # type: ignore[arg-type]


def test_too_few_users_are_refused_with_the_number_needed(make_dump: MakeDump) -> None:
    with pytest.raises(ManifestError, match=r"has 5 users, too few for 3 parts"):
        split_manifest(make_dump([[user] for user in range(5)]))


@pytest.mark.parametrize("long", [False, True])
def test_a_manifest_with_texts_only_is_split_and_keeps_its_texts(
    tmp_path: Path, long: bool
) -> None:
    users = pl.DataFrame(
        {
            "user_id": [f"u{user}" for user in range(40)],
            "texts": [[f"text {user}", "hola"] for user in range(40)],
            "gender": ["female", "male"] * 20,
        }
    )
    written = users.explode("texts").rename({"texts": "text"}) if long else users
    written.write_parquet(tmp_path / "m.parquet")
    summary = split_manifest(tmp_path / "m.parquet")
    parts = pl.concat(pl.read_parquet(part.path) for part in summary.parts)
    assert set(parts.columns) == {"user_id", "texts", "gender"}
    assert parts.sort("user_id").select(users.columns).equals(users.sort("user_id"))
    assert [sum(part.classes["gender"].values()) for part in summary.parts] == [28, 4, 8]


def test_texts_stay_with_their_users_beside_images(make_dump: MakeDump) -> None:
    manifest = make_dump([[user] for user in range(20)])
    users = pl.read_parquet(manifest).with_columns(
        pl.Series("texts", [[f"text {user}"] for user in range(20)])
    )
    users.write_parquet(manifest)
    parts = pl.concat(pl.read_parquet(part.path) for part in split_manifest(manifest).parts)
    assert parts.sort("user_id").select(users.columns).equals(users.sort("user_id"))
