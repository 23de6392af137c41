"""The temperatures of a checkpoint, read from JSON that anyone may have written."""

from collections.abc import Mapping

from tweetprofile.traits import TraitSchema
from tweetprofile.untrusted.fields import FieldError, number, read_fields

_RANGE = (1e-3, 1e3)
"""The range of temperatures. Calibration yields 0.05 to 20; beyond this range, softmax carries no
information."""


def read_temperatures(given: Mapping[str, float], schema: TraitSchema) -> dict[str, float]:
    """Return the temperature of every trait; 1 for traits without one.

    Raises:
        FieldError: A trait is unknown, or a temperature is out of range.
    """
    found = read_fields(dict(given), "temperatures", dict.fromkeys(schema.names, number))
    low, high = _RANGE
    for name, temperature in found.items():
        if not low <= temperature <= high:
            raise FieldError(
                f"the temperature of '{name}' is {temperature:g}; it must be from {low:g} to "
                f"{high:g}"
            )
    return {name: found.get(name, 1.0) for name in schema.names}
