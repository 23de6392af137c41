"""Threads that wait leave busy processors to other programs, unless the user decides."""

import os
import subprocess
import sys

import pytest

_ASK = """
import os, sys
from tweetprofile.cli import main
load = float(sys.argv[1]) * os.cpu_count()
os.getloadavg = lambda: (load, 0.0, 0.0)
sys.argv = ["tweetprofile", "--version"]
main()
print(os.environ.get("OMP_WAIT_POLICY"))
"""


@pytest.mark.parametrize(
    ("load", "given", "used"),
    [
        (0.9, None, "PASSIVE"),
        (0.1, None, "None"),
        (0.9, "ACTIVE", "ACTIVE"),
        (0.1, "PASSIVE", "PASSIVE"),
    ],
)
def test_waiting_threads_sleep_where_others_need_the_processors(
    load: float, given: str | None, used: str
) -> None:
    environment = {name: each for name, each in os.environ.items() if name != "OMP_WAIT_POLICY"}
    if given is not None:
        environment["OMP_WAIT_POLICY"] = given
    command = [sys.executable, "-c", _ASK, str(load)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == used
