"""`tweetprofile evaluate`: measures predictions on the labels of a manifest."""

import tempfile
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command, Section, option

if TYPE_CHECKING:
    from tweetprofile.evaluation.evaluate import EvaluateOptions
    from tweetprofile.predicting.plan import PredictOptions


@click.command(
    "evaluate", cls=Command, short_help="Measure predictions on labels, next to simple baselines."
)
@shared.manifest
@click.argument(
    "others", nargs=-1, metavar="[PREDICTIONS]...", shell_complete=shared.complete_files
)
@option(
    Section.INPUT,
    "--predictions",
    "-p",
    multiple=True,
    metavar="PREDICTIONS",
    shell_complete=shared.complete_files,
    help="Output of predict, or a table of another program as Parquet or CSV; several are "
    "compared.  [default: predict with --checkpoint]",
)
@option(
    Section.OUTPUT,
    "--out",
    "-o",
    "folder",
    type=shared.FOLDER,
    metavar="FOLDER",
    help="Folder for metrics.json, tables, report.html and its plots.",
)
@option(
    Section.OUTPUT,
    "--format",
    "layout",
    type=click.Choice(["report", "mex-a3t"]),
    default="report",
    show_default=True,
    help="What to write to FOLDER; mex-a3t writes the submission files of that track, which needs "
    "no labels.",
)
@option(
    Section.OUTPUT,
    "--min-confidence",
    type=click.FloatRange(0, 1),
    metavar="CONFIDENCE",
    help="Also report coverage and accuracy without the users below this confidence.",
)
@option(
    Section.OUTPUT,
    "--baselines",
    is_flag=True,
    help="Also measure baselines that predict the images of --checkpoint one by one: one image per "
    "user, and the mean over all of a user's. This takes about as long as predicting the users.",
)
@option(
    Section.OUTPUT,
    "--run",
    type=shared.FOLDER,
    metavar="RUN",
    help="Run folder of train, whose learning curves are added to the report.",
)
@option(
    Section.OTHER,
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Random seed of the bootstrap.",
)
@option(
    Section.OUTPUT, "--json", "as_json", is_flag=True, help="Print the content of metrics.json."
)
@option(
    Section.MODEL,
    "--checkpoint",
    type=shared.CHECKPOINT,
    metavar="MODEL",
    help="Model to predict with if no predictions are given; otherwise the model that made the "
    "predictions, which records whether it was trained on these users.  [default: as for predict]",
)
@shared.image_root
@shared.devices
@shared.decoder
@shared.overwrite
@shared.messages
def command(
    manifest: str,
    others: tuple[str, ...],
    predictions: tuple[str, ...],
    folder: Path | None,
    layout: str,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **choices: Any,
) -> None:
    """Measure how good predictions are on the labels of MANIFEST.

    \b
      tweetprofile evaluate labelled.test.parquet profiles.parquet -o report

    PREDICTIONS are files or folders that predict has written, or any table with user_id and one
    column of classes per trait (Parquet or CSV); without any, the users of MANIFEST are predicted
    first. Labels are columns of classes named after their trait. Users whose label is null are left
    out of that trait only. A labelled user without a prediction counts as predicted wrongly.

    Each score is shown with a 95% interval from resampling the users, and next to the scores of
    two baselines: always the most frequent class, and every class with equal probability. Several
    PREDICTIONS are compared user by user.

    If the model looks at images and reads texts, another table shows what images alone, texts
    alone, the mean of the two and the model score on the users who have both. PREDICTIONS need
    predict --parts for it.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    given = (*others, *predictions)
    _check_choices(folder, layout, given, choices, as_json=as_json)
    _check_inputs(manifest, given, choices)

    from tweetprofile.cli import evaluate_view as view
    from tweetprofile.evaluation.plots import require_matplotlib

    options = _options(choices)
    epochs = _epochs(choices["run"])
    if folder is not None and layout == "report" and len(given) < 2:
        require_matplotlib()
    with ExitStack() as stack:
        if folder is not None:
            _prepare(folder, manifest, given, choices, overwrite=overwrite)
        if not given:
            target = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            given = (
                _predict(manifest, target, choices, needs_labels=layout == "report", quiet=quiet),
            )
        if layout == "mex-a3t":
            assert folder is not None
            view.write_submission(given[0], folder, quiet=quiet)
        elif len(given) > 1:
            view.compare(manifest, given, options, folder, as_json=as_json, quiet=quiet)
        else:
            view.evaluate(manifest, given[0], options, folder, epochs, as_json=as_json, quiet=quiet)


def _check_choices(
    folder: Path | None,
    layout: str,
    given: tuple[str, ...],
    choices: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    """Raise UsageError for options that do not go together."""
    one_report = layout == "report" and len(given) < 2
    if choices["baselines"] and (choices["checkpoint"] is None or not one_report):
        raise click.UsageError("--baselines needs --checkpoint and is about one model's scores")
    if layout == "mex-a3t" and (as_json or choices["min_confidence"]):
        raise click.UsageError("--format mex-a3t takes neither --json nor --min-confidence")
    if layout == "mex-a3t" and (folder is None or len(given) > 1):
        raise click.UsageError("--format mex-a3t needs -o FOLDER and one set of predictions")
    if choices["run"] is not None and (folder is None or not one_report):
        raise click.UsageError("--run adds to the report, which needs -o FOLDER and one model")


def _check_inputs(manifest: str, given: tuple[str, ...], choices: dict[str, Any]) -> None:
    """Refuse inputs that are missing or swapped."""
    from tweetprofile.checkpoints.choice import find_checkpoint
    from tweetprofile.cli.given import require_paths
    from tweetprofile.evaluation.opening import open_manifest

    open_manifest(manifest, given)
    require_paths(choices["checkpoint"], choices["run"])
    if not given:
        require_paths(find_checkpoint(choices["checkpoint"]))


def _prepare(
    folder: Path, manifest: str, given: tuple[str, ...], choices: dict[str, Any], *, overwrite: bool
) -> None:
    """Make the folder, and refuse one that holds what the command reads or did not write."""
    from tweetprofile.data.files.protection import Inputs
    from tweetprofile.evaluation.output_folder import inputs_of_evaluation, prepare_folder

    inputs = inputs_of_evaluation(
        manifest, given, run=choices["run"], image_root=choices["image_root"]
    )
    checkpoint = Inputs.of(checkpoint=choices["checkpoint"])
    prepare_folder(folder, overwrite=overwrite, inputs=inputs + checkpoint)


def _options(choices: dict[str, Any]) -> "EvaluateOptions":
    """Return how to evaluate."""
    from tweetprofile.evaluation.evaluate import EvaluateOptions

    return EvaluateOptions(
        min_confidence=choices["min_confidence"],
        seed=choices["seed"],
        checkpoints=tuple(_candidates(choices["checkpoint"], choices["run"])),
        image_root=choices["image_root"],
        baselines=_baselines(choices),
        made_by=choices["checkpoint"],
    )


def _baselines(choices: dict[str, Any]) -> "PredictOptions | None":
    """Return how to predict single images; None without --baselines."""
    from tweetprofile.predicting.plan import PredictOptions

    return PredictOptions(**_chosen(choices)) if choices["baselines"] else None


def _chosen(choices: dict[str, Any]) -> dict[str, Any]:
    """Return the options that `evaluate` shares with `predict`."""
    return {name: choices[name] for name in ("checkpoint", "image_root", "devices", "decoder")}


def _candidates(checkpoint: Path | None, run: Path | None) -> list[Path]:
    """Return the files that may be the model that made the predictions."""
    from tweetprofile.checkpoints.choice import MODEL_FILE, find_checkpoint
    from tweetprofile.errors import CheckpointError

    named = [checkpoint, run / MODEL_FILE if run is not None else None]
    with suppress(CheckpointError):
        named.append(find_checkpoint(None))
    return [path for path in named if path is not None]


def _epochs(run: Path | None) -> list[dict[str, Any]]:
    """Return the epochs of the run whose curves are added to the report."""
    from tweetprofile.evaluation.report import read_epochs

    return read_epochs(run) if run is not None else []


def _predict(
    manifest: str, folder: Path, choices: dict[str, Any], *, needs_labels: bool, quiet: bool
) -> str:
    """Predict the users of the manifest; return the file of predictions in the folder."""
    from tweetprofile.checkpoints.checkpoint import load_checkpoint
    from tweetprofile.cli import predict_view
    from tweetprofile.cli.interruptions import interruptions
    from tweetprofile.evaluation.matching import labelled_traits
    from tweetprofile.evaluation.parts import sees_both
    from tweetprofile.evaluation.single_images import require_images
    from tweetprofile.evaluation.written_files import PREDICTIONS
    from tweetprofile.predicting.plan import PredictOptions, plan_prediction
    from tweetprofile.predicting.run import run_plan

    out = str(folder / PREDICTIONS)
    options = PredictOptions(**_chosen(choices), overwrite=True)
    plan = plan_prediction(manifest, out, options)
    if needs_labels:
        checkpoint = load_checkpoint(plan.job.checkpoint)
        if choices["baselines"]:
            require_images(checkpoint)
        if sees_both(checkpoint):
            plan = plan_prediction(manifest, out, replace(options, parts=True))
        labelled_traits(plan.manifest, checkpoint.schema, plan.job.checkpoint)
    with (
        interruptions(lambda: "interrupted; run the command again."),
        predict_view.started(plan.engine(), quiet=quiet) as engine,
        predict_view.predict_progress(plan.users, quiet=quiet) as on_progress,
    ):
        if not quiet:
            predict_view.show_model(plan, engine)
        run_plan(plan, engine, on_progress)
    return out
