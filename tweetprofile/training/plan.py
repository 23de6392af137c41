"""The plan of a training: everything is checked before anything is decoded or trained."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import torch

from tweetprofile.data.files.protection import Inputs
from tweetprofile.data.files.storage import AnyPath, as_path
from tweetprofile.data.images.roots import check_image_root
from tweetprofile.data.labels.reading import FoundSchema, check_labels, find_schema
from tweetprofile.data.manifests.content_rows import require_texts
from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.profile_fields import PROFILE_COLUMNS
from tweetprofile.data.manifests.texts import TextLimits
from tweetprofile.errors import CheckpointError, OptionError
from tweetprofile.networks import EmbeddingSetSpec, NetworkSpec, NoImagesSpec, check_profiles
from tweetprofile.training.cache_building import CacheOptions
from tweetprofile.training.curves import require_tensorboard
from tweetprofile.training.embeddings import LoadedBackbone, load_backbone
from tweetprofile.training.folder import FolderOptions, prepare_folder
from tweetprofile.training.settings import TrainOptions, Use
from tweetprofile.training.state import TrainingState, require_same
from tweetprofile.workers.devices import resolve_devices

_USERS_WITH_BYTES, _USERS_AT_ONCE = 16, 1024
"""Users that are read at a time to see whether there is an image or a text; usually, the first ones
say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """A training that was checked and has not begun.

    Attributes:
        options: The options, with the recipe's values in place of None.
        network: The network to train.
        manifest: The manifest of the training users.
        validation: The manifest of the held-out users; None to hold out training users.
        found: The traits to learn.
        validation_notes: Sentences on how labels of the held-out users were read.
        devices: The device of each process.
        cache: Where decoded frames are kept.
        folder: The run folder.
        settings: The settings that a resumed run must share with the interrupted one.
        inputs: The files that the run reads, and that its outputs must not replace.
        loaded: The backbone with its weights; None if it has none, and for networks without.
    """

    options: TrainOptions
    network: NetworkSpec
    manifest: Manifest
    validation: Manifest | None
    found: FoundSchema
    validation_notes: tuple[str, ...]
    devices: list[torch.device]
    cache: CacheOptions
    folder: Path
    settings: Mapping[str, Any]
    inputs: Inputs
    loaded: LoadedBackbone | None = None


def plan_training(
    manifest: str | Path, run: Path, options: TrainOptions, usage: FolderOptions
) -> TrainingPlan:
    """Check a training, and create its run folder.

    Args:
        manifest: The manifest of the training users.
        run: The run folder.
        options: The options of the training.
        usage: How the run folder may be used if it is not empty.

    Raises:
        InputError: A manifest, an option or the run folder is unusable.
    """
    devices = resolve_devices(options.devices)
    _check_files_and_sizes(options, len(devices))
    cache = CacheOptions(Path(options.cache) if options.cache else None, options.cache_gb)
    opened = Manifest.open(manifest)
    validation = Manifest.open(options.val) if options.val else None
    options = replace(options, use=_what_to_use(options, opened, validation))
    network = NoImagesSpec() if options.use == "texts" else options.network_spec
    found = find_schema(opened, options.schema)
    check_labels(opened, found.schema)
    if isinstance(network, EmbeddingSetSpec) and network.pool == "topics":
        check_profiles(found.schema)
    check_image_root(image_root_of(options, opened))
    validation_notes: tuple[str, ...] = ()
    if validation is not None:
        validation_notes = check_labels(validation, found.schema)
        check_image_root(image_root_of(options, validation))
    inputs = _inputs(options, opened, validation)
    loaded = None if options.use == "texts" else load_backbone(options)
    if options.log_to is not None:
        require_tensorboard(run)
    folder = prepare_folder(run, inputs, usage)
    resolved = options.resolved
    plan = TrainingPlan(
        options=resolved,
        network=network,
        manifest=opened,
        validation=validation,
        found=found,
        validation_notes=validation_notes,
        devices=devices,
        cache=cache,
        folder=folder,
        settings=_settings(resolved, opened, found, loaded),
        inputs=inputs,
        loaded=loaded,
    )
    if usage.resume and (state := TrainingState.load(folder)) is not None:
        require_same(plan.settings, state.settings, folder)
    return plan


def _what_to_use(options: TrainOptions, manifest: Manifest, validation: Manifest | None) -> Use:
    """Return what the model sees of users, by default what the manifest has.

    Raises:
        OptionError: A manifest has no column for it.
    """
    fields = options.profile_fields
    use = options.use or _what_there_is(manifest, fields=fields)
    for each in (manifest,) if validation is None else (manifest, validation):
        if fields and not each.profile_columns:
            raise OptionError(
                f"`profile_fields` needs a column {', '.join(PROFILE_COLUMNS[:-1])} or "
                f"{PROFILE_COLUMNS[-1]}, and {each.source} has none; add one, or leave it out."
            )
        if fields:
            require_texts(each, PROFILE_COLUMNS)
        has = {"images": each.has_images, "texts": each.has_texts or fields}
        for name, there in has.items():
            if use in (name, "both") and not there:
                raise OptionError(
                    f"`use` is {use}, but {each.source} has no column of {name}; add it, or train "
                    "on what there is."
                )
    for name in ("keep_vocabulary", "profile_fields"):
        if getattr(options, name) and use == "images":
            raise OptionError(
                f"`{name}` is for models that read texts, and this one looks at images alone; "
                "leave it out."
            )
    if use == "texts":
        given = [
            name
            for name in ("model", "backbone", "init", "folds", "minutes")
            if getattr(options, name) is not None
        ]
        if given:
            raise OptionError(
                f"`{given[0]}` is for models that look at images, and this one reads texts alone; "
                "leave it out."
            )
    return use


def _what_there_is(manifest: Manifest, *, fields: bool) -> Use:
    """Return what users of a manifest have; a column in which nobody has anything is ignored.

    Args:
        manifest: The manifest.
        fields: Whether profile fields count as texts.
    """
    texts = (fields and bool(manifest.profile_columns)) or _has_any(manifest, "texts_given")
    if texts and _has_any(manifest, "images_given"):
        return "both"
    return "texts" if texts else "images"


def _has_any(manifest: Manifest, count: str) -> bool:
    """Return whether a user has an image (`images_given`) or a text (`texts_given`)."""
    if not (manifest.has_images if count == "images_given" else manifest.has_texts):
        return False
    limits = TextLimits(max_texts=1) if count == "texts_given" else None
    users = _USERS_WITH_BYTES if manifest.carries_bytes else _USERS_AT_ONCE
    return any(
        pc.any(pc.greater(batch.table[count], 0)).as_py()
        for batch in manifest.batches(users, users, max_images=1, texts=limits)
    )


def image_root_of(options: TrainOptions, manifest: Manifest) -> AnyPath:
    """Return the image root of a manifest."""
    return as_path(options.image_root) if options.image_root else manifest.folder


def _check_files_and_sizes(options: TrainOptions, processes: int) -> None:
    batch_size = options.resolved_recipe.batch_size
    if batch_size < processes:
        raise OptionError(
            f"`devices` is {options.devices}, but {processes} processes cannot share batches of "
            f"{batch_size}; raise `batch_size`."
        )
    if options.init is not None and not Path(options.init).exists():
        raise CheckpointError(
            f"the `init` file {options.init} does not exist; give a safetensors file."
        )


def _inputs(options: TrainOptions, manifest: Manifest, validation: Manifest | None) -> Inputs:
    inputs = inputs_of(manifest, image_root_of(options, manifest))
    if validation is not None:
        inputs += inputs_of(validation, image_root_of(options, validation))
    init = Path(options.init) if options.init else None
    weights = Path(options.weights) if options.weights else None
    schema = Path(options.schema) if Path(options.schema).is_file() else None
    return inputs + Inputs.of(initial_weights=init, backbone_weights=weights, schema=schema)


def _settings(
    options: TrainOptions,
    manifest: Manifest,
    found: FoundSchema,
    loaded: LoadedBackbone | None,
) -> dict[str, Any]:
    free = ("devices", "cache", "cache_gb", "log_to")
    fixed = {name: value for name, value in asdict(options).items() if name not in free}
    if loaded is not None:
        fixed["backbone_digest"] = loaded.backbone.digest
    return {**fixed, "manifest": manifest.fingerprint(), "schema": found.schema.to_dict()}
