"""Evaluation of predictions: from labels and profiles to metrics, tables and a report."""
