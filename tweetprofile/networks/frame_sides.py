"""The sides of frames that suit backbones."""

from tweetprofile.networks.timm_backbones import LITE0, BackboneFacts

_SIDES = {LITE0: 128}
"""Frame sides that differ from those that a backbone was trained with, because they take a third of
the time and, with photographs of that size, predict as well."""


def default_side(facts: BackboneFacts) -> int:
    """Return the width and height of frames for a backbone, unless they are given."""
    return _SIDES.get(facts.name, facts.side)
