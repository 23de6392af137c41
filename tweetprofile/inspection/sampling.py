"""Some of a manifest's users, without reading all of it.

A small sample is runs of neighbours, spread evenly over the manifest: single users spread as widely
would cost, of a manifest that carries its images, as much reading as all of them. Of more than half
of the users, all is read, and single ones are left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from tweetprofile.data.manifests.forms import Form
from tweetprofile.data.manifests.manifest import Manifest, UserBatch
from tweetprofile.errors import ManifestError

_BLOCK = 256
"""Users of whom a run has the first ones, at most; a manifest can be read from any block on."""

_RUNS = 32
"""At least, where there are as many users wanted."""

_USERS_AT_A_TIME = 16
"""Read of a run, or on the way to a single user: few, as their images may be embedded."""


def sample_batches(
    manifest: Manifest, users: int, wanted: int, columns: Sequence[str], max_images: int
) -> Iterator[UserBatch]:
    """Batches of so many users in all, spread over a manifest, in its order.

    Args:
        manifest: whose users.
        users: how many it has.
        wanted: how many to take, no more than there are.
        columns: of the manifest, to carry along.
        max_images: images a user.

    Raises:
        ManifestError: the manifest cannot be read.
    """
    if 2 * wanted > users:
        batches = manifest.batches(_BLOCK, _USERS_AT_A_TIME, columns, max_images)
        yield from _thin_out(batches, users, wanted)
        return
    block, runs = _plan_runs(users, wanted)
    if manifest.form is Form.LONG:  # which can only be read from its beginning
        batches = manifest.batches(block, _USERS_AT_A_TIME, columns, max_images)
        yield from _first_ones(batches, block, runs)
        return
    for shard in runs:
        batches = manifest.batches(block, _USERS_AT_A_TIME, columns, max_images, first_shard=shard)
        yield from _first_ones(_until_end_of(shard, batches), block, runs)


def _plan_runs(users: int, wanted: int) -> tuple[int, dict[int, int]]:
    """Users a block, and how many of which blocks to take; at most half of the users are wanted."""
    runs = min(wanted, max(_RUNS, -(-wanted // _BLOCK)))
    if not runs:
        return 1, {}
    block = min(_BLOCK, users // runs)
    lengths = ((run + 1) * wanted // runs - run * wanted // runs for run in range(runs))
    return block, {run * users // runs // block: length for run, length in enumerate(lengths)}


def _until_end_of(shard: int, batches: Iterator[UserBatch]) -> Iterator[UserBatch]:
    return takewhile(lambda batch: batch.shard == shard, batches)


def _first_ones(
    batches: Iterable[UserBatch], block: int, runs: Mapping[int, int]
) -> Iterator[UserBatch]:
    """Of each shard the first users, as many as `runs` says."""
    for batch in batches:
        left = runs.get(batch.shard, 0) - (batch.first - batch.shard * block)
        if left > 0:
            yield UserBatch(batch.shard, batch.first, batch.table.slice(0, left))
        elif batch.shard >= max(runs):
            return


def _thin_out(batches: Iterable[UserBatch], users: int, wanted: int) -> Iterator[UserBatch]:
    """Every user but some, which are spread evenly."""
    for batch in batches:
        for position in range(len(batch)):
            number = batch.first + position
            if (number + 1) * wanted // users > number * wanted // users:
                yield UserBatch(batch.shard, number, batch.table.slice(position, 1))


def user_at(manifest: Manifest, position: int, max_images: int) -> UserBatch:
    """A batch of one: the user at a position of a manifest that is as long, counted from 0.

    Raises:
        ManifestError: the manifest cannot be read.
    """
    block = position // _BLOCK
    for batch in manifest.batches(
        _BLOCK, _USERS_AT_A_TIME, max_images=max_images, first_shard=block
    ):
        if position < batch.first + len(batch):
            one = batch.table.slice(position - batch.first, 1)
            return UserBatch(block, position, one)
    raise ManifestError(f"{manifest.source} has changed while it was read; run the command again.")
