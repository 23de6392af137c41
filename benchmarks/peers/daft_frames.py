"""Predict with Daft: expressions decode and resize, a class computes, in one data frame.

    python benchmarks/peers/daft_frames.py MANIFEST CHECKPOINT OUT.parquet

Reading, decoding and resizing are Daft's own expressions, in Rust; the network is a class with a
batch method, as in Daft's guides to batch inference and to classes. Volumes reach the network in
channels-last memory, its faster layout.

Tried on two processors: this version (kept); exploding the lists, downloading, decoding and
grouping again (holds every frame in memory before the first volume is complete, and is no faster);
1 and 2 instances of the class, as threads and as processes, with 1 and 2 threads of PyTorch (none
faster than Daft's own choice); batches of 8 (slower), 16 (kept) and 32 (slower, with half as much
memory again); `into_batches` before decoding (no difference). `download` inside `list_map` fails
in 0.7.26, and so does `explode` with an index column before `download`.
"""

from pathlib import Path
from typing import Any

import click
import daft
import numpy as np
import pyarrow as pa
import torch
from daft import DataType, Expression, Series
from daft.functions import decode_image_file, image_file, list_map, resize

from tweetprofile import TraitSchema, load_checkpoint
from tweetprofile.volumes.spec import VolumeSpec


def make_predictor(checkpoint: Path, schema: TraitSchema, batch_size: int) -> Any:
    """Return the UDF that turns a column of volumes into classes and probabilities per trait."""
    fields = {}
    for trait in schema:
        fields[trait.name] = DataType.string()
        fields[f"{trait.name}_probabilities"] = DataType.list(DataType.float32())
    profile = DataType.struct(fields)

    @daft.cls
    class Predictor:
        def __init__(self, checkpoint: Path) -> None:
            self._model = load_checkpoint(checkpoint)

        # Daft is typed, but mypy also runs without it.
        @daft.method.batch(  # type: ignore[untyped-decorator,unused-ignore]
            return_dtype=profile, unnest=True, batch_size=batch_size
        )
        @torch.inference_mode()
        def __call__(self, frames: Series) -> pa.Array:
            volumes = torch.from_numpy(np.array(frames.to_pylist()))
            logits = self._model.network(self._model.volume_spec.normalise(volumes))
            return profiles(self._model.schema, logits)

    return Predictor(checkpoint)


def profiles(schema: TraitSchema, logits: dict[str, torch.Tensor]) -> pa.Array:
    """Return classes and probabilities of a batch of users, as structs."""
    columns = {}
    for trait in schema:
        probabilities = logits[trait.name].softmax(dim=1)
        best = probabilities.argmax(dim=1).tolist()
        columns[trait.name] = pa.array([trait.classes[number] for number in best])
        columns[f"{trait.name}_probabilities"] = pa.array(probabilities.tolist())
    return pa.table(columns).to_struct_array().combine_chunks()


def read_frames(images: Expression, folder: Path, spec: VolumeSpec) -> Expression:
    """Return the frames of lists of images, each list in its order."""
    file = image_file(daft.lit(f"file://{folder}/") + daft.element())
    return list_map(images, resize(decode_image_file(file, mode="RGB"), spec.width, spec.height))


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path, resolve_path=True))
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--batch-size", default=16, show_default=True, help="Users per batch.")
def main(manifest: Path, checkpoint: Path, out: Path, batch_size: int) -> None:
    """Predict the users of MANIFEST with the model of CHECKPOINT, and write them to OUT."""
    model = load_checkpoint(checkpoint)
    predict = make_predictor(checkpoint, model.schema, batch_size)
    frames = read_frames(daft.col("images"), manifest.parent, model.volume_spec)
    users = daft.read_parquet(str(manifest)).with_column("frames", frames)
    users.select("user_id", predict(users["frames"])).write_parquet(str(out), single_file=True)


if __name__ == "__main__":
    main()
