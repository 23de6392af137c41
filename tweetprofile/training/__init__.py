"""From a labelled manifest to a checkpoint."""
