"""PAN's XML is read as untrusted data: nothing is expanded, and what is sound is taken."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tweetprofile.importers.readers.author_xml import LARGEST_FILE, read_author
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.importers.users import EMPTY_TEXTS, LONGEST_TEXT, TEXTS_CUT

Read = Callable[[str | bytes], list[str] | None]


def document(text: str) -> str:
    return f"<document><![CDATA[{text}]]></document>"


def author(*texts: str) -> str:
    documents = "".join(map(document, texts))
    return f'<author lang="ES">\n<documents>\n{documents}\n</documents>\n</author>'


@pytest.fixture
def skipped() -> Skipped:
    return Skipped(None)


@pytest.fixture
def read(tmp_path: Path, skipped: Skipped) -> Read:
    """Return `read(content)`: it returns the texts of an author."""

    def read_texts(content: str | bytes) -> list[str] | None:
        file = tmp_path / "a.xml"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        found = read_author(file, skipped)
        return found.texts if found is not None else None

    return read_texts


def test_texts_come_in_the_order_of_the_file_with_the_language(
    tmp_path: Path, skipped: Skipped
) -> None:
    (tmp_path / "a.xml").write_text(author("first & <b>", " second ", ""))
    found = read_author(tmp_path / "a.xml", skipped)
    assert found is not None
    assert (found.language, found.texts) == ("es", ["first & <b>", "second"])
    assert skipped.left_out == {EMPTY_TEXTS: 1}


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE author [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE author SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE author [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]>',
    ],
)
def test_a_document_type_is_refused(doctype: str, read: Read, skipped: Skipped) -> None:
    assert read(f'<?xml version="1.0"?>{doctype}{author("&b;")}') is None
    assert "declares a document type" in skipped.first[SkipReason.MALFORMED]


def test_a_text_of_10_mb_is_cut_and_counted(read: Read, skipped: Skipped) -> None:
    (cut, after) = read(author("ab" * (5 << 20), "next")) or ["", ""]
    assert (len(cut), after) == (LONGEST_TEXT, "next")
    assert skipped.left_out == {TEXTS_CUT: 1}


def test_a_file_beyond_the_limit_is_read_up_to_it(read: Read, skipped: Skipped) -> None:
    assert read(author("first", " " * LARGEST_FILE)) == ["first"]
    assert "more than 64 MiB" in skipped.first[SkipReason.MALFORMED]


def test_what_is_not_xml_in_a_text_is_replaced(read: Read, skipped: Skipped) -> None:
    broken = author("a\x00b\x1bc", "d\udc80e").encode("utf-8", "surrogateescape")
    assert read(broken) == ["a\ufffdb\ufffdc", "d\ufffde"]
    assert not skipped.counts


@pytest.mark.parametrize("encoding", ["iso-8859-1", "windows-1252", "utf-16", "utf-8-sig"])
def test_other_encodings_are_read(encoding: str, read: Read) -> None:
    declared = encoding.replace("-sig", "")
    content = f'<?xml version="1.0" encoding="{declared}"?>{author("mañana")}'
    assert read(content.encode(encoding)) == ["mañana"]


def test_an_encoding_that_is_not_one_of_text_is_refused(read: Read, skipped: Skipped) -> None:
    assert read(f'<?xml version="1.0" encoding="zlib"?>{author("a")}') is None
    assert "the encoding 'zlib' is not read" in skipped.first[SkipReason.MALFORMED]


def test_texts_before_a_fault_are_taken_and_its_line_is_listed(
    read: Read, skipped: Skipped
) -> None:
    assert read(author("one", "two")[:-40] + "<document>&#xD800;</document>") == ["one"]
    assert ":3: not XML" in skipped.first[SkipReason.MALFORMED]


def test_deep_elements_and_other_files_are_no_authors(read: Read, skipped: Skipped) -> None:
    assert read("<a>" * 1_000_000) is None
    assert read(b"\x00\xff" * 1_000) is None
    assert read("<author>" + "<a>" * 1_000_000) == []
    assert skipped.counts[SkipReason.MALFORMED] == 3
