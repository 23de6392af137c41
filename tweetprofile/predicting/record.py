"""The run record: what an unfinished run was, so that only the same run goes on with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.errors import OutputError

_NAMES = {
    "checkpoint_sha256": "checkpoint",
    "image_root_sha256": "image root",
    "manifest_fingerprint": "manifest",
}
"""What people call a fact, where that is another word."""


ADDED_FACTS: Mapping[str, Any] = {"max_image_seconds": 10.0}
"""Facts that runs of version 0.1.0 did not record, and the value that leaves them resumable."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What decides what a run writes.

    Attributes:
        run: drawn at random for each run; a run that goes on keeps it.
        facts: versions, fingerprints and options that change what is written, as JSON.
        overwrite: whether the run may replace an existing output.
    """

    run: str
    facts: Mapping[str, Any]
    overwrite: bool

    @classmethod
    def new(cls, facts: Mapping[str, Any], *, overwrite: bool) -> Self:
        """The record of a run that begins; facts are made comparable with those read back."""
        return cls(uuid4().hex, json.loads(json.dumps(facts)), overwrite)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record back.

        Raises:
            OutputError: it is damaged.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return cls(str(fields["run"]), dict(fields["facts"]), bool(fields["overwrite"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise OutputError(
                f"{path} is no record of a run that could go on; add --overwrite to begin anew."
            ) from None

    @classmethod
    def is_one(cls, path: Path) -> bool:
        """Whether a file holds a record."""
        try:
            cls.read(path)
        except OutputError:
            return False
        return True

    def write(self, path: Path) -> None:
        """Write it; the file appears whole or not at all, and replaces what is there."""
        fields = {"run": self.run, "facts": self.facts, "overwrite": self.overwrite}
        data = json.dumps(fields, indent=1).encode()
        write_atomically(path, data, may_replace=lambda _: True)

    def differences(self, facts: Mapping[str, Any]) -> list[str]:
        """Names of the facts in which another run differs from this one."""
        ours, theirs = {**ADDED_FACTS, **self.facts}, {**ADDED_FACTS, **facts}
        keys = dict.fromkeys([*ours, *theirs])
        return [_NAMES.get(key, key) for key in keys if ours.get(key) != theirs.get(key)]
