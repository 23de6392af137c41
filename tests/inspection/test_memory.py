"""The memory of an inspection does not grow with the number of users."""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from PIL import Image


def peak(manifest: Path) -> int:
    """The peak memory of inspecting a manifest in bytes, over all its processes."""
    command = [sys.executable, "-m", "tweetprofile", "inspect", str(manifest), "--json"]
    highest = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            with suppress(OSError):
                processes = [str(process.pid), *children.read_text().split()]
                highest = max(highest, sum(map(proportional_set_size, processes)))
            time.sleep(0.05)
    assert process.returncode == 0
    return highest


def proportional_set_size(process: str) -> int:
    """Bytes of a process, its share of shared pages included; 0 for one that has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc")
def test_ten_times_the_users_take_at_most_a_tenth_more_memory(tmp_path: Path) -> None:
    for number in range(8):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    peaks = []
    for users in (10_000, 100_000):
        images = [[f"{user % 8}.png", f"{user // 8 % 8}.png"] for user in range(users)]
        manifest = tmp_path / f"{users}.parquet"
        pl.DataFrame({"user_id": range(users), "images": images}).write_parquet(manifest)
        peaks.append(peak(manifest))
    assert peaks[1] <= 1.1 * peaks[0], peaks
