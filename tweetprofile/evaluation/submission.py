"""Write submission files for MEX-A3T: one text file per trait, one line per user.

A line is ``"Task"<TAB>"Id"<TAB>"Class"``, quotation marks included, as the page of the track
specifies ("Data and Evaluation", MEX-A3T 2019).
"""

from collections.abc import Sequence
from pathlib import Path

from tweetprofile.errors import PredictionsError, WriteError
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.evaluation.written_files import write_files
from tweetprofile.traits import PRESETS
from tweetprofile.untrusted.repeats import first_repeated
from tweetprofile.untrusted.text import printable

TRACK = PRESETS["mex-a3t-2019"]
"""The traits of the track and their classes."""

_UNWRITABLE = ('"', "\t", "\n", "\r")


def write_submission(predictions: Predictions, folder: Path) -> list[tuple[Path, int]]:
    """Write `<trait>.txt` for each trait of the predictions.

    The classes of the traits of the track must be those of the track.

    Args:
        predictions: The predictions to submit.
        folder: The folder to write to; it must exist.

    Returns:
        Each file, with the number of users who have no prediction of its trait and so no line.

    Raises:
        PredictionsError: A user occurs twice, a class is none of the track, or a user id or a
            class contains a character that a line cannot hold.
        WriteError: The files cannot be written.
    """
    ids = [str(user) for user in predictions.table["user_id"].to_pylist()]
    _refuse_repeated(ids, predictions)
    files, left_out = {}, {}
    for trait in predictions.schema.names:
        classes = predictions.table[trait].to_pylist()
        _refuse_other_classes(trait, classes, predictions)
        lines = [
            _line(trait, user, name, predictions)
            for user, name in zip(ids, classes, strict=True)
            if name is not None
        ]
        files[f"{trait}.txt"] = "".join(lines).encode()
        left_out[f"{trait}.txt"] = len(ids) - len(lines)
    try:
        write_files(folder, files)
    except OSError as error:
        raise WriteError(
            f"{folder} could not be written ({error.strerror}); fix this and run the command again."
        ) from error
    return [(folder / name, count) for name, count in left_out.items()]


def _refuse_repeated(ids: Sequence[str], predictions: Predictions) -> None:
    if (user := first_repeated(ids)) is not None:
        raise PredictionsError(
            f"{predictions.path}: user '{printable(user)}' occurs twice; keep one row."
        )


def _refuse_other_classes(
    trait: str, classes: Sequence[str | None], predictions: Predictions
) -> None:
    known = TRACK.to_dict().get(trait)
    if known is None:
        return  # a trait of one's own
    other = next((name for name in classes if name is not None and name not in known), None)
    if other is not None:
        raise PredictionsError(
            f"{predictions.path}: '{printable(other, 60)}' is not a class of {trait} in MEX-A3T "
            f"({', '.join(known)}); correct it."
        )


def _line(trait: str, user: str, name: str, predictions: Predictions) -> str:
    for text in (user, name):
        if any(character in text for character in _UNWRITABLE):
            raise PredictionsError(
                f"{predictions.path}: {text!r} contains a character that a line of a MEX-A3T file "
                "cannot hold; rename it in the manifest."
            )
    return f'"{trait}"\t"{user}"\t"{name}"\n'
