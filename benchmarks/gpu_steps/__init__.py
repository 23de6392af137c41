"""The steps of `gpu.py`: each runs in a process of its own and leaves one JSON file."""
