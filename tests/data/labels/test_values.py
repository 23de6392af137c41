"""How a label is read, and which classes look alike."""

import pytest

from tweetprofile.data.labels.values import LabelColumn, ValueKind, class_of, nearest


def warnings(**counts: int) -> tuple[str, ...]:
    return LabelColumn.of("mood", counts, ValueKind.TEXT).warnings


@pytest.mark.parametrize(
    "value", ["", "  ", "nan", "NaN", "NA", "n/a", "NULL", "None", "<NA>", "#N/A", "\ufeff", "NA\n"]
)
def test_words_for_missing_values_name_no_class(value: str) -> None:
    assert class_of(value) is None


@pytest.mark.parametrize("value", ["nana", "no", "0", "north america", "non", "NaN!"])
def test_other_words_name_a_class_as_they_are_written(value: str) -> None:
    assert class_of(f" {value}\t") == value


def test_classes_that_differ_only_in_case_accents_or_spaces_cause_a_warning_with_counts() -> None:
    (warning,) = warnings(**{"male": 15, "FEMALE": 14, "Female": 13})
    assert warning == (
        "mood: 'FEMALE' (14 users), 'Female' (13 users) differ only in case, accents or spaces, "
        "and are kept apart; write them alike if they are one class."
    )
    (warning,) = warnings(**{"México": 3, "Mexico": 9, "Perú": 4})
    assert "'Mexico' (9 users), 'México' (3 users)" in warning
    (warning,) = warnings(**{"north-west": 3, "north west": 9, "northwest": 1, "south": 4})
    assert warning.count("users)") == 2
    assert "'northwest' (1 user)" in warning


@pytest.mark.parametrize(
    ("rare", "usual"),
    [("femle", "female"), ("fmeale", "female"), ("femalee", "female"), ("fenale", "female"),
     ("admnistratve", "administrative")],
)  # fmt: skip
def test_a_rare_class_that_misspells_a_frequent_one_causes_a_warning(rare: str, usual: str) -> None:
    (warning,) = warnings(**{rare: 1, usual: 10, "male": 11})
    assert f"'{rare}' (1 user) looks like '{usual}' (10 users), and is kept apart" in warning


def test_similar_words_that_are_both_frequent_are_two_classes() -> None:
    assert warnings(noreste=9, noroeste=11, sur=8) == ()
    assert warnings(**{"0": 2, "1": 99}) == ()
    assert warnings(male=2, female=40) == ()
    assert warnings(**{"18-24": 2, "18-25": 40}) == ()
    assert warnings(**{"A+": 2, "A-": 40, "A": 12}) == ()


def test_a_class_that_may_mean_unknown_causes_a_warning() -> None:
    (warning,) = warnings(calm=9, cross=8, Unknown=3)
    assert warning == (
        "mood: 'Unknown' (3 users) is taken as a class; leave the label empty if it means that "
        "the class is unknown."
    )


def test_the_class_that_a_misspelt_value_means_is_found() -> None:
    classes = ("female", "male")
    assert nearest("FEMALE", classes) == "female"
    assert nearest("femle", classes) == "female"
    assert nearest("other", classes) is None


def test_classes_that_were_read_in_a_wrong_encoding_cause_a_warning() -> None:
    counts = {"México": 15, "MÃ©xico": 5, "España": 9}
    column = LabelColumn.of("location", counts, ValueKind.TEXT)
    (warning,) = [each for each in column.warnings if "encoding" in each]
    assert "'MÃ©xico' (5 users) looks like 'México' read in another encoding" in warning


def test_classes_of_a_single_user_cause_a_warning() -> None:
    column = LabelColumn.of("gender", {"female": 9, "male": 9, "mujer": 1}, ValueKind.TEXT)
    assert column.warnings == (
        "gender: classes of a single user can be neither learnt nor measured: 'mujer'.",
    )


@pytest.mark.parametrize("values", [["20,0", "21,5"], ["20", "21.5"], ["-1.5", "2.5"]])
def test_decimal_numbers_are_not_classes(values: list[str]) -> None:
    column = LabelColumn.of("age", dict.fromkeys(values, 9), ValueKind.TEXT)
    assert column.why_not_a_trait is not None
    assert "decimal numbers" in column.why_not_a_trait
