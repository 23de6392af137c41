"""What the benchmarks share: photographs, users made from them, and a model to predict with.

An untrained model costs as much as a trained one, and a user with random photographs as much as a
real one. Both are the same in every run.
"""

import io
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image

from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.networks import Network, build_network, network_spec
from tweetprofile.traits import PRESETS
from tweetprofile.volumes.spec import VolumeSpec

_DRAWN = 64
_SIDE = 430
"""Pixels: the median side of the photographs behind the published results."""


_ROWS_PER_GROUP = 256
"""Rows per row group of a manifest that holds its images."""


def read_photos(folder: Path) -> list[bytes]:
    """Return all JPEGs of a folder."""
    return [path.read_bytes() for path in sorted(folder.glob("*.jp*g"))]


def draw_photos(count: int = _DRAWN, seed: int = 0, **encoding: Any) -> list[bytes]:
    """Return images of noise that have the size of photographs and compress like them.

    Args:
        count: The number of images.
        seed: The seed of the noise.
        encoding: How Pillow encodes the JPEGs; by default, with a quality of 90.
    """
    generator = np.random.default_rng(seed)
    options = encoding or {"quality": 90}
    return [_encode(Image.fromarray(_noise(generator)), options) for _ in range(count)]


def get_photos(folder: Path | None) -> list[bytes]:
    """Return the JPEGs of a folder, or drawn ones if there is none."""
    return read_photos(folder) if folder else draw_photos()


def make_model(folder: Path, photos: list[bytes], name: str = "model1") -> Path:
    """Save an untrained model whose predictions differ between users; return its path.

    Its heads are scaled to users with these photographs. Unscaled, they would give all users nearly
    the same probabilities, and comparing two predictions would show no difference.
    """
    torch.manual_seed(0)
    spec = network_spec(name, norm="batch")
    network = build_network(spec, VolumeSpec(), PRESETS["mex-a3t-2019"]).eval()
    network.initialise()
    _spread_logits(network, _draw_volumes(photos, network.volume_spec))
    path = folder / "model.safetensors"
    save_checkpoint(path, network, {})
    return path


@torch.inference_mode()
def _spread_logits(network: Network, volumes_NCDHW: torch.Tensor) -> None:
    """Give each logit a mean of 0 and a spread of 1 over the volumes."""
    for trait, logits in network(volumes_NCDHW).items():
        head = network.heads[f"head_{trait}"]
        assert isinstance(head, torch.nn.Linear)
        spread, mean = torch.std_mean(logits, dim=0)
        head.weight.div_(spread[:, None])
        head.bias.sub_(mean).div_(spread)


def _draw_volumes(photos: list[bytes], spec: VolumeSpec) -> torch.Tensor:
    chance = random.Random(1)
    frames = torch.from_numpy(np.stack([_frame(photo, spec) for photo in photos[:_DRAWN]]))
    volumes = [frames[chance.choices(range(len(frames)), k=spec.frames)] for _ in range(32)]
    return spec.normalise(torch.stack(volumes))


def _frame(photo: bytes, spec: VolumeSpec) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(photo)) as image:
        return np.asarray(image.convert("RGB").resize((spec.width, spec.height)))


def write_users(folder: Path, photos: list[bytes], users: int, images: int = 11) -> Path:
    """Write a manifest of users, each with some of the photographs at random.

    The photographs are written to `folder`/images, unless they are there already.

    Args:
        folder: The folder to write to.
        photos: The photographs.
        users: The number of users.
        images: The number of photographs per user.

    Returns:
        The manifest, `folder`/manifest.parquet.
    """
    names = _write_photos(folder, photos)
    chance = random.Random(0)
    lists = [chance.choices(names, k=images) for _ in range(users)]
    ids = [f"user-{number:06}" for number in range(users)]
    path = folder / "manifest.parquet"
    pq.write_table(pa.table({"user_id": ids, "images": lists}), path)
    return path


def embed_images(manifest: Path, path: Path, users: int | None = None) -> Path:
    """Write a manifest again, with the files that it names in it.

    Args:
        manifest: The manifest.
        path: The file to write.
        users: The number of users, from the first one; None for all.

    Returns:
        `path`.
    """
    table = pq.read_table(manifest).slice(0, users)
    images = {
        name: (manifest.parent / name).read_bytes()
        for names in table["images"].to_pylist()
        for name in names
    }
    schema = pa.schema([("user_id", pa.string()), ("images", pa.list_(pa.binary()))])
    with pq.ParquetWriter(path, schema, compression="none") as file:
        for start in range(0, len(table), _ROWS_PER_GROUP):
            rows = table.slice(start, _ROWS_PER_GROUP)
            lists = [[images[name] for name in names] for names in rows["images"].to_pylist()]
            file.write_table(pa.table([rows["user_id"], pa.array(lists)], schema=schema))
    return path


def _write_photos(folder: Path, photos: list[bytes]) -> list[str]:
    """Write the photographs; return the names of their files, relative to the folder."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    names = [f"images/{number:04}.jpg" for number in range(len(photos))]
    for name, photo in zip(names, photos, strict=True):
        path = folder / name
        if not path.exists():
            path.write_bytes(photo)
    return names


def _noise(generator: np.random.Generator) -> NDArray[np.uint8]:
    coarse = generator.integers(0, 256, (54, 54, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))


def _encode(image: Image.Image, options: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()
