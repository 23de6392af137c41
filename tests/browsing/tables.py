"""Profiles with evidence, by its contract: contributions add up to centred logits."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tweetprofile.data.files.provenance import METADATA_KEY, read_description
from tweetprofile.traits import TraitSchema
from tweetprofile.workers.profiles import probabilities_column


def add_evidence(
    path: Path,
    schema: TraitSchema,
    *,
    texts: Sequence[int] | None = None,
    way: str = "exact",
    seed: int = 0,
) -> None:
    """Add contributions to a file of profiles, drawn at random but adding up.

    Args:
        path: The profiles.
        schema: Their traits.
        texts: The number of texts per user; None for a model of images alone.
        way: How contributions are said to be found.
        seed: The seed of the draw.
    """
    table = pq.read_table(path)
    facts = read_description(path) | {"evidence": way}
    random = np.random.default_rng(seed)
    images = [_used(row) for row in table.to_pylist()]
    columns: dict[str, list[Any]] = {"evidence": [], "text_evidence": [], "evidence_base": []}
    for row, used in zip(range(len(table)), images, strict=True):
        totals = [_logit(table[probabilities_column(each.name)][row].as_py()) for each in schema]
        count = 0 if texts is None else texts[row]
        parts = random.normal(0, 1, (len(used) + count, len(totals)))
        base = [None if total is None else total - parts[:, column].sum()
                for column, total in enumerate(totals)]  # fmt: skip
        named = [dict(zip(schema.names, part.tolist(), strict=True)) for part in parts]
        columns["evidence"].append(_entries(used, named))
        columns["text_evidence"].append(_entries(range(count), named[len(used) :]))
        columns["evidence_base"].append(dict(zip(schema.names, base, strict=True)))
    if texts is None:
        del columns["text_evidence"]
    each = pa.struct([(name, pa.float32()) for name in schema.names])
    entry = pa.list_(pa.struct([("index", pa.int32()), ("contributions", each)]))
    for name, values in columns.items():
        kind = each if name == "evidence_base" else entry
        table = table.append_column(name, pa.array(values, kind))
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: json.dumps(facts)}), path)


def _used(row: Mapping[str, Any]) -> list[int]:
    """Return the images of a user that are not unusable, as far as frames were used."""
    failed = {error["index"] for error in row["image_errors"] or ()}
    usable = [index for index in range(row["images_given"]) if index not in failed]
    return usable[: row["frames_used"]]


def _logit(odds: Mapping[str, float] | None) -> float | None:
    if odds is None:
        return None
    logs = np.log(np.maximum(list(odds.values()), 1e-6))
    return float(logs.max() - logs.mean())


def _entries(indexes: Sequence[int], named: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    return [
        {"index": index, "contributions": each} for index, each in zip(indexes, named, strict=False)
    ]


def users_of(page: Path) -> Any:
    """Return the list of users of a page, as its script has it."""
    script = (page / "files" / "users.js").read_text()
    return json.loads(script[script.index("setUsers(") + 9 : script.rindex(");")])
