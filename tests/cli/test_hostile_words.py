"""Names, classes, ids and paths never control a terminal and are never read as markup."""

import ast
import json
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.cli import main, streams
from tweetprofile.data.files.provenance import METADATA_KEY
from tweetprofile.errors import WorkerError
from tweetprofile.networks import build_network, network_spec
from tweetprofile.training.card import as_markdown, make_card
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.workers.profiles import UserOutcome, make_profiles

HOSTILE = (
    "[/red]",
    "[bold red]loud[/]",
    "\x1b]0;title\x07\x1b[2J",
    "\x9b31m\x90",
    "\u202eevil\u2066",
    "line\nbreak\r\u2028",
    ":boom:",
)
"""Text that would control a terminal, or that rich would read as markup."""

OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

SCHEMA = TraitSchema((Trait("mood", HOSTILE), Trait("gender", ("[/red]", "male"))))


@pytest.fixture
def hostile_model(tmp_path: Path) -> Path:
    """A checkpoint in which every text is hostile."""
    torch.manual_seed(0)
    spec = replace(network_spec("deepset"), name="\x1b[31m[/red]", widths=(4,) * 4)
    network = build_network(spec, VolumeSpec(height=16, width=16), SCHEMA)
    network.initialise()
    score = {"accuracy": 0.5, "macro_f1": 0.4, "majority": 0.3, "users": 60}
    training = {"version": "\x1b[2J[/]", "best": {"scores": {"mood": score}}}
    path = tmp_path / "[bold]\x1b[31m.safetensors"
    save_checkpoint(path, network, training)
    return path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    """Return all output, after checking that it contains no control codes and reports no fault."""
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert not OBEYED.search(said), OBEYED.findall(said)
    assert "fault of tweetprofile" not in said
    return said


def test_info_shows_hostile_text_escaped(
    hostile_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("info", hostile_model) == 0
    said = printed(capsys)
    for words in ("[/red]", "[bold red]loud[/]", ":boom:", r"\x1b]0;title\x07", r"line\nbreak"):
        assert words in said.replace("\n", "") or words in said
    assert run("info", hostile_model, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["schema"]["mood"] == list(HOSTILE)


def test_predict_and_inspect_show_hostile_text_escaped(
    hostile_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "m\x1b[31m[red].parquet"
    ids = pa.array(HOSTILE)
    pq.write_table(pa.table({"user_id": ids, "images": [["x\x1b.jpg"]] * len(HOSTILE)}), manifest)
    out = tmp_path / "out\x1b[2J[red].parquet"
    assert run("predict", manifest, "-o", out, "--checkpoint", hostile_model) == 3
    said = printed(capsys).replace("\n", "")
    assert r"out\x1b[2J[red].parquet" in said
    assert r"'x\x1b.jpg' does not exist under" in said
    assert run("inspect", manifest) == 0
    assert r"x\x1b.jpg" in printed(capsys)


def test_evaluate_shows_hostile_text_escaped_and_its_report_contains_no_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = TraitSchema((Trait("mood", (*HOSTILE, "$\\frac", "<script>", "=1+1")),))
    classes = schema.traits[0].classes
    users = list(HOSTILE) * 2
    labels = [classes[number % len(classes)] for number in range(len(users))]
    columns = {"user_id": pa.array([f"{n}{user}" for n, user in enumerate(users)]), "mood": labels}
    manifest = tmp_path / "m.parquet"
    pq.write_table(pa.table({**columns, "images": [["a.jpg"]] * len(users)}), manifest)
    rows = np.full((len(users), len(classes)), 1 / len(classes), np.float32)
    outcomes = [UserOutcome(f"{n}{user}", 1, 1, ()) for n, user in enumerate(users[1:], 1)]
    table = make_profiles(schema, outcomes, {"mood": rows[1:]})
    facts = {"network": "\x1b[31m[/red]", "schema": schema.to_dict()}
    for name in ("one", "two\x1b[31m[red]"):
        described = table.replace_schema_metadata({METADATA_KEY: json.dumps(facts)})
        pq.write_table(described, tmp_path / f"{name}.parquet")
    given = [tmp_path / "one.parquet", tmp_path / "two\x1b[31m[red].parquet"]
    assert run("evaluate", manifest, given[1], "-o", tmp_path / "report") == 0
    assert "[/red]" in printed(capsys)
    assert "<script>" not in (tmp_path / "report" / "report.html").read_text()
    assert run("evaluate", manifest, *given) == 0
    assert r"two\x1b[31m[red]" in printed(capsys).replace("\n", "")


def test_train_accepts_hostile_class_names_and_its_model_can_be_used(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pl.read_parquet(dump / "train.parquet")
    names = pl.Series("gender", [("[/red]", "\x1b[31mm")[n % 2] for n in range(frame.height)])
    frame.with_columns(names, pl.lit("only\x1b[2J").alias("note")).write_parquet(
        dump / "hostile.parquet"
    )
    run_folder = tmp_path / "run"
    options = ["--epochs", "1", "--frame-size", "16", "--batch-size", "4", "--devices", "cpu"]
    assert run("train", dump / "hostile.parquet", "-o", run_folder, *options) == 0
    assert r"gender: \x1b[31mm, [/red]" in printed(capsys)
    assert run("info", run_folder / "model.safetensors") == 0
    assert "[/red]" in printed(capsys)
    assert "\x1b" not in (run_folder / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "no\x1b[31m\nsuch[/red]"],
        ["info", "--no\x1b[2J"],
        ["\x1b[2J[/red]"],
        ["predict", "no\x1b[31m", "-o", "out", "--debug"],
        ["evaluate", "no\x1b[31m[/red]", "no\u202e"],
        ["inspect", "no\x9b31m"],
        ["import", "folder", "no\x1b[31m", "-o", "out"],
        ["train", "no\x1b[31m", "-o", "out", "--config", "no\x1b[31m"],
    ],
)
def test_errors_show_hostile_text_escaped(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert r"\x" in printed(capsys) or "\\u202e" in printed(capsys)


def test_the_output_of_a_failed_worker_is_shown_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    sent = pickle.loads(pickle.dumps(WorkerError("it died, having printed:", "a\x1b[2J\nb")))
    assert str(sent) == "it died, having printed:\na\x1b[2J\nb"
    streams.say([sent.sentence, *sent.printed.splitlines()])
    assert printed(capsys).splitlines() == ["it died, having printed:", r"a\x1b[2J", "b"]


def test_class_names_put_no_link_tag_or_table_into_a_model_card() -> None:
    names = ("[a](http://b.c)", "<img src=x>", "a | b", "# a\n# b", "`*_x_*`", "www.b.c", "a@b.c")
    schema = TraitSchema((Trait("_x_", names),))
    training = {
        "version": "1", "users": 1, "val_users": 0, "left_out": 0, "unlabelled": 0,
        "kept_epochs": [1], "settings": {"recipe": "default"},
        "best": {"scores": {}}, "calibration": {},
    }  # fmt: skip
    card = make_card(network_spec("deepset"), VolumeSpec(), schema, training)
    (line,) = [line for line in card.splitlines() if line.startswith("- \\_x\\_: ")]
    for name in names:
        assert as_markdown(name) in line
    unescaped = re.sub(r"\\[!-/:-@\[-`{-~]", "", line.removeprefix("- "))
    assert not re.search(r"[][<>|#`*_@.&()]", unescaped), unescaped


def test_only_the_console_and_the_streams_print() -> None:
    folder = Path(main.__code__.co_filename).parent
    for path in folder.glob("*.py"):
        if path.name in ("console.py", "streams.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                printing = r"print|click\.s?echo|sys\.std.*|Console|.*print_exc|Text\.from_markup"
                assert not re.fullmatch(printing, called), f"{path.name}: {called}"
