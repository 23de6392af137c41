"""Read the documentation: its pages, and the commands and snippets on them.

A command is a line that begins with `$ ` in a ```console block; a backslash continues it on the
next line. The lines below it show its output; see `transcripts.py`. A snippet is a ```python block.
An HTML comment on the line before a block says how the tests treat it:

- `<!-- slow: WHY -->`: it takes more than a few seconds, and runs with `--slow` only.
- `<!-- not run: WHY -->`: it cannot run on the machine of the tests.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_MARK = re.compile(r"<!-- (slow|not run): (\S.*\S) -->")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: The word after the fence.
        text: What the block holds.
        line: The line of the page that the block begins on.
        mark: `slow`, `not run`, or an empty string.
        why: The reason for the mark.
    """

    language: str
    text: str
    line: int
    mark: str = ""
    why: str = ""

    @property
    def commands(self) -> list[str]:
        """The commands of a console block, each as one line."""
        return [command for command, _ in self.transcripts]

    @property
    def transcripts(self) -> list[tuple[str, list[str]]]:
        """The commands of a console block, each with the lines of its output; there may be none."""
        found: list[tuple[str, list[str]]] = []
        for line in re.sub(r"\\\n\s*", " ", self.text).splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            elif found:
                found[-1][1].append(line)
        return found


def documents() -> list[Path]:
    """Return README and the pages in `docs/`: the pages whose commands the tests run."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def name_of(page: Path) -> str:
    """Return the path of a page within the repository."""
    return page.relative_to(ROOT).as_posix()


def markdown_files() -> list[Path]:
    """Return every Markdown file of the repository."""
    folders = ("docs", "benchmarks", "examples", "tests", "tweetprofile")
    below = (path for folder in folders for path in (ROOT / folder).rglob("*.md"))
    return sorted([*ROOT.glob("*.md"), *below])


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return list(_blocks(page.read_text(encoding="utf-8").splitlines()))


def _blocks(lines: list[str]) -> Iterator[Block]:
    begin: int | None = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if begin is None:
            begin = number
            continue
        text = "\n".join(lines[begin + 1 : number])
        mark = _MARK.fullmatch(lines[begin - 1].strip()) if begin else None
        why = mark.groups() if mark else ("", "")
        yield Block(lines[begin].removeprefix("```"), text, begin + 1, *why)
        begin = None


def outside_blocks(page: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and text of every line of a page that is in no fenced block."""
    inside = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            yield number, line
