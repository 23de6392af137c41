"""Texts -> counts of n-grams, which a linear model takes: normalised, divided and hashed."""
