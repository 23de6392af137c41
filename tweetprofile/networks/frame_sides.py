"""The sides of frames that suit backbones."""

from tweetprofile.networks.timm_backbones import LITE0, LITE2, BackboneFacts

_SIDES = {LITE0: 160, LITE2: 192}
"""Frame sides that differ from those that a backbone was trained with. With efficientnet-lite0,
frames of 160 pixels take half of the time of those of 224, and are as good (heads on 1,200 users:
mean accuracy 0.778 and 0.781 on 300 others; 0.766 at 128 pixels). With efficientnet-lite2, frames
of 192 pixels take half of the time of those of 260, and are at least as good
(`benchmarks/results/2026-11-29-backbones.md`)."""


def default_side(facts: BackboneFacts) -> int:
    """Return the width and height of frames for a backbone, unless they are given."""
    return _SIDES.get(facts.name, facts.side)
