"""A real browser shows what each image and text contributed, and what that adds up to."""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browsing.conftest import (
    MANY,
    Made,
)
from tests.browsing.test_page import opened, outcome


def figures(words: Iterable[str]) -> list[float]:
    return [float(each.strip(",").replace("\u2212", "-")) for each in words]


def test_a_user_has_a_bar_per_image_and_the_parts_add_up(browser: Browser, made: Made) -> None:
    with opened(browser, made, f"#user={MANY + 1}") as page:
        page.wait_for_selector(".gallery")
        images = figures(page.locator(".gallery b").all_inner_texts())
        assert len(images) == 11
        assert images == sorted(images, reverse=True)
        assert "4 more images in the manifest" in page.locator("#view").inner_text()
        sentence = page.get_by_text("Together with").inner_text()
        base, total = figures(each for each in sentence.split() if each[0] in "+\u2212")
        texts = figures(page.locator(".texts b").all_inner_texts())
        assert len(texts) == 3
        assert base + sum(images) + sum(texts) == pytest.approx(total, abs=0.1)


@pytest.mark.parametrize(
    ("way", "words"),
    [("leave_one_out", "falls if the image is left out"), ("unknown", "belongs to none of them")],
)
def test_what_bars_mean_depends_on_how_contributions_were_found(
    browser: Browser, made: Made, tmp_path_factory: pytest.TempPathFactory, way: str, words: str
) -> None:
    page = shutil.copytree(made.page, tmp_path_factory.mktemp("ways") / "page")
    users = page / "files" / "users.js"
    users.write_text(users.read_text().replace('"way":"exact"', f'"way":"{way}"'))
    with opened(browser, replace(made, page=page), f"#user={MANY + 1}") as tab:
        assert words in tab.get_by_text("Each bar").inner_text()


def test_bars_are_those_of_the_chosen_trait_in_the_chosen_order(
    browser: Browser, made: Made
) -> None:
    with opened(browser, made, f"#user={MANY + 1}") as page:
        page.wait_for_selector(".gallery")
        assert outcome(made, MANY, 1) == "wrong", "and is shown first, for that reason"
        assert page.locator("#by option:checked").inner_text() == "place"
        before = page.locator(".gallery b").all_inner_texts()
        page.select_option("#order", "list")
        numbers = page.locator(".gallery .line span").all_inner_texts()
        assert numbers == [f"image {number}" for number in range(1, 12)]
        page.select_option("#by", label="gender")
        assert sorted(page.locator(".gallery b").all_inner_texts()) != sorted(before)


def test_a_mistake_says_that_the_bars_explain_the_wrong_class_alone(
    browser: Browser, made: Made
) -> None:
    with opened(browser, made, f"#user={MANY + 1}") as page:
        page.wait_for_selector(".gallery")
        for trait in ("gender", "place"):
            page.select_option("#by", label=trait)
            note = page.get_by_text("This prediction is wrong")
            is_wrong = outcome(made, MANY, ("gender", "place").index(trait)) == "wrong"
            assert note.count() == is_wrong
        guess, label = page.evaluate(
            "[all.guess, all.truth].map((each) => all.traits[1][1][each[1][state.user]])"
        )
        assert note.inner_text() == (
            f"This prediction is wrong: the label is {label}. The bars explain {guess} only; the "
            f"profiles do not say what speaks for {label}."
        )


def test_the_sentence_on_the_sum_names_the_contributions_that_have_no_bar(
    browser: Browser, made: Made
) -> None:
    with opened(browser, made) as page:
        for images, texts, fields, noun, bars, words in (
            (11, 0, 0, "image", 11, "before any image, they add up to"),
            (
                11,
                3,
                0,
                "image",
                11,
                "before any image and text, they add up with those of",
            ),
            (60, 0, 0, "image", 48, "they add up with those of 12 images without a bar to"),
            (60, 9, 0, "image", 59, "with those of 1 image without a bar and of the texts to"),
            (0, 8, 0, "text", 8, "before any text, they add up to"),
            (0, 9, 0, "text", 8, "they add up with those of all other texts to"),
            (
                0,
                8,
                2,
                "text",
                8,
                "before any text and field of the profile, they add up",
            ),
            (0, 8, 2, "text", 8, "they add up with those of the profile to"),
            (0, 0, 2, "field", 2, "before any field of the profile, they add up to"),
            (11, 3, 1, "image", 11, "with those of the profile and of the texts to"),
        ):
            details: dict[str, Any] = {
                "base": [1],
                "totals": [2],
                "imageCounts": [images],
                "textCounts": [texts],
            }
            details["fields"] = [["name", [0.5]]] * fields
            said = page.evaluate(
                "([details, noun, bars]) => explanation(0, 0, details, noun, bars).textContent",
                [details, noun, bars],
            )
            assert words in said


def test_each_field_of_a_profile_has_a_bar(browser: Browser, made: Made) -> None:
    with opened(browser, made) as page:
        details: dict[str, Any] = {
            "fields": [["name", [0.5, -2]], ["description", [None, 1]]],
            "images": [],
        }
        details |= {"texts": [[0, [1, 1]]], "totals": 0}
        said = page.evaluate("(each) => fieldsOf(0, each).map((one) => one.innerText)", details)
        trait = page.evaluate("() => all.traits[shownTrait(0)][0]")
        assert said[0] == f"The user's own profile for {trait}"
        assert said[1].replace("\n", "").startswith("name")
