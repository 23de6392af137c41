"""From frames to volumes: which images are chosen, how they are stacked, which views are taken."""
