"""Helpers of the tests of outputs: snapshots, outputs of `predict`, commands that are refused."""

import stat
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pytest

from tweetprofile.cli import main
from tweetprofile.data.files.protection import Inputs
from tweetprofile.predicting.output import RowWriter
from tweetprofile.predicting.record import RunRecord
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.workers.profiles import Counts, UserOutcome, make_profiles, profile_schema

TRAITS = TraitSchema((Trait("mood", ("calm", "cross")),))
SCHEMA = profile_schema(TRAITS, pa.string())

Snapshot = dict[Path, tuple[object, ...]]
"""What is known of each path; see `snapshot`."""

WITH_AND_WITHOUT_OVERWRITE = pytest.mark.parametrize(
    "flags", [[], ["--overwrite"]], ids=["plain", "overwrite"]
)


def snapshot(root: Path) -> Snapshot:
    """Return type and inode of everything below a folder; of files also time and content."""
    found: Snapshot = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        facts: tuple[object, ...] = (stat.S_IFMT(status.st_mode), status.st_ino)
        if stat.S_ISREG(status.st_mode):
            facts += (status.st_mtime_ns, path.read_bytes())
        elif stat.S_ISLNK(status.st_mode):
            facts += (str(path.readlink()),)
        found[path] = facts
    return found


def profile_of_one_user() -> pa.Table:
    outcome = UserOutcome("ada", 1, 1, ())
    return make_profiles(TRAITS, [outcome], {"mood": np.full((1, 2), 0.5, np.float32)})


def write_profiles(
    out: Path | str, *, overwrite: bool = False, resume: bool = False, inputs: Inputs | None = None
) -> None:
    """Write an output of one user, as `predict` does."""
    record = RunRecord.new({"network": "model1"}, overwrite=overwrite)
    table = profile_of_one_user()
    with RowWriter(str(out), SCHEMA, record, 1, resume=resume, inputs=inputs) as writer:
        if 0 not in writer.finished:
            writer.write(0, table, Counts.of(table, 100))
        writer.finish()


def leave_unfinished(out: Path) -> None:
    """Leave an unfinished run, as `predict` does when it is killed after one of two shards."""
    record = RunRecord.new({"network": "model1"}, overwrite=True)
    table = profile_of_one_user()
    with suppress(KeyboardInterrupt), RowWriter(str(out), SCHEMA, record, 2) as writer:
        writer.write(0, table, Counts.of(table, 100))
        raise KeyboardInterrupt


def refused(
    root: Path, capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 2
) -> str:
    """Run a command that must be refused and change nothing; return its one sentence."""
    before = snapshot(root)
    told = [str(argument).replace("ROOT", str(root)) for argument in arguments]
    capsys.readouterr()
    assert main(told) == code, capsys.readouterr().err
    assert snapshot(root) == before
    *traceback, line = capsys.readouterr().err.strip().splitlines()
    assert not traceback or "--debug" in told
    return line


def objects(store: pafs.FileSystem) -> dict[str, tuple[object, bytes]]:
    """Return time and content of every object in the bucket."""
    found = store.get_file_info(pafs.FileSelector("dumps", recursive=True))
    files = [info for info in found if info.type == pafs.FileType.File]
    return {info.path: (info.mtime_ns, store.open_input_file(info.path).read()) for info in files}
