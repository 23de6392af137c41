"""Profiles of Twitter users from their images: from a Parquet manifest to a Parquet of traits.

Public names load their modules when they are first used, so that importing the package (and
`tweetprofile --help`) loads neither torch nor DALI nor polars.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tweetprofile.version import __version__

if TYPE_CHECKING:
    from tweetprofile.checkpoints.checkpoint import Checkpoint, load_checkpoint
    from tweetprofile.data.manifests.manifest import ImageRef, Manifest, UserImages
    from tweetprofile.errors import (
        ChangedInputError,
        CheckpointError,
        ImageError,
        InputError,
        InterruptedRunError,
        ManifestError,
        OptionError,
        OutputError,
        PredictionsError,
        SchemaError,
        StoreError,
        TooManyFailuresError,
        TrainingError,
        TweetprofileError,
        WorkerError,
        WriteError,
    )
    from tweetprofile.evaluation.evaluate import (
        Comparison,
        EvaluateOptions,
        Evaluation,
        compare_predictions,
        evaluate_predictions,
    )
    from tweetprofile.importers.run import ImportOptions, ImportSummary, import_dump
    from tweetprofile.inspection.report import Inspection
    from tweetprofile.inspection.run import InspectOptions, inspect_manifest
    from tweetprofile.job import PredictorOptions
    from tweetprofile.predicting.plan import PredictOptions
    from tweetprofile.predicting.run import predict_manifest
    from tweetprofile.training.run import train_manifest
    from tweetprofile.training.settings import TrainOptions
    from tweetprofile.traits import Trait, TraitSchema
    from tweetprofile.workers.predictor import Predictor

_HOMES = {
    "ChangedInputError": "errors",
    "Checkpoint": "checkpoints.checkpoint",
    "CheckpointError": "errors",
    "Comparison": "evaluation.evaluate",
    "EvaluateOptions": "evaluation.evaluate",
    "Evaluation": "evaluation.evaluate",
    "ImageError": "errors",
    "ImageRef": "data.manifests.manifest",
    "ImportOptions": "importers.run",
    "ImportSummary": "importers.run",
    "InputError": "errors",
    "InspectOptions": "inspection.run",
    "Inspection": "inspection.report",
    "InterruptedRunError": "errors",
    "Manifest": "data.manifests.manifest",
    "ManifestError": "errors",
    "OptionError": "errors",
    "OutputError": "errors",
    "PredictOptions": "predicting.plan",
    "PredictionsError": "errors",
    "Predictor": "workers.predictor",
    "PredictorOptions": "job",
    "SchemaError": "errors",
    "StoreError": "errors",
    "TooManyFailuresError": "errors",
    "TrainOptions": "training.settings",
    "TrainingError": "errors",
    "Trait": "traits",
    "TraitSchema": "traits",
    "TweetprofileError": "errors",
    "UserImages": "data.manifests.manifest",
    "WorkerError": "errors",
    "WriteError": "errors",
    "compare_predictions": "evaluation.evaluate",
    "evaluate_predictions": "evaluation.evaluate",
    "import_dump": "importers.run",
    "inspect_manifest": "inspection.run",
    "load_checkpoint": "checkpoints.checkpoint",
    "predict_manifest": "predicting.run",
    "train_manifest": "training.run",
}

__all__ = [
    "ChangedInputError",
    "Checkpoint",
    "CheckpointError",
    "Comparison",
    "EvaluateOptions",
    "Evaluation",
    "ImageError",
    "ImageRef",
    "ImportOptions",
    "ImportSummary",
    "InputError",
    "InspectOptions",
    "Inspection",
    "InterruptedRunError",
    "Manifest",
    "ManifestError",
    "OptionError",
    "OutputError",
    "PredictOptions",
    "PredictionsError",
    "Predictor",
    "PredictorOptions",
    "SchemaError",
    "StoreError",
    "TooManyFailuresError",
    "TrainOptions",
    "TrainingError",
    "Trait",
    "TraitSchema",
    "TweetprofileError",
    "UserImages",
    "WorkerError",
    "WriteError",
    "__version__",
    "compare_predictions",
    "evaluate_predictions",
    "import_dump",
    "inspect_manifest",
    "load_checkpoint",
    "predict_manifest",
    "train_manifest",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tweetprofile' has no attribute '{name}'")
    return getattr(importlib.import_module(f"tweetprofile.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
