"""Write the files of a page: HTML, style, script, and the data of its users."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.resources import files

from tweetprofile.browsing.page_data import (
    PageUsers,
    chunks_of_details,
    list_of_users,
    script_of,
)
from tweetprofile.data.files.provenance import browse_line
from tweetprofile.evaluation.templates import page_environment
from tweetprofile.plurals import count_of
from tweetprofile.version import __version__

PAGE = "index.html"

FILES = "files"
"""The folder of everything else."""

STYLE = "page.css"

SCRIPTS = ("data.js", "choices.js", "wall.js", "user.js", "start.js")
"""The scripts of the page, in the order in which it loads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """What the head of a page says.

    Attributes:
        title: The name of the profiles.
        rules: Sentences on why these users were chosen, without a full stop.
        of: The number of users that they were chosen from.
        is_sample: Whether shares on the page stand for all users.
        notes: Sentences about users that are left out, and about labels.
    """

    title: str
    rules: tuple[str, ...]
    of: int
    is_sample: bool
    notes: tuple[str, ...] = ()


def sprite_name(number: int) -> str:
    """Return the path of a sprite, which the script of the page knows, too."""
    return f"{FILES}/sprite-{number}.jpg"


def page_files(users: PageUsers, facts: PageFacts) -> Iterator[tuple[str, bytes]]:
    """Yield the path and content of every file but sprites; the page itself comes last."""
    package = files("tweetprofile.browsing") / "static"
    for name in (STYLE, *SCRIPTS):
        text = (package / name).read_text(encoding="utf-8")
        yield f"{FILES}/{name}", f"{browse_line(name.rpartition('.')[2])}\n{text}".encode()
    yield f"{FILES}/users.js", script_of("setUsers", list_of_users(users))
    for number, details in enumerate(chunks_of_details(users)):
        yield f"{FILES}/details-{number}.js", script_of("addDetails", number, details)
    yield PAGE, _html(users, facts)


def _html(users: PageUsers, facts: PageFacts) -> bytes:
    environment = page_environment("tweetprofile.browsing")
    page = environment.get_template("page.html.jinja").render(
        facts=facts,
        scripts=[f"{FILES}/{name}" for name in SCRIPTS],
        style=f"{FILES}/{STYLE}",
        shown=_sentence(len(users), facts),
        users=len(users),
        anonymous=users.ids is None,
        has_labels=users.truth_RT is not None,
        today=date.today().isoformat(),
        version=__version__,
    )
    return f"{browse_line('html')}\n{page}".encode(errors="backslashreplace")


def _sentence(users: int, facts: PageFacts) -> str:
    """Return how many users the page shows, and by which rules."""
    if users == facts.of:
        return f"This page shows {'the only user' if users == 1 else f'all {users:,} users'}."
    of = count_of(facts.of, "user")
    return f"This page shows {users:,} of {of}: {', '.join(facts.rules)}."
