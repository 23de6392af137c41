"""The file of a run that gets a line an epoch."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tweetprofile.errors import WriteError
from tweetprofile.protection import is_earlier
from tweetprofile.provenance import Kind
from tweetprofile.training.scores import EpochMetrics
from tweetprofile.whole import write_whole

METRICS = "metrics.jsonl"
"""Its name."""


def append_metrics(folder: Path, metrics: EpochMetrics) -> None:
    """Write the line of an epoch.

    Raises:
        WriteError: the disk is full, say.
    """
    path = folder / METRICS
    with _writing(path), path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(metrics)) + "\n")


def cut_metrics(folder: Path, done: int) -> None:
    """Leave the lines up to an epoch: a run may be killed between a line and its state.

    What is left stands in a new file, so that no other name of the old one is written to.

    Raises:
        WriteError: the disk is full, say.
    """
    path = folder / METRICS
    lines = path.read_text(encoding="utf-8").splitlines(True) if path.exists() else []
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["epoch"] <= done]
    with _writing(path):
        if kept:
            write_whole(path, "".join(kept).encode(), is_earlier(Kind.METRICS))
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"{path} cannot be written: {error.strerror}; mend that, then give the same command "
            "with --resume."
        ) from error
