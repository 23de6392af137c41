"""Training: from a manifest with labels to a checkpoint with its model card."""
