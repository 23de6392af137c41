"""Predict traits of Twitter users, such as gender, from the images that they posted.

Each public name is imported when it is first used, so that importing the package (and
`tweetprofile --help`) loads neither torch nor DALI nor polars.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tweetprofile.version import __version__

if TYPE_CHECKING:
    from tweetprofile.browsing.options import BrowseOptions, BrowseSummary
    from tweetprofile.browsing.run import browse_profiles
    from tweetprofile.checkpoints.checkpoint import Checkpoint, load_checkpoint
    from tweetprofile.data.files.storage import RemotePath
    from tweetprofile.data.manifests.manifest import Manifest
    from tweetprofile.data.manifests.users import ImageRef, UserImages
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
        Reason,
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
    from tweetprofile.inspection.contact_sheets import (
        SheetModel,
        SheetOptions,
        draw_contact_sheet,
        draw_contact_sheets,
    )
    from tweetprofile.inspection.report import Inspection
    from tweetprofile.inspection.run import InspectOptions, inspect_manifest
    from tweetprofile.job import PredictorOptions
    from tweetprofile.predicting.embedding import EmbedOptions
    from tweetprofile.predicting.plan import PredictOptions
    from tweetprofile.predicting.run import Progress, embed_manifest, predict_manifest
    from tweetprofile.predicting.summary import PredictSummary
    from tweetprofile.splitting.run import SplitOptions, SplitSummary, split_manifest
    from tweetprofile.training.observer import TrainObserver
    from tweetprofile.training.run import train_manifest
    from tweetprofile.training.settings import TrainOptions
    from tweetprofile.training.summary import TrainSummary
    from tweetprofile.traits import Trait, TraitSchema
    from tweetprofile.workers.predictor import Predictor

_HOMES = {
    "BrowseOptions": "browsing.options",
    "BrowseSummary": "browsing.options",
    "ChangedInputError": "errors",
    "Checkpoint": "checkpoints.checkpoint",
    "CheckpointError": "errors",
    "Comparison": "evaluation.evaluate",
    "EmbedOptions": "predicting.embedding",
    "EvaluateOptions": "evaluation.evaluate",
    "Evaluation": "evaluation.evaluate",
    "ImageError": "errors",
    "ImageRef": "data.manifests.users",
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
    "PredictSummary": "predicting.summary",
    "PredictionsError": "errors",
    "Predictor": "workers.predictor",
    "PredictorOptions": "job",
    "Progress": "predicting.run",
    "Reason": "errors",
    "RemotePath": "data.files.storage",
    "SchemaError": "errors",
    "SheetOptions": "inspection.contact_sheets",
    "SplitOptions": "splitting.run",
    "SplitSummary": "splitting.run",
    "StoreError": "errors",
    "TooManyFailuresError": "errors",
    "TrainObserver": "training.observer",
    "TrainOptions": "training.settings",
    "TrainSummary": "training.summary",
    "TrainingError": "errors",
    "Trait": "traits",
    "TraitSchema": "traits",
    "TweetprofileError": "errors",
    "UserImages": "data.manifests.users",
    "SheetModel": "inspection.contact_sheets",
    "WorkerError": "errors",
    "WriteError": "errors",
    "browse_profiles": "browsing.run",
    "compare_predictions": "evaluation.evaluate",
    "draw_contact_sheet": "inspection.contact_sheets",
    "draw_contact_sheets": "inspection.contact_sheets",
    "embed_manifest": "predicting.run",
    "evaluate_predictions": "evaluation.evaluate",
    "import_dump": "importers.run",
    "inspect_manifest": "inspection.run",
    "load_checkpoint": "checkpoints.checkpoint",
    "predict_manifest": "predicting.run",
    "split_manifest": "splitting.run",
    "train_manifest": "training.run",
}
"""The module of each public name."""

__all__ = [
    "BrowseOptions",
    "BrowseSummary",
    "ChangedInputError",
    "Checkpoint",
    "CheckpointError",
    "Comparison",
    "EmbedOptions",
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
    "PredictSummary",
    "PredictionsError",
    "Predictor",
    "PredictorOptions",
    "Progress",
    "Reason",
    "RemotePath",
    "SchemaError",
    "SheetModel",
    "SheetOptions",
    "SplitOptions",
    "SplitSummary",
    "StoreError",
    "TooManyFailuresError",
    "TrainObserver",
    "TrainOptions",
    "TrainSummary",
    "TrainingError",
    "Trait",
    "TraitSchema",
    "TweetprofileError",
    "UserImages",
    "WorkerError",
    "WriteError",
    "__version__",
    "browse_profiles",
    "compare_predictions",
    "draw_contact_sheet",
    "draw_contact_sheets",
    "embed_manifest",
    "evaluate_predictions",
    "import_dump",
    "inspect_manifest",
    "load_checkpoint",
    "predict_manifest",
    "split_manifest",
    "train_manifest",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tweetprofile' has no attribute '{name}'")
    return getattr(importlib.import_module(f"tweetprofile.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
