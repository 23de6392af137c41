"""Predict with PyTorch alone: a Dataset of users, a DataLoader, a loop.

    python benchmarks/peers/dataloader.py MANIFEST CHECKPOINT OUT.parquet [--tuned]

A user is one item of the Dataset. Worker processes read, decode and stack, and the loop computes in
fp32. `--tuned` adds what PyTorch's performance tuning guide recommends for CPUs: channels-last
memory, and bf16 if the processor multiplies it. The DataLoader itself limits each worker process to
one thread.

Tried on two processors, plain and tuned: 0, 1, 2 (kept) and 3 workers; 1 (kept) and 2 threads to
compute with; batches of 8, 16 (kept, as fast as 8) and 32. For the network alone: `torch.compile`
takes 20 seconds at the start and gains a tenth at most; a frozen trace gains as little.

With a pretrained backbone, the images of a batch pass through it together, then the head combines
those of each user. All processors compute, as the backbone takes most of the time. The plain script
uses the backbone as timm builds it; `--tuned` also folds its batch normalisation, lets libjpeg
scale large JPEGs down while it decodes them; `commands.py` starts it with an allocator that keeps
freed memory, and with threads that wait passively. Tried on two busy processors, by processor time:
batches of 1 (kept), 4 and 16 (much slower at 224 pixels, as slow at 128); the usual allocator (much
slower at 224 pixels); threads that wait actively (slower while others decode).
"""

import os
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from tweetprofile import Checkpoint, load_checkpoint
from tweetprofile.networks import AnyNetwork, Cnn3dSpec, EmbeddingSet, EmbeddingSetSpec
from tweetprofile.volumes.spec import VolumeSpec

Logits = dict[str, torch.Tensor]
"""(N, classes) by trait name."""

_PROCESSORS = len(os.sched_getaffinity(0))


class Users(Dataset[torch.Tensor]):
    """The users of a manifest, each as the volume of their images, (3, D, H, W) uint8.

    Args:
        manifest: The manifest, with `user_id` and with paths in `images` relative to its folder.
        spec: The size of the volume.
        draft: Whether JPEGs may be decoded at a half, a quarter or an eighth of their size.
    """

    def __init__(self, manifest: Path, spec: VolumeSpec, *, draft: bool) -> None:
        table = pq.read_table(manifest, columns=["user_id", "images"])
        self.ids: pa.ChunkedArray = table["user_id"]
        self._images: list[list[str]] = table["images"].to_pylist()
        self._folder = manifest.parent
        self._size = spec.width, spec.height
        self._draft = draft

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> torch.Tensor:
        frames = [self._frame(self._folder / image) for image in self._images[index]]
        return torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)

    def _frame(self, path: Path) -> NDArray[np.uint8]:
        with Image.open(path) as image:
            if self._draft:
                image.draft("RGB", self._size)
            return np.asarray(image.convert("RGB").resize(self._size, Image.Resampling.BILINEAR))


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--tuned", is_flag=True, help="Use channels-last memory and bf16.")
@click.option(
    "--workers", default=_PROCESSORS, show_default=True, help="The number of processes that decode."
)
@click.option(
    "--batch-size",
    type=int,
    show_default="16, or 1 with a backbone",
    help="Users per forward pass.",
)
@click.option(
    "--threads",
    type=int,
    show_default="1, or all processors with a backbone",
    help="The number of threads that compute.",
)
def main(
    manifest: Path,
    checkpoint: Path,
    out: Path,
    tuned: bool,
    workers: int,
    batch_size: int | None,
    threads: int | None,
) -> None:
    """Predict the users of MANIFEST with the model of CHECKPOINT, and write them to OUT."""
    model = load_checkpoint(checkpoint)
    backbone = isinstance(model.network_spec, EmbeddingSetSpec)
    torch.set_num_threads(threads or (_PROCESSORS if backbone else 1))
    users = Users(manifest, model.volume_spec, draft=tuned and backbone)
    loader = DataLoader(users, batch_size or (1 if backbone else 16), num_workers=workers)
    batches = list(infer(model, loader, tuned=tuned))
    columns = {"user_id": users.ids}
    for trait in model.schema:
        probabilities = torch.cat([batch[trait.name] for batch in batches])
        best = probabilities.argmax(dim=1).tolist()
        columns[trait.name] = pa.array([trait.classes[number] for number in best])
        columns[f"{trait.name}_probabilities"] = pa.array(probabilities.tolist())
    pq.write_table(pa.table(columns), out)


def infer(
    model: Checkpoint, loader: DataLoader[torch.Tensor], *, tuned: bool
) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the probabilities per trait, batch by batch."""
    network = make_network(model, tuned=tuned)
    compute = compute_embeddings if isinstance(network, EmbeddingSet) else compute_volumes
    lower = tuned and multiplies_bf16()
    for volumes in loader:
        # Entered for each batch: a generator that yields inside would leave autocast.
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=lower):
            logits = compute(network, volumes, tuned=tuned)
            batch = {trait: each.float().softmax(dim=1) for trait, each in logits.items()}
        yield batch


def make_network(model: Checkpoint, *, tuned: bool) -> AnyNetwork:
    """Return the network of a checkpoint, with weights in channels-last memory if it is tuned."""
    # Weights of a 2D convolution have a layout of their own.
    flat = not isinstance(model.network_spec, Cnn3dSpec)
    if tuned:
        layout = torch.channels_last if flat else torch.channels_last_3d
        return model.network.to(memory_format=layout)  # type: ignore[call-overload,no-any-return]
    if not isinstance(model.network, EmbeddingSet):
        return model.network
    network = model.build()
    network.load_state_dict(model.state)
    return network.eval()


def compute_volumes(network: AnyNetwork, volumes: torch.Tensor, *, tuned: bool) -> Logits:
    """Return the logits of a batch of users from their volumes, (N, 3, D, H, W) uint8."""
    layout = torch.channels_last_3d if tuned else torch.contiguous_format
    logits: Logits = network(normalise(volumes.contiguous(memory_format=layout), network))
    return logits


def compute_embeddings(network: AnyNetwork, volumes: torch.Tensor, *, tuned: bool) -> Logits:
    """Return the logits of a batch of users from their images, which pass the backbone together."""
    assert isinstance(network, EmbeddingSet)
    layout = torch.channels_last if tuned else torch.contiguous_format
    images = volumes.transpose(1, 2).flatten(0, 1).contiguous(memory_format=layout)
    embeddings = network.backbone(normalise(images, network)).float()
    logits: Logits = network.head(embeddings.view(len(volumes), -1, embeddings.shape[1]))
    return logits


def normalise(pixels: torch.Tensor, network: AnyNetwork) -> torch.Tensor:
    """Return uint8 pixels, with the channels in the second dimension, as input of a network."""
    spec = network.volume_spec
    mean, std = (
        torch.tensor(each).view(-1, *[1] * (pixels.ndim - 2)) for each in (spec.mean, spec.std)
    )
    return pixels.float().sub_(mean).div_(std)


def multiplies_bf16() -> bool:
    """Return whether this processor computes in bf16, and does not only store numbers in it."""
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


if __name__ == "__main__":
    main()
