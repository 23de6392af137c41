"""From frames to volumes: the choice of images, the stacking of frames, and the views."""
