"""Inspection of a manifest: its images and labels, and the expected outcome of predicting."""

from tweetprofile.inspection.report import Inspection
from tweetprofile.inspection.run import InspectOptions, inspect_manifest

__all__ = ["InspectOptions", "Inspection", "inspect_manifest"]
