"""Some of a manifest's users, without reading all of it.

A sample is runs of neighbours, spread evenly over the manifest: single users spread as widely would
cost, of a manifest that carries its images, as much reading as all of them.
"""

from collections.abc import Iterator, Sequence

from tweetprofile.forms import Form
from tweetprofile.manifest import Manifest, UserBatch, UserImages

_BLOCK = 256
"""Users whose first ones may become a run."""

_RUNS = 32
"""At least, where the manifest is long enough."""

_USERS_AT_A_TIME = 16
"""Read on the way to a single user: few, as their images may be embedded."""


def spread_evenly(items: int, wanted: int) -> list[int]:
    """So many positions, evenly spread, the first one included; all where there are no more."""
    if items <= wanted:
        return list(range(items))
    return [step * items // wanted for step in range(wanted)]


def sample_batches(
    manifest: Manifest, users: int, wanted: int, columns: Sequence[str], max_images: int
) -> Iterator[UserBatch]:
    """Batches of `wanted` users in all, spread over a manifest of more.

    Args:
        manifest: whose users.
        users: how many it has.
        wanted: how many to take; fewer come only of a manifest with fewer.
        columns: of the manifest, to carry along.
        max_images: images a user.

    Raises:
        ManifestError: the manifest cannot be read.
    """
    left = wanted
    for batch in _first_of_blocks(manifest, *_plan_runs(users, wanted), columns, max_images):
        taken = batch.table.slice(0, left)
        left -= len(taken)
        yield UserBatch(batch.shard, batch.first, taken)
        if not left:
            return


def _plan_runs(users: int, wanted: int) -> tuple[list[int], int]:
    """Which blocks to take users of, and how many of each."""
    whole_blocks = max(1, users // _BLOCK)
    runs = min(whole_blocks, wanted, max(_RUNS, -(-wanted // _BLOCK)))
    return spread_evenly(whole_blocks, runs), -(-wanted // runs)


def _first_of_blocks(
    manifest: Manifest, blocks: list[int], run: int, columns: Sequence[str], max_images: int
) -> Iterator[UserBatch]:
    if manifest.form is Form.LONG:  # which can only be read from its beginning
        chosen = frozenset(blocks)
        for batch in manifest.batches(_BLOCK, min(run, _BLOCK), columns, max_images):
            if batch.shard in chosen and batch.first == batch.shard * _BLOCK:
                yield batch
        return
    for block in blocks:
        yield from _take(
            manifest.batches(_BLOCK, min(run, _BLOCK), columns, max_images, first_shard=block)
        )


def _take(batches: Iterator[UserBatch]) -> Iterator[UserBatch]:
    first = next(batches, None)
    return iter([] if first is None else [first])


def user_at(manifest: Manifest, position: int, max_images: int) -> UserImages:
    """The user at a position of a manifest, counted from 0.

    Raises:
        ManifestError: the manifest cannot be read.
    """
    block, _ = divmod(position, _BLOCK)
    for batch in manifest.batches(
        _BLOCK, _USERS_AT_A_TIME, max_images=max_images, first_shard=block
    ):
        if position < batch.first + len(batch):
            return batch.users[position - batch.first]
    raise IndexError(position)
