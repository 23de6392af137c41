"""The classes of a manifest's labels, for predictions that do not say themselves what they are."""

from tweetprofile.data.labels.columns import label_columns, read_values
from tweetprofile.data.labels.reading import reading_labels
from tweetprofile.data.labels.values import MOST_NUMBERS, ValueKind, count_classes
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.traits import MOST_CLASSES_PER_TRAIT


def label_classes(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Return the classes of each column of labels, in the order of their names or numbers.

    Columns of measurements or of prose are left out. A class of a single user counts: how well it
    is predicted is what an evaluation is about.

    Raises:
        ManifestError: A column cannot be read, or contradicts itself about a user.
    """
    found = {}
    for name, kind in label_columns(manifest).items():
        with reading_labels(manifest):
            values = read_values(manifest, name)
        classes = count_classes(values.counts())
        numeric = kind is ValueKind.INTEGER
        most = MOST_NUMBERS if numeric else MOST_CLASSES_PER_TRAIT
        if not values.too_many_values and 0 < len(classes) <= most:
            found[name] = tuple(sorted(classes, key=int if numeric else None))
    return found
