"""Validation computes the logits of users as prediction does."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.setups import make_setup
from tweetprofile.decoders.resizing import stretch
from tweetprofile.training.batches import DeviceFrames
from tweetprofile.training.distributed import Rank
from tweetprofile.training.feed import Feed
from tweetprofile.training.inputs import make_inputs
from tweetprofile.training.learner import Learner
from tweetprofile.training.validation import Validator
from tweetprofile.volumes.spec import Fill, VolumeSpec
from tweetprofile.volumes.stacking import frame_mask, stack_volumes

CPU = torch.device("cpu")


@pytest.mark.parametrize("fill", ["repeat", "zeros"])
def test_short_volumes_are_filled_as_in_prediction(tmp_path: Path, fill: Fill) -> None:
    spec = VolumeSpec(frames=15, height=32, width=32, fill=fill)  # the users have 12 images
    setup = make_setup(tmp_path, "model1", volume_spec=spec)
    network = Learner(setup, Rank(0, 1, CPU)).average.network
    frames = DeviceFrames([setup.val.cache], Feed.of(CPU))
    found = Validator(setup, frames, make_inputs(setup, CPU), CPU).logits(network, setup.val)

    pixels = [setup.val.cache.items_M[setup.val.frames_of(user)] for user in range(8)]
    resized = [stretch(torch.from_numpy(np.ascontiguousarray(each)), 32, 32) for each in pixels]
    volumes = spec.normalise(stack_volumes(resized, spec))
    with torch.inference_mode():
        expected = network(volumes, frame_mask([12] * 8, 15))
    for trait, logits in expected.items():
        assert torch.equal(found[trait], logits)
