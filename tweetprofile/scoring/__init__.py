"""What training and evaluation measure alike: scores, calibration errors and their uncertainty."""
