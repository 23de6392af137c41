"""An inspection reports what a manifest contains, and what `predict` then finds."""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.engines.jobs import ExamineJob
from tweetprofile.engines.local import LocalEngine
from tweetprofile.errors import ManifestError, OptionError, TweetprofileError
from tweetprofile.inspection import Inspection, InspectOptions, inspect_manifest
from tweetprofile.inspection.report import FailedExample, LabelCounts, Range
from tweetprofile.inspection.run import plan_inspection, run_inspection
from tweetprofile.inspection.sharing import Sharing
from tweetprofile.job import MAX_PIXELS, WorkerFacts
from tweetprofile.networks import build_network, network_spec
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import Progress, predict_manifest
from tweetprofile.traits import PRESETS
from tweetprofile.volumes.spec import VolumeSpec

Inspect = Callable[..., Inspection]


@pytest.fixture(scope="module")
def inspect() -> Iterator[Inspect]:
    """`inspect_manifest`, with workers that are kept for the next test."""
    with ExitStack() as stack:
        engines: dict[ExamineJob, LocalEngine[WorkerFacts]] = {}

        def inspect(manifest: Path, **options: Any) -> Inspection:
            plan = plan_inspection(manifest, InspectOptions(**options))
            # Manifests that carry their images need no image root, so they can share one job.
            reading = replace(plan.job.options, image_root=Path("/"))
            job = replace(plan.job, options=reading)
            if plan.manifest.carries_bytes and job not in engines:
                engines[job] = stack.enter_context(replace(plan, job=job).engine())
            if plan.manifest.carries_bytes:
                return run_inspection(plan, engines[job])
            with plan.engine() as engine:
                return run_inspection(plan, engine)

        yield inspect


@pytest.fixture
def pictures(draw: Callable[..., Image.Image], encode: Callable[..., bytes]) -> list[bytes]:
    """JPEGs of 40 x 30 pixels, no two alike."""
    return [encode(draw(40, 30, seed), "JPEG") for seed in range(16)]


def write(path: Path, users: dict[str, list[bytes | None]], **labels: list[str | None]) -> Path:
    """Write a manifest that carries its images; a null is a missing image."""
    images = pa.array(list(users.values()), pa.list_(pa.binary()))
    ids = pa.array(list(users), pa.string())
    pq.write_table(pa.table({"user_id": ids, "images": images, **labels}), path)
    return path


def test_users_images_and_the_expected_outcome_are_counted(
    inspect: Inspect, pictures: list[bytes], tmp_path: Path
) -> None:
    broken = pictures[0][:300]
    users: dict[str, list[bytes | None]] = {
        "full": [*pictures[:11]],
        "many": [*pictures],
        "short": [*pictures[:2]],
        "partial": [pictures[3], broken],
        "unusable": [broken, None, b"<html>404</html>"],
        "nobody": [],
    }
    found = inspect(write(tmp_path / "m.parquet", users))
    assert (found.users, found.users_in_manifest, found.is_sample) == (6, 6, False)
    assert found.images.given == 34
    assert (found.images.usable, found.images.failed, found.images.decoded) == (30, 4, 3)
    assert found.images_per_user == Range(0, 2, 16)
    assert found.histogram == {"0": 1, "1-2": 2, "3-10": 1, "11": 1, "more than 11": 1}
    assert found.formats == {"JPEG": 30}
    assert (found.widths, found.heights) == (Range(40, 40, 40), Range(30, 30, 30))
    assert found.images.bytes == sum(
        map(len, [*pictures[:11], *pictures, *pictures[:2], pictures[3]])
    )
    assert found.reasons == {"truncated": 2, "missing": 1, "not_an_image": 1}
    assert found.outlook.statuses == {"ok": 3, "partial": 1, "no_images": 1, "unusable": 1}
    assert (found.outlook.full, found.outlook.short, found.outlook.tried_in_vain) == (2, 2, 4)
    assert found.sharing == Sharing(
        distinct=16, at_several_users=11, users=4, most_users=3, repeats=0
    )


def test_a_failed_image_that_predict_would_not_try_is_counted_and_leaves_the_status_ok(
    inspect: Inspect, pictures: list[bytes], tmp_path: Path
) -> None:
    images: list[bytes | None] = [*pictures, *pictures]
    images[1] = b"<html>"  # of 32 images, 11 evenly spread ones are tried: 0, 3, 6 and so on
    found = inspect(write(tmp_path / "m.parquet", {"zoe": images}))
    assert (found.images.failed, found.outlook.tried_in_vain) == (1, 0)
    assert found.outlook.statuses == {"ok": 1}


def test_images_with_equal_bytes_are_the_same_image(
    inspect: Inspect, pictures: list[bytes], tmp_path: Path
) -> None:
    one, two, three, broken = *pictures[:3], b"<html>"
    users: dict[str, list[bytes | None]] = {
        "a": [one, one, two],
        "b": [one, broken],
        "c": [three, broken],
    }
    found = inspect(write(tmp_path / "m.parquet", users))
    assert found.sharing == Sharing(
        distinct=3, at_several_users=1, users=2, most_users=2, repeats=1
    )


def test_the_first_images_of_each_reason_are_named(inspect: Inspect, tmp_path: Path) -> None:
    users: dict[str, list[bytes | None]] = {f"user {n}": [b"<html>", None] for n in range(100)}
    found = inspect(write(tmp_path / "m.parquet", users))
    assert found.reasons == {"missing": 100, "not_an_image": 100}
    assert found.examples == {
        "missing": tuple(FailedExample(f"user {n}", 1, "") for n in range(3)),
        "not_an_image": tuple(FailedExample(f"user {n}", 0, "") for n in range(3)),
    }


def test_labels_are_counted_by_class(inspect: Inspect, tmp_path: Path) -> None:
    users: dict[str, list[bytes | None]] = {str(number): [] for number in range(6)}
    manifest = write(
        tmp_path / "m.parquet",
        users,
        gender=["male", "female", None, "female", "male", "female"],
        name=["a", "b", "c", "d", "e", "f"],
    )
    found = inspect(manifest)
    assert found.labels == {"gender": LabelCounts({"female": 3, "male": 2}, 1)}
    assert list(found.no_traits) == ["name"]


def test_a_text_column_that_is_not_in_every_file_is_ignored(
    inspect: Inspect, tmp_path: Path
) -> None:
    write(tmp_path / "1.parquet", {"a": [], "b": []}, gender=["male", "male"])
    write(tmp_path / "2.parquet", {"c": []})
    found = inspect(tmp_path)
    assert (found.users, found.labels, found.no_traits) == (3, {}, {})


def test_a_manifest_without_users_is_inspected(inspect: Inspect, tmp_path: Path) -> None:
    found = inspect(write(tmp_path / "m.parquet", {}))
    assert (found.users, found.images.given, found.images_per_user) == (0, 0, None)
    assert found.outlook.statuses == {}
    assert not found.is_sample


def test_images_beyond_max_images_are_counted_but_not_examined(
    inspect: Inspect, pictures: list[bytes], tmp_path: Path
) -> None:
    found = inspect(write(tmp_path / "m.parquet", {"a": [*pictures[:5]], "b": []}), max_images=2)
    assert (found.images.given, found.images.left_out, found.images.usable) == (5, 3, 2)
    assert found.images_per_user == Range(0, 0, 5)


def test_images_beyond_the_limits_are_too_large(
    inspect: Inspect, pictures: list[bytes], tmp_path: Path
) -> None:
    manifest = write(tmp_path / "m.parquet", {"a": [*pictures[:5]]})
    assert inspect(manifest, max_pixels=40 * 30).reasons == {}
    assert inspect(manifest, max_pixels=40 * 30 - 1).reasons == {"too_large": 5}
    assert inspect(manifest, max_image_bytes=100).reasons == {"too_large": 5}


def test_a_sample_has_the_given_number_of_users_and_says_so(
    inspect: Inspect, pictures: list[bytes], tmp_path: Path
) -> None:
    users: dict[str, list[bytes | None]] = {str(n): [pictures[n % 16]] for n in range(300)}
    found = inspect(write(tmp_path / "m.parquet", users), sample=20)
    assert (found.users, found.users_in_manifest, found.is_sample) == (20, 300, True)
    assert found.images.usable == 20
    assert not inspect(tmp_path / "m.parquet", sample=300).is_sample


def test_the_number_of_frames_is_that_of_the_checkpoint(
    inspect: Inspect, pictures: list[bytes], tmp_path: Path, model: Path
) -> None:
    found = inspect(write(tmp_path / "m.parquet", {"a": [*pictures[:5]]}), checkpoint=model)
    assert found.outlook.frames == 11


def test_the_detail_is_the_given_one_or_that_of_the_checkpoint_and_the_report_names_it(
    inspect: Inspect, pictures: list[bytes], tmp_path: Path
) -> None:
    manifest = write(tmp_path / "m.parquet", {"a": [*pictures[:2]]})
    volume = VolumeSpec(height=16, width=16, detail="full")
    network = build_network(network_spec("deepset"), volume, PRESETS["mex-a3t-2019"])
    save_checkpoint(tmp_path / "full.safetensors", network, {})
    full = InspectOptions(checkpoint=tmp_path / "full.safetensors")
    for options, detail in (
        (InspectOptions(), "frame"),
        (InspectOptions(detail="full"), "full"),
        (full, "full"),
        (replace(full, detail="frame"), "frame"),
    ):
        assert plan_inspection(manifest, options).job.options.detail == detail
    assert inspect(manifest, detail="full").to_dict()["detail"] == "full"


def test_all_forms_of_a_manifest_give_the_same_report(dump: Path, inspect: Inspect) -> None:
    users = pq.read_table(dump / "test.parquet", columns=["user_id", "images"]).to_pylist()
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    existing = [[(dump / path).exists() for path in user["images"]] for user in users]
    users = [
        {
            "user_id": user["user_id"],
            "images": [p for p, is_there in zip(user["images"], there, strict=True) if is_there],
        }
        for user, there in zip(users, existing, strict=True)
    ]
    ids = [user["user_id"] for user in users]
    paths = [user["images"] for user in users]
    encoded = [[(dump / path).read_bytes() for path in each] for each in paths]
    both = [
        [{"bytes": data, "path": path} for data, path in zip(*each, strict=True)]
        for each in zip(encoded, paths, strict=True)
    ]
    tables = [
        pa.table({"user_id": ids, "images": paths}),
        pa.table({"user_id": ids, "images": pa.array(encoded, pa.list_(pa.binary()))}),
        pa.table({"user_id": ids, "images": pa.array(both, pa.list_(struct))}),
        pa.table(
            {
                "user_id": [
                    user for user, each in zip(ids, paths, strict=True) for _ in each or [0]
                ],
                "image": [path for each in paths for path in each or [None]],
            }
        ),
    ]
    reports = []
    for number, table in enumerate(tables):
        path = dump / f"{number}.parquet"
        pq.write_table(table, path)
        found = inspect(path).to_dict()
        reports.append(
            {k: v for k, v in found.items() if k not in ("manifest", "form", "seconds", "examples")}
        )
    assert reports[0]["images"]["usable"] > 0
    assert reports[0]["reasons"]
    assert reports[1:] == reports[:1] * 3


def test_paths_that_must_not_be_read_become_reasons(
    pictures: list[bytes], tmp_path: Path, inspect: Inspect
) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "good.jpg").write_bytes(pictures[0])
    (tmp_path / "out.jpg").write_bytes(pictures[0])
    (root / "link.jpg").symlink_to(tmp_path / "out.jpg")
    (root / "empty.jpg").touch()
    os.mkfifo(root / "pipe.jpg")
    images = [
        "good.jpg", "../out.jpg", "link.jpg", "/etc/hostname", "folder", "pipe.jpg",
        "gone.jpg", "empty.jpg", "https://example.org/a.jpg",
    ]  # fmt: skip
    pq.write_table(pa.table({"user_id": [1], "images": [images]}), root / "m.parquet")
    found = inspect(root / "m.parquet")
    assert found.images.usable == 1
    assert found.reasons == {
        "outside_root": 3,
        "not_a_file": 2,
        "empty": 1,
        "missing": 1,
        "unsupported_uri": 1,
    }


def test_progress_reaches_every_user(pictures: list[bytes], tmp_path: Path) -> None:
    users: dict[str, list[bytes | None]] = {str(n): [pictures[0], None] for n in range(40)}
    seen: list[Progress] = []
    inspect_manifest(write(tmp_path / "m.parquet", users), None, seen.append)
    last = seen[-1]
    assert (last.counts.users, last.users_total) == (40, 40)
    assert (last.counts.images, last.counts.failed) == (80, 40)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sample": 0}, "`sample` is 0; it must be at least 1"),
        ({"max_images": 0}, "`max_images` is 0; it must be at least 1"),
        ({"max_pixels": 0}, "`max_pixels` is 0; it must be at least 1"),
        ({"max_image_bytes": 0}, "`max_image_bytes` is 0; it must be at least 1"),
        ({"stall_seconds": 0.0}, "`stall_seconds` is 0.0; it must be above 0"),
        ({"detail": "most"}, "`detail` is most; it must be full or frame"),
        ({"image_root": Path("/nowhere")}, "image root /nowhere is not a folder"),
        ({"checkpoint": Path("/nowhere")}, "/nowhere does not exist"),
    ],
)
def test_an_option_out_of_range_is_refused_before_any_work(
    tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    manifest = write(tmp_path / "m.parquet", {"a": []})
    with pytest.raises(TweetprofileError, match=sentence):
        plan_inspection(manifest, InspectOptions(**options))


def test_a_manifest_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="does not exist"):
        inspect_manifest(tmp_path / "gone.parquet")
    with pytest.raises(OptionError, match="is not a folder"):
        inspect_manifest(write(tmp_path / "m.parquet", {}), InspectOptions(tmp_path / "gone"))


# --- real images ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_manifest(
    real_photos: list[Path], real_damaged: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A manifest with one user per photograph and per damaged image."""
    path = tmp_path_factory.mktemp("real") / "m.parquet"
    data = real_photos[0].parents[1]
    files = [str(file.relative_to(data)) for file in (*real_photos, *real_damaged)]
    pl.DataFrame({"user_id": files, "images": [[file] for file in files]}).write_parquet(path)
    return path


def failures_of(manifest: Path, root: Path, *, full_decode: bool = False) -> dict[str, str]:
    """The reason of each unusable image, as the workers of an inspection find it."""
    plan = plan_inspection(manifest, InspectOptions(root, full_decode=full_decode))
    with plan.engine() as engine:
        rows = [
            failure
            for _, findings in engine.run(plan.batches(16))
            for failures in findings["failures"].to_pylist()
            for failure in failures
        ]
    return {row["image"]: row["reason"] for row in rows}


@pytest.mark.slow
def test_every_finding_on_a_real_image_agrees_with_predict_and_with_the_index(
    real_manifest: Path, real_damaged: list[Path], model: Path, tmp_path: Path
) -> None:
    root = real_damaged[0].parents[1]
    found = failures_of(real_manifest, root)
    options = PredictOptions(model, root, devices="cpu", decoder="pillow")
    summary = predict_manifest(real_manifest, tmp_path / "out.parquet", options)
    errors = pl.read_parquet(tmp_path / "out.parquet")["image_errors"].explode().drop_nulls()
    assert found == {error["image"]: error["reason"] for error in errors}

    inspection = inspect_manifest(real_manifest, InspectOptions(root))
    assert inspection.outlook.statuses == summary.counts.statuses
    assert inspection.reasons == dict(Counter(found.values()))

    with (real_damaged[0].parent / "index.csv").open() as index:
        rows = list(csv.DictReader(index))
    by_pillow = {f"damaged/{row['file']}" for row in rows if row["pillow"] != "ok"}
    beyond_the_cap = {  # only Pillow decodes these, up to 179 megapixels
        f"damaged/{row['file']}"
        for row in rows
        if row["pillow"] == "ok" and int(row["width"]) * int(row["height"]) > MAX_PIXELS
    }
    second_look = {  # Pillow refuses these and nvImageCodec reads them, within the cap
        f"damaged/{row['file']}"
        for row in rows
        if row["pillow"] != "ok" and row["dali_cpu"] == "ok" and "Bomb" not in row["pillow"]
    }
    assert found.keys() == (by_pillow | beyond_the_cap) - second_look
    assert not any(name.startswith("photos/") for name in found)


def test_every_image_that_screening_accepts_decodes(
    real_manifest: Path, real_damaged: list[Path]
) -> None:
    root = real_damaged[0].parents[1]
    decoded = failures_of(real_manifest, root, full_decode=True)
    assert failures_of(real_manifest, root) == decoded


def test_photographs_are_not_decoded(real_photos: list[Path], tmp_path: Path) -> None:
    names = [photo.name for photo in real_photos]
    pl.DataFrame({"user_id": ["all"], "images": [names]}).write_parquet(tmp_path / "m.parquet")
    found = inspect_manifest(tmp_path / "m.parquet", InspectOptions(real_photos[0].parent))
    assert (found.images.usable, found.images.decoded) == (len(names), 0)
    sizes = [Image.open(photo).size for photo in real_photos]
    assert found.widths is not None
    assert found.widths.maximum == max(width for width, _ in sizes)
    assert found.images.bytes == sum(photo.stat().st_size for photo in real_photos)
