"""The report is self-contained and complete, and a real browser renders it."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from tweetprofile.errors import OptionError, OutputError, WriteError
from tweetprofile.evaluation.evaluate import (
    Comparison,
    EvaluateOptions,
    Evaluation,
    evaluate_predictions,
)
from tweetprofile.evaluation.output_folder import prepare_folder, write_comparison, write_evaluation
from tweetprofile.evaluation.plots import trait_plots, users_of
from tweetprofile.evaluation.report import read_epochs
from tweetprofile.traits import Trait, TraitSchema

EPOCHS = [
    {"epoch": number, "loss": 4 / number, "val_loss": 3.9, "scores": {"gender": {"macro_f1": 0.5}}}
    for number in (1, 2, 3)
]


@pytest.fixture
def evaluation(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> Evaluation:
    random = np.random.default_rng(0)
    users = [f"user {number}" for number in range(60)]
    gender, place = random.integers(0, 2, 60), random.integers(0, 3, 60)
    manifest = write_labels(
        [*users, "left out"],
        gender=[("female", "male")[number] for number in gender] + [None],
        place=[("north", "south", "west")[number] for number in place] + ["west"],
    )
    frames = random.integers(0, 12, 61).tolist()
    guesses = {"gender": [*gender, 0], "place": [*random.permutation(place), 1]}
    out = write_predictions([*users, "unheard of"], frames=frames, **guesses)
    return evaluate_predictions(manifest, out, EvaluateOptions(min_confidence=0.5))


class References(HTMLParser):
    """All references of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


def test_a_browser_shows_every_section_without_an_error_or_an_outside_request(
    evaluation: Evaluation, browser: Browser, tmp_path: Path
) -> None:
    report = write_evaluation(evaluation, tmp_path, EPOCHS)
    page = browser.new_page(viewport={"width": 390, "height": 800})  # a phone
    said: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    page.goto(report.as_uri())
    assert said == []
    assert [url for url in requested if not url.startswith("data:")] == [report.as_uri()]
    for section in ("summary", "gender", "place", "training", "reading"):
        assert page.locator(f"#{section}").is_visible(), section
    broken = "Array.from(document.images).filter(image => !image.naturalWidth).length"
    assert page.evaluate("document.images.length") == 2 * 3 + 2
    assert page.evaluate(broken) == 0
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert "left out" in page.locator("#summary").inner_text()
    assert "unheard of" in page.locator("#summary").inner_text()
    page.close()


def test_the_page_needs_nothing_but_itself(evaluation: Evaluation, tmp_path: Path) -> None:
    page = write_evaluation(evaluation, tmp_path).read_text()
    assert all(reference.startswith("data:") for reference in References(page).found)
    assert "url(" not in page
    assert "<script" not in page


def test_scores_are_shown_with_their_baselines_and_published_results_are_marked(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    page = write_evaluation(evaluation, tmp_path).read_text()
    assert f"<b>{evaluation.mean_macro_f1:.3f}</b>" in page
    for words in (
        "majority class (",
        "random draw",
        "95% bootstrap interval",
        "measured on other users",
    ):
        assert words in page
    assert "Predictions with a confidence of 0.5 or more cover" in page


def test_plots_are_also_written_as_png_files(evaluation: Evaluation, tmp_path: Path) -> None:
    write_evaluation(evaluation, tmp_path, EPOCHS)
    names = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert {"gender-confusion", "place-reliability", "training-loss"} <= names
    for path in (tmp_path / "plots").iterdir():
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 300


def test_a_reliability_curve_says_how_many_users_its_points_have(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    users = [f"{number}" for number in range(40)]
    out = write_predictions(users, gender=[0] * 40)  # all at the same confidence
    manifest = write_labels(users, gender=["female", "male"] * 20)
    found = evaluate_predictions(manifest, out)
    curve = found.traits["gender"].calibration
    assert curve is not None
    captions = {plot.name: plot.caption for plot in trait_plots(found, "gender")}
    assert "each point is 40 users of similar" in captions["gender-reliability"]
    few = replace(curve.points[0], users=2)
    assert users_of((few, *curve.points)) == "2 to 40 users"


def test_a_class_that_is_markup_is_shown_as_text(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path], tmp_path: Path
) -> None:
    schema = TraitSchema((Trait("place", ("<script>alert(1)</script>", "$a_b^{c")),))
    manifest = write_labels(["a", "b"], place=list(schema.traits[0].classes))
    out = write_predictions(["a", "b"], schema=schema, place=[0, 1])
    page = write_evaluation(evaluate_predictions(manifest, out), tmp_path).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_metrics_json_contains_all_results(evaluation: Evaluation, tmp_path: Path) -> None:
    write_evaluation(evaluation, tmp_path)
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["mean_macro_f1"] == evaluation.mean_macro_f1
    gender = found["traits"]["gender"]
    for metric in ("accuracy", "macro_precision", "macro_recall", "macro_f1"):
        assert gender[metric] == getattr(evaluation.traits["gender"].scores, metric)
        assert gender["intervals"][metric]["low"] <= gender[metric]
    assert set(gender["per_class"]["male"]) == {"precision", "recall", "f1", "support"}
    assert found["users"]["named"] == ["left out", "unheard of"]
    assert (tmp_path / "unmatched.csv").read_text().splitlines() == [
        "user_id,only_in", "left out,manifest", "unheard of,predictions",
    ]  # fmt: skip


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["precious.txt", "report.html", "tables/gender.csv"])
def test_a_folder_with_foreign_files_is_never_written_to(
    evaluation: Evaluation, tmp_path: Path, name: str, *, overwrite: bool
) -> None:
    folder = tmp_path / "folder"
    prepare_folder(folder, overwrite=False)
    write_evaluation(evaluation, folder)
    (folder / name).write_text("mine")
    with pytest.raises(OutputError, match=f"holds {name}, which no evaluation is known to have"):
        prepare_folder(folder, overwrite=overwrite)
    assert (folder / name).read_text() == "mine"
    with pytest.raises(OutputError, match="cannot be written to"):
        prepare_folder(folder / name / "folder", overwrite=overwrite)


def test_an_earlier_evaluation_is_replaced_only_on_request(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    prepare_folder(folder, overwrite=False)
    write_evaluation(evaluation, folder)
    with pytest.raises(OutputError, match=r"is not empty; .* pass `overwrite=True`"):
        prepare_folder(folder, overwrite=False)
    prepare_folder(folder, overwrite=True)
    write_comparison(Comparison((evaluation,), 0, {}), folder)
    assert not (folder / "unmatched.csv").exists()
    assert not (folder / "report.html").exists()
    prepare_folder(folder, overwrite=True)


@pytest.mark.parametrize("files", [[], {"../mine.txt": 1}, {"../mine.txt": ["DIGEST"]}])
def test_the_record_of_written_files_never_leads_out_of_the_folder(
    evaluation: Evaluation, tmp_path: Path, files: object
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    digest = hashlib.sha256(b"mine").hexdigest()
    record = {"tweetprofile": {"kind": "evaluation"}, "files": files}
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / ".tweetprofile.json").write_text(
        json.dumps(record, indent=1).replace("DIGEST", digest)
    )
    prepare_folder(tmp_path / "folder", overwrite=True)
    write_evaluation(evaluation, tmp_path / "folder")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_file_that_appears_during_an_evaluation_is_not_replaced(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    prepare_folder(tmp_path / "folder", overwrite=True)
    (tmp_path / "folder" / "report.html").write_text("mine")
    with pytest.raises(WriteError, match="something else has taken this name in the meantime"):
        write_evaluation(evaluation, tmp_path / "folder")
    assert (tmp_path / "folder" / "report.html").read_text() == "mine"
    (tmp_path / "folder" / "report.html").unlink()
    prepare_folder(
        tmp_path / "folder", overwrite=True
    )  # the files written before are in the record


def test_a_folder_that_cannot_be_written_is_one_sentence(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    (tmp_path / "tables").write_text("in the way")
    with pytest.raises(WriteError, match="could not be written"):
        write_evaluation(evaluation, tmp_path)


@pytest.mark.parametrize("content", [None, "", "{", '{"epoch": 1}\n'])
def test_a_run_folder_without_epochs_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    with pytest.raises(OptionError, match=r"metrics\.jsonl cannot be read"):
        read_epochs(tmp_path)


def test_nothing_lies_over_the_bars_of_a_plot_but_the_line_of_the_baseline(
    evaluation: Evaluation,
) -> None:
    plots = {each.name: each for each in trait_plots(evaluation, "gender")}
    picture = Image.open(io.BytesIO(plots["gender-frames"].png)).convert("RGB")
    blue_HW = (np.asarray(picture) == (0x1F, 0x6F, 0xEB)).all(axis=2)
    bars = [np.flatnonzero(column) for column in blue_HW.T if column.sum() > 100]
    assert len(bars) > 100, "all predictions are right, so the bars fill the plot"
    for rows in bars:
        assert np.ptp(rows) + 1 - len(rows) < 10
