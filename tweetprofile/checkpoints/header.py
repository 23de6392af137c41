"""What the header of a checkpoint says, from JSON that anybody may have written.

Every field is read with its type and range here, when a checkpoint is loaded, so that nothing of it
can fail later: not in `predict`, and not where `info` shows it to people.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tweetprofile.checkpoints.fingerprints import read_training_fingerprint
from tweetprofile.networks import NetworkSpec, spec_from_dict, spec_to_dict
from tweetprofile.traits import TraitSchema
from tweetprofile.untrusted.fields import (
    FieldError,
    list_of,
    mapping,
    mapping_of,
    number,
    optional,
    read_fields,
    read_known,
    text,
    whole,
)
from tweetprofile.volumes.spec import VolumeSpec, volume_from_dict

FORMAT = 3
"""Version of what stands in a header; raised when an older reader would misread it."""

MAX_MEMBERS = 64
"""Networks of a checkpoint; a file that claims more is none of ours."""

_TEMPERATURES = (1e-3, 1e3)
"""Calibration draws them from 0.05 to 20; beyond these, softmax has nothing left to say."""


@dataclass(frozen=True, slots=True)
class CheckpointHeader:
    """All that a checkpoint says besides its weights.

    Attributes:
        network_spec: the layers of its network, or of each of its members.
        members: networks whose mean it predicts.
        volume_spec: the volumes it takes.
        schema: the traits it predicts.
        training: how it was trained and how it scored, as JSON; for people. The fields of it that
            we know have their types.
        temperatures: by trait, what its logits are divided by.
    """

    network_spec: NetworkSpec
    members: int
    volume_spec: VolumeSpec
    schema: TraitSchema
    training: Mapping[str, Any]
    temperatures: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "format": FORMAT,
            "network": spec_to_dict(self.network_spec),
            "members": self.members,
            "volume": asdict(self.volume_spec),
            "schema": self.schema.to_dict(),
            "training": dict(self.training),
            "temperatures": dict(self.temperatures),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "CheckpointHeader":
        """The inverse of `to_dict`, of this format or an older one.

        Raises:
            FieldError: a field is missing, unknown or of another type.
            InputError: a value is out of range.
        """
        required = ("network", "volume", "schema", "training")
        found = read_fields(data, "its header", _READERS, required)
        schema = TraitSchema.from_dict(found["schema"])
        return cls(
            spec_from_dict(found["network"]),
            _members(found.get("members", 1)),
            volume_from_dict(found["volume"]),
            schema,
            _checked_training(found["training"]),
            _temperatures(found.get("temperatures", {}), schema),
        )


def describe_origin(training: Mapping[str, Any]) -> str:
    """Where a checkpoint is from, in half a sentence, as far as it says so itself."""
    run, finished = training.get("run"), training.get("finished")
    users, manifest = training.get("users"), training.get("manifest")
    parts = [
        f"run '{run}'" if run else "",
        f"trained {finished}" if finished else "",
        f"on {users:,} users" + (f" of {manifest}" if manifest else "") if users else "",
    ]
    return ", ".join(filter(None, parts)) or "it does not say how it was trained"


def format_of(data: object) -> int:
    """The version of a header, whatever else it holds.

    Raises:
        FieldError: it does not say.
    """
    version: int = read_known(data, "its header", {"format": whole}, ("format",))["format"]
    if version < 1:
        raise FieldError(f"its header is of format {version}, which there never was")
    return version


_READERS = {
    "format": whole,
    "network": mapping,
    "members": whole,  # formats 1 and 2 had one
    "volume": mapping,
    "schema": mapping,
    "training": mapping,
    "temperatures": mapping_of(number),  # format 1 had none
}


def _members(members: int) -> int:
    if not 1 <= members <= MAX_MEMBERS:
        raise FieldError(f"it has {members} members, and 1 to {MAX_MEMBERS} are possible")
    return members


def _temperatures(given: Mapping[str, float], schema: TraitSchema) -> dict[str, float]:
    found = read_fields(dict(given), "temperatures", dict.fromkeys(schema.names, number))
    low, high = _TEMPERATURES
    for name, temperature in found.items():
        if not low <= temperature <= high:
            raise FieldError(
                f"the temperature of '{name}' is {temperature:g} and must be from {low:g} to "
                f"{high:g}"
            )
    return {name: found.get(name, 1.0) for name in schema.names}


def _score(value: object, what: str) -> dict[str, Any]:
    readers = {"accuracy": number, "macro_f1": number, "majority": number, "users": whole}
    return read_known(value, what, readers, ("accuracy", "majority", "users"))


def _best(value: object, what: str) -> dict[str, Any]:
    return read_known(value, what, {"epoch": whole, "scores": mapping_of(_score)})


def _fold(value: object, what: str) -> dict[str, Any]:
    names = ("accuracy", "accuracy_spread", "macro_f1", "macro_f1_spread", "majority")
    return read_fields(
        value, what, {**dict.fromkeys(names, number), "users": whole}, (*names, "users")
    )


_TRAINING = {
    "version": text,
    "users": whole,
    "val_users": whole,
    "left_out": whole,
    "unlabelled": whole,
    "epochs": optional(whole),
    "seconds": number,
    "kept_epochs": list_of(whole),
    "best": _best,
    "calibration": mapping,
    "settings": mapping,
    "warnings": list_of(text),
    "notes": list_of(text),
    "folds": mapping_of(_fold),
    "seen": read_training_fingerprint,
    "finished": text,
    "manifest": text,
    "run": text,
}


def _checked_training(training: dict[str, Any]) -> dict[str, Any]:
    """The same, once those fields that are shown or read back have their types."""
    read_known(training, "training", _TRAINING)
    return training
