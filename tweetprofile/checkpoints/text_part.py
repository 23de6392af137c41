"""The part of a checkpoint that reads texts: a linear model, and how it joins the images'.

A file of untrusted origin may claim anything, so every number is checked before it is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from tweetprofile.checkpoints.temperatures import read_temperatures
from tweetprofile.checkpoints.tensors import TensorKind
from tweetprofile.scoring.fusion import Fusion, fusion_from_dict
from tweetprofile.texts.model import TermWeights, TextModel
from tweetprofile.texts.spec import TextSpec, text_spec_from_dict
from tweetprofile.traits import TraitSchema
from tweetprofile.untrusted.fields import FieldError, mapping, mapping_of, number, read_fields

PREFIX = "texts."
"""The beginning of the names of its tensors."""

_BUCKETS, _IDF, _WEIGHTS, _BIASES = (
    f"{PREFIX}{name}" for name in ("buckets", "idf", "weights", "biases")
)


@dataclass(frozen=True, slots=True)
class TextHeader:
    """What the header of a checkpoint says of its texts.

    Attributes:
        spec: What is counted.
        temperatures: For each trait, the number that divides the logits of texts.
        fusion: How each trait combines texts with images; empty if the model sees no images.
    """

    spec: TextSpec
    temperatures: Mapping[str, float]
    fusion: Mapping[str, Fusion] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the header as JSON."""
        return {
            "spec": self.spec.to_dict(),
            "temperatures": dict(self.temperatures),
            "fusion": {name: each.to_dict() for name, each in self.fusion.items()},
        }

    @classmethod
    def from_dict(cls, data: object, schema: TraitSchema) -> "TextHeader":
        """Read untrusted JSON: the inverse of `to_dict`.

        Raises:
            FieldError: A field is missing, unknown or of another type.
            OptionError: A value is out of range.
        """
        readers = {"spec": mapping, "temperatures": mapping_of(number), "fusion": mapping}
        found = read_fields(data, "texts", readers, readers)
        fusion = found["fusion"]
        if fusion and set(fusion) != set(schema.names):
            raise FieldError("the fusion of texts must name every trait, or none")
        if set(found["temperatures"]) != set(schema.names):
            raise FieldError("the temperatures of texts must name every trait")
        return cls(
            text_spec_from_dict(found["spec"]),
            read_temperatures(found["temperatures"], schema),
            {
                trait.name: fusion_from_dict(fusion[trait.name], len(trait.classes))
                for trait in schema
                if fusion
            },
        )

    def kinds(self, schema: TraitSchema, found: Mapping[str, TensorKind]) -> dict[str, TensorKind]:
        """Return the kinds that its tensors must have; the file decides how many n-grams count."""
        terms = found.get(_BUCKETS, TensorKind(torch.int32, (0,))).shape[:1]
        classes = sum(len(trait.classes) for trait in schema)
        return {
            _BUCKETS: TensorKind(torch.int32, terms),
            _IDF: TensorKind(torch.float32, terms),
            _WEIGHTS: TensorKind(torch.float16, (*terms, classes)),
            _BIASES: TensorKind(torch.float32, (classes,)),
        }


@dataclass(frozen=True, slots=True)
class TextPart:
    """A model of texts, with its calibration, and how it joins the images'.

    Attributes:
        model: The model.
        header: Its spec, temperatures and fusion.
    """

    model: TextModel
    header: TextHeader

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors of the model by name."""
        terms = self.model.terms
        return {
            _BUCKETS: torch.from_numpy(terms.buckets_F.astype(np.int32)),
            _IDF: torch.from_numpy(terms.idf_F),
            _WEIGHTS: torch.from_numpy(self.model.weights_FK),
            _BIASES: torch.from_numpy(self.model.biases_K),
        }

    @classmethod
    def of(
        cls, header: TextHeader, schema: TraitSchema, state: Mapping[str, torch.Tensor]
    ) -> "TextPart":
        """Return the part whose tensors are in a checkpoint, which has been checked for kinds.

        Raises:
            FieldError: The buckets are not in rising order, or are out of range.
        """
        buckets = state[_BUCKETS].numpy()
        if len(buckets) and not (
            buckets[0] >= 0 and buckets[-1] < header.spec.buckets and (np.diff(buckets) > 0).all()
        ):
            raise FieldError("the buckets of texts must rise, and be buckets of the spec")
        terms = TermWeights(
            spec=header.spec,
            buckets_F=buckets.astype(np.uint32),
            idf_F=state[_IDF].numpy(),
        )
        model = TextModel(
            terms=terms,
            classes={trait.name: len(trait.classes) for trait in schema},
            weights_FK=state[_WEIGHTS].numpy(),
            biases_K=state[_BIASES].numpy(),
        )
        return cls(model, header)
