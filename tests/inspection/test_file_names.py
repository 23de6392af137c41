"""No user id of a manifest can harm a terminal or a folder."""

import pytest

from tweetprofile.inspection.file_names import sheet_file_name
from tweetprofile.untrusted.text import printable, shorten


@pytest.mark.parametrize(
    ("user_id", "name"),
    [
        ("ada", "007-ada.png"),
        (12, "007-12.png"),
        ("../../etc/passwd", "007-_etc_passwd.png"),
        ("/", "007-_.png"),
        ("..", "007-_.png"),
        ("", "007-.png"),
        ("a b\0c\n", "007-a_b_c_.png"),
        ("ñandú", "007-_and_.png"),
        ("x" * 500, f"007-{'x' * 80}.png"),
    ],
)
def test_a_file_name_has_only_safe_characters(user_id: str | int, name: str) -> None:
    assert sheet_file_name(7, user_id, users=1000) == name


def test_no_two_users_share_a_file_name() -> None:
    ids = ["a/b", "a_b", "a b", "A_B", "a_b"]
    assert len({sheet_file_name(n, each, 5).lower() for n, each in enumerate(ids)}) == len(ids)


def test_terminal_codes_are_escaped_and_letters_are_not() -> None:
    assert printable("ñandú \x1b[31mred\n\u202e漢") == "ñandú \\x1b[31mred\\n\\u202e漢"


def test_long_names_lose_their_middle() -> None:
    assert shorten("short", 5) == "short"
    assert shorten("0123456789", 7) == "01...89"
    assert len(shorten("x" * 1000, 20)) == 20
    assert len(printable("x" * 100_000)) == 400
