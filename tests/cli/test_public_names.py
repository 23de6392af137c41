"""The package exports every name that its public functions need."""

import inspect
import types
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

import tweetprofile


def test_every_public_name_can_be_imported() -> None:
    for name in tweetprofile.__all__:
        assert getattr(tweetprofile, name) is not None
    assert set(tweetprofile.__all__) == set(tweetprofile._HOMES) | {"__version__"}
    assert set(dir(tweetprofile)) == set(tweetprofile.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'guess'"):
        _ = tweetprofile.guess


def classes_in(annotation: Any) -> Iterator[type]:
    """Yield the classes of this package in an annotation, such as `Callable[[A], B | None]`."""
    parts = annotation if isinstance(annotation, list) else get_args(annotation)
    for part in parts:
        yield from classes_in(part)
    if inspect.isclass(annotation) and annotation.__module__.startswith("tweetprofile."):
        yield annotation


PUBLIC = [getattr(tweetprofile, name) for name in tweetprofile.__all__]
FUNCTIONS = [each for each in PUBLIC if isinstance(each, types.FunctionType)]
OPTIONS = [each for each in PUBLIC if inspect.isclass(each) and each.__name__.endswith("Options")]


@pytest.mark.parametrize("public", [*FUNCTIONS, *OPTIONS], ids=lambda each: each.__name__)
def test_every_class_that_a_public_function_takes_or_returns_is_public(public: Any) -> None:
    annotations = get_type_hints(public)
    assert annotations
    for name, annotation in annotations.items():
        for each in classes_in(annotation):
            assert each in PUBLIC, f"{public.__name__}, {name}: {each.__name__}"


def test_classes_are_found_inside_of_generic_annotations() -> None:
    found = classes_in(get_type_hints(tweetprofile.predict_manifest)["on_progress"])
    assert tweetprofile.Progress in found
