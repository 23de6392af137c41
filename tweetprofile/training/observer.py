"""What a training reports while it works."""

from tweetprofile.data.labels.reading import FoundSchema
from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.training.pretrained import LoadedWeights


class TrainObserver:
    """Receives the events of a training; this one ignores them all."""

    def on_schema(self, found: FoundSchema) -> None:
        """Receive the traits to learn, and the columns that were left out."""

    def on_decoded(self, users: int, total: int) -> None:
        """Receive how many of all users are decoded; never called for frames from the cache."""

    def on_counted(self, users: int, total: int) -> None:
        """Receive of how many of all users the texts are counted; never called for cached ones."""

    def on_compared(self, done: int, total: int) -> None:
        """Receive how many of the trainings are done that compare heads to choose one."""

    def on_loaded(self, weights: LoadedWeights) -> None:
        """Receive which of the initial weights the network took."""

    def on_fold(self, number: int, folds: int) -> None:
        """Receive the start of a fold of a cross-validation; the next epochs belong to it."""

    def on_training(self, best: EpochMetrics | None) -> None:
        """Receive the start of the training of a network, to which the next epochs belong.

        Args:
            best: The best epoch that a resumed training had finished; None if there is none.
        """

    def on_note(self, sentence: str) -> None:
        """Receive a sentence on how users or labels were handled."""

    def on_warning(self, sentence: str) -> None:
        """Receive a sentence that a person should read before trusting the result."""

    def on_batch(self, epoch: int, done: int, batches: int) -> None:
        """Receive how many batches of an epoch have been learned from, of how many."""

    def on_epoch(self, metrics: EpochMetrics, epochs: int) -> None:
        """Receive the metrics of an epoch, and how many epochs there will be at most."""
