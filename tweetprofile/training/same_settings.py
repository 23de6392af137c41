"""The settings that a resumed run must share with the interrupted one."""

import json
from collections.abc import Mapping
from typing import Any

ADDED: Mapping[str, Any] = {
    "detail": "frame",
    "fine_tune": False,
    "head": "auto",
    "embed_views": 1,
    "use": "images",
    "max_texts": 3200,
    "max_text_bytes": 100_000,
    "keep_vocabulary": False,
    "profile_fields": False,
}
"""Settings that version 0.1.0 did not record, with the values that a run must have to resume one of
its runs."""


def differing_settings(settings: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Return the names of the settings in which a run differs from an interrupted one, sorted.

    Args:
        settings: The settings of the run.
        before: The settings of the interrupted run, as read from JSON.
    """
    given = json.loads(json.dumps(dict(settings)))
    added = {name: value for name, value in ADDED.items() if name in given}
    earlier = {**added, **before}
    names = sorted(given.keys() | earlier.keys())
    return [name for name in names if given.get(name) != earlier.get(name)]
