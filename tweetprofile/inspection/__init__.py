"""The manifest's doctor: what users' images are, and what predicting would make of them."""

from tweetprofile.inspection.report import Inspection
from tweetprofile.inspection.run import InspectOptions, inspect_manifest

__all__ = ["InspectOptions", "Inspection", "inspect_manifest"]
