"""The curves of a training for TensorBoard: losses and scores per epoch, and those of the model.

They are in a subfolder of the folder that holds `metrics.jsonl`. A resumed run writes a further
file, which continues the curves; TensorBoard leaves out what a run had written after the epoch that
it was resumed from, and so too all that a replaced run had written.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from tweetprofile.errors import OptionError, OutputError
from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.scoring.traits import TraitScore
from tweetprofile.training.writing import explain_write_errors

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter  # which loads TensorBoard

LogTo = Literal["tensorboard"]
"""Where the scores of epochs go besides `metrics.jsonl`."""

CURVES = "tensorboard"
"""The name of the subfolder."""


def require_tensorboard(folder: Path) -> None:
    """Check that curves can be written, before any work.

    Args:
        folder: The run folder.

    Raises:
        OptionError: TensorBoard is not installed.
        OutputError: Something else has the place of the subfolder.
    """
    found = importlib.util.find_spec("tensorboard")
    if found is None or found.origin is None:  # a folder of that name is no package
        raise OptionError(
            "`log_to` is tensorboard, which is not installed; install it with: pip install "
            "'tweetprofile[tensorboard]'"
        )
    path = folder / CURVES
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise OutputError(f"{path} is not a folder; move it away, or choose another run folder.")


class Curves:
    """Writes the epochs of a training; `with` closes its file.

    Args:
        folder: The folder that holds `metrics.jsonl`.
        log_to: Where to write; None for nowhere.
    """

    def __init__(self, folder: Path, log_to: LogTo | None) -> None:
        self._path = folder / CURVES if log_to is not None else None
        self._writer: SummaryWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file.

        Raises:
            WriteError: The file could not be written, and the block raised nothing else.
        """
        if self._writer is None or self._path is None:
            return
        try:
            with explain_write_errors(self._path):
                self._writer.close()
        except Exception:
            if kind is None:
                raise

    def add(self, metrics: EpochMetrics) -> None:
        """Write the losses and the scores of an epoch.

        Raises:
            WriteError: The file cannot be written, for example because the disk is full.
        """
        scalars = {"loss/training": metrics.loss, "learning rate": metrics.learning_rate}
        if metrics.val_loss is not None:
            scalars["loss/held out"] = metrics.val_loss
        if metrics.scores:
            scalars["macro-F1/mean"] = metrics.mean_macro_f1
        self._write(scalars | _of_traits(metrics.scores), metrics.epoch)

    def add_result(self, metrics: EpochMetrics, *, begins: bool) -> None:
        """Write the scores of the finished model, which may consist of several networks.

        Args:
            metrics: The metrics of the model, and its last epoch.
            begins: Whether there were no epochs before, so that this replaces an earlier run.

        Raises:
            WriteError: The file cannot be written, for example because the disk is full.
        """
        if not metrics.scores:
            return
        scalars = {"macro-F1/mean": metrics.mean_macro_f1, **_of_traits(metrics.scores)}
        results = {f"result {name}": each for name, each in scalars.items()}
        self._write(results, metrics.epoch, replaces=begins)

    def _write(self, scalars: Mapping[str, float], step: int, *, replaces: bool = True) -> None:
        """Write numbers; the first of a file may replace what earlier files hold from there."""
        if self._path is None:
            return
        with explain_write_errors(self._path):
            writer = self._writer or self._open(step if replaces else None)
            for name, value in scalars.items():
                writer.add_scalar(name, value, step)
            writer.flush()

    def _open(self, step: int | None) -> "SummaryWriter":
        """Open a file, and let it replace what earlier ones hold from a step on."""
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - takes a second

        self._writer = SummaryWriter(str(self._path), purge_step=step)
        return self._writer


def _of_traits(scores: Mapping[str, TraitScore]) -> dict[str, float]:
    return {
        f"{measure}/{name}": value
        for name, score in scores.items()
        for measure, value in (("accuracy", score.accuracy), ("macro-F1", score.macro_f1))
    }
