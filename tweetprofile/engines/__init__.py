"""Ways to run predictors: here, in supervised processes of this machine."""
