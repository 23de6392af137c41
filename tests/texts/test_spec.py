"""What is counted is checked when it is chosen, and when it is read from a file."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tweetprofile.data.manifests.profile_fields import PROFILE_COLUMNS
from tweetprofile.errors import OptionError
from tweetprofile.texts.spec import (
    BLOCKS,
    PROFILE_BLOCKS,
    NgramBlock,
    TextSpec,
    text_spec_from_dict,
)
from tweetprofile.untrusted.fields import FieldError

OTHER = TextSpec(
    blocks=(NgramBlock("character", 1, 8, 24), NgramBlock("word", 3, 3, 8)),
    lower=False,
    hide_links=False,
    hide_mentions=False,
    longest_run=1,
    frequencies="saturating",
)


@pytest.mark.parametrize(
    "spec", [TextSpec(), OTHER, TextSpec((*BLOCKS, *PROFILE_BLOCKS), fields=("name",))]
)
def test_json_brings_a_spec_there_and_back(spec: TextSpec) -> None:
    assert text_spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_a_spec_of_version_0_1_has_logarithmic_frequencies() -> None:
    data = TextSpec().to_dict()
    assert "frequencies" not in data
    assert text_spec_from_dict(data).frequencies == "logarithmic"


def test_unknown_frequencies_are_refused() -> None:
    message = r"`frequencies` is binary; it must be logarithmic or saturating\."
    with pytest.raises(OptionError, match=message):
        text_spec_from_dict({**TextSpec().to_dict(), "frequencies": "binary"})


def test_buckets_are_numbered_over_all_blocks() -> None:
    spec = TextSpec((NgramBlock("word", 1, 1, 8), *BLOCKS[:1], NgramBlock("word", 2, 2, 9)))
    assert spec.starts == (0, 1 << 8, (1 << 8) + (1 << 18))
    assert spec.buckets == (1 << 8) + (1 << 18) + (1 << 9)


@pytest.mark.parametrize(
    ("unit", "shortest", "longest", "bits", "message"),
    [
        ("byte", 1, 1, 18, r"`unit` is byte; it must be word or character\."),
        ("word", 0, 1, 18, r"an n-gram has 0 to 1 units; 1 to 8 are possible"),
        ("word", 3, 2, 18, r"an n-gram has 3 to 2 units; .*, the shortest first\."),
        ("word", 1, 9, 18, r"an n-gram has 1 to 9 units"),
        ("word", 1, 1, 7, r"`bits` is 7; it must be from 8 to 24\."),
        ("word", 1, 1, 25, r"`bits` is 25; it must be from 8 to 24\."),
    ],
)
def test_a_block_that_is_out_of_range_is_refused(
    unit: Any, shortest: int, longest: int, bits: int, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        NgramBlock(unit, shortest, longest, bits)


@pytest.mark.parametrize("count", [0, 17])
def test_a_number_of_blocks_that_is_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(OptionError, match=f"there are {count} blocks of n-grams; 1 to 16 are"):
        TextSpec(BLOCKS[:1] * count)


@pytest.mark.parametrize("longest", [0, -1, 1001])
def test_a_run_that_is_out_of_range_is_refused(longest: int) -> None:
    with pytest.raises(OptionError, match=f"`longest_run` is {longest}; it must be from 1 to 1000"):
        replace(TextSpec(), longest_run=longest)


BLOCK = {"unit": "word", "shortest": 1, "longest": 1, "bits": 18}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lower": 1}, "texts.lower is 1 and must be true or false"),
        ({"hide_links": "yes"}, "texts.hide_links is 'yes' and must be true or false"),
        ({"hide_mentions": None}, "texts.hide_mentions is null and must be true or false"),
        ({"longest_run": 2.0}, "texts.longest_run is 2.0 and must be a whole number"),
        ({"longest_run": 1 << 90}, "texts.longest_run is an enormous number and must be"),
        ({"blocks": {}}, "texts.blocks is an object and must be a list"),
        ({"blocks": [[]]}, r"texts.blocks\[0\] is a list and must be an object"),
        ({"blocks": [BLOCK | {"unit": 3}]}, r"texts.blocks\[0\].unit is 3 and must be text"),
        ({"blocks": [BLOCK | {"bits": True}]}, r"texts.blocks\[0\].bits is true and must be"),
        ({"blocks": [BLOCK | {"stop": 1}]}, r"texts.blocks\[0\] has 'stop', which is unknown"),
        ({"blocks": [BLOCK, {"unit": "word"}]}, r"texts.blocks\[1\] lacks 'shortest'"),
        ({"vocabulary": []}, "texts has 'vocabulary', which is unknown"),
    ],
)
def test_untrusted_json_is_refused_by_the_name_of_its_field(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(FieldError, match=message):
        text_spec_from_dict(TextSpec().to_dict() | change)


@pytest.mark.parametrize("name", TextSpec().to_dict())
def test_a_missing_field_is_refused(name: str) -> None:
    data = TextSpec().to_dict()
    del data[name]
    with pytest.raises(FieldError, match=f"texts lacks '{name}'"):
        text_spec_from_dict(data)


@pytest.mark.parametrize(
    "change", [{"longest_run": 0}, {"blocks": []}, {"blocks": [BLOCK | {"bits": 60}]}]
)
def test_values_out_of_range_are_refused_in_untrusted_json_too(change: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=r"must be from|are possible"):
        text_spec_from_dict(TextSpec().to_dict() | change)


def test_a_spec_of_posted_texts_alone_is_written_as_by_version_0_1() -> None:
    (block, *_) = TextSpec().to_dict()["blocks"]
    assert block == {"unit": "word", "shortest": 1, "longest": 1, "bits": 18}


def test_the_fields_of_profiles_are_those_that_a_block_counts() -> None:
    assert TextSpec().profile_fields == ()
    every = TextSpec((*BLOCKS, *PROFILE_BLOCKS))
    assert every.profile_fields == PROFILE_COLUMNS
    assert TextSpec(PROFILE_BLOCKS[:1]).profile_fields == ("name", "screen_name")
    some = TextSpec(PROFILE_BLOCKS, fields=("description", "screen_name"))
    assert some.profile_fields == ("screen_name", "description")
    assert TextSpec(BLOCKS, fields=("name",)).profile_fields == ()


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(OptionError, match="`fields` has url; it may have name, screen_name, desc"):
        TextSpec(PROFILE_BLOCKS, fields=("url",))


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(OptionError, match="`source` is url; it must be texts, names or desc"):
        NgramBlock("word", 1, 1, 18, "url")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (BLOCKS[0], "word"),
        (BLOCKS[1], "2 words"),
        (BLOCKS[2], "3 to 5 characters"),
        (PROFILE_BLOCKS[0], "word of names"),
        (PROFILE_BLOCKS[3], "3 to 5 characters of description"),
    ],
)
def test_a_block_says_what_its_ngrams_are(block: NgramBlock, kind: str) -> None:
    assert block.kind == kind
