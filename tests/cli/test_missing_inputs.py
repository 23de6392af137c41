"""A missing input is refused before the libraries that would read it are loaded."""

import os
import re
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

HEAVY = {"torch", "matplotlib", "polars", "PIL", "torchmetrics", "nvidia.dali"}

COMMANDS = """
browse none -m there -o page
browse other -m none -o page
browse other -m there -o page --labels none
embed none -o out --backbone efficientnet-lite0 --weights package
embed there -o out --checkpoint none
evaluate none
evaluate none there -o report
evaluate there
evaluate there none -o report
evaluate there other none
evaluate there none -o report --format mex-a3t
evaluate there other --checkpoint none
evaluate there other --run none -o report
import folder none -o out
import folder . -o out --labels none
import folder . -o out --texts none
import pan17 none -o out
import pan18 none -o out
import twitter-api none -o out
import twitter-api . -o out --media-dir none
import twitter-archive none -o out
info
info none
inspect none
inspect none --contact-sheet user -o sheet.jpg
inspect there --checkpoint none
inspect there --contact-sheet user -o sheet.jpg --checkpoint none
predict none -o out
predict there -o out
predict there -o out --checkpoint none
runs none
split none
train none -o run
train there -o run --val none
train there -o run --init none.safetensors
train there -o run --config none.toml
use none
""".strip().splitlines()
"""Commands with an input that is missing: `none`, or the default checkpoint."""

PROGRAM = """
import sys
from tweetprofile.cli import main

for line in sys.stdin.read().splitlines():
    print(line, file=sys.stderr)
    code = main(line.split())
    print(code, ",".join(sys.modules), sep="\\t")
"""


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, set[str], list[str]]]:
    """Return, for each command, its exit code, the modules loaded so far and what it printed."""
    folder = tmp_path_factory.mktemp("missing")
    for name in ("there", "other"):
        pq.write_table(pa.table({"user_id": ["a"], "images": [["a.jpg"]]}), folder / name)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env=os.environ | {"XDG_DATA_HOME": str(folder), "TWEETPROFILE_CHECKPOINT": ""},
        input="\n".join(COMMANDS),
        capture_output=True,
        text=True,
        check=True,
    )
    assert {path.name for path in folder.iterdir()} == {"there", "other"}
    printed = done.stderr.splitlines()
    starts = [printed.index(line) for line in COMMANDS]
    said = [
        printed[start + 1 : end] for start, end in zip(starts, [*starts[1:], None], strict=True)
    ]
    found = {}
    for line, result, words in zip(COMMANDS, done.stdout.splitlines(), said, strict=True):
        code, _, modules = result.partition("\t")
        found[line] = (code, set(modules.split(",")), words)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_input_is_refused_before_heavy_libraries_are_loaded(
    command: str, refused: dict[str, tuple[str, set[str], list[str]]]
) -> None:
    code, modules, said = refused[command]
    assert code == "2"
    (sentence,) = said
    assert re.search("does not exist|No such file|there is no checkpoint to use", sentence)
    assert not modules & HEAVY
