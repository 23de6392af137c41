"""From a manifest to pictures of what the network sees of its users.

Frames are chosen, decoded and resized by the very code that predicts, in a worker process that may
die of an image.
"""

import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL.PngImagePlugin import PngInfo

from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.checkpoints.choice import CHECKPOINT_VARIABLE, find_checkpoint
from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.data.files.protection import (
    Inputs,
    check_entries,
    check_file,
    is_earlier,
    real_path,
)
from tweetprofile.data.files.provenance import METADATA_KEY, Kind, stamp
from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.images.reader import MAX_IMAGE_BYTES
from tweetprofile.data.images.roots import check_image_root
from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import MAX_IMAGES, Manifest, UserBatch
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.engines.messages import ExtractJob
from tweetprofile.errors import CheckpointError, ManifestError, OptionError, OutputError, WriteError
from tweetprofile.inspection.drawing import Sheet, draw_sheet
from tweetprofile.inspection.naming import file_name
from tweetprofile.inspection.sampling import sample_batches, user_at
from tweetprofile.inspection.tiles import Filling, TileKind, lay_out
from tweetprofile.job import MAX_IMAGE_SECONDS, MAX_PIXELS, ExtractorFacts, PredictorOptions
from tweetprofile.networks import DeepSetSpec
from tweetprofile.untrusted.text import printable
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.workers.profiles import FRAMES

OnDrawn = Callable[[int, int], None]
"""Called with the sheets drawn, and of how many."""


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """Whose view of a user is drawn.

    Attributes:
        volume: the volumes that are taken.
        filling: what fills a short one.
        network: name of the network; None where no model is there, or its size was not asked for.
        checkpoint: its file.
        sha256: of that file.
    """

    volume: VolumeSpec
    filling: Filling
    network: str | None = None
    checkpoint: Path | None = None
    sha256: str | None = None

    @property
    def seen_by(self) -> str:
        """Who sees it, for the sheet: a file's path would tell of its owner."""
        if self.network is None or self.sha256 is None:
            return "a network of this size sees them"
        return f"{self.network} {self.sha256[:8]} sees them"

    def record(self) -> dict[str, Any]:
        """What a sheet says of it, as JSON."""
        frames, height, width = self.volume.shape
        size = {"frames": frames, "frame_size": [height, width]}
        return {"network": self.network, "checkpoint_sha256": self.sha256, **size}


OnViewpoint = Callable[[Viewpoint], None]
"""Called before the first sheet is drawn."""


@dataclass(frozen=True, slots=True)
class SheetOptions:
    """How contact sheets are made.

    Attributes:
        image_root: folder that image paths are relative to and never leave; None for the
            manifest's own.
        checkpoint: whose volumes to show; None for the model that `predict` would use, and for the
            usual volumes where there is none.
        frame_size: side of a frame in pixels, whatever model there is; None for the model's.
        max_images: images a user; those beyond are counted and not looked at.
        max_pixels: cap of an image's width x height.
        max_image_bytes: cap of an encoded image.
        max_image_seconds: cap of the processor time that decoding an image takes.
        stall_seconds: a worker that finishes nothing for so long, not even an image, hangs.
        overwrite: whether existing pictures may be replaced.

    Raises:
        OptionError: a value out of range, or a frame size beside a checkpoint, which has one.
    """

    image_root: AnyPath | None = None
    checkpoint: Path | None = None
    frame_size: int | None = None
    max_images: int = MAX_IMAGES
    max_pixels: int = MAX_PIXELS
    max_image_bytes: int = MAX_IMAGE_BYTES
    max_image_seconds: float = MAX_IMAGE_SECONDS
    stall_seconds: float = 300.0
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.checkpoint is not None and self.frame_size is not None:
            raise OptionError("the checkpoint has a frame size already; leave --frame-size out.")
        if self.max_images < 1:
            raise OptionError(f"--max-images {self.max_images} must be at least 1.")

    def viewpoint(self) -> Viewpoint:
        """Whose view to draw.

        Raises:
            InputError: the checkpoint cannot be loaded, or the frame size is out of range.
        """
        path = None if self.frame_size is not None else self._model()
        if path is None:
            side = self.frame_size or VolumeSpec().height
            spec = VolumeSpec(height=side, width=side)
            return Viewpoint(spec, spec.fill)
        loaded = load_checkpoint(path)
        any_number = isinstance(loaded.network_spec, DeepSetSpec)
        filling: Filling = "nothing" if any_number else loaded.volume_spec.fill
        name = loaded.network_spec.name
        return Viewpoint(loaded.volume_spec, filling, name, path, loaded.sha256)

    def _model(self) -> Path | None:
        """The checkpoint that `predict` would use; None where nobody has named or made one."""
        if self.checkpoint is not None or os.environ.get(CHECKPOINT_VARIABLE):
            return find_checkpoint(self.checkpoint)
        try:
            return find_checkpoint(None)
        except CheckpointError:
            return None


def draw_contact_sheet(
    manifest: str | Path,
    user_id: str,
    out: Path,
    options: SheetOptions | None = None,
    on_viewpoint: OnViewpoint = lambda viewpoint: None,
) -> None:
    """Draw what the network sees of one user.

    Args:
        manifest: a Parquet file, a folder of them or a glob.
        user_id: whose, as text.
        out: the PNG file to write.
        options: how.
        on_viewpoint: is told whose view is drawn.

    Raises:
        InputError: manifest, option or output is unusable, or there is no such user.
        WriteError: the picture could not be written.
        WorkerError: workers die before they can begin.
    """
    options = options or SheetOptions()
    opened = Manifest.open(manifest)
    inputs = _inputs(opened, options)
    _check_file(out, inputs, overwrite=options.overwrite)
    artist = _Artist(opened, options)
    position = opened.find_user(user_id)
    if position is None:
        raise ManifestError(
            f"{opened.source} has no user '{printable(user_id)}'; give an id of its column user_id."
        )
    one = user_at(opened, position, options.max_images)
    _images_of(one, opened, options).refuse(real_path(out), out)
    on_viewpoint(artist.viewpoint)
    for _, sheet in artist.draw(iter([one])):
        _write_png(out, sheet, artist.viewpoint.record(), overwrite=options.overwrite)


def draw_contact_sheets(
    manifest: str | Path,
    users: int,
    folder: Path,
    options: SheetOptions | None = None,
    on_drawn: OnDrawn = lambda drawn, total: None,
    on_viewpoint: OnViewpoint = lambda viewpoint: None,
) -> int:
    """Draw what the network sees of some users, spread over the manifest, a picture each.

    Args:
        manifest: a Parquet file, a folder of them or a glob.
        users: how many; all of a manifest that has fewer.
        folder: gets the pictures; it is made if need be.
        options: how.
        on_drawn: called after every picture.
        on_viewpoint: is told whose view is drawn.

    Returns:
        How many were drawn.

    Raises:
        InputError: manifest, option or output is unusable.
        WriteError: a picture could not be written.
        WorkerError: workers die before they can begin.
    """
    options = options or SheetOptions()
    if users < 1:
        raise OptionError(f"--contact-sheets {users} must be at least 1.")
    opened = Manifest.open(manifest)
    inputs = _inputs(opened, options)
    _check_folder(folder, inputs, overwrite=options.overwrite)
    artist = _Artist(opened, options)
    total = opened.count_users()
    users = min(users, total)
    on_viewpoint(artist.viewpoint)
    drawn = 0
    batches = sample_batches(opened, total, users, (), options.max_images) if users else iter(())
    for batch, sheet in artist.draw(_one_by_one(batches)):
        name = file_name(batch.first, batch.table["user_id"][0].as_py(), total)
        path = _made(folder) / name
        _images_of(batch, opened, options).refuse(real_path(path), path)
        _write_png(path, sheet, artist.viewpoint.record(), overwrite=options.overwrite)
        drawn += 1
        on_drawn(drawn, users)
    return drawn


class _Artist:
    """Draws batches of one user each."""

    def __init__(self, manifest: Manifest, options: SheetOptions) -> None:
        self.viewpoint = options.viewpoint()
        self._spec, self._filling = self.viewpoint.volume, self.viewpoint.filling
        root = options.image_root or manifest.folder
        check_image_root(root)
        reading = PredictorOptions(
            root,
            decoder="pillow",
            max_pixels=options.max_pixels,
            max_image_bytes=options.max_image_bytes,
            max_image_seconds=options.max_image_seconds,
        )
        self._job = ExtractJob(self._spec.frame_size(), reading)
        self._engine_options = EngineOptions("cpu", options.stall_seconds)

    def draw(self, users: Iterator[UserBatch]) -> Iterator[tuple[UserBatch, Sheet]]:
        engine: LocalEngine[ExtractorFacts]
        with LocalEngine(self._job, self._engine_options) as engine:
            for batch, rows in engine.run(users):
                yield batch, self._sheet(batch, rows)

    def _sheet(self, batch: UserBatch, rows: pa.Table) -> Sheet:
        (user,), (row,) = batch.users, rows.to_pylist()
        _, height, width = self._spec.shape
        frames = np.frombuffer(row[FRAMES], np.uint8).reshape(-1, height, width, 3)
        failed = {error["index"]: error["reason"] for error in row["image_errors"]}
        tiles = lay_out(user.images, frames, failed, self._spec.frames, self._filling)
        again = sum(tile.kind is TileKind.REPEATED for tile in tiles)
        subtitle = _subtitle(row, again)
        seen_by = self.viewpoint.seen_by
        return Sheet(str(user.user_id), subtitle, (height, width), tuple(tiles), seen_by)


def _subtitle(row: dict[str, Any], repeated: int) -> str:
    return ", ".join(
        [
            f"status {row['status']}: {row['images_given']:,} images",
            f"{row['frames_used']} used",
            *([f"{repeated} repeated"] if repeated else []),
            *([f"{row['images_failed']:,} tried in vain"] if row["images_failed"] else []),
        ]
    )


def _one_by_one(batches: Iterator[UserBatch]) -> Iterator[UserBatch]:
    for batch in batches:
        for position in range(len(batch)):
            yield UserBatch(batch.shard, batch.first + position, batch.table.slice(position, 1))


def _inputs(manifest: Manifest, options: SheetOptions) -> Inputs:
    return inputs_of(manifest, options.image_root) + Inputs.of(checkpoint=options.checkpoint)


def _images_of(batch: UserBatch, manifest: Manifest, options: SheetOptions) -> Inputs:
    """The image files of a user: an earlier sheet may have become one of them."""
    root = options.image_root or manifest.folder
    if not isinstance(root, Path):
        return Inputs()
    paths = (image.path for user in batch.users for image in user.images if image.path is not None)
    return Inputs(tuple(("an image", root / path) for path in paths if "\0" not in path))


def _check_file(out: Path, inputs: Inputs, *, overwrite: bool) -> None:
    if not out.parent.is_dir():
        raise OutputError(f"the folder {out.parent} does not exist; make it first.")
    check_file(out, Kind.SHEET, inputs, overwrite=overwrite)


def _check_folder(folder: Path, inputs: Inputs, *, overwrite: bool) -> None:
    inputs.refuse(real_path(folder), folder)
    inputs.refuse(real_path(folder / "0-user.png"), folder)
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give a folder for the pictures.")
    if not folder.absolute().parent.is_dir():
        raise OutputError(f"the folder {folder.absolute().parent} does not exist; make it first.")
    if not folder.is_dir():
        return
    check_entries(folder, Kind.SHEET, folder)
    if any(folder.iterdir()) and not overwrite:
        raise OutputError(f"{folder} is not empty; choose another folder or add --overwrite.")


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}.") from error
    return folder


def _write_png(
    path: Path, sheet: Sheet, viewpoint: dict[str, Any] | None = None, *, overwrite: bool
) -> None:
    """Write a picture, whole or not at all."""
    encoded = io.BytesIO()
    record = PngInfo()
    record.add_text(METADATA_KEY, json.dumps({**stamp(Kind.SHEET), **(viewpoint or {})}))
    draw_sheet(sheet).save(encoded, "PNG", pnginfo=record)
    earlier = is_earlier(Kind.SHEET, overwrite=overwrite)
    try:
        write_atomically(real_path(path), encoded.getvalue(), earlier)
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error.strerror}.") from error
