"""Count the users who have a name, a screen name or a description."""

import pyarrow.compute as pc

from tweetprofile.data.manifests.forms import Form, group_rows
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.texts import decoded
from tweetprofile.data.manifests.types import is_text

_ROWS_AT_ONCE = 512


def count_profile_fields(manifest: Manifest) -> dict[str, int]:
    """Return the number of users of the whole manifest who have each field, blank ones left out.

    Columns that are no texts are left out.

    Raises:
        ManifestError: The manifest is damaged.
    """
    schema = manifest.schema
    names = [name for name in manifest.profile_columns if is_text(schema.field(name).type)]
    counts = dict.fromkeys(names, 0)
    if not names:
        return counts
    tables = manifest.read(_ROWS_AT_ONCE, ["user_id", *names], raw=names)
    if manifest.form is Form.LONG:
        tables = group_rows(tables, 1, profile=names)
    for users in tables:
        for name in names:
            texts = decoded(users[name])
            blank = pc.or_(pc.utf8_is_space(texts), pc.equal(pc.binary_length(texts), 0))
            blank = pc.fill_null(blank, True)
            counts[name] += len(users) - (pc.sum(blank).as_py() or 0)
    return counts
