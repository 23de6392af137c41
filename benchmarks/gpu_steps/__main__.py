"""Run one step: `python -m gpu_steps NAME MODULE:FUNCTION FOLDER`."""

import importlib
import sys
import time
from pathlib import Path

from gpu_steps.work import Outcome, Work, result_path, write_outcome


def main(name: str, function: str, folder: str) -> None:
    """Do the work of a step, and write its file."""
    began = time.monotonic()
    module, _, attribute = function.partition(":")
    outcome = getattr(importlib.import_module(module), attribute)(Work.open(Path(folder)))
    assert isinstance(outcome, Outcome)
    write_outcome(result_path(Path(folder), name), outcome, time.monotonic() - began)


main(*sys.argv[1:])
