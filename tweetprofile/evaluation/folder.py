"""The folder that an evaluation leaves: metrics, tables, unmatched users, report.

::

    metrics.json       everything, for programs; written last
    report.html        everything, for people
    plots/*.png        its pictures
    tables/*.csv       the paper's tables, in form
    unmatched.csv      users in the manifest or in the predictions alone, where there are any
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tweetprofile.errors import OutputError, WriteError
from tweetprofile.evaluation.evaluate import Comparison, Evaluation
from tweetprofile.evaluation.report import REPORT, write_report
from tweetprofile.evaluation.tables import tables
from tweetprofile.spreadsheets import write_rows

METRICS = "metrics.json"


def prepare_folder(folder: Path, *, overwrite: bool) -> None:
    """Make the folder, or see that what an earlier evaluation left may be replaced.

    Raises:
        OutputError: it cannot be made, or holds files and must not be overwritten.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except OSError as error:
        raise OutputError(f"{folder} cannot be written to: {error.strerror}.") from None
    if occupied and not overwrite:
        raise OutputError(f"{folder} is not empty; choose another folder or add --overwrite.")


def write_evaluation(
    evaluation: Evaluation, folder: Path, epochs: Sequence[Mapping[str, Any]] = ()
) -> Path:
    """Write everything about one set of predictions; the path of the report.

    Raises:
        WriteError: the disk is full, say.
    """
    with _writing(folder):
        _write_tables([evaluation], folder)
        _write_unmatched(evaluation, folder)
        write_report(evaluation, folder, epochs)
        _write_json(evaluation.to_dict(), folder)
    return folder / REPORT


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write metrics and tables of several sets of predictions."""
    with _writing(folder):
        _write_tables(comparison.evaluations, folder)
        _write_json(comparison.to_dict(), folder)


def _write_tables(evaluations: Sequence[Evaluation], folder: Path) -> None:
    (folder / "tables").mkdir(exist_ok=True)
    for table in tables(evaluations):
        table.write_csv(folder / "tables")


def _write_unmatched(evaluation: Evaluation, folder: Path) -> None:
    judged = evaluation.judged
    path = folder / "unmatched.csv"
    path.unlink(missing_ok=True)
    rows = [
        *((user, "manifest") for user in judged.only_in_manifest),
        *((user, "predictions") for user in judged.only_in_predictions),
    ]
    if rows:
        with path.open("w", newline="", encoding="utf-8") as file:
            write_rows(file, [("user_id", "only_in"), *rows])


def _write_json(facts: Mapping[str, Any], folder: Path) -> None:
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    # What is no text in paths becomes JSON's own escapes.
    (folder / METRICS).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"{folder} could not be written ({error.strerror}); make room and run it again."
        ) from None
