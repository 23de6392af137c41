"""Which frames a backbone gets unless their side is given."""

import pytest

from tweetprofile.networks.frame_sides import default_side
from tweetprofile.networks.timm_backbones import backbone_facts


@pytest.mark.parametrize(
    ("name", "side"), [("efficientnet-lite0", 160), ("efficientnet-lite2", 192)]
)
def test_packaged_backbones_get_smaller_frames_than_they_were_trained_with(
    name: str, side: int
) -> None:
    facts = backbone_facts(name)
    assert default_side(facts) == side < facts.side


@pytest.mark.parametrize(("name", "side"), [("tf_efficientnet_lite2", 260), ("resnet18", 224)])
def test_other_backbones_get_frames_of_the_side_that_they_were_trained_with(
    name: str, side: int
) -> None:
    assert default_side(backbone_facts(f"timm/{name}")) == side
