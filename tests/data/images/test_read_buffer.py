"""Files can be read into memory that is used again, instead of new memory for each."""

from pathlib import Path

import pytest

from tweetprofile.data.images.read_buffer import ReadBuffer
from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.manifests.users import ImageRef
from tweetprofile.errors import ImageError, Reason


def test_memory_is_writable_has_the_size_asked_for_and_overlaps_with_no_other() -> None:
    buffer = ReadBuffer()
    views = [buffer.take(size) for size in (10, 0, 1 << 24, 5, (1 << 24) + 1, 7)]
    for number, view in enumerate(views):
        view[:] = bytes([number]) * len(view)
    assert [len(view) for view in views] == [10, 0, 1 << 24, 5, (1 << 24) + 1, 7]
    assert all(set(view) <= {number} for number, view in enumerate(views))


def test_memory_is_used_again_after_a_reset() -> None:
    buffer = ReadBuffer()
    first = buffer.take(3)
    first[:] = b"old"
    buffer.reset()
    again = buffer.take(3)
    assert bytes(again) == b"old"
    again[:] = b"new"
    assert bytes(first) == b"new"


def test_files_are_read_into_the_buffer(tmp_path: Path) -> None:
    contents = [b"first", b"second image", b"x" * 100_000]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.jpg").write_bytes(content)
    (tmp_path / "empty.jpg").touch()
    reader = ImageReader(tmp_path, buffer=ReadBuffer())
    refs = [ImageRef(f"{number}.jpg") for number in range(3)]
    read = list(reader.read_all([*refs, ImageRef("empty.jpg"), ImageRef("none.jpg")]))
    assert read == [*contents, Reason.EMPTY, Reason.MISSING]
    assert all(isinstance(image, memoryview) for image in read[:3])


def test_a_file_over_the_limit_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(bytes(1000))
    reader = ImageReader(tmp_path, max_bytes=999, buffer=ReadBuffer())
    with pytest.raises(ImageError) as caught:
        reader.read(ImageRef("large.jpg"))
    assert caught.value.reason is Reason.TOO_LARGE
