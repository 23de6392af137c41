"""Published results stand beside the user's figures where they are about the same traits."""

import csv
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import pytest

from tweetprofile.evaluation.evaluate import Evaluation, evaluate_predictions
from tweetprofile.evaluation.output_folder import write_evaluation
from tweetprofile.evaluation.published import MEX_A3T, PAN_2018, published_results
from tweetprofile.evaluation.tables import published_table, tables
from tweetprofile.traits import PRESETS, Trait, TraitSchema

PRESET = PRESETS["mex-a3t-2019"]
OTHER = TraitSchema((Trait("gender", ("female", "male")), Trait("location", ("here", "there"))))


@pytest.fixture
def on_mex_a3t(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> Evaluation:
    users = [str(number) for number in range(16)]
    truth = {
        trait.name: [trait.classes[number % len(trait.classes)] for number in range(16)]
        for trait in PRESET
    }
    return evaluate_predictions(
        write_labels(users, **truth), write_predictions(users, schema=PRESET)
    )


def test_the_traits_of_mex_a3t_have_the_results_of_the_paper(on_mex_a3t: Evaluation) -> None:
    table = published_table("location", [on_mex_a3t])
    assert table is not None
    own, *others = table.rows
    assert own[:2] == ("out", on_mex_a3t.traits["location"].scores.accuracy)
    assert own[-1] == "your users"
    text, images = (
        ("0.6307", "0.5214", "0.4934", "0.5020"),
        ("0.2393", "0.1645", "0.1573", "0.1482"),
    )
    assert others[0] == ("CerpamidTeam 1 (texts)", *text, MEX_A3T)
    assert others[2] == ("3D CNN, model 1 (images)", *images, MEX_A3T)


def test_other_classes_have_no_results_of_mex_a3t() -> None:
    assert published_results(OTHER, "location") == ()
    assert {each.measured_on for each in published_results(OTHER, "gender")} == {PAN_2018}


def test_the_order_of_the_classes_does_not_matter() -> None:
    turned = TraitSchema(tuple(Trait(each.name, each.classes[::-1]) for each in PRESET))
    assert published_results(turned, "occupation") == published_results(PRESET, "occupation")


def test_gender_has_the_best_results_of_pan_2018_from_each_kind_of_input() -> None:
    found = {each.uses: each.accuracy for each in published_results(OTHER, "gender")}
    assert found == {"images": 0.816, "texts": 0.822, "texts and images": 0.858}


@pytest.mark.parametrize("trait", ["location", "occupation"])
def test_figures_per_class_have_the_published_f1_as_their_mean(trait: str) -> None:
    found = {each.system: each for each in published_results(PRESET, trait)}
    exchanged = {"CerpamidTeam 1": "CerpamidTeam 2", "CerpamidTeam 2": "CerpamidTeam 1"}
    for system, each in found.items():
        f1 = found[exchanged.get(system, system)].f1  # as the note in the report says
        assert mean(each.per_class.values()) == pytest.approx(f1, abs=2e-4)


def test_tables_of_published_results_are_written_as_csv(on_mex_a3t: Evaluation) -> None:
    made = {table.name: table.to_csv().decode() for table in tables([on_mex_a3t])}
    head, own, *others = csv.reader(made["occupation-published-classes"].splitlines())
    assert head == ["Model", *PRESET.traits[2].classes, "Measured on"]
    assert own[0] == "out"
    assert [row[0] for row in others] == [
        "CerpamidTeam 1 (texts)", "CerpamidTeam 2 (texts)", "3D CNN, model 1 (images)",
        "3D CNN, model 2 (images)",
    ]  # fmt: skip
    assert others[0][head.index("administrative")] == "0.5134"


def test_the_report_says_that_published_results_are_not_comparable(
    on_mex_a3t: Evaluation, tmp_path: Path
) -> None:
    page = write_evaluation(on_mex_a3t, tmp_path).read_text()
    for words in ("are not comparable with yours", MEX_A3T, "0.6307", "Takahashi", "IberLEF 2019"):
        assert words in page


def test_the_report_shows_every_row_of_the_five_tables(
    on_mex_a3t: Evaluation, tmp_path: Path
) -> None:
    page = write_evaluation(on_mex_a3t, tmp_path).read_text()
    # Tables 1, 2 and 4 have a row per system; Tables 3 and 5, one for its classes.
    for system in ("CerpamidTeam 1", "CerpamidTeam 2", "3D CNN, model 1", "3D CNN, model 2"):
        assert page.count(f"<td>{system} (") == 5
