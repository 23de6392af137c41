"""Published results on Twitter users, which reports show beside the user's own figures.

They were measured on other users, so they say what is usual for such a task, and not whether a
model is better. The class names and the figures are those of the publications.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tweetprofile.traits import PRESETS, TraitSchema

MEX_A3T = "MEX-A3T 2019, test set of 1,500 users"
PAN_2018 = "PAN 2018, English test set"

SOURCES = {
    MEX_A3T: (
        "R. Valdez-Rodríguez, H. Calvo, E. Felipe-Riverón, “Author Profiling From Images Using 3D "
        "Convolutional Neural Networks”, MEX-A3T at IberLEF 2019, Tables 1 to 5"
    ),
    PAN_2018: (
        "F. Rangel et al., “Overview of the 6th Author Profiling Task at PAN 2018: Multimodal "
        "Gender Identification in Twitter”, CLEF 2018; T. Takahashi et al., “Text and Image "
        "Synergy with Feature Cross Technique for Gender Identification”, CLEF 2018"
    ),
}
"""The publications, by what the results were measured on."""

NOT_COMPARABLE = (
    "Published results were measured on other users and are not comparable with yours, unless your "
    "users are that test set."
)

CLASSES_NOTE = (
    "Tables 3 and 5 of the paper call these figures accuracy. Their means over the classes are the "
    "macro-F1 of Tables 2 and 4, with the two rows of CerpamidTeam exchanged, so they are compared "
    "with the F1 of each class."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The published result of one system for one trait.

    Attributes:
        system: The name of the system.
        uses: What it predicts from: `texts`, `images` or both.
        measured_on: The test set; a key of `SOURCES`.
        accuracy: The share of users whose prediction is correct.
        precision: The mean precision over the classes; None if it was not published.
        recall: The mean recall over the classes; None if it was not published.
        f1: The mean F1 over the classes; None if it was not published.
        per_class: The figure that was published for each class; empty if there is none.
    """

    system: str
    uses: str
    measured_on: str
    accuracy: float
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    per_class: Mapping[str, float]

    def as_printed(self, figure: float | None) -> str:
        """Return a figure with as many digits as the publication gives; empty if it gives none."""
        digits = _DIGITS[self.measured_on]
        return "" if figure is None else f"{figure:.{digits}f}"


_DIGITS = {MEX_A3T: 4, PAN_2018: 3}
"""The decimals of published figures."""

_CLASSES = {
    "location": ("center", "southeast", "northwest", "north", "northeast", "west"),
    "occupation": (
        "others", "arts", "student", "social", "sciences", "sports", "administrative", "health",
    ),
}  # fmt: skip
"""The columns of Tables 3 and 5, by the names of the preset."""

_SYSTEMS = {
    "CerpamidTeam 1": "texts",
    "CerpamidTeam 2": "texts",
    "3D CNN, model 1": "images",
    "3D CNN, model 2": "images",
}

_MEX_A3T_SCORES = {
    "gender": {
        "CerpamidTeam 1": (0.8347, 0.8412, 0.8347, 0.8366),
        "CerpamidTeam 2": (0.8313, 0.8392, 0.8313, 0.8331),
        "3D CNN, model 1": (0.4840, 0.4823, 0.4840, 0.4711),
        "3D CNN, model 2": (0.5227, 0.5230, 0.5227, 0.5227),
    },
    "location": {
        "CerpamidTeam 1": (0.6307, 0.5214, 0.4934, 0.5020),
        "CerpamidTeam 2": (0.6153, 0.4988, 0.4766, 0.4844),
        "3D CNN, model 1": (0.2393, 0.1645, 0.1573, 0.1482),
        "3D CNN, model 2": (0.1687, 0.1674, 0.1846, 0.1098),
    },
    "occupation": {
        "CerpamidTeam 1": (0.6587, 0.4331, 0.3744, 0.3957),
        "CerpamidTeam 2": (0.6613, 0.4201, 0.3619, 0.3824),
        "3D CNN, model 1": (0.2693, 0.1235, 0.1284, 0.1196),
        "3D CNN, model 2": (0.2300, 0.1402, 0.1260, 0.0951),
    },
}
"""Accuracy, precision, recall and F1 of Tables 1, 2 and 4, by trait and system."""

_MEX_A3T_CLASSES: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "location": {
        "CerpamidTeam 1": (0.6889, 0.3864, 0.6667, 0.1667, 0.7091, 0.2890),
        "CerpamidTeam 2": (0.7021, 0.3984, 0.6651, 0.2535, 0.7297, 0.2634),
        "3D CNN, model 1": (0.4177, 0.0430, 0.0952, 0.0260, 0.2066, 0.1008),
        "3D CNN, model 2": (0.3606, 0.0000, 0.0867, 0.0491, 0.1377, 0.0250),
    },
    "occupation": {
        "CerpamidTeam 1": (0.1026, 0.2514, 0.8597, 0.5695, 0.1982, 0.3077, 0.5134, 0.2564),
        "CerpamidTeam 2": (0.1333, 0.3333, 0.8648, 0.5508, 0.2075, 0.3500, 0.4785, 0.2469),
        "3D CNN, model 1": (0.0000, 0.0902, 0.4495, 0.1390, 0.0654, 0.0000, 0.2131, 0.0000),
        "3D CNN, model 2": (0.0000, 0.1181, 0.4394, 0.0701, 0.0408, 0.0000, 0.0926, 0.0000),
    },
}
"""The figures of Tables 3 and 5, by trait and system, in the order of `_CLASSES`."""

_PAN_2018_GENDER = {"images": 0.816, "texts": 0.822, "texts and images": 0.858}
"""The best accuracy from each kind of input."""


def published_results(schema: TraitSchema, trait: str) -> tuple[Published, ...]:
    """Return the published results for a trait.

    Args:
        schema: The traits of the predictions. Results on MEX-A3T are returned only if its traits
            are among them, with the same classes.
        trait: The name of the trait.
    """
    found = _mex_a3t(trait) if has_mex_a3t(schema) else []
    if trait == "gender":
        found += [
            Published(
                system="best result of PAN 2018",
                uses=uses,
                measured_on=PAN_2018,
                accuracy=accuracy,
                per_class={},
            )
            for uses, accuracy in _PAN_2018_GENDER.items()
        ]
    return tuple(found)


def has_mex_a3t(schema: TraitSchema) -> bool:
    """Return whether the traits of MEX-A3T 2019, with the same classes, are among those."""
    classes = {trait.name: set(trait.classes) for trait in schema}
    return all(classes.get(trait.name) == set(trait.classes) for trait in PRESETS["mex-a3t-2019"])


def _mex_a3t(trait: str) -> list[Published]:
    found = []
    for system, scores in _MEX_A3T_SCORES.get(trait, {}).items():
        accuracy, precision, recall, f1 = scores
        classes = _MEX_A3T_CLASSES.get(trait, {}).get(system, ())
        found.append(
            Published(
                system=system,
                uses=_SYSTEMS[system],
                measured_on=MEX_A3T,
                accuracy=accuracy,
                precision=precision,
                recall=recall,
                f1=f1,
                per_class=dict(zip(_CLASSES.get(trait, ()), classes, strict=True)),
            )
        )
    return found
