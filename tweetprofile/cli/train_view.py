"""Shows the traits, the decoding, the epochs and the summary of `train`."""

from collections.abc import Mapping

from rich.progress import Progress, TaskID

from tweetprofile.cli.console import CONSOLE, kept_epochs, make_bar
from tweetprofile.cli.epoch_table import EpochTable
from tweetprofile.cli.flags import with_flags
from tweetprofile.data.files.scratch import Closing
from tweetprofile.data.labels.reading import FoundSchema
from tweetprofile.plurals import count_of
from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.scoring.traits import TraitScore
from tweetprofile.scoring.uncertainty import wilson_interval
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.pretrained import LoadedWeights
from tweetprofile.training.summary import TrainSummary

_NAMES_SHOWN = 5


class TrainView(Closing, TrainObserver):
    """Shows a bar and a live table on a terminal, and one line per epoch or minute elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = CONSOLE.is_animated and not quiet
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._table = EpochTable(live=self._live)

    def close(self) -> None:
        """Stop what is drawn on the terminal."""
        if self._bar is not None:
            self._bar.stop()
        self._table.stop()

    def on_schema(self, found: FoundSchema) -> None:
        """Show the traits with their classes, and the columns that are not traits."""
        for trait in found.schema:
            self._say(f"{trait.name}: {', '.join(trait.classes)}")
        for name, reason in found.left_out.items():
            self._say(f"not a trait: '{name}' {with_flags(reason)}")
        for note in found.notes:
            self._say(with_flags(note))
        for warning in found.warnings:
            self.on_warning(warning)

    def on_decoded(self, users: int, total: int) -> None:
        """Advance the decoding bar, and show a line at its end."""
        if self._live:
            self._move_bar(users, total, "decoding users")
        if users == total:
            self._say(f"decoded the images of {count_of(total, 'user')}; later runs reuse them")

    def on_counted(self, users: int, total: int) -> None:
        """Advance the bar of counting, and show a line at its end."""
        if self._live:
            self._move_bar(users, total, "counting texts of users")
        if users == total:
            self._say(
                f"counted the texts of {count_of(total, 'user')}; later runs reuse the counts"
            )

    def on_compared(self, done: int, total: int) -> None:
        """Advance the bar of the comparison of heads; a note says at its end which is chosen."""
        if self._live:
            self._move_bar(done, total, "comparing heads")

    def on_loaded(self, weights: LoadedWeights) -> None:
        """Show which weights of the network the file lacks, and which others it has."""
        self._say(f"--init: {count_of(weights.loaded, 'weight')} loaded")
        for words, names in (
            ("initialised at random", weights.missing),
            ("not used", weights.unexpected),
        ):
            if names:
                more = f" and {len(names) - _NAMES_SHOWN} more" * (len(names) > _NAMES_SHOWN)
                self._say(f"--init: {words}: {', '.join(names[:_NAMES_SHOWN])}{more}")

    def on_fold(self, number: int, folds: int) -> None:
        """Show which fold the next epochs belong to."""
        self._table.stop()
        self._say(f"fold {number} of {folds}")

    def on_training(self, best: EpochMetrics | None) -> None:
        """Start a table for the epochs of a network."""
        self._table.begin(best)

    def on_note(self, sentence: str) -> None:
        """Show a note."""
        self._say(with_flags(sentence))

    def on_warning(self, sentence: str) -> None:
        """Show a warning, even if quiet."""
        CONSOLE.warn(with_flags(sentence))

    def on_batch(self, epoch: int, done: int, batches: int) -> None:
        """Show how far the epoch is."""
        if not self._quiet:
            self._table.advance(epoch, done, batches)

    def on_epoch(self, metrics: EpochMetrics, epochs: int) -> None:
        """Show an epoch, as a row of the table or as a line."""
        if not self._quiet:
            self._table.add(metrics, epochs)

    def _move_bar(self, done: int, total: int, what: str) -> None:
        if self._bar is None or self._task is None:
            self._bar = make_bar()
            self._task = self._bar.add_task(what)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total)
        if done == total:
            self._bar.stop()
            self._bar = self._task = None

    def _say(self, line: str) -> None:
        if not self._quiet:
            CONSOLE.print(line)


def _show_parts(trait: str, parts: Mapping[str, Mapping[str, TraitScore]]) -> None:
    """Show the scores of images alone and of texts alone, if a model has both."""
    alone = [
        f"{name} alone {scores[trait].accuracy:.2f} / {scores[trait].macro_f1:.2f}"
        for name, scores in parts.items()
        if name != "both" and trait in scores
    ]
    if alone:
        CONSOLE.print(f"  accuracy / macro-F1 on the same users: {', '.join(alone)}")


def show_training(summary: TrainSummary) -> None:
    """Show the scores, the number of users and where the model was written."""
    held_out = f"{summary.val_users:,} held out" if summary.val_users else "none held out"
    if summary.in_turn:
        held_out = f"{summary.val_users:,} of them held out in turn"
    kept = "" if summary.texts_alone else f"; kept {kept_epochs(summary.kept_epochs)}"
    lacking = "text" if summary.texts_alone else "usable image"
    left_out = f", {summary.left_out:,} without a {lacking}" if summary.left_out else ""
    left_out += f", {summary.unlabelled:,} without a label" if summary.unlabelled else ""
    for name, fold in summary.folds.items():
        low, high = fold.interval
        CONSOLE.print(
            f"{name}, cross-validated: accuracy {fold.accuracy:.2f} (95%: {low:.2f} to {high:.2f}; "
            f"spread over the folds {fold.accuracy_spread:.2f}), macro-F1 {fold.macro_f1:.2f} "
            f"(spread {fold.macro_f1_spread:.2f}), majority {fold.majority:.2f}, on "
            f"{count_of(fold.users, 'user')}",
        )
    for name, score in summary.best.scores.items():
        calibration = summary.calibration[name]
        low, high = wilson_interval(score.accuracy, score.users)
        how = f"after temperature {calibration.temperature:.2f}"
        if summary.parts:
            how = "with fitted weights of images and texts"
        CONSOLE.print(
            f"{name}: accuracy {score.accuracy:.2f} (95%: {low:.2f} to {high:.2f}), macro-F1 "
            f"{score.macro_f1:.2f} (majority {score.majority:.2f}) on "
            f"{count_of(score.users, 'user')}; calibration error {calibration.ece_before:.3f}, "
            f"{how} {calibration.ece_after:.3f}",
        )
        _show_parts(name, summary.parts)
    CONSOLE.print(
        f"trained on {count_of(summary.users, 'user')}, {held_out}{left_out}, in "
        f"{summary.seconds:.0f} s{kept} -> {summary.checkpoint}",
    )
    run = summary.checkpoint.parent
    CONSOLE.print(
        f"To predict with it, give --checkpoint {run}; to make it the default: "
        f"tweetprofile use {run}",
    )
