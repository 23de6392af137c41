"""The report is read on desktops and phones, by day and by night, and says first what it means."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from tests.evaluation.conftest import labels_in, predictions_in
from tweetprofile.evaluation.evaluate import Evaluation, evaluate_predictions
from tweetprofile.evaluation.output_folder import write_evaluation
from tweetprofile.evaluation.summary import ARTIFICIAL, summarise
from tweetprofile.traits import PRESETS, TraitSchema

MEX_A3T = PRESETS["mex-a3t-2019"]
GENDER = TraitSchema((MEX_A3T.traits[0],))
USERS = [f"user-{number}" for number in range(96)]
PHONE, DESKTOP = 390, 1200

_TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""What a browser needs to find out, after a new layout, which tables scroll."""


def evaluate(
    folder: Path, schema: TraitSchema, every: int = 10, metadata: dict[str, str] | None = None
) -> Evaluation:
    """Evaluate predictions of 96 users, of which one in `every` is wrong."""
    truth = {each.name: np.arange(96) % len(each.classes) for each in schema}
    guess = {
        each.name: (truth[each.name] + (np.arange(96) % every == 0)) % len(each.classes)
        for each in schema
    }
    named = {each.name: [each.classes[at] for at in truth[each.name]] for each in schema}
    labels = labels_in(folder)(USERS, metadata=metadata, **named)
    return evaluate_predictions(labels, predictions_in(folder)(USERS, schema=schema, **guess))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on the traits of MEX-A3T, whose users are artificial."""
    folder = tmp_path_factory.mktemp("mex-a3t")
    return write_evaluation(evaluate(folder, MEX_A3T, metadata={"artificial": "drawn"}), folder)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report on gender alone, as text."""
    folder = tmp_path_factory.mktemp("gender")
    return write_evaluation(evaluate(folder, GENDER), folder).read_text()


@pytest.fixture(scope="module", params=["light", "dark"])
def opened(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Callable[[int], Page]:
    """`opened(width)`: the report in a window of this width, by day and by night."""
    page = browser.new_page(color_scheme=request.param)
    page.goto(report.as_uri())

    def resized(width: int) -> Page:
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate(_TWO_FRAMES)
        return page

    return resized


def test_wide_tables_scroll_on_their_own_and_say_so_where_they_do(
    opened: Callable[[int], Page],
) -> None:
    for width in (PHONE, DESKTOP):
        page = opened(width)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        found = page.evaluate(
            """Array.from(document.querySelectorAll(".scroll"), box => [
                box.scrollWidth > box.clientWidth,
                getComputedStyle(box.querySelector(".hint")).display !== "none"])"""
        )
        assert all(scrolls == hint for scrolls, hint in found)
        assert any(scrolls for scrolls, _ in found) == (width == PHONE)


def test_text_stands_out_from_its_background_by_day_and_by_night(
    opened: Callable[[int], Page],
) -> None:
    # Contrast after WCAG 2: 4.5 is what text of this size needs.
    worst = opened(DESKTOP).evaluate(
        """() => {
            const light = text => {
                const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(each => {
                    const part = each / 255;
                    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const paper = light(getComputedStyle(document.body).backgroundColor);
            const all = document.querySelectorAll("h1, h2, h3, p, td, th, figcaption");
            return Math.min(...Array.from(all, each => {
                const ink = light(getComputedStyle(each).color);
                return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
            }));
        }"""
    )
    assert worst >= 4.5


def test_the_confusion_matrix_of_eight_classes_has_counts_and_shares_of_each_row(
    opened: Callable[[int], Page],
) -> None:
    table = opened(DESKTOP).locator("#occupation table.confusion")
    assert table.locator("thead th").count() == 1 + 8 + 1
    cells = table.locator("tbody tr").first.locator("td").all_inner_texts()
    first = [each.split() for each in cells]
    assert (first[0], first[1], first[-1]) == (["9", "75%"], ["3", "25%"], ["12"])


def test_what_the_figures_mean_stands_before_every_table(plain: str) -> None:
    right = plain.index("86 of 96 users are predicted correctly: 90%")
    assert plain.index("What the figures mean") < right < plain.index("<table")
    assert "Always answering “female” is correct for 50%. The predictions are better" in plain


@pytest.mark.parametrize(
    ("every", "verdict", "words"),
    [
        (10, "better", "The predictions are better than that (95% interval of the difference: +"),
        (2, "no better", "Whether the predictions are better than that cannot be told"),
        (1, "worse", "The predictions are worse than that"),
    ],
)
def test_a_summary_says_whether_chance_explains_the_difference(
    every: int, verdict: str, words: str, tmp_path: Path
) -> None:
    found = summarise(evaluate(tmp_path, GENDER, every), "gender")
    assert found.verdict == verdict
    assert words in found.sentence


def test_a_report_on_artificial_users_says_that_they_are(
    report: Path, plain: str, tmp_path: Path
) -> None:
    assert ARTIFICIAL in report.read_text()
    assert ARTIFICIAL not in plain
    assert evaluate(tmp_path, GENDER, metadata={"artificial": ""}).to_dict()["artificial"]


def test_the_ranking_of_mex_a3t_is_mentioned_for_its_traits_only(report: Path, plain: str) -> None:
    assert "by which MEX-A3T ranks" in report.read_text()
    assert "by which MEX-A3T ranks" not in plain


def test_points_of_the_reliability_curve_have_intervals_and_equal_counts(tmp_path: Path) -> None:
    curve = evaluate(tmp_path, GENDER).traits["gender"].calibration
    assert curve is not None
    (point,) = curve.points  # everybody has a confidence of 0.9
    assert point.users == 96
    assert point.accuracy == pytest.approx(86 / 96)
    assert point.low < point.accuracy < point.high


def test_plots_that_would_be_empty_are_left_out(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path], tmp_path: Path
) -> None:
    labels = write_labels(["a", "b"], gender=["female", "male"])
    nobody = write_predictions(["a", "b"], schema=GENDER, frames=[0, 0])
    write_evaluation(evaluate_predictions(labels, nobody), tmp_path)
    assert [path.stem for path in (tmp_path / "plots").iterdir()] == ["gender-confusion"]
