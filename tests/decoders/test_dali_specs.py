"""DALI's operators take the arguments that the decoder gives them, also those for a GPU.

The specification of an operator needs no GPU: DALI checks the name of every argument when an
operator is made, and its schema says which type an argument has.
"""

import inspect
from typing import Any

import pytest

from tweetprofile.decoders.dali import decode_arguments, resize_arguments

pytest.importorskip("nvidia.dali", reason="DALI is for Linux")

Arguments = dict[str, Any]

DECODER, RESIZE = "decoders__Image", "Resize"


def check(operator: str, backend: str, arguments: Arguments) -> None:
    """Refuse arguments that an operator lacks, or that have another type."""
    from nvidia.dali import backend as dali
    from nvidia.dali import ops, types

    number = (int, float)
    kinds = {
        types.BOOL: bool,
        types.FLOAT: number,
        types.DALIDataType.IMAGE_TYPE: types.DALIImageType,
        types.DALIDataType.INTERP_TYPE: types.DALIInterpType,
        types.DALIDataType._FLOAT_VEC: list,
    }
    made = {DECODER: ops.decoders.Image, RESIZE: ops.Resize}[operator]
    made(device=backend, **arguments)
    schema = dali.GetSchema(operator)  # type: ignore[attr-defined]
    assert backend in schema.GetSupportedBackends()
    for name, value in arguments.items():
        kind = schema.GetArgumentType(name)
        if not isinstance(value, kinds[kind]):
            raise TypeError(f"{name} of {operator} is {kind}, not {value!r}")


def of_decoder(device_type: str, **changes: Any) -> Arguments:
    arguments = decode_arguments(device_type) | changes
    del arguments["device"]
    return arguments


@pytest.mark.parametrize(("device_type", "backend"), [("cpu", "cpu"), ("cuda", "mixed")])
def test_the_image_decoder_takes_the_arguments(device_type: str, backend: str) -> None:
    check(DECODER, backend, of_decoder(device_type))


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_the_resize_takes_the_arguments(backend: str) -> None:
    check(RESIZE, backend, resize_arguments(112, 112))


@pytest.mark.parametrize("device_type", ["cpu", "cuda"])
def test_the_functions_that_the_decoder_calls_take_the_same_arguments(device_type: str) -> None:
    import nvidia.dali.experimental.dynamic as ndd

    inspect.signature(ndd.decoders.image).bind([], **decode_arguments(device_type))
    inspect.signature(ndd.resize).bind([], **resize_arguments(112, 112))


def test_an_argument_that_is_misspelt_is_found() -> None:
    with pytest.raises(KeyError, match="jpeg_fancy_upsample"):
        check(DECODER, "mixed", of_decoder("cuda", jpeg_fancy_upsample=True))
    with pytest.raises(KeyError, match="antialiasing"):
        check(RESIZE, "gpu", {**resize_arguments(112, 112), "antialiasing": True})


@pytest.mark.parametrize(
    "wrong", [{"jpeg_fancy_upsampling": 0.5}, {"hw_decoder_load": "0"}, {"output_type": 3}]
)
def test_an_argument_of_another_type_is_found(wrong: Arguments) -> None:
    with pytest.raises(TypeError, match=next(iter(wrong))):
        check(DECODER, "mixed", of_decoder("cuda", **wrong))


def test_on_a_gpu_the_decoder_of_an_image_does_not_depend_on_its_batch() -> None:
    """Of a load between 0 and 1, DALI gives that share of a batch to the hardware decoder."""
    assert decode_arguments("cuda")["hw_decoder_load"] in (0.0, 1.0)
