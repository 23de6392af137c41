"""A real browser shows every user, filters and sorts them, and runs nothing of theirs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Browser, Page

from tests.browsing.conftest import (
    FAILING,
    HOSTILE,
    HOSTILE_ID,
    MANY,
    MARKUP,
    NONE,
    SCHEMA,
    SHARED,
    USERS,
    Made,
)
from tweetprofile.browsing.options import BrowseOptions
from tweetprofile.browsing.run import browse_profiles
from tweetprofile.untrusted.text import printable

TALL = {"width": 1280, "height": 4000}
"""A window that shows all users at once."""

NAMES = "Array.from(document.querySelectorAll('.card .open'), each => each.textContent)"


@contextmanager
def opened(browser: Browser, made: Made, address: str = "", **options: Any) -> Iterator[Page]:
    """Open the page; it must neither complain, nor leave its folder, nor run foreign code."""
    context = browser.new_context(**{"viewport": TALL, **options})
    page = context.new_page()
    said: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(f"no {request.url}"))
    page.on("request", lambda request: requested.append(request.url))
    page.goto((made.page / "index.html").as_uri() + address)
    yield page
    assert said == []
    assert [url for url in requested if not url.startswith((made.page.as_uri(), "data:"))] == []
    assert page.evaluate("window.hacked === undefined")
    context.close()


def shown(page: Page) -> list[str]:
    names: list[str] = page.evaluate(NAMES)
    return names


def names_of(made: Made, users: list[int]) -> list[str]:
    return [printable(made.ids[user]) for user in users]


def test_all_users_are_shown_the_most_confident_mistakes_first(
    browser: Browser, made: Made
) -> None:
    wrong = (made.truth >= 0) & (made.guess >= 0) & (made.truth != made.guess)
    worst = (made.confidence.round(4) * wrong).max(axis=1)
    order = sorted(range(USERS), key=lambda user: -worst[user])
    mistaken = [user for user in order if wrong[user].any()]
    with opened(browser, made) as page:
        assert shown(page)[: len(mistaken)] == names_of(made, mistaken)
        assert sorted(shown(page)) == sorted(names_of(made, order))
        assert page.locator("#count").inner_text() == f"{USERS} users"
        marked = page.locator(".card.wrong").count()
        assert marked == len(mistaken)
        assert (
            page.locator(".card").first.locator(".trait.wrong .mark").first.inner_text()[0] == "✗"
        )


def outcome(made: Made, user: int, trait: int) -> str:
    if made.truth[user, trait] < 0 or made.guess[user, trait] < 0:
        return "none"
    return "right" if made.truth[user, trait] == made.guess[user, trait] else "wrong"


Fits = Callable[[Made, int], bool]

FILTERS: dict[str, Fits] = {
    "trait=gender&class=male": lambda made, user: made.guess[user, 0] == 1,
    "trait=place&result=wrong": lambda made, user: outcome(made, user, 1) == "wrong",
    "trait=place&result=right": lambda made, user: outcome(made, user, 1) == "right",
    "trait=gender&result=none": lambda made, user: outcome(made, user, 0) == "none",
    "result=wrong": lambda made, user: "wrong" in (outcome(made, user, 0), outcome(made, user, 1)),
    "trait=place&from=60&to=80": lambda made, user: (
        made.guess[user, 1] >= 0 and 0.595 <= made.confidence[user, 1].round(4) < 0.805
    ),
    "trait=place&from=60.25&to=79.5": lambda made, user: (
        made.guess[user, 1] >= 0 and 0.6025 <= made.confidence[user, 1].round(4) <= 0.795
    ),
    "status=partial": lambda made, user: made.status[user] == "partial",
    "least=3": lambda made, user: made.images[user] >= 3,
    "most=0": lambda made, user: made.images[user] == 0,
    "search=USER-2": lambda made, user: "user-2" in made.ids[user],
    "trait=gender&class=female&result=wrong": lambda made, user: (
        made.guess[user, 0] == 0 and outcome(made, user, 0) == "wrong"
    ),
}
"""By the address of the page, whether a user fits the filters in it."""


def test_every_filter_keeps_the_users_who_fit(browser: Browser, made: Made) -> None:
    with opened(browser, made) as page:
        for address, fits in FILTERS.items():
            wanted = [user for user in range(USERS) if fits(made, user)]
            assert 0 < len(wanted) < USERS, address
            page.evaluate(f"location.hash = '{address}'")
            page.wait_for_function(f"{NAMES}.length === {len(wanted)}")
            assert sorted(shown(page)) == sorted(names_of(made, wanted)), address
            assert page.locator("#count").inner_text() == f"{len(wanted)} of {USERS} users"


def test_a_confidence_that_is_none_is_marked(browser: Browser, made: Made) -> None:
    with opened(browser, made) as page:
        for typed, is_wrong in (("101", True), ("-5", True), ("79.7", False)):
            page.fill("#from", typed)
            assert page.evaluate("by('from').matches(':invalid')") is is_wrong


def test_every_order_is_that_of_its_name(browser: Browser, made: Made) -> None:
    sure = made.confidence[:, 1].round(4)
    seen = [user for user in range(USERS) if user != NONE]
    orders = {
        "confident": sorted(seen, key=lambda user: -sure[user]),
        "unsure": sorted(seen, key=lambda user: sure[user]),
        "images": sorted(range(USERS), key=lambda user: -made.images[user]),
        "order": list(range(USERS)),
    }
    with opened(browser, made, "#trait=place") as page:
        for sort, order in orders.items():
            page.select_option("#sort", sort)
            page.wait_for_url(f"**sort={sort}")
            assert shown(page)[: len(order)] == names_of(made, order), sort


def test_filters_are_chosen_by_hand_and_going_back_undoes_them(
    browser: Browser, made: Made
) -> None:
    with opened(browser, made) as page:
        page.select_option("#trait", label="place")
        page.select_option("#class", label=MARKUP)
        page.select_option("#result", "wrong")
        one = page.locator("#count").inner_text()
        page.fill("#from", "70")
        assert page.locator("#count").inner_text() != one
        page.fill("#from", "")
        page.go_back()
        page.go_back()
        assert page.locator("#class").input_value() == "-1"
        assert page.locator("#trait option:checked").inner_text() == "place"
        page.fill("#search", "nobody of this name")
        assert page.locator("#nobody").is_visible()
        page.click("#again")
        assert page.locator("#count").inner_text() == f"{USERS} users"


def test_names_classes_files_and_texts_that_are_markup_are_text(
    browser: Browser, made: Made
) -> None:
    with opened(browser, made, f"#user={HOSTILE + 1}") as page:
        page.wait_for_selector(".gallery")
        assert page.locator("#name").inner_text() == printable(HOSTILE_ID)
        assert MARKUP in page.locator(".blocks").inner_text()
        assert MARKUP in page.locator(".texts").inner_text()
        assert page.evaluate("document.querySelectorAll('img, script:not([src])').length") == 0
    for path in made.page.rglob("*"):
        if path.suffix in (".js", ".html"):
            assert "hacked=1</script>" not in path.read_text(), path
            assert "<img" not in path.read_text(), path


def test_unusable_images_are_marked_with_their_reason(browser: Browser, made: Made) -> None:
    with opened(browser, made, "#status=partial") as page:
        reasons = page.locator(".card .bad").all_inner_texts()
        assert sorted(reasons) == ["missing", "not an image"]
        label = page.locator(".card .strip").get_attribute("aria-label")
        assert label == "1 thumbnail, 2 unusable: not an image, missing"
        page.click(".card .open")
        page.wait_for_selector(".gallery")
        assert page.locator(".gallery").inner_text().count("unusable") == 2
        assert "image 2" in page.locator(".gallery").inner_text()
    assert made.status[FAILING] == "partial"


def test_a_hidden_user_is_found_by_number(browser: Browser, made: Made) -> None:
    with opened(browser, made) as page:
        assert page.evaluate("(all.ids = null, nameOf(1233))") == "user 1234"


def test_an_image_that_another_user_has_leads_there(browser: Browser, made: Made) -> None:
    with opened(browser, made, f"#user={SHARED + 1}") as page:
        link = page.locator(".also a")
        link.wait_for()
        assert link.inner_text() == made.ids[SHARED + 1]
        link.click()
        page.wait_for_url(f"**user={SHARED + 2}")
        assert page.locator("#name").inner_text() == made.ids[SHARED + 1]
        assert page.locator(".also a").inner_text() == made.ids[SHARED]


def test_everything_can_be_reached_by_keys(browser: Browser, made: Made) -> None:
    focused = "document.activeElement.textContent"
    with opened(browser, made, "#sort=order", viewport={"width": 1280, "height": 800}) as page:
        page.keyboard.press("j")
        assert page.evaluate(focused) == made.ids[0]
        for key, user in (("j", 1), ("ArrowRight", 2), ("ArrowDown", 5), ("ArrowUp", 2), ("k", 1)):
            page.keyboard.press(key)
            assert page.evaluate(focused) == made.ids[user], key
        page.keyboard.press("End")
        assert page.evaluate(focused) == made.ids[-1]
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog[open] .gallery")
        page.keyboard.press("j")
        assert page.locator("#name").inner_text() == made.ids[1]
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog[open]", state="detached")
        assert page.evaluate(focused) == made.ids[1]
        page.keyboard.press("/")
        page.keyboard.type("user-2")
        assert page.locator("#count").inner_text() == f"10 of {USERS} users"
        assert page.evaluate("document.activeElement.id") == "search"


@pytest.mark.parametrize("address", ["", "#user=8", "#user=12"])
def test_nothing_is_wider_than_a_phone(browser: Browser, made: Made, address: str) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with opened(browser, made, address, **phone) as page:
        page.wait_for_selector(".card" if not address else ".gallery")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.evaluate("document.getElementById('view').scrollWidth") <= 390
        if not address:
            page.click("#more")
            assert page.locator("#trait").is_visible()


def test_texts_are_readable_on_their_ground_by_day_and_by_night(
    browser: Browser, made: Made
) -> None:
    for scheme in ("light", "dark"):
        for address, ready in (("", ".card"), (f"#user={MANY + 1}", ".gallery")):
            with opened(browser, made, address, color_scheme=scheme) as page:
                page.wait_for_selector(ready)
                assert page.evaluate(CONTRASTS) == []


CONTRASTS = """() => {
  const channel = (value) => (value <= 10 ? value / 3294 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (each) => {
    for (; each; each = each.parentElement) {
      const colour = numbers(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
  };
  const poor = [];
  for (const each of document.querySelectorAll("body *")) {
    const own = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !each.checkVisibility() || each.disabled || each.closest("option")) continue;
    const two = [light(numbers(getComputedStyle(each).color)), light(ground(each))];
    const ratio = (Math.max(...two) + 0.05) / (Math.min(...two) + 0.05);
    if (ratio < 4.5) poor.push(each.className + ": " + each.textContent);
  }
  return poor;
}"""
"""The texts whose contrast is below 4.5, by the definition of WCAG."""


UNNAMED = """Array.from(document.querySelectorAll("input, select"))
    .filter((each) => !each.labels?.length && !each.ariaLabel).length"""


def test_readers_of_screens_hear_how_many_users_there_are_and_which_one_this_is(
    browser: Browser, made: Made
) -> None:
    with opened(browser, made, "#sort=order&least=15") as page:
        assert page.locator("#count").get_attribute("aria-live") == "polite"
        card = page.locator(".card")
        assert card.get_attribute("aria-setsize") == "1"
        assert card.locator(".strip").get_attribute("role") == "img"
        assert page.evaluate(UNNAMED) == 0
        page.click(".card .open")
        page.wait_for_selector("dialog[open] .gallery")
        assert page.get_by_role("dialog", name=made.ids[MANY]).is_visible()
        assert page.get_by_role("img", name="image 1 of 15").is_visible()


def test_a_wall_is_printed_as_pages_of_users(browser: Browser, made: Made) -> None:
    with opened(browser, made, viewport={"width": 1280, "height": 400}) as page:
        assert page.locator(".card").count() < USERS
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator(".card").count() == USERS
        assert not page.locator("#bar").is_visible()
        assert len(page.pdf()) > 20_000


def test_predictions_without_probabilities_have_classes_and_marks_alone(
    browser: Browser, made: Made, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("classes")
    columns = {"user_id": made.ids, "gender": ["male"] * USERS}
    pl.DataFrame(columns).write_csv(folder / "other.csv")
    labels = pl.read_parquet(made.manifest).select("user_id", "texts", "gender")
    labels.write_parquet(folder / "m.parquet")
    browse_profiles(folder / "other.csv", folder / "m.parquet", folder / "page")
    with opened(browser, replace(made, page=folder / "page"), "#user=1") as page:
        assert "male" in page.locator(".blocks").inner_text()
        page.keyboard.press("Escape")
        assert page.locator(".card .meter").count() == 0
        assert page.locator("#sort option").first.inner_text() == "mistakes first"
        assert page.locator(".trait.wrong").count() == int((made.truth[:, 0] == 0).sum())
        assert not page.locator("#confidence").is_visible()


def test_an_address_that_makes_no_sense_shows_all_users(browser: Browser, made: Made) -> None:
    nonsense = "#trait=shoe&class=%E0%A4%A&result=maybe&from=-1&to=1e9&user=0&sort=__proto__"
    with opened(browser, made, nonsense) as page:
        assert page.locator("#count").inner_text() == f"{USERS} users"
        page.evaluate("location.hash = '#user=99999999'")
        assert not page.locator("dialog[open]").count()


def test_a_page_without_users_says_so(
    browser: Browser, made: Made, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("nobody")
    truth = [None if code < 0 else SCHEMA.traits[0].classes[code] for code in made.guess[:, 0]]
    labels = {"user_id": made.ids, "texts": [["a"]] * USERS, "gender": truth}
    pl.DataFrame(labels).write_parquet(folder / "m.parquet")
    options = BrowseOptions(mistakes=3)
    summary = browse_profiles(made.profiles, folder / "m.parquet", folder / "page", options)
    assert summary.users == 0
    with opened(browser, replace(made, page=folder / "page")) as page:
        assert page.locator("#nobody").is_visible()


def test_a_page_without_its_files_says_so(
    browser: Browser, made: Made, tmp_path_factory: pytest.TempPathFactory
) -> None:
    alone = tmp_path_factory.mktemp("alone") / "index.html"
    (alone.parent / "files").mkdir()
    alone.write_bytes((made.page / "index.html").read_bytes())
    for script in (made.page / "files").glob("*.js"):
        if script.name != "users.js":
            (alone.parent / "files" / script.name).write_bytes(script.read_bytes())
    page = browser.new_page()
    page.goto(alone.as_uri())
    assert "users.js is missing" in page.locator("#count").inner_text()
    page.close()
