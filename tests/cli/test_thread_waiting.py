"""Waiting threads of PyTorch leave the processors to other programs, unless the user decides."""

import os
import subprocess
import sys

import pytest

_ASK = """
import os, sys
from tweetprofile.cli import main
sys.argv = ["tweetprofile", "--version"]
main()
print(os.environ["OMP_WAIT_POLICY"])
"""


@pytest.mark.parametrize(("given", "used"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_unless_the_user_decides(given: str | None, used: str) -> None:
    environment = {name: each for name, each in os.environ.items() if name != "OMP_WAIT_POLICY"}
    if given is not None:
        environment["OMP_WAIT_POLICY"] = given
    ended = subprocess.run(
        [sys.executable, "-c", _ASK], env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == used
