"""A worker that takes another's place must be what that one was.

A worker may die hours after the run began. The one that replaces it reads the checkpoint again, and
may find another file in its place: its rows would be another model's, beside a record that names
the first.
"""

from tweetprofile.engines.messages import Facts
from tweetprofile.errors import ChangedInputError, TweetprofileError, WorkerError
from tweetprofile.job import PredictorFacts


def require_same_model(first: Facts, later: Facts, where: str) -> None:
    """Compare what a worker came to be with the first worker of the run.

    Args:
        first: what the first worker came to be.
        later: what a worker came to be that was started beside it or after it.
        where: the device or machine of the later one, for the message.

    Raises:
        ChangedInputError: they loaded different checkpoints.
    """
    if not isinstance(first, PredictorFacts) or not isinstance(later, PredictorFacts):
        return
    if first.checkpoint_sha256 != later.checkpoint_sha256:
        raise ChangedInputError(
            "the checkpoint was replaced after the run had begun (a new worker on "
            f"{where} found SHA-256 {later.checkpoint_sha256[:12]}... where the run uses "
            f"{first.checkpoint_sha256[:12]}...); put the old file back and continue with "
            "--resume, or start again with --overwrite."
        )


def cannot_replace(where: str, refusal: TweetprofileError) -> WorkerError:
    """The error of a run in which a worker died and no other can take its place."""
    return WorkerError(
        f"the worker on {where} died, and another cannot be started: {str(refusal).rstrip('.')}; "
        "mend that and continue with --resume."
    )
