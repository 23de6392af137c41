"""Checkpoints: safetensors files with JSON in their header, and the choice of the one to use.

`header.py` says what the JSON holds: a new kind of network or of input adds its spec there, and
raises `FORMAT` if an older version would misread or refuse the file. `tensors.py` reads the
weights, `checkpoint.py` brings both together, `fingerprints.py` records what a model was trained
on, and `choice.py` finds the checkpoint of a command.
"""
