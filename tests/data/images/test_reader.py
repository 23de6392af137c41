"""A manifest is untrusted: its paths stay inside the image root and open only regular files."""

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.manifests.users import ImageRef
from tweetprofile.errors import ImageError, OptionError, Reason

INSIDE = b"a picture in the root"
SECRET = b"a file that is nobody's business"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An image root with two images, next to a file that no path in a manifest may reach."""
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(INSIDE)
    (folder / "sub/b.jpg").write_bytes(INSIDE)
    (tmp_path / "secret.jpg").write_bytes(SECRET)
    (tmp_path / "root-2").mkdir()
    (tmp_path / "root-2/secret.jpg").write_bytes(SECRET)
    return folder


@pytest.fixture
def reader(root: Path) -> ImageReader:
    return ImageReader(root)


def refusal(reader: ImageReader, path: str | None) -> Reason:
    with pytest.raises(ImageError) as error:
        reader.read(ImageRef(path))
    return error.value.reason


# -- Images that are read ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["a.jpg", "sub/b.jpg", "./a.jpg", "sub/../a.jpg", "sub//b.jpg", "../root/a.jpg"]
)
def test_a_path_that_stays_inside_the_root_is_read(reader: ImageReader, path: str) -> None:
    assert reader.read(ImageRef(path)) == INSIDE


@pytest.mark.parametrize("name", ["ñandú 🦤.jpg", "a b.jpg", "50%.jpg", "x#1?.jpg", "-", "~"])
def test_any_name_is_read_literally(root: Path, reader: ImageReader, name: str) -> None:
    (root / name).write_bytes(INSIDE)
    assert reader.read(ImageRef(name)) == INSIDE


def test_the_root_may_be_relative_or_a_link(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(root)
    for name in ("root", "link", "."):
        path = "root/a.jpg" if name == "." else "a.jpg"
        assert ImageReader(Path(name)).read(ImageRef(path)) == INSIDE


def test_bytes_in_the_manifest_take_precedence_over_the_path(reader: ImageReader) -> None:
    assert reader.read(ImageRef("a.jpg", b"encoded")) == b"encoded"
    assert reader.read(ImageRef("../secret.jpg", b"encoded")) == b"encoded"


def test_a_link_to_a_file_inside_the_root_is_read(root: Path, reader: ImageReader) -> None:
    (root / "link.jpg").symlink_to("sub/b.jpg")
    (root / "absolute.jpg").symlink_to(root / "a.jpg")
    (root / "folder").symlink_to("sub")
    for path in ("link.jpg", "absolute.jpg", "folder/b.jpg"):
        assert reader.read(ImageRef(path)) == INSIDE


# -- Paths that lead outside ------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "../secret.jpg",
        "sub/../../secret.jpg",
        "../root-2/secret.jpg",
        "../gone.jpg",
        "..",
        "../..",
        "../root-2/",
        "/etc/passwd",
        "/",
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "file:///%65tc/passwd",
    ],
)
def test_a_path_that_leads_outside_the_root_is_refused(reader: ImageReader, path: str) -> None:
    assert refusal(reader, path) is Reason.OUTSIDE_ROOT


def test_an_absolute_path_into_the_root_is_refused_too(root: Path, reader: ImageReader) -> None:
    assert refusal(reader, str(root / "a.jpg")) is Reason.OUTSIDE_ROOT
    assert refusal(reader, (root / "a.jpg").as_uri()) is Reason.OUTSIDE_ROOT


@pytest.mark.parametrize("target", ["../secret.jpg", "/etc/passwd", "../gone.jpg", "/dev/zero"])
def test_a_link_to_a_file_outside_the_root_is_refused(
    root: Path, reader: ImageReader, target: str
) -> None:
    (root / "link.jpg").symlink_to(target)
    (root / "link to link.jpg").symlink_to("link.jpg")
    assert refusal(reader, "link.jpg") is Reason.OUTSIDE_ROOT
    assert refusal(reader, "link to link.jpg") is Reason.OUTSIDE_ROOT


def test_a_folder_that_links_outside_the_root_is_refused(root: Path, reader: ImageReader) -> None:
    (root / "out").symlink_to("../root-2")
    for path in ("out/secret.jpg", "out/../secret.jpg", "sub/../out/secret.jpg", "out/"):
        assert refusal(reader, path) is Reason.OUTSIDE_ROOT
    assert refusal(reader, "out/secret.jpg") is Reason.OUTSIDE_ROOT, "the second time as well"


def test_with_slash_as_root_absolute_paths_are_read(root: Path) -> None:
    reader = ImageReader(Path("/"))
    assert reader.read(ImageRef(str(root / "a.jpg"))) == INSIDE
    assert reader.read(ImageRef((root / "a.jpg").as_uri())) == INSIDE
    assert reader.read(ImageRef(str(root / "a.jpg").lstrip("/"))) == INSIDE


def test_a_file_uri_is_unquoted(root: Path) -> None:
    (root / "a b%20#.jpg").write_bytes(INSIDE)
    uri = (root / "a b%20#.jpg").as_uri()
    assert "a%20b%2520%23" in uri
    assert ImageReader(Path("/")).read(ImageRef(uri)) == INSIDE


# -- Anything but regular files ---------------------------------------------------------------


@pytest.fixture
def socket_path() -> Iterator[Path]:
    # A socket's path must be short, which tmp_path is not.
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/socket")
        yield Path(folder) / "socket"


def test_a_socket_is_refused(socket_path: Path) -> None:
    assert refusal(ImageReader(socket_path.parent), socket_path.name) is Reason.NOT_A_FILE


def test_a_pipe_is_refused_without_waiting(root: Path, reader: ImageReader) -> None:
    os.mkfifo(root / "pipe.jpg")
    (root / "link.jpg").symlink_to("pipe.jpg")
    outcomes: list[Reason] = []
    attempt = threading.Thread(
        target=lambda: outcomes.extend(refusal(reader, path) for path in ("pipe.jpg", "link.jpg")),
        daemon=True,
    )
    attempt.start()
    attempt.join(timeout=10)
    assert outcomes == [Reason.NOT_A_FILE] * 2


@pytest.mark.parametrize("path", ["sub", "sub/", ".", "./", "sub/.."])
def test_a_folder_is_refused(reader: ImageReader, path: str) -> None:
    assert refusal(reader, path) is Reason.NOT_A_FILE


def test_a_device_is_refused() -> None:
    reader = ImageReader(Path("/"))
    assert refusal(reader, "/dev/zero") is Reason.NOT_A_FILE
    assert refusal(reader, "/dev/null") is Reason.NOT_A_FILE


def test_refusals_leave_no_file_open(root: Path, reader: ImageReader) -> None:
    os.mkfifo(root / "pipe.jpg")
    small = ImageReader(root, max_bytes=5)
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(20):
        for path in ("sub", "pipe.jpg", "gone.jpg"):
            refusal(reader, path)
        refusal(small, "a.jpg")
    assert len(list(Path("/dev/fd").iterdir())) == before


# -- Missing, unreadable, empty or large files ------------------------------------------------


@pytest.mark.parametrize(
    "path", [None, "", "gone.jpg", "gone/a.jpg", "a.jpg/b.jpg", "a\0.jpg", "\0", "x" * 5000]
)
def test_a_path_to_nothing_is_missing(reader: ImageReader, path: str | None) -> None:
    assert refusal(reader, path) is Reason.MISSING


def test_a_broken_link_is_missing(root: Path, reader: ImageReader) -> None:
    (root / "link.jpg").symlink_to("gone.jpg")
    assert refusal(reader, "link.jpg") is Reason.MISSING


def test_circular_links_are_refused(root: Path, reader: ImageReader) -> None:
    (root / "circle").symlink_to("circle")
    assert refusal(reader, "circle") is Reason.NOT_A_FILE
    assert refusal(reader, "circle/a.jpg") is Reason.UNREADABLE


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_is_unreadable(root: Path, reader: ImageReader) -> None:
    (root / "a.jpg").chmod(0)
    assert refusal(reader, "a.jpg") is Reason.UNREADABLE


def test_an_empty_image_is_distinguished_from_a_missing_one(
    root: Path, reader: ImageReader
) -> None:
    (root / "empty.jpg").touch()
    assert refusal(reader, "empty.jpg") is Reason.EMPTY
    with pytest.raises(ImageError, match="empty"):
        reader.read(ImageRef("a.jpg", b""))


def test_an_image_over_the_limit_is_refused_and_one_at_the_limit_is_read(root: Path) -> None:
    reader = ImageReader(root, max_bytes=1000)
    (root / "at.jpg").write_bytes(bytes(1000))
    (root / "over.jpg").write_bytes(bytes(1001))
    assert reader.read(ImageRef("at.jpg")) == bytes(1000)
    assert refusal(reader, "over.jpg") is Reason.TOO_LARGE
    assert reader.read(ImageRef(None, bytes(1000))) == bytes(1000)
    with pytest.raises(ImageError, match="too_large"):
        reader.read(ImageRef(None, bytes(1001)))


def test_a_file_far_over_the_limit_is_not_read_completely(root: Path, reader: ImageReader) -> None:
    with (root / "huge.jpg").open("wb") as file:
        file.truncate(1 << 40)  # a sparse file of a terabyte, which would take too long to read
    assert refusal(reader, "huge.jpg") is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "uri",
    [
        "http://pbs.twimg.com/media/a.jpg",
        "https://localhost/a.jpg",
        "s3://bucket/a.jpg",
        "file://server/a.jpg",
        "http://[",
        "://a.jpg",
    ],
)
def test_a_uri_of_another_scheme_is_refused_without_access(
    reader: ImageReader, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert refusal(reader, uri) is Reason.UNSUPPORTED_URI


@pytest.mark.parametrize("name", ["gone", "root/a.jpg"])
def test_a_root_that_is_not_a_folder_is_an_error_that_names_it(
    root: Path, tmp_path: Path, name: str
) -> None:
    assert root.is_dir()
    with pytest.raises(OptionError, match=f"image root {tmp_path / name} is not a folder"):
        ImageReader(tmp_path / name)


def test_images_in_more_folders_than_are_remembered_are_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tweetprofile.data.images.roots._FOLDERS_REMEMBERED", 2)
    reader = ImageReader(root)
    for _ in range(2):
        for number in range(5):
            (root / f"{number}").mkdir(exist_ok=True)
            (root / f"{number}/a.jpg").write_bytes(b"%d" % number)
            assert reader.read(ImageRef(f"{number}/a.jpg")) == b"%d" % number


def test_local_files_can_be_read_to_writable_memory(tmp_path: Path) -> None:
    contents = [b"first", b"second image", b"x" * 100_000]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.jpg").write_bytes(content)
    (tmp_path / "empty.jpg").touch()
    refs = [ImageRef(f"{number}.jpg") for number in range(3)]
    reader = ImageReader(tmp_path, max_bytes=100_000, writable=True)
    read = list(reader.read_all([*refs, ImageRef("empty.jpg"), ImageRef("none.jpg")]))
    assert read == [*contents, Reason.EMPTY, Reason.MISSING]
    assert all(isinstance(image, memoryview) and not image.readonly for image in read[:3])
    (tmp_path / "0.jpg").write_bytes(bytes(100_001))
    assert list(reader.read_all(refs[:1])) == [Reason.TOO_LARGE]
