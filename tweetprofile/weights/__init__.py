"""Weights that others have trained, for the backbones of timm.

`sources.py` finds the file, `files.py` reads it, `names.py` translates the names of its weights to
timm's, `preprocessing.py` compares what it says about its input, and `loading.py` does all of it
and fills a backbone, wholly or not at all. A further layout of names is added to `names.py`.

Files of weights are untrusted: none of them can run code, and what does not fit is listed.
"""

from tweetprofile.checkpoints.weights_record import WeightsRecord, read_weights_record
from tweetprofile.weights.loading import load_backbone_weights

__all__ = ["WeightsRecord", "load_backbone_weights", "read_weights_record"]
