"""`inspect` reports the same to people and programs, and every error is one sentence."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tweetprofile.cli import inspect_view, main
from tweetprofile.cli.console import OUTPUT
from tweetprofile.inspection import inspect_manifest
from tweetprofile.inspection.report import FailedExample


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def manifest(dump: Path) -> Path:
    return dump / "test.parquet"


def test_the_page_shows_what_is_in_the_manifest(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("inspect", manifest) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    found = inspect_manifest(manifest)
    for line in (
        f"{found.users} users, {found.images.given} images",
        f"Usable images  {found.images.usable} of {found.images.given} examined",
        f"Unusable images  {found.images.failed} of {found.images.given} examined",
        "Label gender  2 classes",
        "What predict would make of it  it looks for 11 usable images per user",
        " images were decoded; ",
    ):
        assert line in printed.out
    for reason, count in found.reasons.items():
        assert re.search(rf"{reason} +{count} ", printed.out)
    for status, users in found.outlook.statuses.items():
        assert re.search(rf"{status} +{users} ", printed.out)


def test_json_is_the_whole_report_and_the_only_output(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for quiet in ([], ["--quiet"]):
        assert run("inspect", manifest, "--json", *quiet) == 0
        said = json.loads(capsys.readouterr().out)
        found = json.loads(json.dumps(inspect_manifest(manifest).to_dict()))
        assert {**said, "seconds": 0} == {**found, "seconds": 0}


def test_quiet_prints_nothing(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", manifest, "--quiet") == 0
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""


def test_the_page_on_a_sample_says_so(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", manifest, "--sample", 2) == 0
    page = capsys.readouterr().out
    assert re.search(r"^2 users of \d+, ", page, re.MULTILINE)
    assert "A sample: all figures below are for these users only." in page


def test_the_page_after_a_full_decode_says_so(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("inspect", manifest, "--full-decode") == 0
    page = capsys.readouterr().out
    assert "Every image that could be read was decoded. Damage beyond" in page
    assert "images were decoded; " not in page
    assert run("inspect", manifest, "--full-decode", "--detail", "full") == 0
    assert "--detail full only" not in capsys.readouterr().out


def test_a_manifest_without_users_has_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pa.table(
        {"user_id": pa.array([], pa.string()), "images": pa.array([], pa.list_(pa.string()))}
    )
    pq.write_table(table, tmp_path / "m.parquet")
    assert run("inspect", tmp_path / "m.parquet") == 0
    assert "0 users, 0 images" in capsys.readouterr().out


def test_user_ids_are_shown_as_text_without_markup_or_terminal_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(
        pa.table({"user_id": ["a", "[red]b\x1b[2J"], "images": [["[bold]\x07.jpg"], [""]]}),
        tmp_path / "m.parquet",
    )
    page = ""
    for path in ("m.parquet", "other.parquet"):
        assert run("inspect", tmp_path / path) == 0
        page += capsys.readouterr().out
        without_path = pq.read_table(tmp_path / "m.parquet").slice(1)
        pq.write_table(without_path, tmp_path / "other.parquet")
    assert "[bold]\\x07.jpg" in page
    assert "image 0 of [red]b\\x1b[2J" in page
    assert "\x1b" not in page


def test_the_page_fits_into_80_columns(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = FailedExample("zoe", 0, "folder/" * 50)
    found = inspect_manifest(manifest)
    found = replace(
        found,
        images=replace(found.images, given=9_000_000),
        reasons={"unsupported_format": 1_000_000},
        examples={"unsupported_format": (example,)},
    )
    for width in (80, 120):
        monkeypatch.setattr(OUTPUT, "_width", width)
        inspect_view.show_inspection(found, from_checkpoint=False)
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= width
        (line,) = [line for line in lines if line.startswith("unsupported_format  ")]
        assert "1,000,000" in line
        assert line.rstrip().endswith("folder/")


def test_the_page_says_when_it_assumes_the_frames_of_a_volume(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = inspect_manifest(manifest)
    for from_checkpoint in (False, True):
        inspect_view.show_inspection(found, from_checkpoint=from_checkpoint)
        page = capsys.readouterr().out
        assert ("This assumes 11 frames per volume" in page) is not from_checkpoint


def test_contact_sheets_are_drawn_for_one_user_or_several(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user = pl.read_parquet(manifest)["user_id"][0]
    out, folder = tmp_path / "sheet.png", tmp_path / "sheets"
    assert run("inspect", manifest, "--contact-sheet", user, "-o", out) == 0
    assert f"1 contact sheet -> {out}" in capsys.readouterr().err
    assert Image.open(out).format == "PNG"
    assert run("inspect", manifest, "--contact-sheets", 2, "-o", folder, "--frame-size", 32) == 0
    assert f"2 contact sheets -> {folder}" in capsys.readouterr().err
    assert len(list(folder.glob("*.png"))) == 2
    assert run("inspect", manifest, "--contact-sheet", user, "-o", out, "--overwrite", "-q") == 0
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""


def wrong_inputs(manifest: Path, tmp_path: Path) -> dict[str, tuple[list[object], str]]:
    """Map a name to unusable arguments of `inspect` and to what the message must contain."""
    sheet: list[object] = [manifest, "--contact-sheet", "zoe", "-o", tmp_path / "sheet.png"]
    sheets: list[object] = [manifest, "--contact-sheets", 1, "-o", tmp_path / "sheets"]
    return {
        "no manifest": ([tmp_path / "gone.parquet"], "gone.parquet does not exist"),
        "no image root": ([manifest, "--image-root", tmp_path / "gone"], "gone is not a folder"),
        "no checkpoint": ([manifest, "--checkpoint", tmp_path / "gone"], "gone does not exist"),
        "sample of none": ([manifest, "--sample", 0], "'--sample'"),
        "no such user": (sheet, "test.parquet has no user 'zoe'"),
        "sheet nowhere": (sheet[:3], "contact sheets need a file or folder to write to"),
        "sheets nowhere": (sheets[:3], "contact sheets need a file or folder to write to"),
        "both": ([*sheet, "--contact-sheets", 1], "not both"),
        "report to a file": ([manifest, "-o", "x"], "--out is for contact sheets"),
        "report of frames": ([manifest, "--frame-size", 32], "--frame-size is for contact sheets"),
        "overwriting report": ([manifest, "--overwrite"], "--overwrite is for contact sheets"),
        "sheet as JSON": ([*sheet, "--json"], "--json has no effect on contact sheets"),
        "sheet of sample": ([*sheets, "--sample", 2], "--sample has no effect on contact sheets"),
        "sheet decoded": ([*sheet, "--full-decode"], "--full-decode has no effect"),
        "two frame sizes": (
            [*sheet, "--checkpoint", manifest, "--frame-size", 32],
            "leave --frame-size out",
        ),
    }


@pytest.mark.parametrize("case", wrong_inputs(Path(), Path()))
def test_unusable_input_is_one_sentence_and_exit_code_2(
    case: str, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, sentence = wrong_inputs(manifest, tmp_path)[case]
    assert run("inspect", *arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.strip().splitlines()
    assert line.startswith("tweetprofile: ")
    assert sentence in line


def test_the_supervising_process_loads_neither_torch_nor_a_decoder(manifest: Path) -> None:
    program = (
        "import sys\nfrom tweetprofile.cli import main\n"
        f"main(['inspect', {str(manifest)!r}, '--quiet'])\n"
        "print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"torch", "PIL", "nvidia", "simplejpeg"}.intersection(done.stdout.split())


def test_ctrl_c_gives_exit_code_130_and_leaves_no_temporary_file(
    manifest: Path, tmp_path: Path
) -> None:
    users = pl.read_parquet(manifest)
    many = pl.concat([users] * 20_000).with_columns(user_id=pl.int_range(pl.len()))
    many.write_parquet(manifest.parent / "many.parquet")
    command = [
        sys.executable,
        "-m",
        "tweetprofile",
        "inspect",
        str(manifest.parent / "many.parquet"),
    ]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    kept = set(tmp_path.iterdir())
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("tweetprofile-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "tweetprofile: interrupted; run the command again."
    assert set(tmp_path.iterdir()) == kept
