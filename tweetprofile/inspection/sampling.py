"""Sample users of a manifest without reading all of it.

A small sample consists of stretches of adjacent users, spread evenly over the manifest. In a
manifest that carries its images, individual users spread as widely would cost as much reading as
all users. For a sample of more than half of the users, the whole manifest is read and individual
users are skipped.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from tweetprofile.data.manifests.forms import Form
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.texts import TextLimits
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.errors import ManifestError

_BLOCK = 256
"""Largest number of users in a block. A manifest can be read from the start of any block; a stretch
is the first users of one."""

_STRETCHES = 32
"""Smallest number of stretches, if the sample has as many users."""

_USERS_PER_BATCH = 16
"""Users that are read at a time: few, as their images may be embedded."""


def sample_batches(
    manifest: Manifest,
    users: int,
    wanted: int,
    columns: Sequence[str],
    max_images: int,
    *,
    texts: TextLimits | None = None,
) -> Iterator[UserBatch]:
    """Yield a sample of users, spread over a manifest, in batches and in manifest order.

    Args:
        manifest: The manifest to sample from.
        users: The number of users in the manifest.
        wanted: The number of users to sample, at most `users`.
        columns: Further columns of the manifest to read.
        max_images: The largest number of images to read per user.
        texts: The limits of the texts; None to not read texts.

    Raises:
        ManifestError: The manifest cannot be read.
    """
    if 2 * wanted > users:
        batches = manifest.batches(_BLOCK, _USERS_PER_BATCH, columns, max_images, texts=texts)
        yield from pick(batches, spread_evenly(users, wanted))
        return
    block, stretches = _plan_stretches(users, wanted)
    if manifest.form is Form.LONG:  # it can only be read from its beginning
        batches = manifest.batches(block, _USERS_PER_BATCH, columns, max_images, texts=texts)
        yield from _first_ones(batches, block, stretches)
        return
    for shard in stretches:
        batches = manifest.batches(
            block, _USERS_PER_BATCH, columns, max_images, first_shard=shard, texts=texts
        )
        yield from _first_ones(_until_end_of(shard, batches), block, stretches)


def _plan_stretches(users: int, wanted: int) -> tuple[int, dict[int, int]]:
    """Return the size of a block, and how many users to take from which blocks.

    At most half of the users may be wanted.
    """
    stretches = min(wanted, max(_STRETCHES, -(-wanted // _BLOCK)))
    if not stretches:
        return 1, {}
    block = min(_BLOCK, users // stretches)
    lengths = (
        (number + 1) * wanted // stretches - number * wanted // stretches
        for number in range(stretches)
    )
    return block, {
        number * users // stretches // block: length for number, length in enumerate(lengths)
    }


def _until_end_of(shard: int, batches: Iterator[UserBatch]) -> Iterator[UserBatch]:
    return takewhile(lambda batch: batch.shard == shard, batches)


def _first_ones(
    batches: Iterable[UserBatch], block: int, stretches: Mapping[int, int]
) -> Iterator[UserBatch]:
    """Yield the first users of each shard, as many as `stretches` says."""
    for batch in batches:
        left = stretches.get(batch.shard, 0) - (batch.first - batch.shard * block)
        if left > 0:
            yield UserBatch(batch.shard, batch.first, batch.table.slice(0, left))
        elif batch.shard >= max(stretches):
            return


def spread_evenly(users: int, wanted: int) -> Iterator[int]:
    """Yield the positions of `wanted` of `users` users, ascending and spread evenly."""
    return (number * users // wanted for number in range(wanted))


def pick(batches: Iterable[UserBatch], positions: Iterable[int]) -> Iterator[UserBatch]:
    """Yield the users at some positions as batches of one.

    Args:
        batches: Batches of users, in the order of the manifest.
        positions: The positions of the users in the manifest, ascending.
    """
    wanted = iter(positions)
    position = next(wanted, None)
    for batch in batches:
        while position is not None and position < batch.first + len(batch):
            one = batch.table.slice(position - batch.first, 1)
            yield UserBatch(batch.shard, position, one)
            position = next(wanted, None)
        if position is None:
            return


def user_at(manifest: Manifest, position: int, max_images: int) -> UserBatch:
    """Return a batch of one user, by position.

    Args:
        manifest: The manifest that contains the user.
        position: The position of the user in the manifest, from 0.
        max_images: The largest number of images to read.

    Raises:
        ManifestError: The manifest cannot be read, or has become shorter.
    """
    block = position // _BLOCK
    for batch in manifest.batches(
        _BLOCK, _USERS_PER_BATCH, max_images=max_images, first_shard=block
    ):
        if position < batch.first + len(batch):
            one = batch.table.slice(position - batch.first, 1)
            return UserBatch(block, position, one)
    raise ManifestError(
        f"{manifest.source} changed while it was being read; run the command again."
    )
