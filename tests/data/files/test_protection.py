"""Outputs that are inputs are recognised whatever their names, and foreign files as well."""

from pathlib import Path

import pytest

from tweetprofile.data.files.protection import InputPattern, Inputs, real_path
from tweetprofile.data.files.provenance import Kind, kind_of
from tweetprofile.data.files.storage import RemotePath
from tweetprofile.errors import OutputError


def refused(inputs: Inputs, out: Path | RemotePath) -> bool:
    try:
        inputs.refuse(out if isinstance(out, RemotePath) else real_path(out), out)
    except OutputError:
        return True
    return False


def test_an_input_is_recognised_by_all_its_names(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "m").write_text("read")
    (tmp_path / "link").symlink_to("in/m")
    (tmp_path / "hard").hardlink_to(tmp_path / "in" / "m")
    (tmp_path / "folder").symlink_to("in")
    for path in ("in/m", "link"):
        inputs = Inputs.of(manifest=tmp_path / path)
        for out in ("in/m", "link", "hard", "folder/m", "in", "folder", ".", "in/../in/m"):
            assert refused(inputs, tmp_path / out), out
        for out in ("new", "in/new", "in/m.partial"):
            assert not refused(inputs, tmp_path / out), out


@pytest.mark.parametrize(
    ("source", "part", "apart"),
    [
        ("f", "f/a.parquet", "f/a.txt"),
        ("f", "f/.parquet", "f/in/a.parquet"),
        ("[f]", "[f]/a.parquet", "f/a.parquet"),
        ("f/*", "f/a.txt", "f/in/a.txt"),
        ("f/**/*.parquet", "f/in/deep/a.parquet", "a.parquet"),
        ("f/**/*.parquet", "f/a.parquet", "f/in/a.txt"),
        ("*/a*.parquet", "f/ab.parquet", "f/b.parquet"),
    ],
)
def test_a_new_file_that_a_folder_or_glob_would_match_is_refused(
    tmp_path: Path, source: str, part: str, apart: str
) -> None:
    for folder in ("f", "[f]"):
        (tmp_path / folder).mkdir()
    inputs = Inputs.of_tables("the manifest", f"{tmp_path}/{source}", [])
    assert refused(inputs, tmp_path / part)
    assert not refused(inputs, tmp_path / apart)


def test_paths_in_a_store_are_compared_by_their_full_names() -> None:
    manifest = RemotePath("s3://b/a/m.parquet")
    inputs = Inputs.of_tables("the manifest", str(manifest), [manifest])
    for uri in ("s3://b/a/m.parquet", "s3://b//a/m.parquet", "s3://b/a", "s3://b"):
        assert refused(inputs, RemotePath(uri)), uri
    for uri in ("s3://b/a/m.parquet2", "s3://b/aa", "s3://c/a/m.parquet", "gs://b/a/m.parquet"):
        assert not refused(inputs, RemotePath(uri)), uri
    folder = Inputs.of_tables("the manifest", "s3://b/a", [manifest])
    assert refused(folder, RemotePath("s3://b/a/new.parquet"))
    assert not refused(folder, RemotePath("s3://b/a/in/new.parquet"))
    pattern = Inputs.of_tables("the manifest", "s3://b/*/m*.parquet", [manifest])
    assert refused(pattern, RemotePath("s3://b/x/y/m1.parquet"))
    assert not refused(pattern, RemotePath("s3://b/x/n.parquet"))


def test_a_pattern_matches_nothing_outside_its_folder() -> None:
    pattern = InputPattern("the dump", Path("/somewhere"), "**")
    assert pattern.matches(Path("/somewhere/a/b"))
    assert not pattern.matches(Path("/somewhere else/a"))
    assert not pattern.matches(RemotePath("s3://somewhere/a"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PAR1" + bytes(100) + b"PAR1",
        b"\x89PNG\r\n\x1a\n" + (2**31).to_bytes(4, "big") + b"tEXt",
        b"\x89PNG\r\n\x1a\n" + b"\0\0\0\x0etEXttweetprofile\0[" + bytes(4),
        (2**63).to_bytes(8, "little") + b"{",
        (2).to_bytes(8, "little") + b"{}",
        (25).to_bytes(8, "little") + b'{"__metadata__": [1, 2, 3]}',
        b"{\n" + b'"tweetprofile": [1]}',
        b'{\n"tweetprofile": {"kind": "predictions"}}',
        b"[" * 100_000,
        b"{\n" + b'{"a":' * 100_000,
        b'{"epoch": 1, "loss": 2}\n',
        b"# tweetprofile and I: every setting of this run.\n",
        b"reason,file,line,what\nmine,,,\n",
        b"# Model card: mine\n\nMade by tweetprofile lovers. The network is mine.\n",
    ],
)
def test_a_file_that_only_looks_like_an_output_has_no_kind(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    assert kind_of(tmp_path / "file") is None


def test_a_link_to_an_output_has_no_kind(tmp_path: Path) -> None:
    (tmp_path / "train.toml").write_text("# tweetprofile 0.1.0: every setting of this run.\n")
    (tmp_path / "link").symlink_to("train.toml")
    assert kind_of(tmp_path / "train.toml") is Kind.SETTINGS
    assert kind_of(tmp_path / "link") is None
