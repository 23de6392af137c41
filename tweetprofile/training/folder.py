"""The folder of a run: what an earlier run has left there may be replaced, and nothing else."""

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
from tweetprofile.training.writing import writing

_KINDS = {
    SETTINGS: Kind.SETTINGS,
    METRICS: Kind.METRICS,
    CARD: Kind.CARD,
    STATE: Kind.STATE,
    FOLDS: Kind.FOLDS,
    MODEL_FILE: Kind.MODEL,
}
"""What a run writes. The model comes last: a folder without it holds no finished run."""


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """What may be done with a folder in which something is.

    Attributes:
        overwrite: whether an earlier run's files may be replaced.
        resume: whether to go on with an unfinished run.
        config: file that the options were read from; None for none.
    """

    overwrite: bool = False
    resume: bool = False
    config: Path | None = None


def prepare_folder(folder: Path, inputs: Inputs, options: FolderOptions) -> Path:
    """Make the folder of a run, or make room in it.

    Args:
        folder: to write to.
        inputs: what the run reads.
        options: what may be done with what is in it.

    Raises:
        OutputError: it is or holds what is read, holds files of others where the run's would stand,
            holds a run that must not be replaced, or cannot be made.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give a folder for the run.")
    inputs.refuse(real_path(folder), folder)
    if not goes_on(folder, options):
        _refuse_config(folder, options)
    for name, kind in _KINDS.items():
        path = folder / name
        inputs.refuse(real_path(path), path)
        if not _is_begun(path):
            refuse_foreign(path, kind, path)
    _refuse_run(folder, options)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if options.overwrite and not options.resume:
            for path in (folder / MODEL_FILE, folder / FOLDS, *_states(folder)):
                path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}; choose another.") from error
    return folder


def goes_on(folder: Path, options: FolderOptions) -> bool:
    """Whether the run goes on with one in the folder, whose settings are the same."""
    begun = (folder / STATE).exists() or (folder / MODEL_FILE).exists()
    return options.resume and begun and kind_of(folder / SETTINGS) is Kind.SETTINGS


def write_card(path: Path, card: str) -> None:
    """Write the model card.

    Raises:
        WriteError: it cannot be written.
    """
    with writing(path):
        write_atomically(path, card.encode(), is_earlier(Kind.CARD))


def fold_folder(folder: Path, number: int) -> Path:
    """The folder, in that of the run, where a fold of a cross-validation is trained."""
    return folder / f"fold-{number}"


def _states(folder: Path) -> list[Path]:
    """Where states of the run and of its folds stand, as far as they are ours."""
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
            f"{folder} holds a finished run already ({MODEL_FILE}); choose another folder or add "
            "--overwrite."
        )
    if (folder / FOLDS).exists() or any(map(Path.exists, _states(folder))):
        raise OutputError(
            f"{folder} holds an unfinished run; add --resume to go on with it, or --overwrite to "
            "begin anew."
        )


def _is_begun(path: Path) -> bool:
    """Whether it is a run's file of metrics in which no line is complete: the run was killed."""
    if path.name != METRICS or path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        line = file.readline(1 << 20)
    begun = not line or (line.startswith(b'{"epoch": ') and not line.endswith(b"\n"))
    return begun and kind_of(path.with_name(SETTINGS)) is Kind.SETTINGS
