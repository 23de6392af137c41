"""The folder that an evaluation leaves: metrics, tables, unmatched users, report.

::

    metrics.json       everything, for programs; written last
    report.html        everything, for people
    plots/*.png        its pictures
    tables/*.csv       the paper's tables, in form
    unmatched.csv      users in the manifest or in the predictions alone, where there are any
    .tweetprofile.json what evaluations have written here, and a later one may replace
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tweetprofile.data.files.protection import Inputs, real_path
from tweetprofile.data.files.storage import AnyPath, as_path
from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import OutputError, WriteError
from tweetprofile.evaluation.evaluate import Comparison, Evaluation
from tweetprofile.evaluation.report import REPORT, make_report
from tweetprofile.evaluation.tables import tables
from tweetprofile.evaluation.written_files import check_folder, write_files
from tweetprofile.scoring.epochs import METRICS as METRICS_OF_RUN
from tweetprofile.untrusted.spreadsheets import write_rows

METRICS = "metrics.json"


def inputs_of_evaluation(
    manifest: str,
    predictions: Sequence[str] = (),
    *,
    run: Path | None = None,
    image_root: AnyPath | None = None,
) -> Inputs:
    """What an evaluation reads, and its outputs never replace.

    Raises:
        ManifestError: the manifest cannot be opened.
    """
    inputs = inputs_of(Manifest.open(manifest), image_root)
    for source in predictions:
        path = as_path(source)
        files = [path] if isinstance(path, Path) and path.is_file() else []
        inputs += Inputs.of_tables("the predictions", source, files, ("**",))
    return inputs + Inputs.of(metrics_of_training=run / METRICS_OF_RUN if run is not None else None)


def prepare_folder(folder: Path, *, overwrite: bool, inputs: Inputs | None = None) -> None:
    """Make the folder, or see that what an earlier evaluation left may be replaced.

    Args:
        folder: to write to.
        overwrite: whether what an earlier evaluation left may be replaced.
        inputs: what the evaluation reads; None for nothing.

    Raises:
        OutputError: it cannot be made, is or holds what is read, holds what no evaluation wrote, or
            must not be overwritten.
    """
    for path in (folder, folder / METRICS):
        (inputs or Inputs()).refuse(real_path(path), folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_folder(folder)
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
        write_files(
            folder,
            {
                **_tables([evaluation]),
                **_unmatched(evaluation),
                **make_report(evaluation, epochs),
                METRICS: _json(evaluation.to_dict()),
            },
        )
    return folder / REPORT


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write metrics and tables of several sets of predictions."""
    with _writing(folder):
        metrics = {METRICS: _json(comparison.to_dict())}
        write_files(folder, {**_tables(comparison.evaluations), **metrics})


def _tables(evaluations: Sequence[Evaluation]) -> dict[str, bytes]:
    return {f"tables/{table.name}.csv": table.to_csv() for table in tables(evaluations)}


def _unmatched(evaluation: Evaluation) -> dict[str, bytes]:
    matched = evaluation.matched
    rows = [
        *((user, "manifest") for user in matched.only_in_manifest),
        *((user, "predictions") for user in matched.only_in_predictions),
    ]
    if not rows:
        return {}
    text = io.StringIO(newline="")
    write_rows(text, [("user_id", "only_in"), *rows])
    return {"unmatched.csv": text.getvalue().encode()}


def _json(facts: Mapping[str, Any]) -> bytes:
    # What is no text in paths becomes JSON's own escapes.
    return (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode(
        errors="backslashreplace"
    )


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"{folder} could not be written ({error.strerror}); make room and run it again."
        ) from None
