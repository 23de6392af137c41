"""How a label is read: one rule for training, evaluating, inspecting and importing.

A label is trimmed, and a word that means a missing value is not a class. Apart from that, classes
are kept as they are written: whether `Male` and `male` are the same class is for a person to
decide, so a warning names both.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import combinations

from tweetprofile.plurals import count_of
from tweetprofile.traits import why_not_a_class

UNKNOWN_WORDS = frozenset({"", "nan", "na", "n/a", "null", "none", "<na>", "#n/a"})
"""Labels, in lower case, that spreadsheets, pandas, R and databases write for a missing value."""

_DOUBTFUL_WORDS = frozenset(
    {"?", "-", "--", ".", "missing", "n.a.", "not available", "unk", "unknown", "undefined",
     "#n/d", "#nv", "n/d", "nd", "s/d", "desconocido", "desconocida", "sin dato", "sin datos",
     "no especificado", "inconnu", "unbekannt", "desconhecido", "sconosciuto"}
)  # fmt: skip
"""Labels, in lower case, that may mean "unknown" and may also be meant as classes."""

_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"
"""Byte-order marks and zero-width characters, which `str.strip` does not remove."""

MOST_CLASSES = 64
"""A column with more different values is taken for prose or names, not for a trait."""

MOST_VALUES = 4_096
"""The largest number of different values that are counted; a column with more holds prose or
measurements."""

MOST_NUMBERS = 20
"""A column with more different numbers is taken for a count or a measurement, not for a trait."""

_LEAST_USERS_PER_CLASS = 2
"""A column with fewer users per value, on average, is taken for names."""

_PARTS = frozenset(
    {"train", "training", "val", "valid", "validation", "dev", "development", "test", "testing"}
)
"""Values of a column that names the part of a data set that each user belongs to."""

_RARITY = 5
"""A class is taken for a misspelling of a similar class with at least this many times its users."""

_LEAST_LETTERS = 4
_LETTERS_OF_TWO_SLIPS = 10
"""Shorter words that differ in one letter, or in two, are taken for different words."""

_MOST_SHOWN = 100
"""The largest number of characters of a value in messages."""

_BETWEEN = re.compile(r"(?<=\w)[\s_-]+(?=\w)")
"""Separators between the words of a class, which some people leave out."""


_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
_DECIMAL = re.compile(r"[.,]")


class ValueKind(StrEnum):
    """The kinds of values in a label column, in words."""

    TEXT = "text"
    INTEGER = "whole numbers"
    BOOLEAN = "true and false"


@dataclass(frozen=True, slots=True)
class LabelColumn:
    """The classes that were found in a label column.

    Attributes:
        name: The column's name.
        classes: The number of users per class; the order of the classes is that of their numbers.
        why_not_a_trait: Why the column is not a trait to learn, to follow its name in a message;
            None if it is a trait.
        notes: Sentences about how the values were read.
        warnings: Sentences about classes that look alike.
    """

    name: str
    classes: Mapping[str, int]
    why_not_a_trait: str | None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, name: str, counts: Mapping[str, int], kind: ValueKind, *, too_many_values: bool = False
    ) -> "LabelColumn":
        """Decide from a column's values whether it is a trait, and with which classes.

        Args:
            name: The column's name.
            counts: The number of users per value, as it is written.
            kind: The kind of the values.
            too_many_values: Whether the column holds more different values than were counted.
        """
        classes, numeric = count_classes(counts), kind is ValueKind.INTEGER
        ordered = dict(sorted(classes.items(), key=_by_number if numeric else None))
        reason = _why_not_a_trait(ordered, numeric=numeric, too_many_values=too_many_values)
        if reason is not None:
            return cls(name, ordered, reason)
        notes = tuple(_notes(name, counts, ordered, kind))
        return cls(name, ordered, None, notes, tuple(_warnings(name, ordered)))


@lru_cache(maxsize=1 << 12)
def class_of(value: str) -> str | None:
    """Return the class that a label names; None if it means a missing value."""
    trimmed = value.strip().strip(_INVISIBLE).strip()
    return None if trimmed.lower() in UNKNOWN_WORDS else trimmed


def count_classes(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the number of users per class from the number of users per value."""
    classes: Counter[str] = Counter()
    for value, count in counts.items():
        if (name := class_of(value)) is not None:
            classes[name] += count
    return dict(classes)


def nearest(value: str, classes: Mapping[str, object] | tuple[str, ...]) -> str | None:
    """Return the class that a misspelt value seems to mean; None if it resembles none."""
    plain = _plain(value)
    alike = next((name for name in classes if _plain(name) == plain), None)
    return alike or next((name for name in classes if _is_slip(value, name)), None)


def unknown_note(name: str, counts: Mapping[str, int], classes: Mapping[str, int]) -> str | None:
    """Return a sentence about the values that mean missing values; None if there are none.

    Args:
        name: The column's name.
        counts: The number of users per value.
        classes: Values that are classes in any case, because a schema names them.
    """
    spelled: Counter[str] = Counter()
    for value, count in counts.items():
        if count and class_of(value) is None and value not in classes:
            spelled[value.strip()] += count
    if not spelled:
        return None
    words = ", ".join(f"'{value}' {count:,}" for value, count in spelled.most_common(8))
    users = _users(spelled.total())
    return f"{name}: {users} without a label, because of values read as missing: {words}"


def _why_not_a_trait(
    classes: Mapping[str, int], *, numeric: bool, too_many_values: bool
) -> str | None:
    """Return why a column is not a trait to learn, in words; None if it is a trait."""
    if too_many_values:
        return f"has too many different values (more than {MOST_VALUES:,})"
    labelled = sum(classes.values())
    if len(classes) < 2:
        only = next(iter(classes), "")
        return f"is always '{only[:_MOST_SHOWN]}'" if classes else "has no labels"
    if len(classes) > MOST_CLASSES or labelled < _LEAST_USERS_PER_CLASS * len(classes):
        return f"has too many different values ({len(classes):,} in {count_of(labelled, 'label')})"
    if numeric and len(classes) > MOST_NUMBERS:
        return (
            f"has {len(classes)} different numbers, more than {MOST_NUMBERS}, like a count or an "
            "age; write classes as text"
        )
    return _why_not_classes(classes)


def _why_not_classes(classes: Mapping[str, int]) -> str | None:
    """Return why the values of a column are not classes, in words; None if they are."""
    if any(map(_DECIMAL.search, classes)) and all(map(_NUMBER.fullmatch, classes)):
        return "holds decimal numbers, like a measurement; write classes as text"
    if all(name.lower() in _PARTS for name in classes):
        return "names the parts of a data set"
    broken = next(filter(None, map(why_not_a_class, classes)), None)
    return f"has a class that {broken}" if broken else None


def _notes(
    name: str, counts: Mapping[str, int], classes: Mapping[str, int], kind: ValueKind
) -> Iterator[str]:
    if kind is not ValueKind.TEXT:
        listed = ", ".join(f"'{each}'" for each in classes)
        yield f"{name}: {kind}, read as the classes {listed}"
    if (unknown := unknown_note(name, counts, {})) is not None:
        yield unknown
    trimmed = [
        value for value, count in counts.items() if count and class_of(value) not in (None, value)
    ]
    if trimmed:
        users = _users(sum(counts[value] for value in trimmed))
        yield f"{name}: {users} with spaces around the label, which were removed"


def _warnings(name: str, classes: Mapping[str, int]) -> Iterator[str]:
    for word in classes:
        if word.lower() in _DOUBTFUL_WORDS:
            yield (
                f"{name}: '{word}' ({_users(classes[word])}) is taken as a class; leave the label "
                "empty if it means that the class is unknown."
            )
    groups: dict[str, list[str]] = {}
    for word in classes:
        groups.setdefault(_plain(word), []).append(word)
    for alike in filter(lambda group: len(group) > 1, groups.values()):
        each = ", ".join(f"'{word}' ({_users(classes[word])})" for word in alike)
        yield f"{name}: {each} differ only in case, accents or spaces, and are kept apart; {_FIX}"
    for word in classes:
        if (meant := _misread(word)) is not None:
            yield (
                f"{name}: '{word}' ({_users(classes[word])}) looks like '{meant}' read in another "
                "encoding; save the table again as UTF-8."
            )
    slips = list(_slips(classes))
    for rare, usual in slips:
        yield (
            f"{name}: '{rare}' ({_users(classes[rare])}) looks like '{usual}' "
            f"({_users(classes[usual])}), and is kept apart; {_FIX}"
        )
    alone = [
        word
        for word, users in classes.items()
        if users == 1 and len(groups[_plain(word)]) == 1 and word not in dict(slips)
    ]
    if alone:
        said = ", ".join(f"'{word}'" for word in alone[:8]) + ", ..." * (len(alone) > 8)
        yield f"{name}: classes of a single user can be neither learnt nor measured: {said}."


def _misread(word: str) -> str | None:
    """Return a word whose UTF-8 was read as Western European, repaired; None for other words."""
    if word.isascii():
        return None
    for codec in ("cp1252", "latin-1"):
        try:
            return word.encode(codec).decode("utf-8")
        except UnicodeError:
            continue
    return None


_FIX = "write them alike if they are one class."


def _slips(classes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield pairs of a rare class and the frequent class that it seems to misspell."""
    for pair in combinations(classes, 2):
        rare, usual = sorted(pair, key=classes.__getitem__)
        if _RARITY * classes[rare] <= classes[usual] and _is_slip(rare, usual):
            yield rare, usual


def _is_slip(one: str, other: str) -> bool:
    one, other = _plain(one), _plain(other)
    length = min(len(one), len(other))
    if one == other or length < _LEAST_LETTERS or not (one + other).isalpha():
        return False
    return _distance(one, other) <= (2 if length >= _LETTERS_OF_TWO_SLIPS else 1)


def _distance(one: str, other: str) -> int:
    """Return the optimal string alignment distance between two words.

    It is the number of letters to insert, remove, replace or swap with their neighbour.
    """
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        line = [row]
        for column, against in enumerate(other, 1):
            cost = min(last[column] + 1, line[-1] + 1, last[column - 1] + (letter != against))
            if before and column > 1 and letter == other[column - 2] and one[row - 2] == against:
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        before, last = last, line
    return last[-1]


def _plain(word: str) -> str:
    """Return a word without case, accents, spaces and hyphens, which people write carelessly."""
    letters = unicodedata.normalize("NFKD", _BETWEEN.sub("", word.casefold()))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _by_number(each: tuple[str, int]) -> tuple[int, str]:
    return int(each[0]), each[0]


def _users(count: int) -> str:
    return f"{count:,} user" + "s" * (count != 1)
