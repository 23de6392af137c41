"""The run folder: only files of an earlier run may be replaced in it."""

import os
from dataclasses import dataclass
from pathlib import Path

from tweetprofile.checkpoints.choice import MODEL_FILE
from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.data.files.protection import Inputs, is_earlier, real_path, refuse_foreign
from tweetprofile.data.files.provenance import Kind, kind_of
from tweetprofile.errors import OutputError
from tweetprofile.scoring.epochs import METRICS
from tweetprofile.training.card import CARD
from tweetprofile.training.folds import FOLDS, MOST_FOLDS
from tweetprofile.training.settings import SETTINGS
from tweetprofile.training.state import STATE
from tweetprofile.training.writing import explain_write_errors

VOCABULARY = "vocabulary.csv"
"""The n-grams that speak most for each class, if they are wanted."""

_KINDS = {
    SETTINGS: Kind.SETTINGS,
    METRICS: Kind.METRICS,
    CARD: Kind.CARD,
    STATE: Kind.STATE,
    FOLDS: Kind.FOLDS,
    VOCABULARY: Kind.VOCABULARY,
    MODEL_FILE: Kind.MODEL,
}
"""The files of a run. The model is written last: a folder without it holds no finished run."""


HEAD_FOLDER = "head"
"""The subfolder of the run folder in which a head is trained that is fine-tuned afterwards."""


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """How a run folder that is not empty may be used.

    Attributes:
        overwrite: Whether the files of an earlier run may be replaced.
        resume: Whether to resume an unfinished run.
        config: The file that the options were read from; None if they were not read from a file.
    """

    overwrite: bool = False
    resume: bool = False
    config: Path | None = None


def prepare_folder(folder: Path, inputs: Inputs, options: FolderOptions) -> Path:
    """Create the run folder, or remove the results of an earlier run from it.

    Args:
        folder: The folder to write to.
        inputs: The inputs of the run.
        options: How the folder may be used if it is not empty.

    Raises:
        OutputError: The folder is or contains an input, contains a foreign file under the name of
            one of the run's files, contains a run that may not be replaced, or cannot be created.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give a folder for the run.")
    inputs.refuse(real_path(folder), folder)
    if not is_resumed(folder, options):
        _refuse_config(folder, options)
    for name, kind in _KINDS.items():
        path = folder / name
        inputs.refuse(real_path(path), path)
        if not _has_no_complete_line(path):
            refuse_foreign(path, kind, path)
    _refuse_run(folder, options)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if options.overwrite and not options.resume:
            for path in (
                folder / MODEL_FILE,
                folder / FOLDS,
                folder / VOCABULARY,
                *_states(folder),
            ):
                path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot create {folder} ({error.strerror}); choose another folder."
        ) from error
    return folder


def is_resumed(folder: Path, options: FolderOptions) -> bool:
    """Return whether the run resumes one in the folder, whose settings are the same."""
    begun = (folder / STATE).exists() or (folder / MODEL_FILE).exists()
    return options.resume and begun and kind_of(folder / SETTINGS) is Kind.SETTINGS


def write_card(path: Path, card: str) -> None:
    """Write the model card.

    Args:
        path: The file to write.
        card: The card as Markdown.

    Raises:
        WriteError: The file cannot be written.
    """
    with explain_write_errors(path):
        write_atomically(path, card.encode(), is_earlier(Kind.CARD))


def fold_folder(folder: Path, number: int) -> Path:
    """Return the subfolder of the run folder in which a fold of a cross-validation is trained."""
    return folder / f"fold-{number}"


def _states(folder: Path) -> list[Path]:
    """Return the state files of the run and of its folds, without foreign files."""
    folds = (fold_folder(folder, number) / STATE for number in range(1, MOST_FOLDS + 1))
    return [folder / STATE, *(path for path in folds if kind_of(path) is Kind.STATE)]


def _refuse_config(folder: Path, options: FolderOptions) -> None:
    config = Inputs.of(settings=options.config)
    for path in (folder, folder / SETTINGS):
        config.refuse(real_path(path), path)


def _refuse_run(folder: Path, options: FolderOptions) -> None:
    if options.overwrite or options.resume:
        return
    if (folder / MODEL_FILE).exists():
        raise OutputError(
            f"{folder} already holds a finished run ({MODEL_FILE}); choose another folder, or pass "
            "`overwrite=True` to replace it."
        )
    if (folder / FOLDS).exists() or any(map(Path.exists, _states(folder))):
        raise OutputError(
            f"{folder} holds an unfinished run; pass `resume=True` to continue it, or "
            "`overwrite=True` to start again."
        )


def _has_no_complete_line(path: Path) -> bool:
    """Return whether a path is the metrics of a run that was killed before it wrote a line."""
    if path.name != METRICS or path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        line = file.readline(1 << 20)
    begun = not line or (line.startswith(b'{"epoch": ') and not line.endswith(b"\n"))
    return begun and kind_of(path.with_name(SETTINGS)) is Kind.SETTINGS
