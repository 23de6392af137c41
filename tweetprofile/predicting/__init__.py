"""Predicting: from a manifest to a table of profiles, which an interrupted run can complete."""
