"""A page of 10,000 users is small, and its memory stays bounded however far one scrolls."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browsing.conftest import SCHEMA, write_profiles
from tweetprofile.browsing.options import BrowseOptions
from tweetprofile.browsing.run import browse_profiles
from tweetprofile.workers.profiles import UserOutcome

USERS = 10_000
MOST_BYTES = 300 << 20


@pytest.fixture(scope="module")
def page(
    tmp_path_factory: pytest.TempPathFactory,
    draw: Callable[..., Image.Image],
    encode: Callable[..., bytes],
) -> Path:
    """A page of 10,000 users with 3 of 300 images each."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(300):
        (folder / f"{number}.png").write_bytes(encode(draw(48, 36, number), "PNG"))
    random = np.random.default_rng(0)
    ids = [f"user-{user:06}" for user in range(USERS)]
    images = [[f"{each}.png" for each in random.integers(0, 300, 3)] for _ in ids]
    labels = {
        trait.name: random.choice(np.array(trait.classes), USERS).tolist() for trait in SCHEMA
    }
    frame = pl.DataFrame({"user_id": ids, "images": images, **labels})
    frame.write_parquet(folder / "m.parquet")
    odds = {
        trait.name: random.dirichlet(np.ones(len(trait.classes)), USERS).astype(np.float32)
        for trait in SCHEMA
    }
    write_profiles(folder / "p.parquet", [UserOutcome(user, 3, 3, ()) for user in ids], odds)
    options = BrowseOptions(sample=USERS)
    return browse_profiles(
        folder / "p.parquet", folder / "m.parquet", folder / "page", options
    ).page


@pytest.mark.slow
def test_what_opens_with_the_page_is_below_5_mb(page: Path) -> None:
    begin = [page, *(page.parent / "files").glob("[!d]*.js"), page.parent / "files" / "page.css"]
    begin += [page.parent / "files" / "data.js"]
    assert sum(path.stat().st_size for path in begin) < 5_000_000


@pytest.mark.slow
def test_10000_users_are_scrolled_through_and_opened_in_less_than_300_mb(
    browser: Browser, page: Path
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    tab = context.new_page()
    tab.goto(page.as_uri())
    tab.wait_for_selector(".card")
    assert tab.locator("#count").inner_text() == "10,000 users"
    most = 0
    height = tab.evaluate("document.documentElement.scrollHeight")
    for step in range(40):
        tab.evaluate(f"scrollTo(0, {height * step // 40})")
        tab.wait_for_timeout(50)
        assert tab.locator(".card").count() < 60
        most = max(most, memory_of(browser, tab))
    for user in range(1, USERS, 500):
        tab.evaluate(f"location.hash = '#user={user}'")
        tab.wait_for_selector(".gallery li")
        most = max(most, memory_of(browser, tab))
    assert most < MOST_BYTES, f"{most / 1e6:.0f} MB"
    context.close()


def memory_of(browser: Browser, tab: Page) -> int:
    """Return the bytes of the page's process without the browser's cache of decoded pictures.

    The cache is shared memory, which the browser gives back when memory is short.
    """
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable")
    metrics = session.send("Performance.getMetrics")["metrics"]
    (heap,) = (each["value"] for each in metrics if each["name"] == "JSHeapTotalSize")
    session.detach()
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    own = (_anonymous(each["id"]) for each in processes if each["type"] == "renderer")
    return max(int(heap), *own)


def _anonymous(process: int) -> int:
    """Return the bytes of memory that belong to a process and no file."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    (found,) = re.findall(r"^Anonymous: +(\d+) kB$", text, re.MULTILINE)
    return 1024 * int(found)
