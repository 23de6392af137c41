"""Texts become alike where differences say little, and keep what tells people apart."""

from dataclasses import replace

import pytest

from tests.texts.counting import WORDS, counted
from tweetprofile.texts import normalising
from tweetprofile.texts.normalising import END, normalised_pieces
from tweetprofile.texts.spec import TextSpec

SPEC = TextSpec()


def normalised(*texts: str, spec: TextSpec = SPEC) -> str:
    return "".join(normalised_pieces(texts, spec))


def test_each_text_is_a_line_between_ends() -> None:
    assert normalised("uno", "dos") == f"{END}uno{END}dos{END}"


def test_all_kinds_of_spaces_become_one_space() -> None:
    assert normalised("  uno\u00a0\t dos\r\ntres\u2029") == f"{END}uno dos tres{END}"


def test_texts_without_a_character_leave_no_trace() -> None:
    assert list(normalised_pieces(["", " ", "\n\t", "\u3000"], SPEC)) == []
    assert normalised("", "uno", "  ", "dos", "\n") == normalised("uno", "dos")


def test_capital_letters_count_as_small_ones_unless_the_spec_says_otherwise() -> None:
    assert normalised("ÁRBOL Ñandú") == f"{END}árbol ñandú{END}"
    assert normalised("ÁRBOL", spec=replace(SPEC, lower=False)) == f"{END}ÁRBOL{END}"


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize(
    "link", ["https://t.example/Ab1", "HTTP://EXAMPLE.ORG/?q=á", "www.example.org/ñ#x"]
)
def test_every_link_counts_as_the_same_word(link: str, lower: bool) -> None:
    spec = replace(SPEC, lower=lower)
    expected = normalised("mira https://t.example/other ya", spec=spec)
    assert normalised(f"mira {link} ya", spec=spec) == expected
    assert "example" not in expected


def test_links_stay_if_the_spec_says_so() -> None:
    spec = replace(SPEC, hide_links=False)
    assert (
        normalised("mira https://t.example/a", spec=spec) == f"{END}mira https://t.example/a{END}"
    )


def test_every_mention_counts_as_the_same_word() -> None:
    assert normalised("hola @ana_1, ya") == normalised("hola @Ñ_9, ya")
    assert "ana" not in normalised("hola @ana_1, ya")
    assert "@ana" in normalised("@ana", spec=replace(SPEC, hide_mentions=False))


def test_a_link_is_not_a_mention() -> None:
    assert counted(["www.example.org"], WORDS) != counted(["@example"], WORDS)


def test_more_than_three_equal_characters_in_a_row_count_as_three() -> None:
    assert counted(["holaaaaaaa!!!!!"]) == counted(["holaaa!!!"])
    assert counted(["holaaa"]) != counted(["holaa"])


@pytest.mark.parametrize("longest", [1, 2, 5, 1000])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 6])
def test_the_spec_says_how_long_a_run_may_be(longest: int, length: int) -> None:
    spec = replace(SPEC, longest_run=longest)
    expected = "x" * min(length, longest)
    assert counted(["x" * length], spec) == counted([expected], replace(SPEC, longest_run=1000))


def test_emoji_and_accents_stay() -> None:
    assert normalised("¡qué día! 👩🏽‍🚀❤️") == f"{END}¡qué día! 👩🏽‍🚀❤️{END}"
    assert counted(["si"], WORDS) != counted(["sí"], WORDS)
    assert counted(["hoy 😀"], WORDS) != counted(["hoy 😁"], WORDS)


def test_hashtags_are_words_after_a_sign() -> None:
    assert counted(["#paz"], WORDS) == counted(["# paz"], WORDS)


def test_long_texts_and_many_texts_are_divided_into_pieces_of_bounded_size() -> None:
    size = normalising._PIECE
    for texts in (["ab " * size], ["hola " * 20] * (size // 50)):
        pieces = list(normalised_pieces(texts, SPEC))
        assert len(pieces) > 1
        assert all(piece[0] == piece[-1] == END for piece in pieces)
        assert max(map(len, pieces)) <= size + len(texts) + 2
