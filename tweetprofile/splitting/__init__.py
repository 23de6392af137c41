"""Splitting: from a labelled manifest to parts that share neither users nor images."""
