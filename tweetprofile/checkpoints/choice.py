"""The choice of a checkpoint: the one that is named, or else the default checkpoint."""

import os
import shutil
from pathlib import Path

import platformdirs

from tweetprofile.data.files.atomic import atomic_write
from tweetprofile.data.files.protection import Inputs, check_file, is_earlier, real_path
from tweetprofile.data.files.provenance import Kind
from tweetprofile.errors import CheckpointError, OutputError, WriteError

CHECKPOINT_VARIABLE = "TWEETPROFILE_CHECKPOINT"
"""The environment variable that names the checkpoint to use when a command names none."""

MODEL_FILE = "model.safetensors"
"""The name of the checkpoint in a run folder."""


def find_checkpoint(given: str | Path | None) -> Path:
    """Return the given checkpoint, else that of $TWEETPROFILE_CHECKPOINT, else the default one.

    A run folder stands for the checkpoint in it.

    Raises:
        CheckpointError: There is no checkpoint to use.
    """
    if given is None:
        given = os.environ.get(CHECKPOINT_VARIABLE) or None
    if given is not None:
        return _in_run(Path(given))
    if (default := default_checkpoint()).exists():
        return default
    raise CheckpointError(
        "there is no checkpoint to use: name one with `checkpoint`, or choose a default one with "
        f"'tweetprofile use RUN'. 'tweetprofile train' makes one; ${CHECKPOINT_VARIABLE} can name "
        "one, too."
    )


def default_checkpoint() -> Path:
    """Return the path of the default checkpoint of the current user, whether it exists or not."""
    return Path(platformdirs.user_data_dir("tweetprofile")) / MODEL_FILE


def set_default_checkpoint(checkpoint: Path) -> Path:
    """Copy a checkpoint to the path of the default one, and return that path.

    Raises:
        OutputError: Another kind of file has that path.
        WriteError: The copy cannot be written.
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
                f"{kept} cannot be written: {error.strerror}; remove what is in the way, or name "
                f"the checkpoint in ${CHECKPOINT_VARIABLE}."
            ) from error
        raise WriteError(
            f"{kept} cannot be written: {error.strerror}; fix that, or name the checkpoint in "
            f"${CHECKPOINT_VARIABLE}."
        ) from error
    return kept


def _in_run(path: Path) -> Path:
    if not path.is_dir():
        return path
    if (model := path / MODEL_FILE).exists():
        return model
    raise CheckpointError(
        f"{path} is a folder without {MODEL_FILE}; name a checkpoint, or the folder of a finished "
        "training run."
    )
