"""What a model counts in texts; its checkpoint says so, and `predict` counts the same."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any, Literal, get_args

from tweetprofile.errors import OptionError
from tweetprofile.plurals import count_of
from tweetprofile.untrusted.fields import build, list_of, read_fields, text, truth, whole

Unit = Literal["word", "character"]
"""What an n-gram consists of. Characters run across words, but not across texts."""

Source = Literal["texts", "names", "description"]
"""Where an n-gram is counted: in texts that users posted, or in their own profiles."""

PROFILE_FIELDS: Mapping[Source, tuple[str, ...]] = {
    "names": ("name", "screen_name"),
    "description": ("description",),
}
"""The fields of a profile that each source consists of."""

Frequencies = Literal["logarithmic", "saturating"]
"""What an n-gram that occurs c times weighs: 1 + log c, or 2c / (1 + c), which is at most 2."""

LONGEST_NGRAM = 8
"""The largest length of an n-gram."""

_BITS = (8, 24)
"""The smallest and the largest logarithm of the number of buckets of a block."""

_MOST_BLOCKS = 16

_MOST_BUCKETS = 1 << 25
"""The largest number of buckets of all blocks; a model keeps 4 bytes for each in memory."""


@dataclass(frozen=True, slots=True)
class NgramBlock:
    """N-grams that are counted together, and whose vector has length 1.

    Attributes:
        unit: What an n-gram consists of: `word` or `character`.
        shortest: The smallest number of units per n-gram.
        longest: The largest number of units per n-gram.
        bits: The base-2 logarithm of the number of buckets that n-grams are hashed into.
        source: Where they are counted: in `texts`, or in the `names` or the `description` of
            profiles.

    Raises:
        OptionError: A value is out of range.
    """

    unit: Unit
    shortest: int
    longest: int
    bits: int
    source: Source = "texts"

    def __post_init__(self) -> None:
        if self.source not in get_args(Source):
            raise OptionError(f"`source` is {self.source}; it must be texts, names or description.")
        if self.unit not in get_args(Unit):
            raise OptionError(f"`unit` is {self.unit}; it must be word or character.")
        if not 1 <= self.shortest <= self.longest <= LONGEST_NGRAM:
            raise OptionError(
                f"an n-gram has {self.shortest} to {self.longest} units; 1 to {LONGEST_NGRAM} are "
                "possible, the shortest first."
            )
        low, high = _BITS
        if not low <= self.bits <= high:
            raise OptionError(f"`bits` is {self.bits}; it must be from {low} to {high}.")

    @property
    def kind(self) -> str:
        """What the n-grams are: `word`, `2 words`, `3 to 5 characters`, `word of names`."""
        lengths = f"{self.shortest}"
        if self.longest > self.shortest:
            lengths += f" to {self.longest}"
        kind = self.unit if lengths == "1" else f"{lengths} {self.unit}s"
        return kind if self.source == "texts" else f"{kind} of {self.source}"

    @property
    def buckets(self) -> int:
        """The number of buckets."""
        return 1 << self.bits


BLOCKS = (
    NgramBlock("word", 1, 1, 18),
    NgramBlock("word", 2, 2, 20),
    NgramBlock("character", 3, 5, 21),
)
"""The default n-grams: single words, pairs of words, and 3 to 5 characters."""

PROFILE_BLOCKS = (
    NgramBlock("word", 1, 1, 18, "names"),
    NgramBlock("character", 2, 5, 19, "names"),
    NgramBlock("word", 1, 2, 19, "description"),
    NgramBlock("character", 3, 5, 20, "description"),
)
"""The n-grams of profiles. Names are short, so two characters of them tell something, too."""


@dataclass(frozen=True, slots=True)
class TextSpec:
    """How texts are normalised, and which n-grams are counted.

    Attributes:
        blocks: The kinds of n-grams, each with buckets of its own.
        lower: Whether capital letters count as small ones.
        hide_links: Whether every link counts as the same word.
        hide_mentions: Whether every `@name` counts as the same word.
        longest_run: The number of equal characters in a row that more of them are cut to.
        frequencies: What an n-gram weighs that occurs several times.
        fields: The fields of profiles that are counted, as far as a block counts them; if empty,
            all that a block counts.

    Raises:
        OptionError: A value is out of range.
    """

    blocks: tuple[NgramBlock, ...] = BLOCKS
    lower: bool = True
    hide_links: bool = True
    hide_mentions: bool = True
    longest_run: int = 3
    frequencies: Frequencies = "logarithmic"
    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.frequencies not in get_args(Frequencies):
            raise OptionError(
                f"`frequencies` is {self.frequencies}; it must be logarithmic or saturating."
            )
        if not 1 <= len(self.blocks) <= _MOST_BLOCKS:
            raise OptionError(
                f"there are {count_of(len(self.blocks), 'block')} of n-grams; 1 to {_MOST_BLOCKS} "
                "are possible."
            )
        if self.buckets > _MOST_BUCKETS:
            raise OptionError(
                f"the blocks have {count_of(self.buckets, 'bucket')}; at most {_MOST_BUCKETS:,} "
                "are possible."
            )
        known = [name for names in PROFILE_FIELDS.values() for name in names]
        for name in self.fields:
            if name not in known:
                raise OptionError(f"`fields` has {name}; it may have {', '.join(known)}.")
        if not 1 <= self.longest_run <= 1000:
            raise OptionError(f"`longest_run` is {self.longest_run}; it must be from 1 to 1000.")

    @property
    def starts(self) -> tuple[int, ...]:
        """The first bucket of each block; buckets are numbered over all blocks."""
        return tuple(accumulate((block.buckets for block in self.blocks[:-1]), initial=0))

    @property
    def buckets(self) -> int:
        """The number of buckets of all blocks."""
        return sum(block.buckets for block in self.blocks)

    def blocks_of(self, source: Source) -> Iterator[tuple[int, NgramBlock]]:
        """Yield the blocks of a source, each with its first bucket."""
        for start, block in zip(self.starts, self.blocks, strict=True):
            if block.source == source:
                yield start, block

    @property
    def sources(self) -> frozenset[Source]:
        """Where n-grams are counted."""
        return frozenset(block.source for block in self.blocks)

    @property
    def profile_fields(self) -> tuple[str, ...]:
        """The fields of profiles in which n-grams are counted."""
        own = self.sources
        return tuple(
            name
            for source, names in PROFILE_FIELDS.items()
            if source in own
            for name in names
            if name in (self.fields or names)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as JSON; what version 0.1 knew is written as it wrote it.

        A block of posted texts has no `source`, and neither logarithmic frequencies nor `fields`
        without a field are mentioned.
        """
        spec = asdict(self)
        if not self.fields:
            del spec["fields"]
        if self.frequencies == "logarithmic":
            del spec["frequencies"]
        for block in spec["blocks"]:
            if block["source"] == "texts":
                del block["source"]
        return spec


def text_spec_from_dict(data: Mapping[str, Any]) -> TextSpec:
    """Read untrusted JSON: the inverse of `TextSpec.to_dict`.

    Raises:
        FieldError: A field is missing, unknown or of another type.
        OptionError: A value is out of range.
    """
    readers = {
        "blocks": list_of(_block),
        "lower": truth,
        "hide_links": truth,
        "hide_mentions": truth,
        "longest_run": whole,
    }
    added = {"frequencies": text, "fields": list_of(text)}
    found = read_fields(data, "texts", {**readers, **added}, readers)
    lists = {"blocks": tuple(found["blocks"]), "fields": tuple(found.get("fields", ()))}
    return TextSpec(**{**found, **lists})


def _block(value: object, what: str) -> NgramBlock:
    readers = {"unit": text, "shortest": whole, "longest": whole, "bits": whole, "source": text}
    return build(NgramBlock, value, what, readers)
