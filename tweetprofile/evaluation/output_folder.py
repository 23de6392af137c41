"""Write the output folder of an evaluation: metrics, tables, unmatched users, report.

::

    metrics.json       all results, for programs; written last
    report.html        all results, for people
    plots/*.png        the plots of the report
    tables/*.csv       tables of the same form as the paper's
    unmatched.csv      users in only the manifest or only the predictions, if there are any
    .tweetprofile.json a record of these files, which a later evaluation may replace
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
    """Return the inputs of an evaluation, which its output must not replace.

    Args:
        manifest: The manifest.
        predictions: Files or folders of predictions.
        run: The run folder that training curves are read from; None if there is none.
        image_root: The folder that image paths are relative to; None for the manifest's folder.

    Raises:
        ManifestError: The manifest cannot be opened.
    """
    inputs = inputs_of(Manifest.open(manifest), image_root)
    for source in predictions:
        path = as_path(source)
        files = [path] if isinstance(path, Path) and path.is_file() else []
        inputs += Inputs.of_tables("the predictions", source, files, ("**",))
    return inputs + Inputs.of(metrics_of_training=run / METRICS_OF_RUN if run is not None else None)


def prepare_folder(folder: Path, *, overwrite: bool, inputs: Inputs | None = None) -> None:
    """Make the output folder, or check that an earlier evaluation in it may be replaced.

    Args:
        folder: The folder to write to.
        overwrite: Whether the files of an earlier evaluation may be replaced.
        inputs: The files that the evaluation reads; None for none.

    Raises:
        OutputError: The folder cannot be made, is or contains an input, contains a foreign file,
            or must not be overwritten.
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
        raise OutputError(
            f"{folder} is not empty; choose another folder, or pass `overwrite=True` to replace an "
            "earlier evaluation."
        )


def write_evaluation(
    evaluation: Evaluation, folder: Path, epochs: Sequence[Mapping[str, Any]] = ()
) -> Path:
    """Write the metrics, tables and report of one evaluation.

    Args:
        evaluation: The evaluation to write.
        folder: The output folder, as `prepare_folder` leaves it.
        epochs: The epochs of the training run, for its curves; none to omit them.

    Returns:
        The path of the report.

    Raises:
        WriteError: The files cannot be written, for example because the disk is full.
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
    """Write the metrics and tables of a comparison; see `write_evaluation`."""
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
    # Bytes in paths that are not valid text become JSON escapes.
    return (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode(
        errors="backslashreplace"
    )


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"{folder} could not be written ({error.strerror}); fix this and run the command again."
        ) from None
