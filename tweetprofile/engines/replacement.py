"""A worker that is started later must have loaded the same model as the first worker of the run.

A worker may crash hours after the run has begun. The worker that replaces it reads the checkpoint
again, and may find another file in its place. Its rows would then come from another model than the
one that the run record names.
"""

from tweetprofile.errors import (
    CONTINUE,
    CONTINUE_OR_RESTART,
    ChangedInputError,
    TweetprofileError,
    WorkerError,
)
from tweetprofile.job import EmbedderFacts, PredictorFacts, WorkerFacts


def require_same_model(first: WorkerFacts, later: WorkerFacts, where: str) -> None:
    """Refuse a worker that has loaded another checkpoint than the first worker of the run.

    Args:
        first: The facts of the first worker.
        later: The facts of a worker that was started at the same time or later.
        where: The device or machine of the later worker, for the message.

    Raises:
        ChangedInputError: The two have loaded different checkpoints.
    """
    ours, theirs = _sha256_of(first), _sha256_of(later)
    if ours != theirs:
        raise ChangedInputError(
            "the checkpoint was replaced after the run had begun (a new worker on "
            f"{where} found SHA-256 {theirs[:12]}... where the run uses {ours[:12]}...); put the "
            f"old file back and {CONTINUE_OR_RESTART}."
        )


def _sha256_of(facts: WorkerFacts) -> str:
    """Return the SHA-256 of what a worker has loaded; of a backbone's weights, if it embeds."""
    match facts:
        case PredictorFacts():
            return facts.checkpoint_sha256
        case EmbedderFacts():
            return facts.backbone_digest
        case _:
            return ""


def cannot_replace(where: str, refusal: TweetprofileError) -> WorkerError:
    """Return the error for a run in which a worker crashed and no other can replace it."""
    return WorkerError(
        f"the worker on {where} crashed, and another cannot be started: "
        f"{str(refusal).rstrip('.')}; fix that, and {CONTINUE}."
    )
