"""The report is read on desktops and phones, by day and by night, and says first what it means."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page

from tweetprofile.evaluation.evaluate import Evaluation, evaluate_predictions
from tweetprofile.evaluation.output_folder import write_evaluation
from tweetprofile.evaluation.summary import ARTIFICIAL, summarise
from tweetprofile.traits import PRESETS, TraitSchema

MEX_A3T = PRESETS["mex-a3t-2019"]
USERS = [f"user-{number}" for number in range(96)]
PHONE, DESKTOP = 390, 1200

Evaluate = Callable[..., Evaluation]


@pytest.fixture
def evaluate(write_labels: Callable[..., Path], write_predictions: Callable[..., Path]) -> Evaluate:
    """`evaluate(wrong=10)`: an evaluation on 96 users of MEX-A3T, of whom every tenth is wrong."""

    def make(
        wrong: int = 10, schema: TraitSchema = MEX_A3T, *, artificial: bool = False
    ) -> Evaluation:
        truth = {each.name: np.arange(96) % len(each.classes) for each in schema}
        guess = {
            each.name: (truth[each.name] + (np.arange(96) % wrong == 0)) % len(each.classes)
            for each in schema
        }
        named = {each.name: [each.classes[at] for at in truth[each.name]] for each in schema}
        labels = write_labels(USERS, **named)
        if artificial:
            table = pq.read_table(labels).replace_schema_metadata({"artificial": "drawn"})
            pq.write_table(table, labels)
        return evaluate_predictions(labels, write_predictions(USERS, schema=schema, **guess))

    return make


@pytest.fixture(params=["light", "dark"])
def opened(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Callable[..., Page]]:
    """`opened(report, width)`: the report in a window of this width, by day and by night."""
    pages = []

    def open_report(report: Path, width: int) -> Page:
        page = browser.new_page(
            viewport={"width": width, "height": 800}, color_scheme=request.param
        )
        pages.append(page)
        page.goto(report.as_uri())
        return page

    yield open_report
    for page in pages:
        page.close()


def test_wide_tables_scroll_on_their_own_and_say_so_where_they_do(
    evaluate: Evaluate, opened: Callable[..., Page], tmp_path: Path
) -> None:
    report = write_evaluation(evaluate(), tmp_path)
    for width in (PHONE, DESKTOP):
        page = opened(report, width)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        found = page.evaluate(
            """Array.from(document.querySelectorAll(".scroll"), box => [
                box.scrollWidth > box.clientWidth,
                getComputedStyle(box.querySelector(".hint")).display !== "none"])"""
        )
        assert all(scrolls == hint for scrolls, hint in found)
        assert any(scrolls for scrolls, _ in found) == (width == PHONE)


def test_text_stands_out_from_its_background_by_day_and_by_night(
    evaluate: Evaluate, opened: Callable[..., Page], tmp_path: Path
) -> None:
    page = opened(write_evaluation(evaluate(), tmp_path), DESKTOP)
    # Contrast after WCAG 2: 4.5 is what text of this size needs.
    worst = page.evaluate(
        """() => {
            const light = text => {
                const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(each => {
                    const part = each / 255;
                    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const paper = light(getComputedStyle(document.body).backgroundColor);
            const all = document.querySelectorAll("h1, h2, h3, p, td:not([style]), th, .verdict");
            return Math.min(...Array.from(all, each => {
                const ink = light(getComputedStyle(each).color);
                return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
            }));
        }"""
    )
    assert worst >= 4.5


def test_the_confusion_matrix_of_eight_classes_has_counts_and_shares_of_each_row(
    evaluate: Evaluate, opened: Callable[..., Page], tmp_path: Path
) -> None:
    page = opened(write_evaluation(evaluate(), tmp_path), DESKTOP)
    table = page.locator("#occupation table.confusion")
    assert table.locator("thead th").count() == 1 + 8 + 1
    first = [
        cell.split() for cell in table.locator("tbody tr").first.locator("td").all_inner_texts()
    ]
    right, wrong = first[0], first[1]
    assert (right, wrong, first[-1]) == (["9", "75%"], ["3", "25%"], ["12"])


def test_what_the_figures_mean_stands_before_every_table(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    page = write_evaluation(evaluate(), tmp_path).read_text()
    meaning = page.index("What the figures mean")
    assert (
        meaning < page.index("86 of 96 users are predicted correctly: 90%") < page.index("<table")
    )
    assert "Always answering “female” is correct for 50%. The predictions are better" in page


@pytest.mark.parametrize(
    ("wrong", "verdict", "words"),
    [
        (10, "better", "The predictions are better than that (95% interval of the difference: +"),
        (2, "no better", "Whether the predictions are better than that cannot be told"),
        (1, "worse", "The predictions are worse than that"),
    ],
)
def test_a_summary_says_whether_chance_explains_the_difference(
    wrong: int, verdict: str, words: str, evaluate: Evaluate
) -> None:
    gender = TraitSchema((MEX_A3T.traits[0],))
    found = summarise(evaluate(wrong, gender), "gender")
    assert found.verdict == verdict
    assert words in found.sentence


def test_only_reports_on_artificial_users_say_that_they_are(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    for artificial in (True, False):
        found = evaluate(artificial=artificial)
        assert found.to_dict()["artificial"] == artificial
        page = write_evaluation(found, tmp_path).read_text()
        assert (ARTIFICIAL in page) == artificial


def test_the_ranking_of_mex_a3t_is_mentioned_for_its_traits_only(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    assert "by which MEX-A3T ranks" in write_evaluation(evaluate(), tmp_path).read_text()
    gender = TraitSchema((MEX_A3T.traits[0],))
    page = write_evaluation(evaluate(schema=gender), tmp_path).read_text()
    assert "by which MEX-A3T ranks" not in page


def test_points_of_the_reliability_curve_have_intervals_and_equal_counts(
    evaluate: Evaluate,
) -> None:
    curve = evaluate().traits["gender"].calibration
    assert curve is not None
    (point,) = curve.points  # everybody has a confidence of 0.9
    assert (point.users, point.accuracy) == (96, pytest.approx(86 / 96))
    assert point.low < point.accuracy < point.high
