"""Workers that embed are replaced like those that predict, by workers with the same weights."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.facts import embedder_facts
from tweetprofile.engines.replacement import require_same_model
from tweetprofile.errors import ChangedInputError
from tweetprofile.predicting.embedding import EmbedOptions
from tweetprofile.predicting.run import embed_manifest


def test_a_worker_that_has_loaded_other_weights_is_refused() -> None:
    first = embedder_facts(backbone_digest="0" * 64)
    require_same_model(first, embedder_facts(backbone_digest="0" * 64), "cpu")
    with pytest.raises(ChangedInputError, match=r"found SHA-256 111.* where the run uses 000"):
        require_same_model(first, embedder_facts(backbone_digest="1" * 64), "cpu")


@pytest.mark.slow
def test_a_user_who_crashes_a_worker_has_no_vector_and_no_other_row_changes(
    write_users: Callable[..., Path], faulty_library: None, embedding_model: Path, tmp_path: Path
) -> None:
    options = EmbedOptions(checkpoint=embedding_model, devices="cpu", per="user")
    good = write_users(12, {}, name="good")
    bad = write_users(12, {5: [b"FAULTYSIGSEGV", b"FAULTYSIGSEGV"]}, name="bad")
    for manifest in (good, bad):
        embed_manifest(manifest, tmp_path / manifest.stem, options)
    undisturbed, found = pl.read_parquet(tmp_path / "good"), pl.read_parquet(tmp_path / "bad")
    row = found.row(5, named=True)
    assert (row["status"], row["images_given"], row["embedding"]) == ("crashed", 2, None)
    others = pl.col("user_id") != "user-5"
    assert found.filter(others).equals(undisturbed.filter(others))
