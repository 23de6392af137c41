"""The users of a dump in every form of manifest."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def in_all_forms(dump: Path, folder: Path) -> dict[str, Path]:
    """Write the test users of the dump as manifests of the other forms; a missing file is null."""
    users = pq.read_table(dump / "test.parquet", columns=["user_id", "images"]).to_pylist()

    def encoded(path: str) -> bytes | None:
        file = dump / path
        return file.read_bytes() if file.exists() else None

    def embedded(path: str) -> dict[str, Any]:
        return {"bytes": encoded(path), "path": path}

    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    forms = {
        "bytes": pa.table(
            {
                "user_id": [user["user_id"] for user in users],
                "images": pa.array(
                    [[encoded(path) for path in user["images"]] for user in users],
                    pa.list_(pa.binary()),
                ),
            }
        ),
        "huggingface": pa.table(
            {
                "user_id": [user["user_id"] for user in users],
                "images": pa.array(
                    [[embedded(path) for path in user["images"]] for user in users],
                    pa.list_(struct),
                ),
            }
        ),
        "long": pa.table(
            {
                "user_id": [user["user_id"] for user in users for _ in user["images"] or [None]],
                "image": [path for user in users for path in user["images"] or [None]],
            }
        ),
    }
    for name, table in forms.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in forms}
