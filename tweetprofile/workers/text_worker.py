"""What workers that only read texts have in common: no image is read, and nothing is decoded."""

from contextlib import AbstractContextManager, nullcontext

import torch

from tweetprofile.job import PredictorOptions, WorkerFacts
from tweetprofile.stages import Stage, StageClock
from tweetprofile.texts.spec import TextSpec
from tweetprofile.workers.observers import ImageObserver
from tweetprofile.workers.text_reading import PROCESSORS_PER_READER

_USERS_AT_ONCE = 32
"""The number of users per task: half a second of work, and some megabytes of texts."""


class TextWorker:
    """Reads users' texts on the CPU.

    Args:
        spec: How to normalise texts, and which n-grams to count.
        options: Only the batch size is used.
        compute_slot: The context in which to compute; None to compute at any time.
        observer: Not used: no image is decoded.
    """

    def __init__(
        self,
        spec: TextSpec,
        options: PredictorOptions,
        compute_slot: AbstractContextManager[object] | None = None,
        observer: ImageObserver | None = None,
    ) -> None:
        self._spec = spec
        self._compute_slot = compute_slot or nullcontext()
        self._clock = StageClock()
        self.facts = WorkerFacts(
            device="cpu",
            decoder="pillow",
            batch_size=options.batch_size or _USERS_AT_ONCE,
            cuda_devices=torch.cuda.device_count(),
            processors_per_worker=PROCESSORS_PER_READER,
        )

    def take_seconds(self) -> dict[Stage, float]:
        """Return the seconds per stage since this method was last called."""
        return self._clock.take()
