"""Markdown files: narrow enough to read, and every link and path leads somewhere."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, markdown_files, name_of, outside_blocks

WIDEST = 120
LONGEST_README = 120

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")
_FOLDERS = ("tests", "docs", "benchmarks", "bin", "examples", "tweetprofile", ".ci")
_PATH = re.compile(rf"(?:{'|'.join(map(re.escape, _FOLDERS))})/[\w./-]*")
_FILE_AT_ROOT = re.compile(r"[A-Z_]+\.md|pyproject\.toml|constraints\.txt")
_NOT_HERE = ("MODEL_CARD.md",)  # `train` writes one into its run, too
_TO_NAME = "YYYY-MM-DD"

FILES = pytest.mark.parametrize("file", markdown_files(), ids=name_of)


def anchors(file: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a file."""
    headings = (line.lstrip("#").strip() for _, line in outside_blocks(file) if line[:1] == "#")
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@FILES
def test_no_line_is_wider_than_the_page(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > WIDEST] == []


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LONGEST_README


@FILES
def test_every_relative_link_leads_to_a_file_and_a_heading(file: Path) -> None:
    text = "\n".join(line for _, line in outside_blocks(file))
    for target in _LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (file.parent / path).resolve() if path else file
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


@FILES
def test_every_path_of_the_repository_that_is_named_exists(file: Path) -> None:
    text = "\n".join(line for _, line in outside_blocks(file))
    named = {code.partition("::")[0] for code in _CODE.findall(text)}
    paths = {
        name
        for name in named
        if (_PATH.fullmatch(name) or _FILE_AT_ROOT.fullmatch(name))
        and _TO_NAME not in name
        and name not in _NOT_HERE
    }
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"]({name})" not in index} == set()


def test_every_result_is_in_the_list_of_benchmarks() -> None:
    index = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    results = {path.name for path in (ROOT / "benchmarks" / "results").glob("*.md")}
    assert {name for name in results if f"](results/{name})" not in index} == set()
