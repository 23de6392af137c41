"""Fixtures for all tests: images, drawn and encoded, good and damaged, and real ones."""

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.fs as pafs
import pytest
import torch
from hypothesis import settings
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.networks import (
    Cnn3d,
    EmbeddingSet,
    EmbeddingSetSpec,
    build_network,
    network_spec,
)
from tweetprofile.networks.timm_backbones import backbone_facts
from tweetprofile.traits import PRESETS
from tweetprofile.volumes.spec import VolumeSpec

# Readline sets these where pytest starts its processes, and they would count as the user's wish.
for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)

DATA = Path(
    os.environ.get("TWEETPROFILE_TEST_DATA")
    or Path(__file__).resolve().parents[2] / "shared" / "data"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")


def pytest_configure() -> None:
    # Each example takes two predictions; `--hypothesis-profile soak` tries many more examples.
    settings.register_profile("usual", max_examples=25, deadline=None)
    settings.register_profile("soak", max_examples=1000, deadline=None)
    settings.load_profile("usual")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked_for_slow = config.getoption("--slow") or "slow" in config.getoption("markexpr")
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        if item.get_closest_marker("slow") and not asked_for_slow:
            item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


def _draw(width: int, height: int, seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    corners = random.uniform(0, 255, (4, 3))
    weights = np.stack([(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x], axis=-1)
    pixels = weights @ corners + random.normal(0, 6, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="session")
def draw() -> Callable[..., Image.Image]:
    """`draw(width, height, seed=0)`: an image of smooth colours with some noise, like a photo."""
    return _draw


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """`encode(image, "JPEG", **options)`: the bytes that Pillow would write to a file."""
    return _encode


@pytest.fixture(scope="session")
def good_images() -> dict[str, bytes]:
    """One valid image of each kind, all of the same drawing."""
    image = _draw(200, 150)
    grey = np.asarray(image.convert("L"))
    faded = image.convert("RGBA")
    faded.putalpha(image.convert("L"))
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "jpeg": _encode(image, "JPEG", quality=90),
        "progressive jpeg": _encode(image, "JPEG", progressive=True),
        "grey jpeg": _encode(image.convert("L"), "JPEG"),
        "cmyk jpeg": _encode(image.convert("CMYK"), "JPEG"),
        "turned jpeg": _encode(image, "JPEG", exif=turned),
        "two-image jpeg": _encode(image, "MPO", save_all=True, append_images=[_draw(200, 150, 1)]),
        "png": _encode(image, "PNG"),
        "alpha png": _encode(faded, "PNG"),
        "palette png": _encode(image.quantize(64), "PNG"),
        "clear palette png": _encode(image.quantize(64), "PNG", transparency=3),
        "16-bit png": _encode(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"),
        "bilevel png": _encode(image.convert("1"), "PNG"),
        "turned png": _encode(image, "PNG", exif=turned),
        "png of broken exif": _encode(image, "PNG", exif=b"Exif\0\0no such thing"),
        "padded png": _encode(image, "PNG") + bytes(100),
        "webp": _encode(image, "WEBP", quality=90),
        "turned webp": _encode(image, "WEBP", exif=turned),
        "gif": _encode(image, "GIF"),
        "bmp": _encode(image, "BMP"),
        "one pixel": _encode(_draw(1, 1), "PNG"),
    }


@pytest.fixture(scope="session")
def damaged_images(good_images: dict[str, bytes]) -> dict[str, bytes]:
    """Damaged images as dumps hold them; each is unusable for every decoder."""
    jpeg, png, webp, gif = (good_images[kind] for kind in ("jpeg", "png", "webp", "gif"))
    return {
        "web page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "zeros": bytes(2000),
        "one byte": b"\xff",
        "jpeg cut in its header": jpeg[:100],
        "jpeg cut in half": jpeg[: len(jpeg) // 2],
        "jpeg without its end": jpeg[:-20],
        "png cut in its header": png[:20],
        "png cut in half": png[: len(png) // 2],
        "png with a scratch": png[:5000] + np.random.default_rng(0).bytes(9000) + png[14000:],
        "png of noise": _png_of_noise(),
        "webp cut in half": webp[: len(webp) // 2],
        "gif cut in half": gif[: len(gif) // 2],
        "jpeg bomb": _jpeg_bomb(),
        "png bomb": _png_bomb(),
        "jpeg xl": b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(100),
    }


def _jpeg_bomb() -> bytes:
    """Return a JPEG of a few hundred bytes that claims 400 megapixels."""
    jpeg = _encode(_draw(8, 8), "JPEG")
    size = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:size] + (20_000).to_bytes(2, "big") * 2 + jpeg[size + 4 :]


def _png_of_noise() -> bytes:
    """Return a PNG with valid header, end and checksums, whose pixel data is noise."""
    png = _encode(_draw(8, 8), "PNG")
    start = png.index(b"IDAT") - 4
    pixels = b"IDAT" + np.random.default_rng(0).bytes(200)
    chunk = (200).to_bytes(4, "big") + pixels + zlib.crc32(pixels).to_bytes(4, "big")
    return png[:start] + chunk + png[png.index(b"IEND") - 4 :]


def _png_bomb() -> bytes:
    """Return a valid PNG that compresses 49 megapixels a thousandfold."""
    return _encode(Image.new("1", (7000, 7000)), "PNG")


@pytest.fixture(scope="session")
def real_photos() -> list[Path]:
    """Photographs, from `photos/` in the folder that `TWEETPROFILE_TEST_DATA` names."""
    photos = sorted((DATA / "photos").glob("*.jp*g"))
    if not photos:
        pytest.skip(f"no photographs in {DATA / 'photos'}")
    return photos


@pytest.fixture(scope="session")
def twitter_photos() -> list[Path]:
    """Photographs as Twitter served them: progressive JPEGs of 1,200 pixels."""
    folder = DATA / "twitter" / "progressive"
    if not folder.is_dir():
        pytest.skip(f"needs the photographs in {folder}")
    return sorted(folder.glob("*.jpg"))


@pytest.fixture(scope="session")
def real_damaged() -> list[Path]:
    """Damaged and odd images from the tests of image libraries, next to the photographs."""
    files = sorted(path for path in (DATA / "damaged").glob("*") if path.name != "index.csv")
    if not files:
        pytest.skip(f"no damaged images in {DATA / 'damaged'}")
    return files


@pytest.fixture(scope="session", autouse=True)
def no_model_of_the_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests away from the model and the frames that `train` keeps in the user's folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("TWEETPROFILE_CHECKPOINT", raising=False)
        yield


def draw_dump(out: Path, *arguments: str) -> Path:
    """Run the command of the example, as a person would."""
    script = Path(__file__).parents[1] / "examples" / "make_dump.py"
    subprocess.run([sys.executable, str(script), str(out), *arguments], check=True)
    return out


@pytest.fixture(scope="session")
def drawn_dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dump of 12 training and 6 test users with usual, few, many, no and only damaged images."""
    out = tmp_path_factory.mktemp("drawn") / "dump"
    return draw_dump(out, "--train-users", "12", "--test-users", "6")


@pytest.fixture
def dump(drawn_dump: Path, tmp_path: Path) -> Path:
    """A copy of the drawn dump, which a test may change."""
    return shutil.copytree(drawn_dump, tmp_path / "dump")


@pytest.fixture(scope="session")
def medium_dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dump of 50 training and 25 test users."""
    out = tmp_path_factory.mktemp("medium") / "dump"
    return draw_dump(out, "--train-users", "50", "--test-users", "25")


@pytest.fixture(scope="session")
def large_dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dump of 240 training and 60 test users."""
    return draw_dump(tmp_path_factory.mktemp("large") / "dump")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of model1 with random weights and normalisation statistics from random data."""
    torch.manual_seed(0)
    volume = VolumeSpec(height=32, width=32)
    spec = network_spec("model1", norm="batch")
    network = build_network(spec, volume, PRESETS["mex-a3t-2019"])
    assert isinstance(network, Cnn3d)
    for parameter in network.heads.parameters():
        torch.nn.init.normal_(parameter, std=0.05)  # spread the classes, as training would
    network(torch.randn(8, 3, *volume.shape))
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_checkpoint(path, network, {})
    return path


@pytest.fixture(scope="session")
def embedding_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small backbone of timm and a head, both with random weights."""
    if find_spec("timm") is None:
        pytest.skip("timm is not installed")
    torch.manual_seed(0)
    facts = backbone_facts("timm/test_resnet")
    volume = VolumeSpec(height=32, width=32, mean=facts.mean, std=facts.std)
    spec = EmbeddingSetSpec("deepset-test", facts.name, facts.features, hidden=16)
    network = build_network(spec, volume, PRESETS["mex-a3t-2019"])
    assert isinstance(network, EmbeddingSet)
    network.initialise()
    for parameter in network.head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)  # spread the classes, as training would
    path = tmp_path_factory.mktemp("embedding-model") / "model.safetensors"
    save_checkpoint(path, network.eval(), {})
    return path


# --- a browser -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium without a window, for pages on the disk."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on the PATH")
    # Without the browser's own traffic, every request is one of the page.
    quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=quiet)
        yield started
        started.close()


# --- an object store -------------------------------------------------------------------------


_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of an S3 server on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for_server(f"http://127.0.0.1:{port}/moto-api/", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for_server(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
    pytest.fail("the S3 server of the tests does not answer")


@pytest.fixture
def store(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pafs.FileSystem:
    """The file system of an S3 server with an empty bucket `dumps`."""
    for name, value in _ACCOUNT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    address = server.removeprefix("http://")
    store = pafs.S3FileSystem(
        scheme="http", endpoint_override=address, region="us-east-1", allow_bucket_creation=True
    )
    store.create_dir("dumps")
    store.delete_dir_contents("dumps")
    return store
