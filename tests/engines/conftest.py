"""Images that crash or hang a worker, by a real fault in one of its libraries.

A `sitecustomize` on the worker's path registers one more format with Pillow, whose decoder does
what the image says: crash by a signal, exit, hang, compute forever, or print. It can also make DALI
crash on marked JPEGs.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import predict_manifest

_SITECUSTOMIZE = """
import ctypes, os, signal, sys, time

def misbehave(how):
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
    if "EXIT_AT_ONCE" in os.environ:
        print("no kernel image for this device", file=sys.stderr, flush=True)
        os._exit(7)

    from PIL import Image, ImageFile

    class Faulty(ImageFile.ImageFile):
        format = "FAULTY"

        def _open(self):
            self.how = self.fp.read()[6:].decode()
            self._mode, self._size = "RGB", (8, 8)

        def load(self):
            misbehave(self.how)
            return Image.new("RGB", (8, 8)).load()

    Image.register_open("FAULTY", Faulty, lambda prefix: prefix.startswith(b"FAULTY"))

    if "DALI_CRASHES" in os.environ:
        import nvidia.dali.experimental.dynamic as ndd

        make_batch = ndd.as_batch

        def batch(samples):
            if any(b"FAULTY" in sample.tobytes() for sample in samples):
                misbehave("SIGSEGV")
            return make_batch(samples)

        ndd.as_batch = batch
"""


@pytest.fixture
def faulty_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives the workers of the test a library that crashes on some images."""
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


@pytest.fixture
def write_users(
    tmp_path: Path, draw: Callable[..., Image.Image], encode: Callable[..., bytes]
) -> Callable[..., Path]:
    """Writes a manifest of drawn users: `write_users(10, {3: [...]}, name="m")`.

    The images are embedded. Here `user-3` has the given images instead of drawn ones.
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


@pytest.fixture
def options(model: Path) -> PredictOptions:
    """Options for a run on the CPU with batches and shards of eight users."""
    return PredictOptions(
        checkpoint=model, devices="cpu", decoder="pillow", batch_size=8, users_per_shard=8
    )


@pytest.fixture
def predict() -> Callable[[Path, PredictOptions], tuple[pl.DataFrame, tuple[str, ...]]]:
    """Predicts a manifest; returns the profiles, and how workers crashed or hung."""

    def predict(manifest: Path, options: PredictOptions) -> tuple[pl.DataFrame, tuple[str, ...]]:
        out = manifest.with_suffix(".out.parquet")
        summary = predict_manifest(manifest, out, replace(options, overwrite=True))
        return pl.read_parquet(out), summary.deaths

    return predict
