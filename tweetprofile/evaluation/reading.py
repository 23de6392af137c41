"""Read the predictions to evaluate on a manifest, one set or several that are to be compared."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from tweetprofile.data.files.storage import AnyPath, as_path
from tweetprofile.data.labels.columns import label_columns
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import PredictionsError
from tweetprofile.evaluation.foreign_tables import traits_of_table
from tweetprofile.evaluation.label_traits import label_classes
from tweetprofile.evaluation.matching import labelled_traits
from tweetprofile.evaluation.predictions import Predictions, is_foreign
from tweetprofile.traits import Trait, TraitSchema


def read_predictions(manifest: Manifest, path: str | Path) -> Predictions:
    """Read predictions of any origin.

    Raises:
        InputError: They cannot be read.
    """
    source = as_path(str(path))
    exists = not isinstance(source, Path) or source.exists()
    if not (exists and is_foreign(source)):
        return Predictions.read(source)
    traits = traits_of_table(source, label_columns(manifest))
    return Predictions.read(source, labels=_labels(manifest, traits))


def read_every_trait(manifest: Manifest, path: str | AnyPath) -> Predictions:
    """Read predictions of any origin with all of their traits, whether they have labels or not.

    Args:
        manifest: A manifest that may have labels: their classes belong to a trait, too.
        path: The predictions.

    Raises:
        InputError: They cannot be read.
    """
    source = as_path(path)
    exists = not isinstance(source, Path) or source.exists()
    if not (exists and is_foreign(source)):
        return Predictions.read(source)
    labels = _labels(manifest, traits_of_table(source, None))
    return Predictions.read(source, labels=labels, every_trait=True)


def _labels(manifest: Manifest, traits: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the classes of the labels of some traits; the other labels are named without any."""
    unread: dict[str, tuple[str, ...]] = {
        name: () for name in label_columns(manifest) if name not in traits
    }
    return unread | label_classes(manifest, traits)


def read_several(manifest: Manifest, paths: Sequence[str | Path]) -> list[Predictions]:
    """Read several sets of predictions of the same traits and classes.

    Those whose names are equal are named by their full paths. Sets that `predict` wrote must agree
    in their traits and classes. A set of another origin is compared on the traits that all have,
    and a class that only some of them know counts for all.

    Raises:
        InputError: One cannot be read, is given twice, or has other traits.
    """
    for number, path in enumerate(paths):
        if Path(path) in map(Path, paths[:number]):
            raise PredictionsError(f"{path} is given twice; pass different predictions.")
    read = [read_predictions(manifest, path) for path in paths]
    names = [each.name for each in read]
    read = [each if names.count(each.name) == 1 else each.renamed(str(each.path)) for each in read]
    ours = [each for each in read if not each.is_foreign]
    for each in ours[1:]:
        if each.schema != ours[0].schema:
            raise PredictionsError(
                f"{each.path} and {ours[0].path} have different traits or classes and cannot be "
                "compared; evaluate them one by one."
            )
    if len(ours) == len(read):
        return read
    if ours:
        labelled_traits(manifest, ours[0].schema, ours[0].path)
    schema = _common([*ours, *(each for each in read if each.is_foreign)])
    return [_reduced(each, schema) for each in read]


def _reduced(predictions: Predictions, schema: TraitSchema) -> Predictions:
    """Return predictions of the common traits, with a remark on the others."""
    others = [name for name in predictions.schema.names if name not in schema.names]
    remarks = predictions.remarks
    if others:
        remarks += (
            f"{', '.join(others)}: not compared, because other predictions lack "
            f"{'it' if len(others) == 1 else 'them'}.",
        )
    return replace(predictions, schema=schema, remarks=remarks)


def _common(read: Sequence[Predictions]) -> TraitSchema:
    """Return the traits that all predictions have, each with all of their classes."""
    traits = []
    for name in read[0].schema.names:
        each_has = [[trait for trait in each.schema if trait.name == name] for each in read]
        if all(each_has):
            classes = (each for (trait,) in each_has for each in trait.classes)
            traits.append(Trait(name, tuple(dict.fromkeys(classes))))
    if not traits:
        raise PredictionsError(
            f"{' and '.join(str(each.path) for each in read)} have no trait in common and cannot "
            "be compared; evaluate them one by one."
        )
    return TraitSchema(tuple(traits))
