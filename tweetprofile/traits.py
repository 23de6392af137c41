"""Traits and their classes, as data: what a network predicts about users.

A schema is stored in the checkpoint, so that class names occur in no code except `PRESETS`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tweetprofile.errors import SchemaError
from tweetprofile.plurals import count_of
from tweetprofile.untrusted.repeats import first_repeated
from tweetprofile.untrusted.toml_files import read_toml

MOST_TRAITS = 1_000
"""The largest number of traits in a schema."""

MOST_CLASSES_PER_TRAIT = 1_000

LONGEST_TRAIT_NAME = 100
"""Bytes in UTF-8: report files are named after traits, and file names can have 255 bytes."""

LONGEST_CLASS_NAME = 256
"""The largest number of characters in a class name."""

RESERVED_COLUMNS = frozenset(
    {
        "user_id", "images", "image", "frames_used", "images_given", "images_failed", "status",
        "image_errors", "texts", "text", "texts_used", "texts_given", "texts_cut",
        "profile_fields_used", "split",
    }
)  # fmt: skip
"""Columns of the manifest and the output, whose names a trait must not have.

`split`, which `import folder` writes, names the part of a data set that a user is in.
"""

SPLIT_COLUMN = "split"


def why_not_a_class(name: str) -> str | None:
    """Return why a text cannot name a class, to follow "which" in a message; None if it can."""
    if len(name) > LONGEST_CLASS_NAME:
        return f"has {len(name):,} characters, more than {LONGEST_CLASS_NAME}; shorten it"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "is not UTF-8; rename it"
    return None


@dataclass(frozen=True, slots=True)
class Trait:
    """A property of users to predict, with its classes in order.

    Raises:
        SchemaError: The name is not usable; there are fewer than two classes, or more than
            `MOST_CLASSES_PER_TRAIT`; a class occurs twice; or the name of a class is not UTF-8 or
            is longer than `LONGEST_CLASS_NAME`.
    """

    name: str
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.name.encode("utf-8", "replace")) > LONGEST_TRAIT_NAME:
            raise SchemaError(
                f"'{self.name[:20]}...' cannot name a trait: it has more than {LONGEST_TRAIT_NAME} "
                "bytes; rename it."
            )
        if not self.name.isidentifier() or self.name in RESERVED_COLUMNS:
            raise SchemaError(
                f"'{self.name}' cannot name a trait: it must be a word of letters, digits and "
                "underscores that is not a column of the manifest or output; rename it."
            )
        if len(self.classes) < 2:
            raise SchemaError(
                f"trait '{self.name}' has {count_of(len(self.classes), 'class', 'classes')} "
                "and needs at least two to be worth predicting; add classes or leave the trait out."
            )
        if len(self.classes) > MOST_CLASSES_PER_TRAIT:
            raise SchemaError(
                f"trait '{self.name}' has {len(self.classes):,} classes, but can have at most "
                f"{MOST_CLASSES_PER_TRAIT:,}; merge some."
            )
        if repeated := first_repeated(self.classes):
            raise SchemaError(f"trait '{self.name}' has class '{repeated}' twice; keep one.")
        for each in self.classes:
            if reason := why_not_a_class(each):
                raise SchemaError(f"trait '{self.name}' has class {each[:20]!r}, which {reason}.")


@dataclass(frozen=True, slots=True)
class TraitSchema:
    """The traits of a profile, in the order in which they are written.

    Raises:
        SchemaError: There is no trait, or more than `MOST_TRAITS`; a trait occurs twice; or one
            has the name of another trait's output column.
    """

    traits: tuple[Trait, ...]

    def __post_init__(self) -> None:
        if not self.traits:
            raise SchemaError("a schema needs at least one trait; name one with its classes.")
        if len(self.traits) > MOST_TRAITS:
            raise SchemaError(
                f"a schema can have at most {MOST_TRAITS:,} traits, and this one has "
                f"{len(self.traits):,}; leave some out."
            )
        names = set(self.names)
        if repeated := first_repeated(self.names):
            raise SchemaError(f"trait '{repeated}' is in the schema twice; keep one.")
        for name in self.names:
            for taken in (f"{name}_confidence", f"{name}_probabilities"):
                if taken in names:
                    raise SchemaError(
                        f"trait '{taken}' has the name of a column that belongs to '{name}'; "
                        "rename it."
                    )

    def __iter__(self) -> Iterator[Trait]:
        return iter(self.traits)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the traits, in order."""
        return tuple(trait.name for trait in self.traits)

    def to_dict(self) -> dict[str, list[str]]:
        """Return the schema as JSON: lists of classes by trait name, both in order."""
        return {trait.name: list(trait.classes) for trait in self.traits}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "TraitSchema":
        """Return a schema from the result of `to_dict`.

        Raises:
            SchemaError: The data is not a mapping of names to lists of class names.
        """
        if not isinstance(data, Mapping):
            raise SchemaError("a schema must map each trait to the list of its classes.")
        if len(data) > MOST_TRAITS:  # before any of them is checked
            raise SchemaError(
                f"a schema can have at most {MOST_TRAITS:,} traits, and this one has "
                f"{len(data):,}; leave some out."
            )
        return cls(tuple(_trait(name, classes) for name, classes in data.items()))


PRESETS: Mapping[str, TraitSchema] = {
    # MEX-A3T 2019. The paper's text has "south" where its result table and the data set have
    # "west"; this preset follows the table.
    "mex-a3t-2019": TraitSchema(
        (
            Trait("gender", ("female", "male")),
            Trait("location", ("north", "northwest", "northeast", "center", "west", "southeast")),
            Trait(
                "occupation",
                (
                    "arts", "student", "social", "sciences",
                    "administrative", "health", "sports", "others",
                ),
            ),
        )
    ),
}  # fmt: skip
"""Schemas that can be loaded by name."""


def load_schema(name: str) -> TraitSchema:
    """Return the schema of a preset, or of a TOML file with a ``[traits]`` table.

    Raises:
        SchemaError: There is no such preset and no such file, or the file holds no schema.
    """
    if name in PRESETS:
        return PRESETS[name]
    try:
        content = read_toml(Path(name))
    except FileNotFoundError:
        raise SchemaError(
            f"schema '{name}' is neither a preset ({', '.join(PRESETS)}) nor a file; "
            "name one of these or a TOML file with a [traits] table."
        ) from None
    except (OSError, ValueError) as error:
        raise SchemaError(f"{name} cannot be read as TOML: {error}; correct the file.") from None
    if "traits" not in content:
        raise SchemaError(f'{name} has no [traits] table; write lines like gender = ["a", "b"].')
    return TraitSchema.from_dict(content["traits"])


def _trait(name: str, classes: object) -> Trait:
    if not isinstance(classes, list) or not all(isinstance(item, str) for item in classes):
        raise SchemaError(f"the classes of trait '{name}' must be a list of strings.")
    return Trait(name, tuple(classes))
