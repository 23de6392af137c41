"""The run record: the facts of an unfinished run, so that only the same run resumes it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.data.files.provenance import Kind
from tweetprofile.errors import OutputError

_NAMES = {
    "backbone_digest": "weights of the backbone",
    "checkpoint_sha256": "checkpoint",
    "image_root_sha256": "image root",
    "manifest_fingerprint": "manifest",
}
"""The names of facts in messages, if they differ from the keys."""

_NO_OPTIONS = (
    *("version", "network", "schema", "volume", "device"),
    *("kind", "backbone", "features", "height", "width"),
)
"""Facts that no option has the name of."""

ADDED_FACTS: Mapping[str, Any] = {"max_image_seconds": 10.0, "detail": "frame"}
"""Facts that version 0.1.0 did not record, with the values that its runs had: those of a run that
may resume them."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything that decides what a run writes.

    Attributes:
        run: The random id of the run; a resumed run keeps it.
        facts: The versions, fingerprints and options that change what is written, as JSON.
        overwrite: Whether the run may replace an existing output.
    """

    run: str
    facts: Mapping[str, Any]
    overwrite: bool

    @classmethod
    def new(cls, facts: Mapping[str, Any], *, overwrite: bool) -> Self:
        """Return the record of a new run, with facts that compare with those of a record read."""
        return cls(uuid4().hex, json.loads(json.dumps(facts)), overwrite)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record from a file.

        Raises:
            OutputError: The file is damaged, or is not a run record.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return cls(str(fields["run"]), dict(fields["facts"]), bool(fields["overwrite"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise OutputError(
                f"{path} is not the record of a run that can be resumed; pass `overwrite=True` to "
                "start again."
            ) from None

    @classmethod
    def kind_in(cls, path: Path) -> Kind | None:
        """Return the kind of output that the run of a record writes; None if a file is none."""
        try:
            return cls.read(path).kind
        except (OutputError, ValueError):
            return None

    @property
    def kind(self) -> Kind:
        """The kind of output that the run writes.

        Raises:
            ValueError: This version knows no such kind.
        """
        return Kind.of_tag(self.facts.get("kind", Kind.PREDICTIONS.tag))

    def write(self, path: Path) -> None:
        """Write the record to a file, which appears complete or not at all and may be replaced."""
        fields = {"run": self.run, "facts": self.facts, "overwrite": self.overwrite}
        data = json.dumps(fields, indent=1).encode()
        write_atomically(path, data, may_replace=lambda _: True)

    def differences(self, facts: Mapping[str, Any]) -> list[str]:
        """Return the names of the facts in which another run differs from this one."""
        ours, theirs = {**ADDED_FACTS, **self.facts}, {**ADDED_FACTS, **facts}
        keys = dict.fromkeys([*ours, *theirs])
        return [_named(key, ours.get(key)) for key in keys if ours.get(key) != theirs.get(key)]


def _named(fact: str, value: object) -> str:
    """Return how a message names a fact: an option with the value that the earlier run had."""
    if fact in _NAMES or fact in _NO_OPTIONS:
        return _NAMES.get(fact, fact)
    given = "not given" if value is None else json.dumps(value)
    return f"`{fact}` ({given} in that run)"
