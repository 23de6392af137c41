"""Every test that docs/importing.md names for tweets and archives is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tests_that_the_page_on_importing_names_are_there() -> None:
    page = (ROOT / "docs" / "importing.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)(?![\w.]*\.py)", page))
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 20
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []
