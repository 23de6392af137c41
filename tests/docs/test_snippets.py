"""Every Python snippet in README and docs/ runs, in the order of its page."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tweetprofile
from tests.docs.pages import ROOT, Block, blocks, documents, name_of
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import predict_manifest


def snippets(page: Path, mark: str = "") -> list[Block]:
    return [each for each in blocks(page) if each.language == "python" and each.mark == mark]


WITH_SNIPPETS = [page for page in documents() if snippets(page)]
WITH_SLOW_SNIPPETS = [page for page in documents() if snippets(page, "slow")]


@pytest.fixture(scope="module")
def predicted_folder(tmp_path_factory: pytest.TempPathFactory, prepared_folder: Path) -> Path:
    """The folder that pages begin with, and profiles of its manifest."""
    folder = tmp_path_factory.mktemp("snippets") / "work"
    shutil.copytree(prepared_folder, folder)
    options = PredictOptions(checkpoint=folder / "run")
    manifest = folder / "labelled.test.parquet"
    predict_manifest(manifest, folder / "profiles.parquet", options)
    predict_manifest(manifest, folder / "explained.parquet", replace(options, evidence=True))
    return folder


@pytest.fixture
def folder(predicted_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(predicted_folder, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def run_snippets(page: Path, chosen: list[Block]) -> None:
    """Run snippets one after the other, with the names that the ones before defined."""
    names: dict[str, Any] = {}
    for snippet in chosen:
        # Empty lines in front, so that a traceback names the line of the page.
        code = compile("\n" * snippet.line + snippet.text, str(page), "exec")
        exec(code, names)


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=name_of)
def test_the_snippets_of_a_page_run_in_its_order(page: Path, folder: Path) -> None:
    run_snippets(page, snippets(page))


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_SLOW_SNIPPETS, ids=name_of)
def test_the_slow_snippets_of_a_page_run(page: Path, folder: Path) -> None:
    run_snippets(page, [each for each in blocks(page) if each.language == "python"])


def test_every_snippet_is_run() -> None:
    marks = {each.mark for page in documents() for each in blocks(page)
             if each.language == "python"}  # fmt: skip
    assert marks <= {"", "slow"}


def test_the_page_on_python_names_every_public_name() -> None:
    page = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", page))
    assert set(tweetprofile.__all__) - named == {"__version__"}
