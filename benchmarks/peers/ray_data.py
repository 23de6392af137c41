"""Predict with Ray Data: a function decodes, a class computes, and Ray connects them.

    python benchmarks/peers/ray_data.py MANIFEST CHECKPOINT OUT

OUT becomes a folder, as Ray writes one file per block. The steps are those of Ray's guide to batch
inference (read, `map_batches` with a function, `map_batches` with a class, write). Volumes reach
the network in channels-last memory, its faster layout.

Tried on two processors: one actor per processor, into which Ray fuses decoding (kept); decoding in
separate tasks, by asking for other resources, with one and two actors (half as long again, as
volumes then pass through the object store); the size of the pool left to Ray (half as long again,
with one actor); blocks of 16 (kept), 32 and 64 users (no difference), and the single block that the
one row group of the manifest becomes (work for one actor only). Ray waits forever if there are no
more processors than actors, as reading is a task that needs a processor too. Hence Ray is told of
one more.
"""

import os
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import ray
import torch
from numpy.typing import NDArray
from PIL import Image
from ray.data import SaveMode

from tweetprofile import load_checkpoint

Batch = dict[str, NDArray[Any]]


class Predictor:
    """The network; Ray makes one per actor, and gives each actor a single thread.

    Args:
        checkpoint: The path of the model.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._model = load_checkpoint(checkpoint)

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> pa.Table:
        """Return classes and probabilities of a batch of users."""
        volumes = torch.as_tensor(batch["volume"])
        logits = self._model.network(self._model.volume_spec.normalise(volumes))
        columns = {"user_id": pa.array(batch["user_id"])}
        for trait in self._model.schema:
            probabilities = logits[trait.name].softmax(dim=1)
            best = probabilities.argmax(dim=1).tolist()
            columns[trait.name] = pa.array([trait.classes[number] for number in best])
            columns[f"{trait.name}_probabilities"] = pa.array(probabilities.tolist())
        return pa.table(columns)


def decode(batch: Batch, folder: Path, size: tuple[int, int]) -> Batch:
    """Return the volumes of a batch of users, (N, D, H, W, 3) uint8."""
    volumes = [
        np.stack([_frame(folder / image, size) for image in images]) for images in batch["images"]
    ]
    return {"user_id": batch["user_id"], "volume": np.stack(volumes)}


def _frame(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path, resolve_path=True))
@click.argument("checkpoint", type=click.Path(path_type=Path, resolve_path=True))
@click.argument("out", type=click.Path(path_type=Path, resolve_path=True))
@click.option("--batch-size", default=16, show_default=True, help="Users per batch and per block.")
def main(manifest: Path, checkpoint: Path, out: Path, batch_size: int) -> None:
    """Predict the users of MANIFEST with the model of CHECKPOINT, and write them to OUT."""
    processors = len(os.sched_getaffinity(0))
    spec = load_checkpoint(checkpoint).volume_spec
    start(processors + 1)
    (
        ray.data.read_parquet(str(manifest))
        .select_columns(["user_id", "images"])
        .repartition(target_num_rows_per_block=batch_size)
        .map_batches(
            partial(decode, folder=manifest.parent, size=(spec.width, spec.height)),
            batch_size=batch_size,
        )
        .map_batches(
            Predictor,
            batch_size=batch_size,
            fn_constructor_args=(checkpoint,),
            compute=ray.data.ActorPoolStrategy(size=processors),
        )
        .write_parquet(str(out), mode=SaveMode.OVERWRITE)
    )
    ray.shutdown()


def start(processors: int) -> None:
    """Start Ray on this machine alone, with an object store of 1 GB and without a dashboard."""
    ray.init(
        num_cpus=processors,
        object_store_memory=1024**3,
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    ray.data.DataContext.get_current().enable_progress_bars = False


if __name__ == "__main__":
    main()
