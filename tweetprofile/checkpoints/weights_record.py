"""What a checkpoint records of the weights that its backbone began with."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from tweetprofile.untrusted.fields import FieldError, build, optional, text

_LONGEST = 500
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsRecord:
    """The origin of a backbone's weights.

    Attributes:
        source: Where they came from, for people to read: a package with its version, the name of a
            file, or a repository at a commit.
        license: The licence of the weights, if it is known.
        sha256: The SHA-256 of the file that was read.
    """

    source: str
    license: str | None
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return asdict(self)


def read_weights_record(value: object, what: str) -> WeightsRecord:
    """Return the record that untrusted JSON describes.

    Raises:
        FieldError: A field is missing, unknown, of another type, or too long.
    """
    readers = {"source": _short_text, "license": optional(_short_text), "sha256": _sha256}
    return build(WeightsRecord, value, what, readers)


def _short_text(value: object, what: str) -> str:
    given = text(value, what)
    if len(given) > _LONGEST:
        raise FieldError(f"{what} has {len(given):,} characters; at most {_LONGEST} are read")
    return given


def _sha256(value: object, what: str) -> str:
    given = text(value, what)
    if not _SHA256.fullmatch(given):
        raise FieldError(f"{what} is not a SHA-256 in hexadecimal digits")
    return given
