"""Measure tweets per second of `import twitter-api`, and its memory as tweets grow tenfold.

    python benchmarks/importing.py --tweets 100000

Every tweet has a photo, and every photo an empty file, as none is read. Users have 11 tweets each,
which are scattered over the file of tweets.
"""

import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from memory import proportional_set_size, tree
from report import report

_TWEETS_PER_USER = 11
_EVERY = 0.2
"""Seconds between measurements of memory."""


@click.command()
@click.option(
    "--tweets",
    default=50_000,
    show_default=True,
    help="The number of tweets; ten times as many are measured as well.",
)
def main(tweets: int) -> None:
    """Measure speed and memory at both sizes."""
    rows, runs = [], []
    with tempfile.TemporaryDirectory() as name:
        for size in (tweets, 10 * tweets):
            folder = Path(name) / str(size)
            write_dump(folder, size)
            seconds, peak = measure(folder)
            rows.append((f"{size:,}", f"{seconds:.1f}", f"{size / seconds:,.0f}", f"{peak >> 20}"))
            runs.append({"tweets": size, "seconds": seconds, "peak_bytes": peak})
    columns = ("tweets with a photo", "s", "tweets/s", "peak memory, MiB")
    report("import twitter-api, JSON lines in gzip", columns, rows, {"runs": runs})


def write_dump(folder: Path, tweets: int) -> None:
    """Write JSON lines like a stream of API v1.1, and a file per photo in folders of 1,000."""
    order = np.random.default_rng(0).permutation(tweets)
    folder.mkdir()
    with gzip.open(folder / "tweets.jsonl.gz", "wt", compresslevel=1) as lines:
        for number in order.tolist():
            name = f"P{number:09}.jpg"
            lines.write(json.dumps(_status(number, name)) + "\n")
            subfolder = folder / "media" / str(number // 1000)
            subfolder.mkdir(parents=True, exist_ok=True)
            (subfolder / name).touch()


def _status(number: int, name: str) -> dict[str, object]:
    media = [{"type": "photo", "media_url_https": f"https://pbs.twimg.com/media/{name}"}]
    return {
        "id_str": str(10**18 + number),
        "created_at": "Sun Jun 30 12:00:00 +0000 2019",
        "full_text": "a text of the usual length, that nobody reads here " * 3,
        "user": {"id_str": str(number // _TWEETS_PER_USER), "description": "a person " * 10},
        "extended_entities": {"media": media},
    }


def measure(folder: Path) -> tuple[float, int]:
    """Return the wall seconds and the peak memory of the command, in bytes."""
    command = [
        sys.executable,
        "-m",
        "tweetprofile",
        "import",
        "twitter-api",
        str(folder),
        "--quiet",
    ]
    command += ["-o", str(folder / "m.parquet")]
    began, highest = time.perf_counter(), 0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            highest = max(highest, sum(map(proportional_set_size, tree(process.pid))))
            time.sleep(_EVERY)
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - began, highest


if __name__ == "__main__":
    main()
