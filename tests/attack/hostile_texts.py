"""Texts that break readers, and dumps of them in every layout that brings texts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOSTILE: dict[str, str] = {
    "10 MB": "word " * (2 << 20),
    "one letter, 1 MB": "a" * (1 << 20),
    "null": "a\0b",
    "controls": "".join(map(chr, range(1, 32))) + "a",
    "a lone surrogate": "a\ud83db",
    "surrogates in the wrong order": "\ude00\ud83d",
    "right to left": "\u202eabc\u202c \u2067mirrored",
    "a family of emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 100,
    "combining marks": "z" + "\u0301" * 10_000,
    "not characters": "\ufffe\uffff\U0010ffff",
    "a terminal's commands": "\x1b[2J\x1b]0;title\x07a",
    "a formula": '=HYPERLINK("http://127.0.0.1","a")',
    "the end of CDATA": "a]]>b",
    "XML": "<!DOCTYPE x [<!ENTITY a 'b'>]>&a;",
    "entities": "&amp;amp;lt;" * 1_000,
    "lines": "a\r\nb\n\nc\u2028d",
    "a quotation mark": 'a "b',
    "blanks": " \t\u00a0\u3000 ",
    "empty": "",
}
"""Texts by what is odd about them."""


def api_v1(folder: Path) -> None:
    lines = [
        {"id_str": str(number), "user": {"id_str": "7"}, "full_text": text}
        for number, text in enumerate(HOSTILE.values(), 1)
    ]
    _put(folder / "t.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines))


def api_v2(folder: Path) -> None:
    data = [
        {"id": str(number), "author_id": "7", "text": "", "note_tweet": {"text": text}}
        for number, text in enumerate(HOSTILE.values(), 1)
    ]
    _put(folder / "t.jsonl", "".join(f"{json.dumps({'data': [each]})}\n" for each in data))


def archive(folder: Path) -> None:
    records = [
        {"tweet": {"id_str": str(number), "full_text": text}}
        for number, text in enumerate(HOSTILE.values(), 1)
    ]
    _put(folder / "data" / "account.js", 'x = [{"account": {"accountId": "7"}}]')
    _put(folder / "data" / "tweets.js", f"x = {json.dumps(records)}")


def pan17(folder: Path) -> None:
    documents = "".join(f"<document><![CDATA[{text}]]></document>\n" for text in HOSTILE.values())
    _put(folder / "7.xml", f'<author lang="es"><documents>{documents}</documents></author>')
    _put(folder / "truth.txt", "7:::male:::chile\n")


def pan18(folder: Path) -> None:
    pan17(folder / "en" / "text")


DUMPS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "API v1.1": ("twitter-api", api_v1),
    "API v2": ("twitter-api", api_v2),
    "an archive": ("twitter-archive", archive),
    "PAN 2017": ("pan17", pan17),
    "PAN 2018": ("pan18", pan18),
}
"""Dumps of all hostile texts, by name: the layout, and what writes them."""


def table_of_texts(file: Path) -> None:
    """Write the hostile texts as JSON lines for `import folder`."""
    rows: list[dict[str, Any]] = [{"user_id": "7", "text": text} for text in HOSTILE.values()]
    _put(file, "".join(f"{json.dumps(row)}\n" for row in rows))


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
