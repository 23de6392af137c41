"""The header of a checkpoint, read from JSON that anyone may have written.

Loading a checkpoint checks the type and range of every field, so that no field can cause an error
later, neither in `predict` nor where `info` displays it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tweetprofile.checkpoints.fingerprints import read_training_fingerprint
from tweetprofile.checkpoints.temperatures import read_temperatures
from tweetprofile.checkpoints.text_part import TextHeader
from tweetprofile.checkpoints.weights_record import read_weights_record
from tweetprofile.networks import NetworkSpec, NoImagesSpec, spec_from_dict, spec_to_dict
from tweetprofile.plurals import count_of
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
    truth,
    whole,
)
from tweetprofile.volumes.spec import VolumeSpec, volume_from_dict

FORMAT = 6
"""The version of the header; it is raised when an older version would misread or refuse the header.

Format 4 adds the detail of the volume. Format 5 adds networks over embeddings, and a mean and a
deviation per channel. Format 6 adds texts; a model without them has format 5 as before.
"""

_FORMAT_WITHOUT_TEXTS = 5

MAX_MEMBERS = 64
"""The largest number of networks in a checkpoint; tweetprofile never writes more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointHeader:
    """Everything in a checkpoint besides its weights.

    Attributes:
        network_spec: The layers of the network, or of each member of an ensemble.
        members: The number of networks whose mean is the model.
        volume_spec: The volumes that the network takes.
        schema: The traits that the model predicts.
        training: How the model was trained and how it scored, as JSON for people to read. The types
            of known fields have been checked.
        temperatures: For each trait, the number that divides its logits.
        texts: What belongs to a model of texts; None for a model of images alone.
    """

    network_spec: NetworkSpec
    members: int
    volume_spec: VolumeSpec
    schema: TraitSchema
    training: Mapping[str, Any]
    temperatures: Mapping[str, float]
    texts: TextHeader | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the header as JSON."""
        texts = {} if self.texts is None else {"texts": self.texts.to_dict()}
        return {
            "format": FORMAT if texts else _FORMAT_WITHOUT_TEXTS,
            **texts,
            "network": spec_to_dict(self.network_spec),
            "members": self.members,
            "volume": asdict(self.volume_spec),
            "schema": self.schema.to_dict(),
            "training": dict(self.training),
            "temperatures": dict(self.temperatures),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "CheckpointHeader":
        """Return the header that `to_dict` of this version or an older one wrote.

        Raises:
            FieldError: A field is missing, unknown or of another type.
            InputError: A value is out of range.
        """
        required = ("network", "volume", "schema", "training")
        found = read_fields(data, "its header", _READERS, required)
        schema = TraitSchema.from_dict(found["schema"])
        network_spec = spec_from_dict(found["network"])
        texts = TextHeader.from_dict(found["texts"], schema) if "texts" in found else None
        _require_input(network_spec, texts)
        return cls(
            texts=texts,
            network_spec=network_spec,
            members=_members(found.get("members", 1)),
            volume_spec=volume_from_dict(found["volume"]),
            schema=schema,
            training=_checked_training(found["training"]),
            temperatures=read_temperatures(found.get("temperatures", {}), schema),
        )


def _require_input(network_spec: NetworkSpec, texts: TextHeader | None) -> None:
    """Require that a model looks at images or reads texts, and fuses them if it does both."""
    sees_images = not isinstance(network_spec, NoImagesSpec)
    if texts is None and not sees_images:
        raise FieldError("it neither looks at images nor reads texts")
    if texts is not None and bool(texts.fusion) != sees_images:
        raise FieldError("it has a fusion without images, or images and texts without a fusion")


def describe_origin(training: Mapping[str, Any]) -> str:
    """Describe the origin of a checkpoint in half a sentence, as far as its header says."""
    run, finished = training.get("run"), training.get("finished")
    users, manifest = training.get("users"), training.get("manifest")
    parts = [
        f"run '{run}'" if run else "",
        f"trained {finished}" if finished else "",
        f"on {count_of(users, 'user')}" + (f" of {manifest}" if manifest else "") if users else "",
    ]
    return ", ".join(filter(None, parts)) or "it does not say how it was trained"


def format_of(data: object) -> int:
    """Return the version of a header, whatever else the header contains.

    Raises:
        FieldError: The header has no valid version.
    """
    version: int = read_known(data, "its header", {"format": whole}, ("format",))["format"]
    if version < 1:
        raise FieldError(f"its header has format {version}, which does not exist")
    return version


_READERS = {
    "format": whole,
    "network": mapping,
    "members": whole,  # absent in formats 1 and 2, which have one network
    "volume": mapping,
    "schema": mapping,
    "training": mapping,
    "temperatures": mapping_of(number),  # absent in format 1
    "texts": mapping,  # absent in models of images alone
}


def _members(members: int) -> int:
    if not 1 <= members <= MAX_MEMBERS:
        raise FieldError(f"it has {count_of(members, 'member')}; 1 to {MAX_MEMBERS} are possible")
    return members


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
    "held_out_in_turn": truth,
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
    "learned": text,
    "weights": read_weights_record,
    "finished": text,
    "manifest": text,
    "run": text,
}


def _checked_training(training: dict[str, Any]) -> dict[str, Any]:
    """Return `training` after checking the types of all fields that are displayed or read back."""
    read_known(training, "training", _TRAINING)
    return training
