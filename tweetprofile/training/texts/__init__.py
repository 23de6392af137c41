"""Training the part of a model that reads texts: counts, kernels, and a linear model."""
