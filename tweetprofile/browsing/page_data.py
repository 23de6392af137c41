"""The data of a page, as scripts that a page on a disk can load: it cannot fetch JSON.

Everything here may come from strangers. It is written as JSON in ASCII without the characters that
could end a script or begin markup, and no name of theirs becomes a key.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tweetprofile.browsing.evidence import Contributions
from tweetprofile.browsing.pictures import Pictures, ShownImages
from tweetprofile.browsing.predicted import Predicted
from tweetprofile.browsing.profile_rows import ProfileRow
from tweetprofile.browsing.shared_images import SharedImage, find_shared
from tweetprofile.browsing.sprites import COLUMNS, USERS_PER_SPRITE
from tweetprofile.data.files.provenance import browse_line
from tweetprofile.errors import OptionError
from tweetprofile.traits import TraitSchema
from tweetprofile.untrusted.text import printable
from tweetprofile.workers.evidence import centred_logits

USERS_PER_CHUNK = 50
"""Users whose details are in one file."""

LONGEST_ID = 120
"""The largest number of characters of a user id that are shown."""

MOST_BYTES = 4_500_000
"""The largest size of the list of all users; the page itself takes the rest of 5 MB."""

_BYTES_PER_USER, _BYTES_PER_TRAIT = 48, 13
"""What a user takes in that list at most, besides the id: five numbers and marks, and per trait
two class numbers and a confidence."""

_CONFIDENCES = 10_000
"""Confidences are written as whole numbers of this fraction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageUsers:
    """The users of a page, in the order of the manifest.

    Attributes:
        ids: The ids of the users; None if they are hidden.
        schema: The traits.
        predicted: What was predicted.
        truth_RT: The class number of each label, negative where there is none; None without labels.
        profiles: What the profiles say besides.
        pictures: What is shown of their images.
        way: How contributions were found; None without evidence.
        side: The width and height of a thumbnail in pixels.
    """

    ids: Sequence[str] | None
    schema: TraitSchema
    predicted: Predicted
    truth_RT: NDArray[np.int16] | None
    profiles: Sequence[ProfileRow]
    pictures: Pictures
    way: str | None
    side: int

    def images_of(self, user: int) -> ShownImages:
        """Return what is shown of a user's images."""
        return self.pictures.users[user]

    def status_of(self, user: int) -> str:
        """Return the status in the user's profile; that of the images now if it gives none."""
        return self.profiles[user].status or self.images_of(user).status

    def __len__(self) -> int:
        return len(self.profiles)


def script_of(function: str, *arguments: Any) -> bytes:
    """Return a script that calls a function of the page with arguments."""
    given = ",".join(_json(each) for each in arguments)
    return f"{browse_line('js')}\n{function}({given});\n".encode("ascii")


def _json(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def require_small(ids: Sequence[str], schema: TraitSchema, *, anonymous: bool) -> None:
    """Raise OptionError if the list of these users would take longer to load than people wait."""
    per_user = _BYTES_PER_USER + _BYTES_PER_TRAIT * len(schema.traits)
    named = 0 if anonymous else sum(len(_json(printable(each, LONGEST_ID))) + 1 for each in ids)
    size = per_user * len(ids) + named
    if size > MOST_BYTES:
        raise OptionError(
            f"the list of {len(ids):,} users would take {size / 1e6:.0f} MB, more than a page "
            "opens quickly; choose a smaller `sample` or fewer `mistakes`."
        )


def list_of_users(users: PageUsers) -> dict[str, Any]:
    """Return what the wall needs of all users, as columns."""
    shown = [users.images_of(user) for user in range(len(users))]
    statuses, status_codes = _coded([users.status_of(user) for user in range(len(users))])
    reasons, reason_codes = _coded([word for each in shown for word in each.failed.values()])
    ends = np.cumsum([0, *(len(each.failed) for each in shown)]).tolist()
    traits = range(len(users.schema.traits))
    return {
        "traits": [
            [each.name, [printable(name) for name in each.classes]] for each in users.schema
        ],
        "statuses": statuses,
        "reasons": reasons,
        "count": len(users),
        "ids": users.ids and [printable(each, LONGEST_ID) for each in users.ids],
        "guess": [users.predicted.classes_RT[:, trait].tolist() for trait in traits],
        "confidence": [
            None if each is None else _scaled(each) for each in users.predicted.confidences
        ],
        "truth": users.truth_RT is not None and users.truth_RT.T.tolist(),
        "status": status_codes,
        "given": [each.images_given for each in shown],
        "shown": [len(each.indexes) for each in shown],
        "cell": [users.pictures.first_cells[user] for user in range(len(users))],
        "failed": [reason_codes[begin:end] for begin, end in pairwise(ends)],
        "way": users.way,
        "side": users.side,
        "columns": COLUMNS,
        "usersPerSprite": USERS_PER_SPRITE,
        "usersPerChunk": USERS_PER_CHUNK,
    }


def _coded(words: Sequence[str]) -> tuple[list[str], list[int]]:
    distinct = sorted(set(words))
    numbers = {word: number for number, word in enumerate(distinct)}
    return distinct, [numbers[word] for word in words]


def _scaled(values: NDArray[np.float64]) -> list[int]:
    scaled: list[int] = np.rint(values * _CONFIDENCES).astype(int).tolist()
    return scaled


def chunks_of_details(users: PageUsers) -> list[list[Any]]:
    """Return what the views of single users need, in chunks of `USERS_PER_CHUNK`."""
    shared = find_shared(users.pictures.digests)
    details = [_details(users, user, shared.get(user, ())) for user in range(len(users))]
    return [
        details[first : first + USERS_PER_CHUNK]
        for first in range(0, len(details), USERS_PER_CHUNK)
    ]


def _details(users: PageUsers, user: int, shared: Sequence[SharedImage | None]) -> dict[str, Any]:
    images, profile = users.images_of(user), users.profiles[user]
    evidence = profile.evidence if users.way else None
    contributions = evidence.images if evidence else {}
    return {
        "probabilities": [
            None if each is None else _scaled(each[user]) for each in users.predicted.probabilities
        ],
        "images": [
            [
                index,
                _rounded(contributions.get(index)),
                _shared(shared[place]) if shared else 0,
            ]
            for place, index in enumerate(images.indexes)
        ],
        "failed": sorted(images.failed),
        "moreFailed": images.failed_count - len(images.failed),
        "base": _rounded(evidence.base) if evidence else 0,
        "totals": _rounded(_logits(users.predicted, user)) if evidence else 0,
        "texts": [
            [index, _rounded(each), *([images.texts[index]] if index in images.texts else [])]
            for index, each in (evidence.texts.items() if evidence else ())
        ],
        "fields": [
            [name, _rounded(each)] for name, each in (evidence.fields.items() if evidence else ())
        ],
        "imageCounts": evidence.image_counts if evidence else 0,
        "textCounts": evidence.text_counts if evidence else 0,
    }


def _logits(predicted: Predicted, user: int) -> Contributions:
    """Return the centred logit of the predicted class of each trait: what contributions add up to.

    None where there is no prediction.
    """
    guesses = predicted.classes_RT[user]
    return tuple(
        None if each is None or guess < 0 else float(centred_logits(each[[user]])[0, guess])
        for guess, each in zip(guesses, predicted.probabilities, strict=True)
    )


def _rounded(values: Contributions | None) -> list[float | None] | int:
    if values is None:
        return 0
    return [None if value is None else round(value, 3) for value in values]


def _shared(image: SharedImage | None) -> list[Any] | int:
    return 0 if image is None else [image.count, list(image.users)]
