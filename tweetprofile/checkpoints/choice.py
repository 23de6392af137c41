"""Which checkpoint to use: the one named, or the one that was chosen to be the default."""

import os
import shutil
from pathlib import Path

import platformdirs

from tweetprofile.data.files.atomic import atomic_write
from tweetprofile.data.files.protection import Inputs, check_file, is_earlier, real_path
from tweetprofile.data.files.provenance import Kind
from tweetprofile.errors import CheckpointError, OutputError, WriteError

CHECKPOINT_VARIABLE = "TWEETPROFILE_CHECKPOINT"
"""Environment variable that names the checkpoint to use when none is given."""

MODEL_FILE = "model.safetensors"
"""The file of a run that holds its model."""


def find_checkpoint(given: str | Path | None) -> Path:
    """The checkpoint to use: the given one, else $TWEETPROFILE_CHECKPOINT, else the default.

    A folder stands for the model of the run in it.

    Raises:
        CheckpointError: there is none.
    """
    if given is None:
        given = os.environ.get(CHECKPOINT_VARIABLE) or None
    if given is not None:
        return _in_run(Path(given))
    if (default := default_checkpoint()).exists():
        return default
    raise CheckpointError(
        "no checkpoint: name one with --checkpoint RUN, or choose the one to use from now on with "
        f"'tweetprofile use RUN'. 'tweetprofile train' makes one; ${CHECKPOINT_VARIABLE} can name "
        "it, too."
    )


def default_checkpoint() -> Path:
    """Where the model is kept that this user has chosen to be the default."""
    return Path(platformdirs.user_data_dir("tweetprofile")) / MODEL_FILE


def set_default_checkpoint(checkpoint: Path) -> Path:
    """Keep a copy of a checkpoint as the default; where it is kept.

    Raises:
        OutputError: something else stands in its place.
        WriteError: the copy cannot be written.
    """
    kept = default_checkpoint()
    if checkpoint.exists() and kept.exists() and checkpoint.samefile(kept):
        return kept
    check_file(kept, Kind.MODEL, Inputs.of(checkpoint=checkpoint), overwrite=True)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(real_path(kept), is_earlier(Kind.MODEL)) as unfinished:
            shutil.copyfile(checkpoint, unfinished)
    except OSError as error:
        if isinstance(error, FileExistsError | NotADirectoryError):
            raise OutputError(
                f"{kept} cannot be written: {error.strerror}; make room for it, or name the "
                f"checkpoint in ${CHECKPOINT_VARIABLE}."
            ) from error
        raise WriteError(
            f"{kept} cannot be written: {error.strerror}; mend that, or name the checkpoint in "
            f"${CHECKPOINT_VARIABLE}."
        ) from error
    return kept


def _in_run(path: Path) -> Path:
    if not path.is_dir():
        return path
    if (model := path / MODEL_FILE).exists():
        return model
    raise CheckpointError(
        f"{path} is a folder without {MODEL_FILE}; give a checkpoint, or the folder of a run that has "
        "ended."
    )
