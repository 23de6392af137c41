"""JSON and TOML from untrusted files, read field by field, with a check of each field's type.

A reader takes a value and returns it with its type, or raises `FieldError`. Objects are read with a
table of field names and readers::

    build(VolumeSpec, header["volume"], "volume", {"frames": whole, "fill": text, ...})
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from itertools import chain
from typing import Any, NoReturn, TypeVar

from tweetprofile.untrusted.repeats import first_repeated
from tweetprofile.untrusted.text import printable

_DEEPEST = 24
"""The deepest nesting; our files have six levels, and Python's recursion allows some hundred."""

_LONGEST_VALUE = 60
"""The largest number of characters in a wrong value in messages."""

Reader = Callable[[object, str], Any]
"""Takes a value and its name for messages; returns it with its type, or raises `FieldError`."""

T = TypeVar("T")


class FieldError(ValueError):
    """A value is not of the required type; the message names the value and what it should be."""


def parse_json(data: str | bytes, what: str) -> Any:
    """Parse JSON, and refuse everything that would cause errors later.

    Args:
        data: The JSON, in UTF-8.
        what: The name of the data in messages.

    Raises:
        FieldError: The data is not JSON, or has a repeated key, a number that is not finite, half
            a surrogate pair, or more levels of nesting than any of our files.
    """
    try:
        value = json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise FieldError(f"{what} is nested too deeply") from None
    except FieldError as error:
        raise FieldError(f"{what} {error}") from None
    except ValueError as error:
        raise FieldError(f"{what} is not JSON ({error})") from None
    _check_tree(value, what)
    return value


def text(value: object, what: str) -> str:
    """Read a string."""
    return value if isinstance(value, str) else _refuse(value, what, "text")


def whole(value: object, what: str) -> int:
    """Read a whole number of 64 bits; neither a truth value nor 3.0 is one."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 64:
        return value
    return _refuse(value, what, "a whole number")


def number(value: object, what: str) -> float:
    """Read a finite number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            real = float(value)
        except OverflowError:
            real = math.inf
        if math.isfinite(real):
            return real
    return _refuse(value, what, "a finite number")


def truth(value: object, what: str) -> bool:
    """Read a truth value."""
    return value if isinstance(value, bool) else _refuse(value, what, "true or false")


def mapping(value: object, what: str) -> dict[str, Any]:
    """Read an object with any values."""
    return value if isinstance(value, dict) else _refuse(value, what, "an object")


def list_of(reader: Reader) -> Reader:
    """Return a reader of lists, as tuples, whose items are read by `reader`."""

    def read(value: object, what: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            return _refuse(value, what, "a list")
        return tuple(reader(each, f"{what}[{index}]") for index, each in enumerate(value))

    return read


def mapping_of(reader: Reader) -> Reader:
    """Return a reader of objects with any keys, whose values are read by `reader`."""

    def read(value: object, what: str) -> dict[str, Any]:
        given = mapping(value, what)
        return {key: reader(each, f"{what}.{printable(key)}") for key, each in given.items()}

    return read


def optional(reader: Reader) -> Reader:
    """Return a reader of null, or of values that are read by `reader`."""
    return lambda value, what: None if value is None else reader(value, what)


def read_fields(
    value: object, what: str, readers: Mapping[str, Reader], required: Iterable[str] = ()
) -> dict[str, Any]:
    """Read the fields of an object; optional fields may be missing.

    Args:
        value: The object.
        what: The name of the object in messages.
        readers: The readers of all fields that the object may have.
        required: The fields that the object must have.

    Raises:
        FieldError: The value is not an object, has an unknown field, lacks a required field, or a
            field has another type.
    """
    for name in mapping(value, what):
        if name not in readers:
            raise FieldError(f"{what} has '{printable(name, _LONGEST_VALUE)}', which is unknown")
    return read_known(value, what, readers, required)


def read_known(
    value: object, what: str, readers: Mapping[str, Reader], required: Iterable[str] = ()
) -> dict[str, Any]:
    """Read the fields of an object like `read_fields`, but ignore unknown fields.

    Raises:
        FieldError: The value is not an object, lacks a required field, or a field has another type.
    """
    given = mapping(value, what)
    for name in required:
        if name not in given:
            raise FieldError(f"{what} lacks '{name}'")
    return {
        name: reader(given[name], f"{what}.{name}")
        for name, reader in readers.items()
        if name in given
    }


def build(kind: type[T], value: object, what: str, readers: Mapping[str, Reader]) -> T:
    """Build a dataclass from an object with its fields; fields without a default are required.

    Raises:
        FieldError: A field is missing, unknown or of another type; see `read_fields`.
        Exception: Any error that the dataclass itself raises for values out of range.
    """
    required = [
        each.name
        for each in fields(kind)  # type: ignore[arg-type]
        if each.default is MISSING and each.default_factory is MISSING
    ]
    return kind(**read_fields(value, what, readers, required))


def finite(value: Any) -> Any:
    """Return a value for standard JSON, in which NaN and infinite numbers become null."""
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs) and (key := first_repeated(key for key, _ in pairs)) is not None:
        raise FieldError(f"has the key '{printable(key, _LONGEST_VALUE)}' twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise FieldError(f"holds {name}, which is not a number")


def _check_tree(value: Any, what: str) -> None:
    """Refuse values that only Python's parser accepts, without recursion, so that depth is safe."""
    open_levels = [iter((value,))]
    while open_levels:
        each = next(open_levels[-1], _END)
        if each is _END:
            open_levels.pop()
        elif isinstance(each, dict | list):
            if len(open_levels) > _DEEPEST:
                raise FieldError(f"{what} is nested too deeply")
            open_levels.append(chain(each, each.values()) if isinstance(each, dict) else iter(each))
        elif isinstance(each, float) and not math.isfinite(each):
            raise FieldError(f"{what} holds a number that is too large")
        elif isinstance(each, str) and not each.isascii():
            _check_text(each, what)


_END = object()


def _check_text(value: str, what: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        shown = printable(value, _LONGEST_VALUE)
        raise FieldError(f"{what} holds half a surrogate pair in '{shown}'") from None


def _refuse(value: object, what: str, wanted: str) -> NoReturn:
    raise FieldError(f"{what} is {_shown(value)} and must be {wanted}")


def _shown(value: object) -> str:
    """Return a wrong value in few words, however large it is."""
    match value:
        case None | bool():
            return json.dumps(value)
        case dict():
            return "an object"
        case list() | tuple():
            return "a list"
        case str():
            return f"'{printable(value, _LONGEST_VALUE)}'"
        case int() if value.bit_length() > _LONGEST_VALUE:
            return "an enormous number"
    return str(value)
