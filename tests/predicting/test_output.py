"""An output appears complete or not at all, describes its run, and finished shards are not lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.files.provenance import METADATA_KEY
from tweetprofile.errors import OutputError, WriteError
from tweetprofile.predicting.finished import take_finished
from tweetprofile.predicting.output import RowWriter
from tweetprofile.predicting.output_checks import check_output
from tweetprofile.predicting.record import RunRecord
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.workers.profiles import Counts, UserOutcome, make_profiles, profile_schema

TRAITS = TraitSchema((Trait("mood", ("calm", "cross")),))
SCHEMA = profile_schema(TRAITS, pa.string())


def profiles(*names: str) -> pa.Table:
    outcomes = [UserOutcome(name, 1, 1, ()) for name in names]
    return make_profiles(TRAITS, outcomes, {"mood": np.full((len(names), 2), 0.5, np.float32)})


def record(*, overwrite: bool = False, **facts: object) -> RunRecord:
    return RunRecord.new({"network": "model1"} | facts, overwrite=overwrite)


def write(out: str, *tables: pa.Table, overwrite: bool = False, resume: bool = False) -> set[int]:
    """Do a complete run; return the shards that it found finished."""
    run = record(overwrite=overwrite)
    with RowWriter(out, SCHEMA, run, len(tables), resume=resume) as writer:
        found = set(writer.finished)
        for shard, table in enumerate(tables):
            if shard not in found:
                writer.write(shard, table, count(table))
        writer.finish()
    return found


def write_some(out: str, *shards: tuple[int, pa.Table], of: int, overwrite: bool = False) -> None:
    """Do a run that is interrupted when these shards are finished."""
    run = record(overwrite=overwrite)
    with suppress(KeyboardInterrupt), RowWriter(out, SCHEMA, run, of) as writer:
        for shard, table in shards:
            writer.write(shard, table, count(table))
        raise KeyboardInterrupt


def count(table: pa.Table) -> Counts:
    return Counts.of(table, max_images=100)


def ids_in(out: Path) -> list[str]:
    return pl.read_parquet(out)["user_id"].to_list()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_holds_all_shards_in_order(tmp_path: Path) -> None:
    write(f"{tmp_path}/out.parquet", profiles("a", "b"), profiles("c"))
    assert ids_in(tmp_path / "out.parquet") == ["a", "b", "c"]
    assert names_in(tmp_path) == ["out.parquet"]


def test_a_slash_at_the_end_makes_a_folder_with_one_file_per_shard(tmp_path: Path) -> None:
    write(f"{tmp_path}/out/", profiles("a", "b"), profiles("c"))
    assert names_in(tmp_path / "out") == ["part-00000.parquet", "part-00001.parquet"]
    assert ids_in(tmp_path / "out") == ["a", "b", "c"]


EITHER = pytest.mark.parametrize("name", ["out.parquet", "out/"])


@EITHER
def test_without_users_the_output_is_empty_and_valid(tmp_path: Path, name: str) -> None:
    write(f"{tmp_path}/{name}", SCHEMA.empty_table())
    frame = pl.read_parquet(tmp_path / name)
    assert frame.height == 0
    assert "mood_probabilities" in frame.columns


@EITHER
def test_shards_are_in_manifest_order_whichever_was_finished_first(
    tmp_path: Path, name: str
) -> None:
    with RowWriter(f"{tmp_path}/{name}", SCHEMA, record(), 12) as writer:
        for shard in (3, 11, 0, 7, 10, 1, 2, 9, 8, 6, 5, 4):
            table = profiles(f"user {shard}")
            writer.write(shard, table, count(table))
        writer.finish()
    assert ids_in(tmp_path / name) == [f"user {shard}" for shard in range(12)]


def test_the_metadata_describes_the_run_and_counts_users_and_images(tmp_path: Path) -> None:
    write(f"{tmp_path}/out.parquet", profiles("a"), profiles("b"))
    metadata = pq.read_metadata(tmp_path / "out.parquet").metadata
    described = json.loads(metadata[METADATA_KEY.encode()])
    assert described["network"] == "model1"
    assert described["counts"] == {
        "users": 2,
        "images": 2,
        "failed": 0,
        "left_out": 0,
        "statuses": {"ok": 2},
    }


# --- interrupted runs --------------------------------------------------------------------------


@EITHER
def test_an_interruption_before_the_first_shard_leaves_nothing_behind(
    tmp_path: Path, name: str
) -> None:
    write_some(f"{tmp_path}/{name}", of=2)
    assert names_in(tmp_path) == []


@EITHER
def test_finished_shards_are_kept_and_a_resumed_run_writes_the_others(
    tmp_path: Path, name: str
) -> None:
    write_some(f"{tmp_path}/{name}", (1, profiles("b")), of=3)
    assert not (tmp_path / name).exists()
    shards = profiles("a"), profiles("never written: shard 1 is there"), profiles("c")
    assert write(f"{tmp_path}/{name}", *shards, resume=True) == {1}
    assert ids_in(tmp_path / name) == ["a", "b", "c"]
    assert names_in(tmp_path) == [name.rstrip("/")]


@EITHER
def test_an_unfinished_run_is_neither_lost_nor_resumed_without_being_asked_to(
    tmp_path: Path, name: str
) -> None:
    write_some(f"{tmp_path}/{name}", (0, profiles("a")), of=2)
    with pytest.raises(
        OutputError, match=r"holds an unfinished run; pass `resume=True`.*`overwrite=True`"
    ):
        check_output(f"{tmp_path}/{name}", overwrite=False)
    with pytest.raises(OutputError, match="pass `resume=True`"):
        write(f"{tmp_path}/{name}", profiles("new"))
    assert write(f"{tmp_path}/{name}", profiles("new"), overwrite=True) == set()
    assert ids_in(tmp_path / name) == ["new"]


@pytest.mark.parametrize(
    ("fact", "name"),
    [
        ("manifest_fingerprint", "manifest"),
        ("checkpoint_sha256", "checkpoint"),
        ("image_root_sha256", "image root"),
        ("decoder", r"`decoder` \(not given in that run\)"),
        ("keep", r"`keep` \(not given in that run\)"),
    ],
)
def test_another_run_is_not_resumed_and_the_differences_are_named(
    tmp_path: Path, fact: str, name: str
) -> None:
    out = f"{tmp_path}/out.parquet"
    write_some(out, (0, profiles("a")), of=2)
    other = RunRecord.new({"network": "model1", fact: "another"}, overwrite=False)
    with (
        pytest.raises(OutputError, match=f"an unfinished run that differs in {name};"),
        RowWriter(out, SCHEMA, other, 2, resume=True),
    ):
        pass
    assert write(out, profiles("-"), profiles("b"), resume=True) == {0}


def test_a_shard_that_was_cut_short_is_written_again(tmp_path: Path) -> None:
    out = f"{tmp_path}/out.parquet"
    write_some(out, (0, profiles("a")), (1, profiles("b")), of=2)
    shard = tmp_path / "out.parquet.partial" / "shards" / "part-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-7])
    assert write(out, profiles("a"), profiles("-"), resume=True) == {1}
    assert ids_in(tmp_path / "out.parquet") == ["a", "b"]


def unfinished_shard(folder: Path, number: int) -> Path:
    return folder / "out.parquet.partial" / "shards" / f"part-{number:05}.parquet"


def flip_a_bit_of_a_page(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[pq.read_metadata(file).row_group(0).column(0).data_page_offset + 40] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("journal", ["as it was", "of version 0.1.0, which had none"])
def test_a_shard_with_a_damaged_page_is_written_again(tmp_path: Path, journal: str) -> None:
    out = f"{tmp_path}/out.parquet"
    write_some(out, (0, profiles("a")), (1, profiles("b")), of=2)
    if journal != "as it was":
        (tmp_path / "out.parquet.partial" / "shards.jsonl").unlink()
    flip_a_bit_of_a_page(unfinished_shard(tmp_path, 0))
    assert write(out, profiles("a"), profiles("-"), resume=True) == {1}
    assert ids_in(tmp_path / "out.parquet") == ["a", "b"]


def test_a_shard_that_was_copied_over_another_is_written_again(tmp_path: Path) -> None:
    out = f"{tmp_path}/out.parquet"
    write_some(out, (0, profiles("a")), (1, profiles("b")), of=2)
    shutil.copyfile(unfinished_shard(tmp_path, 1), unfinished_shard(tmp_path, 0))
    assert write(out, profiles("a"), profiles("-"), resume=True) == {1}
    assert ids_in(tmp_path / "out.parquet") == ["a", "b"]


def test_a_shard_whose_line_in_the_journal_was_cut_short_is_written_again(tmp_path: Path) -> None:
    out = f"{tmp_path}/out.parquet"
    write_some(out, (0, profiles("a")), (1, profiles("b")), of=3)
    journal = tmp_path / "out.parquet.partial" / "shards.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    with RowWriter(out, SCHEMA, record(), 3, resume=True) as writer:
        assert set(writer.finished) == {0}
        writer.write(1, profiles("b"), count(profiles("b")))
    with RowWriter(out, SCHEMA, record(), 3, resume=True) as writer:
        assert set(writer.finished) == {0, 1}


def test_an_unfinished_run_of_version_0_1_0_is_resumed_with_its_shards(tmp_path: Path) -> None:
    out = f"{tmp_path}/out.parquet"
    write_some(out, (0, profiles("a")), of=2)
    (tmp_path / "out.parquet.partial" / "shards.jsonl").unlink()
    assert write(out, profiles("-"), profiles("b"), resume=True) == {0}
    assert ids_in(tmp_path / "out.parquet") == ["a", "b"]


def test_a_run_that_recorded_fewer_facts_is_resumed_if_they_have_their_defaults(
    tmp_path: Path,
) -> None:
    out = f"{tmp_path}/out.parquet"
    write_some(out, (0, profiles("a")), of=2)
    for seconds, fits in ((10.0, True), (5.0, False)):
        now = record(max_image_seconds=seconds)
        told = RunRecord.read(tmp_path / "out.parquet.partial" / "run.json")
        assert told.differences(now.facts) == (
            [] if fits else ["`max_image_seconds` (10.0 in that run)"]
        )


def test_every_page_of_an_output_has_a_checksum(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    write(str(out), profiles("a"))
    flip_a_bit_of_a_page(out)
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(out, page_checksum_verification=True)


def test_a_damaged_run_record_is_refused(tmp_path: Path) -> None:
    out = f"{tmp_path}/out.parquet"
    write_some(out, (0, profiles("a")), of=2)
    (tmp_path / "out.parquet.partial" / "run.json").write_text("{")
    with pytest.raises(OutputError, match=r"run\.json is not the record of .*`overwrite=True`"):
        write(out, profiles("a"), profiles("b"), resume=True)


@EITHER
def test_a_complete_run_need_not_be_repeated(tmp_path: Path, name: str) -> None:
    out = f"{tmp_path}/{name}"
    assert take_finished(out, record()) is None
    write(out, profiles("a", "b"), profiles("c"))
    counts = take_finished(out, record())
    assert counts is not None
    assert counts.users == 3
    with pytest.raises(OutputError, match="exists and comes from another run"):
        take_finished(out, record(network="model2"))
    assert take_finished(out, record(overwrite=True, network="model2")) is None


@EITHER
def test_a_run_killed_just_after_its_output_appeared_is_complete(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = f"{tmp_path}/{name}"

    def interrupt(path: Path, missing_ok: bool = False) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(Path, "unlink", interrupt)  # so OUT.partial is not removed
        write(out, profiles("a"))
    assert ids_in(tmp_path / name) == ["a"]
    counts = take_finished(out, record())
    assert counts is not None
    assert counts.users == 1
    assert names_in(tmp_path) == [name.rstrip("/")]


def test_a_foreign_file_that_appeared_before_resuming_is_not_replaced(tmp_path: Path) -> None:
    out = f"{tmp_path}/out.parquet"
    write_some(out, (0, profiles("a")), of=2)
    (tmp_path / "out.parquet").write_text("someone else's")
    assert take_finished(out, record()) is None
    with pytest.raises(
        OutputError, match="exists and is not a table of predictions that tweetprofile wrote"
    ):
        write(out, profiles("a"), profiles("b"), resume=True)
    assert (tmp_path / "out.parquet").read_text() == "someone else's"


def test_two_runs_do_not_write_to_one_output(tmp_path: Path) -> None:
    out = f"{tmp_path}/out.parquet"
    with RowWriter(out, SCHEMA, record(), 1) as writer:
        with pytest.raises(OutputError, match="another run is writing"):
            write(out, profiles("b"), resume=True)
        writer.write(0, profiles("a"), count(profiles("a")))
        writer.finish()
    assert ids_in(tmp_path / "out.parquet") == ["a"]


# --- existing outputs --------------------------------------------------------------------------


@EITHER
def test_an_existing_output_is_kept_unless_it_may_be_overwritten(tmp_path: Path, name: str) -> None:
    write(f"{tmp_path}/{name}", profiles("old"))
    with pytest.raises(OutputError, match=r"exists; choose another name or pass `overwrite=True`"):
        write(f"{tmp_path}/{name}", profiles("new"))
    write(f"{tmp_path}/{name}", profiles("new"), overwrite=True)
    assert ids_in(tmp_path / name) == ["new"]
    assert names_in(tmp_path) == [name.rstrip("/")]


@EITHER
def test_an_interrupted_run_keeps_the_output_that_it_was_to_replace(
    tmp_path: Path, name: str
) -> None:
    out = f"{tmp_path}/{name}"
    write(out, profiles("old"))
    write_some(out, (0, profiles("new")), of=2, overwrite=True)
    assert ids_in(tmp_path / name) == ["old"]
    assert write(out, profiles("-"), profiles("newer"), resume=True) == {0}
    assert ids_in(tmp_path / name) == ["new", "newer"]


def test_a_link_is_followed_to_the_place_of_the_output(tmp_path: Path) -> None:
    (tmp_path / "large disk").mkdir()
    (tmp_path / "out.parquet").symlink_to(tmp_path / "large disk" / "out.parquet")
    write(f"{tmp_path}/out.parquet", profiles("a"))
    assert names_in(tmp_path / "large disk") == ["out.parquet"]
    assert ids_in(tmp_path / "out.parquet") == ["a"]


def test_a_folder_with_other_files_in_it_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    with pytest.raises(
        OutputError, match=r"holds thesis\.tex, which is not a table of predictions"
    ):
        write(f"{tmp_path}/out/", profiles("a"), overwrite=True)
    assert names_in(tmp_path / "out") == ["thesis.tex"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"the folder .*nowhere.* does not exist; make it first"):
        write(f"{tmp_path}/nowhere/out.parquet", profiles("a"))


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="is not writable"):
        write(f"{tmp_path}/out.parquet", profiles("a"))


# --- disks -------------------------------------------------------------------------------------


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kilobytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    with suppress(FileNotFoundError):
        if subprocess.run(mount, check=False, capture_output=True).returncode == 0:
            yield disk
            subprocess.run(["umount", str(disk)], check=True)
            return
    pytest.skip("only the superuser may mount a file system")


@EITHER
def test_a_full_disk_gives_one_sentence_and_finished_shards_are_kept(
    tiny_disk: Path, name: str
) -> None:
    out = f"{tiny_disk}/{name}"
    small, large = profiles("a"), profiles(*(os.urandom(64).hex() for _ in range(4000)))
    with (
        pytest.raises(WriteError, match=r"No space left on device; fix that.*`resume=True`"),
        RowWriter(out, SCHEMA, record(), 2) as writer,
    ):
        writer.write(0, small, count(small))
        writer.write(1, large, count(large))
    assert names_in(tiny_disk) == [f"{name.rstrip('/')}.partial"]
    assert write(out, profiles("-"), profiles("b"), resume=True) == {0}
    assert ids_in(tiny_disk / name) == ["a", "b"]


def test_a_disk_that_is_full_while_shards_are_merged_loses_none(tiny_disk: Path) -> None:
    out = f"{tiny_disk}/out.parquet"
    filler = tiny_disk / "filler"
    shards = [profiles(*(os.urandom(64).hex() for _ in range(400))) for _ in range(2)]
    with (
        pytest.raises(WriteError, match="No space left on device"),
        RowWriter(out, SCHEMA, record(), 2) as writer,
    ):
        for shard, table in enumerate(shards):
            writer.write(shard, table, count(table))
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        writer.finish()
    filler.unlink()
    assert write(out, *shards, resume=True) == {0, 1}
    assert pl.read_parquet(out).height == 800


def test_a_folder_on_which_a_disk_is_mounted_is_refused_before_any_work(tiny_disk: Path) -> None:
    with pytest.raises(OutputError, match="is where a disk is mounted; choose a folder or file in"):
        check_output(f"{tiny_disk}/", overwrite=True)


def test_a_killed_process_no_longer_locks_its_output(tmp_path: Path) -> None:
    program = (
        "import os, signal, pyarrow as pa\n"
        "from tweetprofile.predicting.output import RowWriter\n"
        "from tweetprofile.predicting.record import RunRecord\n"
        f"run = RunRecord.new({{'network': 'model1'}}, overwrite=False)\n"
        f"with RowWriter({str(tmp_path / 'out.parquet')!r}, pa.schema([]), run, 1):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert names_in(tmp_path) == ["out.parquet.partial"]
    write(f"{tmp_path}/out.parquet", profiles("a"), resume=True)
    assert names_in(tmp_path) == ["out.parquet"]
