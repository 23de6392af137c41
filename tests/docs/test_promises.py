"""Every promise names a test, and every test that is named is there."""

import re

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")


def test_every_promise_names_a_test() -> None:
    promises, _, _ = PAGE.partition("## What import takes")
    listed = re.findall(r"^- (.*(?:\n  .*)*)", promises, re.MULTILINE)
    assert len(listed) > 40
    assert [each for each in listed if not re.search(r"`tests/[\w/]+(\.py|/)`$", each)] == []


def test_the_test_functions_that_are_named_are_there() -> None:
    named = set(re.findall(r"`(test_\w+)(?![\w.]*\.py)`", PAGE))
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 60
    missing = [name for name in sorted(named) if f"def {name}(" not in tests]
    assert missing == [], "docs/promises.md names tests that were renamed"
