"""Which checkpoint to use: the one named, or the one that was last trained."""

import os
from pathlib import Path

import platformdirs

from tweetprofile.errors import CheckpointError

CHECKPOINT_VARIABLE = "TWEETPROFILE_CHECKPOINT"
"""Environment variable that names the checkpoint to use when none is given."""


def find_checkpoint(given: str | Path | None) -> Path:
    """The checkpoint to use: the given one, else $TWEETPROFILE_CHECKPOINT, else the last trained.

    Raises:
        CheckpointError: there is none.
    """
    if given is not None:
        return Path(given)
    if named := os.environ.get(CHECKPOINT_VARIABLE):
        return Path(named)
    if (last := last_trained()).exists():
        return last
    raise CheckpointError(
        "no checkpoint: train one with 'tweetprofile train MANIFEST -o RUN', or name one with "
        f"--checkpoint FILE or ${CHECKPOINT_VARIABLE}."
    )


def last_trained() -> Path:
    """Where this user's last trained checkpoint is kept."""
    return Path(platformdirs.user_data_dir("tweetprofile")) / "model.safetensors"
