"""Images that take a worker down, by way of a real fault in a real library of it.

A `sitecustomize` on the worker's path registers one more format with Pillow, whose decoder does
what its image says: die by a signal, hang, compute for ever, print. It makes DALI die of marked
JPEGs, too.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

_SITECUSTOMIZE = """
import ctypes, os, signal, sys, time

def suffer(how):
    if how.startswith("SIG"):
        signal.raise_signal(signal.Signals[how])  # in this thread, as a fault would
    elif how == "exit":
        os._exit(7)
    elif how == "hang":
        time.sleep(1000)
    elif how == "nap":
        time.sleep(1)
    elif how == "compute":
        while True:
            pass
    elif how == "hang with the lock":
        ctypes.PyDLL(None).sleep(1000)
    elif how == "print":
        os.write(1, b"\\x1b[31mnoise on stdout\\x1b[0m\\n")
        os.write(2, b"\\x1b[31mnoise on stderr\\x1b[0m\\n")

if "tweetprofile.engines.worker" in " ".join(sys.orig_argv):
    if "DIE_AT_ONCE" in os.environ:
        print("no kernel image for this device", file=sys.stderr, flush=True)
        os._exit(7)

    from PIL import Image, ImageFile

    class Deadly(ImageFile.ImageFile):
        format = "DEADLY"

        def _open(self):
            self.how = self.fp.read()[6:].decode()
            self._mode, self._size = "RGB", (8, 8)

        def load(self):
            suffer(self.how)
            return Image.new("RGB", (8, 8)).load()

    Image.register_open("DEADLY", Deadly, lambda prefix: prefix.startswith(b"DEADLY"))

    if "DALI_DIES" in os.environ:
        import nvidia.dali.experimental.dynamic as ndd

        make_batch = ndd.batch

        def batch(samples):
            if any(b"DEADLY" in sample.tobytes() for sample in samples):
                suffer("SIGSEGV")
            return make_batch(samples)

        ndd.batch = batch
"""


@pytest.fixture
def deadly_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers started by the test have a library that dies of some images."""
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


@pytest.fixture
def write_users(
    tmp_path: Path, draw: Callable[..., Image.Image], encode: Callable[..., bytes]
) -> Callable[..., Path]:
    """`write_users(10, {3: [...]}, name="m")`: a manifest of drawn users, some given other images.

    Images are embedded; `user-3` is user 3.
    """

    def write(users: int, others: dict[int, list[bytes]], name: str = "manifest") -> Path:
        images = [
            others[user]
            if user in others
            else [encode(draw(48, 36, 100 * user + image), "JPEG") for image in range(5)]
            for user in range(users)
        ]
        path = tmp_path / f"{name}.parquet"
        ids = [f"user-{user}" for user in range(users)]
        lists = pa.array(images, pa.list_(pa.binary()))
        pq.write_table(pa.table({"user_id": ids, "images": lists}), path, row_group_size=8)
        return path

    return write
