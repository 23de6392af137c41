"""A contact sheet shows exactly the frames that the network gets, and copes with any name."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.text_users import save_text_model
from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.errors import CheckpointError, ManifestError, OptionError, OutputError, WriteError
from tweetprofile.inspection.contact_sheets import (
    SheetModel,
    SheetOptions,
    draw_contact_sheet,
    draw_contact_sheets,
)
from tweetprofile.inspection.drawing import Sheet, draw_sheet
from tweetprofile.inspection.sheet_layout import CellKind, SheetCell
from tweetprofile.networks import build_network, network_spec
from tweetprofile.traits import PRESETS
from tweetprofile.volumes.spec import VolumeSpec

PAPER = (250, 250, 248)
AMBER = (178, 104, 0)
RED = (170, 32, 32)
FIRST_CELL = (32, 144)
"""Left and top of the first frame of a sheet, in pixels."""

STEP = 244
"""From one frame to the next."""


@pytest.fixture
def manifest(
    tmp_path: Path, draw: Callable[..., Image.Image], encode: Callable[..., bytes]
) -> Path:
    """A manifest of full, short and bad users, whose images are files."""
    for number in range(13):
        (tmp_path / f"{number}.png").write_bytes(encode(draw(90, 70, number), "PNG"))
    (tmp_path / "page.jpg").write_text("<html>404</html>")
    good = [f"{number}.png" for number in range(13)]
    users = {
        "full": good[:11],
        "short": good[:2],
        "partial": [*good[:10], "page.jpg"],
        "bad": ["page.jpg", "gone.jpg"],
        "nobody": [],
        "../../odd \x1b[31m / id\n" + "x" * 300: good[:1],
    }
    frame = pl.DataFrame({"user_id": list(users), "images": list(users.values())})
    frame.write_parquet(tmp_path / "m.parquet")
    return tmp_path / "m.parquet"


def pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path))


def cell(sheet: NDArray[np.uint8], column: int) -> NDArray[np.uint8]:
    """The frame in a cell of the first row, at its original size."""
    left, top = FIRST_CELL[0] + column * STEP, FIRST_CELL[1]
    return sheet[top : top + 224, left : left + 224][::2, ::2]


def has(sheet: NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool((sheet == colour).all(axis=-1).any())


def test_the_frames_are_those_of_the_decoder_to_the_bit(manifest: Path, tmp_path: Path) -> None:
    draw_contact_sheet(manifest, "full", tmp_path / "sheet.png")
    sheet = pixels(tmp_path / "sheet.png")
    images = [(tmp_path / f"{number}.png").read_bytes() for number in range(4)]
    frames = PillowDecoder(DecodeOptions(112, 112, threads=1)).decode(images).frames_FHWC.numpy()
    for column, frame in enumerate(frames):
        inner = slice(1, -1)  # the cell has an edge
        assert (cell(sheet, column)[inner, inner] == frame[inner, inner]).all()
    assert not has(sheet, AMBER)
    assert not has(sheet, RED)


def test_frames_of_full_detail_are_those_of_the_decoder_to_the_bit(
    tmp_path: Path, draw: Callable[..., Image.Image], encode: Callable[..., bytes]
) -> None:
    image = encode(draw(1200, 900), "JPEG", progressive=True)
    pl.DataFrame({"user_id": ["ada"], "images": [[image]]}).write_parquet(tmp_path / "m.parquet")
    sheet = tmp_path / "sheet.png"
    draw_contact_sheet(tmp_path / "m.parquet", "ada", sheet, SheetOptions(detail="full"))
    full = DecodeOptions(112, 112, threads=1, detail="full")
    (frame,) = PillowDecoder(full).decode([image]).frames_FHWC.numpy()
    inner = slice(1, -1)  # the cell has an edge
    assert (cell(pixels(sheet), 0)[inner, inner] == frame[inner, inner]).all()


def test_repeated_frames_are_faded_and_outlined(manifest: Path, tmp_path: Path) -> None:
    draw_contact_sheet(manifest, "short", tmp_path / "sheet.png")
    sheet = pixels(tmp_path / "sheet.png")
    assert has(sheet, AMBER)
    inner = slice(2, -2)
    own, again = cell(sheet, 0)[inner, inner], cell(sheet, 2)[inner, inner]
    faded = own * 0.45 + np.array(PAPER) * 0.55
    assert np.abs(again - faded).max() <= 2


def test_failed_images_are_red_and_make_the_sheet_longer(manifest: Path, tmp_path: Path) -> None:
    for user in ("full", "partial", "bad", "nobody"):
        draw_contact_sheet(manifest, user, tmp_path / f"{user}.png")
    sheets = {user: pixels(tmp_path / f"{user}.png") for user in ("full", "partial", "bad")}
    assert {user: has(sheet, RED) for user, sheet in sheets.items()} == {
        "full": False,
        "partial": True,
        "bad": True,
    }
    assert len(sheets["partial"]) > len(sheets["full"])


def test_the_frame_size_is_the_given_one_or_the_checkpoints(
    manifest: Path, tmp_path: Path, model: Path
) -> None:
    for name, options in {
        "size": SheetOptions(frame_size=32),
        "model": SheetOptions(checkpoint=model),  # of 32 x 32, too
        "usual": SheetOptions(),
    }.items():
        draw_contact_sheet(manifest, "full", tmp_path / f"{name}.png", options)
    size, usual = pixels(tmp_path / "size.png"), pixels(tmp_path / "usual.png")
    heading = FIRST_CELL[1]  # it names the model
    assert (size[heading:] == pixels(tmp_path / "model.png")[heading:]).all()
    assert size.shape == usual.shape  # 32 x 32 is enlarged sevenfold, 112 x 112 twofold
    assert (size != usual).any()


def models(manifest: Path, out: Path, options: SheetOptions) -> list[SheetModel]:
    told: list[SheetModel] = []
    draw_contact_sheet(manifest, "full", out, options, on_model=told.append)
    return told


def test_the_model_is_the_one_that_predict_would_use_and_the_sheet_records_it(
    manifest: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWEETPROFILE_CHECKPOINT", str(model))  # of 32 x 32
    (told,) = models(manifest, tmp_path / "sheet.png", SheetOptions())
    assert (told.network, told.checkpoint) == ("model1", model)
    assert told.volume.shape == (11, 32, 32)
    record = json.loads(Image.open(tmp_path / "sheet.png").info["tweetprofile"])
    assert record["network"] == "model1"
    assert record["checkpoint_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert (record["frames"], record["frame_size"]) == (11, [32, 32])
    assert told.description == f"model1 {record['checkpoint_sha256'][:8]}"
    assert str(tmp_path) not in str(record)


def test_the_number_of_frames_is_that_of_the_model(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = VolumeSpec(frames=3, height=16, width=24)
    network = build_network(network_spec("deepset"), volume, PRESETS["mex-a3t-2019"])
    save_checkpoint(tmp_path / "few.safetensors", network, {})
    monkeypatch.setenv("TWEETPROFILE_CHECKPOINT", str(tmp_path / "few.safetensors"))
    (told,) = models(manifest, tmp_path / "sheet.png", SheetOptions())
    assert told.volume == volume
    sheet = pixels(tmp_path / "sheet.png")
    assert (sheet[250:, 3 * STEP + 32 :] == PAPER).all(), "a fourth frame is drawn"


def test_the_detail_is_the_given_one_or_the_models(tmp_path: Path) -> None:
    volume = VolumeSpec(frames=3, height=16, width=16, detail="full")
    network = build_network(network_spec("deepset"), volume, PRESETS["mex-a3t-2019"])
    full = tmp_path / "full.safetensors"
    save_checkpoint(full, network, {})
    for options, detail in (
        (SheetOptions(), "frame"),
        (SheetOptions(detail="full"), "full"),
        (SheetOptions(checkpoint=full), "full"),
        (SheetOptions(checkpoint=full, detail="frame"), "frame"),
    ):
        assert options.find_model().volume.detail == detail
        assert options.find_model().record()["detail"] == detail


def test_without_a_model_volumes_of_the_default_size_are_drawn(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nothing"))
    (told,) = models(manifest, tmp_path / "sheet.png", SheetOptions())
    assert told.network is None
    assert told.volume.shape == (11, 112, 112)
    monkeypatch.setenv("TWEETPROFILE_CHECKPOINT", str(tmp_path / "gone.safetensors"))
    with pytest.raises(CheckpointError, match=r"gone\.safetensors"):
        models(manifest, tmp_path / "other.png", SheetOptions())


def test_a_head_over_embeddings_needs_no_filling(embedding_model: Path) -> None:
    assert SheetOptions(checkpoint=embedding_model).find_model().filling == "nothing"


def test_a_model_of_texts_alone_has_no_sheet(tmp_path: Path, manifest: Path) -> None:
    model = save_text_model(tmp_path / "texts.safetensors", ["el sol"], images=False)
    with pytest.raises(OptionError, match="looks at no images"):
        draw_contact_sheet(manifest, "full", tmp_path / "x.png", SheetOptions(checkpoint=model))


def test_a_network_that_takes_any_number_of_frames_needs_no_filling(
    manifest: Path, tmp_path: Path, model: Path
) -> None:
    spec = network_spec("deepset")
    network = build_network(spec, VolumeSpec(height=32, width=32), PRESETS["mex-a3t-2019"])
    save_checkpoint(tmp_path / "deepset.safetensors", network, {})
    for checkpoint, filled in ((tmp_path / "deepset.safetensors", False), (model, True)):
        options = SheetOptions(checkpoint=checkpoint, overwrite=True)
        draw_contact_sheet(manifest, "short", tmp_path / "sheet.png", options)
        assert has(pixels(tmp_path / "sheet.png"), AMBER) is filled


def test_each_of_several_users_gets_a_sheet_with_a_safe_name(
    manifest: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sheets"
    seen: list[tuple[int, int]] = []
    drawn = draw_contact_sheets(
        manifest, 100, folder, on_drawn=lambda drawn, total: seen.append((drawn, total))
    )
    assert drawn == 6
    assert seen == [(number + 1, 6) for number in range(6)]
    assert sorted(path.name for path in folder.iterdir()) == [
        "0-full.png",
        "1-short.png",
        "2-partial.png",
        "3-bad.png",
        "4-nobody.png",
        f"5-_odd_31m_id_{'x' * 68}.png",
    ]
    assert all(pixels(path).shape[1] == 1020 for path in folder.iterdir())


def test_the_users_drawn_are_spread_over_the_manifest(manifest: Path, tmp_path: Path) -> None:
    assert draw_contact_sheets(manifest, 2, tmp_path / "sheets") == 2
    names = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert names == ["0-full.png", "3-bad.png"]


def test_for_an_empty_manifest_nothing_is_drawn(tmp_path: Path) -> None:
    empty = pl.DataFrame(schema={"user_id": pl.String, "images": pl.List(pl.String)})
    empty.write_parquet(tmp_path / "m.parquet")
    assert draw_contact_sheets(tmp_path / "m.parquet", 3, tmp_path / "sheets") == 0


def test_an_unknown_user_is_refused_by_name(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"m\.parquet has no user 'zoe\\x1b'"):
        draw_contact_sheet(manifest, "zoe\x1b", tmp_path / "sheet.png")


def test_an_earlier_sheet_is_replaced_only_on_request(manifest: Path, tmp_path: Path) -> None:
    taken, folder = tmp_path / "taken.png", tmp_path / "folder"
    draw_contact_sheet(manifest, "short", taken)
    before = taken.read_bytes()
    with pytest.raises(OutputError, match=r"taken.png exists; .* pass `overwrite=True`"):
        draw_contact_sheet(manifest, "full", taken)
    draw_contact_sheet(manifest, "full", taken, SheetOptions(overwrite=True))
    assert taken.read_bytes() != before
    assert draw_contact_sheets(manifest, 1, folder) == 1
    with pytest.raises(OutputError, match=r"folder is not empty; .* pass `overwrite=True`"):
        draw_contact_sheets(manifest, 1, folder)
    assert draw_contact_sheets(manifest, 1, folder, SheetOptions(overwrite=True)) == 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_file_is_never_replaced(
    manifest: Path, tmp_path: Path, *, overwrite: bool
) -> None:
    options, folder = SheetOptions(overwrite=overwrite), tmp_path / "folder"
    folder.mkdir()
    (folder / "mine.png").write_bytes((tmp_path / "0.png").read_bytes())
    before = (tmp_path / "0.png").read_bytes()
    with pytest.raises(OutputError, match=r"0\.png exists and is not a contact sheet"):
        draw_contact_sheet(manifest, "full", tmp_path / "0.png", options)
    with pytest.raises(OutputError, match=r"m\.parquet is the manifest .* that this run reads"):
        draw_contact_sheet(manifest, "full", manifest, options)
    with pytest.raises(OutputError, match=r"folder holds mine\.png, which is not a contact sheet"):
        draw_contact_sheets(manifest, 1, folder, options)
    assert (tmp_path / "0.png").read_bytes() == (folder / "mine.png").read_bytes() == before


def test_a_sheet_that_has_become_an_image_of_the_user_is_not_replaced(
    manifest: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.png"
    draw_contact_sheet(manifest, "short", sheet)
    users = pl.DataFrame({"user_id": ["ada"], "images": [["sheet.png"]]})
    users.write_parquet(tmp_path / "n.parquet")
    with pytest.raises(OutputError, match=r"sheet\.png is an image .* that this run reads"):
        draw_contact_sheet(tmp_path / "n.parquet", "ada", sheet, SheetOptions(overwrite=True))


def test_an_impossible_destination_is_refused(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for out, sentence in {
        tmp_path / "folder": "is a folder where a file is to be written",
        tmp_path / "no" / "sheet.png": "does not exist; make it first",
    }.items():
        with pytest.raises(OutputError, match=sentence):
            draw_contact_sheet(manifest, "full", out)
    for out, sentence in {
        tmp_path / "file": "is a file; pass a folder",
        tmp_path / "no" / "sheets": "does not exist; make it first",
    }.items():
        with pytest.raises(OutputError, match=sentence):
            draw_contact_sheets(manifest, 1, out)


def test_a_sheet_that_cannot_be_written_is_one_sentence_and_leaves_no_file(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = tmp_path / "sheet.png"

    def meanwhile(*arguments: Any) -> Image.Image:
        sheet.write_text("somebody else's")  # it appears while the sheet is drawn
        return draw_sheet(*arguments)

    monkeypatch.setattr("tweetprofile.inspection.contact_sheets.draw_sheet", meanwhile)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(
        WriteError, match=r"sheet\.png cannot be written: something else has taken this name"
    ):
        draw_contact_sheet(manifest, "full", sheet, SheetOptions(overwrite=True))
    assert sheet.read_text() == "somebody else's"
    assert sorted(tmp_path.iterdir()) == sorted([*before, sheet])


def test_options_out_of_range_are_refused(manifest: Path, tmp_path: Path, model: Path) -> None:
    with pytest.raises(OptionError, match="leave `frame_size` out"):
        SheetOptions(checkpoint=model, frame_size=32)
    with pytest.raises(OptionError, match="`max_images` is 0; it must be at least 1"):
        SheetOptions(max_images=0)
    with pytest.raises(OptionError, match="`users` is 0; it must be at least 1"):
        draw_contact_sheets(manifest, 0, tmp_path / "sheets")
    with pytest.raises(OptionError, match="detail 'most' is unknown; use 'full' or 'frame'"):
        draw_contact_sheet(manifest, "full", tmp_path / "x.png", SheetOptions(detail="most"))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="a frame side of 8 pixels is out of range"):
        draw_contact_sheet(manifest, "full", tmp_path / "x.png", SheetOptions(frame_size=8))
    with pytest.raises(OptionError, match="is not a folder"):
        draw_contact_sheet(
            manifest, "full", tmp_path / "x.png", SheetOptions(image_root=tmp_path / "gone")
        )


@pytest.mark.parametrize("name", ["", "ada", "ñandú", "漢字 \U0001f600", "\x1b[31m\0", "W" * 5000])
def test_any_name_fits_on_the_sheet(name: str) -> None:
    failed = SheetCell(CellKind.FAILED, 0, name, reason="unsupported_format")
    sheet = np.asarray(draw_sheet(Sheet(name, name, (112, 112), (failed,) * 3)))
    margins = sheet[:, :31], sheet[:, -31:], sheet[:20], sheet[-20:]
    assert all((margin == PAPER).all() for margin in margins)


def test_accents_that_the_font_lacks_are_omitted_and_not_drawn_as_boxes() -> None:
    accented, plain, other = (
        draw_sheet(Sheet(name, "", (112, 112), ())) for name in ("ñú", "nu", "漢")
    )
    assert accented == plain
    assert other == draw_sheet(Sheet("\\u6f22", "", (112, 112), ()))


def test_a_sheet_without_frames_says_so() -> None:
    failed = SheetCell(CellKind.FAILED, 0, "x", reason="missing")
    with_volume = draw_sheet(Sheet("a", "", (112, 112), (SheetCell(CellKind.BLANK), failed)))
    without = draw_sheet(Sheet("a", "", (112, 112), (failed,)))
    assert 300 < without.height < with_volume.height
    assert draw_sheet(Sheet("a", "", (112, 112), ())).height > 150


def test_of_very_many_failed_images_the_first_are_shown() -> None:
    failed = [SheetCell(CellKind.FAILED, number, "x", reason="missing") for number in range(5000)]
    image = draw_sheet(Sheet("ada", "", (112, 112), tuple(failed)))
    assert image.height < 1200


@pytest.mark.parametrize(("side", "width"), [(16, 1020), (64, 1148), (224, 1020), (1024, 4220)])
def test_frames_of_every_size_are_enlarged_by_whole_numbers(side: int, width: int) -> None:
    frame = np.zeros((side, side, 3), np.uint8)
    cells = tuple(SheetCell(CellKind.FRAME, number, "x", frame) for number in range(11))
    assert draw_sheet(Sheet("ada", "", (side, side), cells)).width == width
