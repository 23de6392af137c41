"""How threads of PyTorch wait for each other on processors, told to OpenMP before it is loaded."""

import os
from collections.abc import MutableMapping

_POLICY = "OMP_WAIT_POLICY"
"""The environment variable that OpenMP reads when it is loaded."""

_BUSY = 0.5
"""The load per processor from which other programs count as busy."""


def choose_waiting(environment: MutableMapping[str, str]) -> None:
    """Let waiting threads sleep if other programs need the processors.

    Otherwise they keep their processors busy, which is faster as long as nobody else needs them:
    training heads took 33 s instead of 45 s on two idle processors. Beside busy programs, each
    small computation then waits for a time slice: training a model of texts took 33 s instead of
    9 s (2026-11-29, two Intel Xeon processors).

    Args:
        environment: The environment variables of this process, of which the user may have set the
            policy.
    """
    load, _, _ = os.getloadavg()
    if load > _BUSY * (os.cpu_count() or 1):
        environment.setdefault(_POLICY, "PASSIVE")
