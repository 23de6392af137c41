"""Arrays reach a device as one, unchanged; a CPU can be fed as a GPU is."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.setups import make_setup
from tweetprofile.training.distributed import Rank
from tweetprofile.training.feed import Feed
from tweetprofile.training.loop import Trainer

CPU = torch.device("cpu")
AS_A_GPU = Feed(CPU, resident=True, packed=True)


def test_packed_arrays_keep_their_numbers_types_and_shapes() -> None:
    arrays = [
        np.arange(5, dtype=np.int64),
        np.array([[True, False, True]]),
        np.arange(12, dtype=np.float32).reshape(3, 4).T,
        np.empty((0, 4), np.float32),
        np.arange(7, dtype=np.uint8),
    ]
    for sent, array in zip(AS_A_GPU.send(arrays), arrays, strict=True):
        assert sent.dtype == torch.from_numpy(array.copy()).dtype
        np.testing.assert_array_equal(sent.numpy(), array)


@pytest.mark.filterwarnings("error")
def test_a_cpu_keeps_frames_on_the_disk_and_a_gpu_in_its_memory() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2500, 4, 4, 3), dtype=np.uint8)
    frames.flags.writeable = False  # as a file that is mapped for reading
    assert Feed.of(CPU).keep(frames) is None
    kept = AS_A_GPU.keep(frames)
    assert kept is not None
    np.testing.assert_array_equal(kept.numpy(), frames)


def test_a_cpu_that_is_fed_as_a_gpu_learns_the_same_to_the_bit(tmp_path: Path) -> None:
    results = []
    for feed in (Feed.of(CPU), AS_A_GPU):
        setup = make_setup(tmp_path / str(feed.packed), side=16, minutes=1e-9)
        setup.folder.mkdir()
        trainer = Trainer(setup, Rank(0, 1, CPU), feed=feed)
        metrics = trainer.run()
        results.append((metrics.loss, metrics.val_loss, trainer.result.state_dict()))
    assert results[0][:2] == results[1][:2]
    for name, weights in results[0][2].items():
        assert torch.equal(weights, results[1][2][name]), name
