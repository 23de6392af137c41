"""The file of a run that gets one line per epoch."""

import json
from dataclasses import asdict
from pathlib import Path

from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.data.files.protection import is_earlier
from tweetprofile.data.files.provenance import Kind
from tweetprofile.scoring.epochs import METRICS, EpochMetrics, epoch_of
from tweetprofile.training.writing import explain_write_errors
from tweetprofile.untrusted.fields import finite


def append_metrics(folder: Path, metrics: EpochMetrics) -> None:
    """Write the line of an epoch.

    Args:
        folder: The run folder.
        metrics: The metrics of the epoch.

    Raises:
        WriteError: The line cannot be written, for example because the disk is full.
    """
    path = folder / METRICS
    with explain_write_errors(path), path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(finite(asdict(metrics))) + "\n")


def cut_metrics(folder: Path, done: int) -> None:
    """Remove the lines after an epoch: a run may be killed between writing a line and its state.

    The remaining lines are written to a new file, so that a hard link to the old one keeps its
    content.

    Args:
        folder: The run folder.
        done: The number of the last epoch to keep.

    Raises:
        WriteError: The file cannot be written, for example because the disk is full.
    """
    path = folder / METRICS
    with explain_write_errors(path):
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        lines = text.splitlines(True)
        kept = [line for line in lines if line.endswith("\n") and epoch_of(line) <= done]
        if kept:
            write_atomically(path, "".join(kept).encode(), is_earlier(Kind.METRICS))
        else:
            path.unlink(missing_ok=True)
