"""The command-line reference is what the commands say of themselves."""

import subprocess
import sys

from tests.docs.pages import ROOT


def test_the_cli_reference_is_up_to_date() -> None:
    script = ROOT / "docs" / "make_cli_reference.py"
    made = subprocess.run(
        [sys.executable, str(script), "--print"], check=True, capture_output=True, text=True
    )
    current = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert current == made.stdout, "docs/cli.md is out of date; run bin/docs to refresh it"
