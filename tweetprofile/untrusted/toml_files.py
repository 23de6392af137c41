"""Read TOML files within bounds."""

import re
import tomllib
from pathlib import Path
from typing import Any

LARGEST_TOML = 256 << 10
"""The largest TOML file in bytes; a schema of 10,000 classes takes this much."""

_LONG_KEY = re.compile(r"(?:\.[^.\n=\[{,]{0,100}){50}")
"""A key of 50 or more parts (`a.a.a`): tomllib's time grows with the cube of their number."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        OSError: There is no such file, or it cannot be read.
        ValueError: The file is not TOML, is too large, or is nested too deeply.
    """
    if not path.is_file() and path.exists():
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        data = file.read(LARGEST_TOML + 1)
    if len(data) > LARGEST_TOML:
        raise ValueError(f"it has more than {LARGEST_TOML >> 10} KiB")
    text = data.decode("utf-8")
    if _LONG_KEY.search(text):
        raise ValueError("it has a key of more than 50 parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
