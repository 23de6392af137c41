"""Draw contact sheets: the frames of a user as the network sees them.

The code that predicts also chooses, decodes and resizes these frames, in a worker process, so that
an image that crashes a decoder does not end the command.
"""

import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
from tweetprofile.data.images.roots import check_image_root
from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.errors import CheckpointError, ManifestError, OptionError, OutputError, WriteError
from tweetprofile.inspection.drawing import Sheet, draw_sheet
from tweetprofile.inspection.file_names import sheet_file_name
from tweetprofile.inspection.frames import ExtractedUser, extract_frames, image_files
from tweetprofile.inspection.sampling import sample_batches, user_at
from tweetprofile.inspection.sheet_layout import CellKind, Filling, lay_out_sheet
from tweetprofile.job import (
    DETAIL,
    Detail,
    LimitsImages,
)
from tweetprofile.networks import DeepSetSpec, EmbeddingSetSpec
from tweetprofile.plurals import count_of
from tweetprofile.untrusted.text import printable
from tweetprofile.volumes.spec import VolumeSpec

OnDrawn = Callable[[int, int], None]
"""A function that is called with the number of sheets drawn and their total number."""


@dataclass(frozen=True, slots=True)
class SheetModel:
    """The model whose input volumes contact sheets show, or a volume size without a model.

    Attributes:
        volume: The size of the volumes, and the detail of their frames.
        filling: How a short volume is filled.
        network: The name of the network; None if the sheets show no model's volumes.
        checkpoint: The file of the checkpoint; None without a model.
        sha256: The digest of that file; None without a model.
    """

    volume: VolumeSpec
    filling: Filling
    network: str | None = None
    checkpoint: Path | None = None
    sha256: str | None = None

    @property
    def description(self) -> str:
        """The model, as named on a sheet: without the path of its file, which is private."""
        if self.network is None or self.sha256 is None:
            return "a network of this size"
        return f"{self.network} {self.sha256[:8]}"

    def record(self) -> dict[str, Any]:
        """Return the facts that a sheet records, as JSON."""
        frames, height, width = self.volume.shape
        size = {"frames": frames, "frame_size": [height, width], "detail": self.volume.detail}
        return {"network": self.network, "checkpoint_sha256": self.sha256, **size}


OnModel = Callable[[SheetModel], None]
"""A function that is called with the model before the first sheet is drawn."""


@dataclass(frozen=True, slots=True)
class SheetOptions(LimitsImages):
    """How to draw contact sheets; for the limits of images, see `LimitsImages`.

    Attributes:
        image_root: The folder that image paths are relative to and never leave; None for the
            manifest's folder.
        checkpoint: The checkpoint whose volumes are shown. None for the one that `predict` would
            use, or for volumes of the default size if there is none.
        frame_size: The side of a frame in pixels, regardless of any checkpoint; None for the
            frame size of the checkpoint.
        detail: How much of an image is decoded: `full` or `frame`. None for the checkpoint's own,
            or for `frame` where there is no checkpoint.
        stall_seconds: The time, in seconds, after which a worker that has not even finished one
            image is considered to hang.
        overwrite: Whether existing contact sheets may be replaced.

    Raises:
        OptionError: A value is out of range, or both a checkpoint and a frame size are given.
    """

    image_root: AnyPath | None = None
    checkpoint: Path | None = None
    frame_size: int | None = None
    detail: Detail | None = None
    stall_seconds: float = 300.0
    overwrite: bool = False

    def __post_init__(self) -> None:
        LimitsImages.__post_init__(self)
        if self.checkpoint is not None and self.frame_size is not None:
            raise OptionError("the checkpoint determines the frame size; leave `frame_size` out.")

    def find_model(self) -> SheetModel:
        """Find the model whose volumes to show.

        Raises:
            InputError: The checkpoint cannot be loaded, or the frame size is out of range.
        """
        path = None if self.frame_size is not None else self._checkpoint()
        if path is None:
            side = self.frame_size or VolumeSpec().height
            spec = VolumeSpec(height=side, width=side, detail=self.detail or DETAIL)
            return SheetModel(spec, spec.fill)
        loaded = load_checkpoint(path)
        if not loaded.sees_images:
            raise OptionError(
                f"`checkpoint` {path} looks at no images; name a model of images, "
                "or pass `frame_size`."
            )
        any_number = isinstance(loaded.network_spec, DeepSetSpec | EmbeddingSetSpec)
        volume = loaded.volume_spec
        volume = replace(volume, detail=self.detail or volume.detail)
        filling: Filling = "nothing" if any_number else volume.fill
        return SheetModel(volume, filling, loaded.network_spec.name, path, loaded.sha256)

    def _checkpoint(self) -> Path | None:
        """Return the checkpoint that `predict` would use; None if none is named and none chosen."""
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
    *,
    on_model: OnModel = lambda model: None,
) -> None:
    """Draw the contact sheet of one user.

    Args:
        manifest: A Parquet file, a folder of Parquet files or a glob.
        user_id: The id of the user, as text.
        out: The PNG file to write.
        options: How to draw; see `SheetOptions`.
        on_model: A function that is called with the model before the sheet is drawn.

    Raises:
        InputError: The manifest, an option or the output is unusable, or the manifest does not
            contain the user.
        WriteError: The sheet could not be written.
        WorkerError: Workers die before they can begin.
    """
    options = options or SheetOptions()
    opened = Manifest.open(manifest)
    inputs = _inputs(opened, options)
    _check_file(out, inputs, overwrite=options.overwrite)
    drawer = _SheetDrawer(opened, options)
    position = opened.find_user(user_id)
    if position is None:
        raise ManifestError(
            f"{opened.source} has no user '{printable(user_id)}'; pass an id from its column "
            "user_id."
        )
    one = user_at(opened, position, options.max_images)
    _images_of(one, opened, options).refuse(real_path(out), out)
    on_model(drawer.model)
    for _, sheet in drawer.draw(iter([one])):
        _write_png(out, sheet, drawer.model.record(), overwrite=options.overwrite)


def draw_contact_sheets(
    manifest: str | Path,
    users: int,
    folder: Path,
    options: SheetOptions | None = None,
    *,
    on_drawn: OnDrawn = lambda drawn, total: None,
    on_model: OnModel = lambda model: None,
) -> int:
    """Draw one contact sheet each for several users, spread over the manifest.

    Args:
        manifest: A Parquet file, a folder of Parquet files or a glob.
        users: The number of users; all users of a manifest that has fewer.
        folder: The folder to write the sheets to; it is made if it does not exist.
        options: How to draw; see `SheetOptions`.
        on_drawn: A function that is called after every sheet.
        on_model: A function that is called with the model before the first sheet is drawn.

    Returns:
        The number of sheets drawn.

    Raises:
        InputError: The manifest, an option or the output is unusable.
        WriteError: A sheet could not be written.
        WorkerError: Workers die before they can begin.
    """
    options = options or SheetOptions()
    if users < 1:
        raise OptionError(f"`users` is {users}; it must be at least 1.")
    opened = Manifest.open(manifest)
    inputs = _inputs(opened, options)
    _check_folder(folder, inputs, overwrite=options.overwrite)
    drawer = _SheetDrawer(opened, options)
    total = opened.count_users()
    users = min(users, total)
    on_model(drawer.model)
    drawn = 0
    batches = sample_batches(opened, total, users, (), options.max_images) if users else iter(())
    for batch, sheet in drawer.draw(_one_by_one(batches)):
        name = sheet_file_name(batch.first, batch.table["user_id"][0].as_py(), total)
        path = _make_folder(folder) / name
        _images_of(batch, opened, options).refuse(real_path(path), path)
        _write_png(path, sheet, drawer.model.record(), overwrite=options.overwrite)
        drawn += 1
        on_drawn(drawn, users)
    return drawn


class _SheetDrawer:
    """Draws the sheets of batches of one user each."""

    def __init__(self, manifest: Manifest, options: SheetOptions) -> None:
        self.model = options.find_model()
        self._spec, self._filling = self.model.volume, self.model.filling
        root = options.image_root or manifest.folder
        check_image_root(root)
        self._stall_seconds = options.stall_seconds
        self._reading = options.reading(root, self._spec.detail)

    def draw(self, users: Iterator[UserBatch]) -> Iterator[tuple[UserBatch, Sheet]]:
        size = self._spec.frame_size()
        for user in extract_frames(users, size, self._reading, self._stall_seconds):
            yield user.batch, self._sheet(user)

    def _sheet(self, found: ExtractedUser) -> Sheet:
        (user,) = found.batch.users
        _, height, width = self._spec.shape
        frames = found.frames_FHWC
        cells = lay_out_sheet(user.images, frames, found.failed, self._spec.frames, self._filling)
        repeated = sum(cell.kind is CellKind.REPEATED for cell in cells)
        return Sheet(
            title=str(user.user_id),
            subtitle=_subtitle(found, repeated),
            frame_size=(height, width),
            cells=tuple(cells),
            network=self.model.description,
        )


def _subtitle(found: ExtractedUser, repeated: int) -> str:
    return ", ".join(
        [
            f"status {found.status}: {count_of(found.images_given, 'image')}",
            f"{len(found.frames_FHWC)} used",
            *([f"{repeated} repeated"] if repeated else []),
            *([f"{len(found.failed):,} unusable"] if found.failed else []),
        ]
    )


def _one_by_one(batches: Iterator[UserBatch]) -> Iterator[UserBatch]:
    for batch in batches:
        for position in range(len(batch)):
            yield UserBatch(batch.shard, batch.first + position, batch.table.slice(position, 1))


def _inputs(manifest: Manifest, options: SheetOptions) -> Inputs:
    return inputs_of(manifest, options.image_root) + Inputs.of(checkpoint=options.checkpoint)


def _images_of(batch: UserBatch, manifest: Manifest, options: SheetOptions) -> Inputs:
    """Return the image files of a user: an earlier sheet may have become one of them."""
    return image_files(batch, options.image_root or manifest.folder)


def _check_file(out: Path, inputs: Inputs, *, overwrite: bool) -> None:
    if not out.parent.is_dir():
        raise OutputError(f"the folder {out.parent} does not exist; make it first.")
    check_file(out, Kind.SHEET, inputs, overwrite=overwrite)


def _check_folder(folder: Path, inputs: Inputs, *, overwrite: bool) -> None:
    inputs.refuse(real_path(folder), folder)
    inputs.refuse(real_path(folder / "0-user.png"), folder)
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder} is a file; pass a folder for the contact sheets.")
    if not folder.absolute().parent.is_dir():
        raise OutputError(f"the folder {folder.absolute().parent} does not exist; make it first.")
    if not folder.is_dir():
        return
    check_entries(folder, Kind.SHEET, folder)
    if any(folder.iterdir()) and not overwrite:
        raise OutputError(
            f"{folder} is not empty; choose another folder, or pass `overwrite=True` to replace "
            "the contact sheets in it."
        )


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}.") from error
    return folder


def _write_png(
    path: Path, sheet: Sheet, model: dict[str, Any] | None = None, *, overwrite: bool
) -> None:
    """Write a contact sheet atomically."""
    encoded = io.BytesIO()
    record = PngInfo()
    record.add_text(METADATA_KEY, json.dumps({**stamp(Kind.SHEET), **(model or {})}))
    draw_sheet(sheet).save(encoded, "PNG", pnginfo=record)
    earlier = is_earlier(Kind.SHEET, overwrite=overwrite)
    try:
        write_atomically(real_path(path), encoded.getvalue(), earlier)
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error.strerror}.") from error
