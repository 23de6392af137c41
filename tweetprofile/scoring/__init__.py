"""Scores, calibration errors and their uncertainty, for training and evaluation alike."""
