"""The classes of a manifest's labels, for predictions that do not say themselves what they are."""

from collections.abc import Collection

from tweetprofile.data.labels.columns import label_columns, read_values
from tweetprofile.data.labels.reading import reading_labels
from tweetprofile.data.labels.values import MOST_NUMBERS, ValueKind, count_classes
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.traits import MOST_CLASSES_PER_TRAIT


def label_classes(manifest: Manifest, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the classes of some columns of labels, in the order of their names or numbers.

    Columns of measurements or of prose are left out. A class of a single user counts: how well it
    is predicted is what an evaluation is about.

    Args:
        manifest: The manifest.
        names: The columns to read, if they can hold labels: others cost a pass over the manifest
            each, and need not be the same in all rows of a user.

    Raises:
        ManifestError: A column cannot be read, or contradicts itself about a user.
    """
    found = {}
    for name, kind in label_columns(manifest).items():
        if name not in names:
            continue
        with reading_labels(manifest):
            values = read_values(manifest, name)
        classes = count_classes(values.counts())
        numeric = kind is ValueKind.INTEGER
        most = MOST_NUMBERS if numeric else MOST_CLASSES_PER_TRAIT
        if not values.too_many_values and 0 < len(classes) <= most:
            found[name] = tuple(sorted(classes, key=int if numeric else None))
    return found
