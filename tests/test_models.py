"""Which model is used when there are several to choose from."""

from pathlib import Path

import pytest

from tweetprofile.errors import CheckpointError
from tweetprofile.models import CHECKPOINT_VARIABLE, find_checkpoint, last_trained


def test_the_given_checkpoint_wins_then_the_variable_then_the_last_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv(CHECKPOINT_VARIABLE, raising=False)
    with pytest.raises(CheckpointError, match=r"no checkpoint: train one .* or name one"):
        find_checkpoint(None)
    last_trained().parent.mkdir(parents=True)
    last_trained().touch()
    assert find_checkpoint(None) == last_trained()
    monkeypatch.setenv(CHECKPOINT_VARIABLE, "from-variable")
    assert find_checkpoint(None) == Path("from-variable")
    assert find_checkpoint("given") == Path("given")
