"""`predict` on a GPU: against DALI alone, twice the same, beside a damaged image, and one group."""

from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from commands import predict_command, seconds_of
from dump import embed_images
from latency import measure as measure_groups
from latency import summarise

from gpu_steps.inputs import MODELS, by_path, embedded_in, model
from gpu_steps.work import Finding, Outcome, Work
from tweetprofile import Predictor, load_checkpoint
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.job import VOLUME_FRAMES, PredictorOptions, usable_processors
from tweetprofile.predicting.plan import PredictOptions, PredictPlan, plan_prediction
from tweetprofile.predicting.run import run_plan
from tweetprofile.workers.devices import device_settings

_LEAST_OF_DALI = 0.9
_MOST_MS_PER_GROUP = 5.0

_BATCH = 64


def measure(work: Work) -> Outcome:
    """Predict by path with 1 to 4 worker threads, and embedded images with the usual number."""
    alone = work.figures("decoding").get("alone", {}).get("baseline")
    usual = device_settings(torch.device(work.device), usable_processors()).worker_threads
    trials = [(by_path(work), count) for count in work.size((1, 2, 3, 4), (usual,))]
    trials.append((embedded_in(work), usual))
    findings, figures = [], []
    for manifest, worker_threads in trials:
        kind = "embedded" if manifest == embedded_in(work) else "by path"
        seconds = work.size(3.0, 0.5)
        users = max(_BATCH, int((alone or 5_000.0) * seconds / VOLUME_FRAMES))
        rates = images_per_second(work, manifest, model(work), worker_threads, users)
        ratio = median(rates) / alone if alone else None
        what = f"{kind}, {worker_threads} worker threads"
        counts = worker_threads == usual
        findings.append(_compare(work, what, median(rates), ratio, counts=counts))
        figures.append({"images": kind, "worker_threads": worker_threads, "rates": rates})
    return Outcome(findings, {"dali_alone": alone, "images_per_second": figures})


def compare_runs(work: Work) -> Outcome:
    """Predict the same users twice, and once more with a damaged image among them."""
    folder, users = work.folder / "same", work.size(512, 12)
    folder.mkdir(exist_ok=True)
    embed_images(by_path(work), folder / "users.parquet", users)
    damaged = users // 2
    _damage(folder / "users.parquet", folder / "damaged.parquet", damaged)
    first, second, third = (
        _predict(work, folder / f"{name}.parquet", folder / f"out-{number}.parquet")
        for number, name in enumerate(("users", "users", "damaged"))
    )
    around = [(0, damaged), (damaged + 1, users - damaged - 1)]
    alone = all(first.slice(*part).equals(third.slice(*part)) for part in around)
    row = third.slice(damaged, 1).to_pylist()[0]
    noticed = row["status"] == "partial" and len(row["image_errors"]) == 1
    findings = [
        Finding("two runs", *_verdict(first.equals(second), "equal to the bit")),
        Finding("rows beside a damaged image", *_verdict(alone, "equal to the bit")),
        Finding("the damaged image", *_verdict(noticed, "in image_errors")),
    ]
    return Outcome(findings, {"users": users, "twice": first.equals(second), "alone": alone})


def measure_latency(work: Work) -> Outcome:
    """Predict one group at a time, from its files to the file of its rows."""
    users = next(Manifest.open(by_path(work)).shards(256)).users
    findings, figures = [], {}
    for name in MODELS:
        options = PredictorOptions(by_path(work).parent, work.device, "dali")
        predictor = Predictor(load_checkpoint(model(work, name)), options)
        for size in work.size((1, _BATCH), (1,)):
            out = work.folder / "group.parquet"
            samples = measure_groups(predictor, users, size, work.size(300, 3), out)
            total = summarise(samples)["total"]
            goal = size == 1
            findings.append(
                Finding(
                    f"{name}, one group of {size} user(s)",
                    f"{total['p50']:.1f} ms at the median, {total['p95']:.1f} ms at p95",
                    f"{_MOST_MS_PER_GROUP:g} ms at the median" if goal else "",
                    work.speed_goal(total["p50"] <= _MOST_MS_PER_GROUP) if goal else None,
                )
            )
            figures[f"{name}, {size}"] = {
                "percentiles": summarise(samples),
                "milliseconds": [sample["total"] for sample in samples],
            }
    return Outcome(findings, {"groups": figures})


def images_per_second(
    work: Work, manifest: Path, checkpoint: Path, worker_threads: int, users: int
) -> list[float]:
    """Return images per second of several runs with the same workers."""
    plan = _plan(work, manifest, checkpoint, worker_threads, users)
    with plan.engine() as engine:
        # The first batches make decoders.
        first = work.size(8 * _BATCH, 8)
        run_plan(_plan(work, manifest, checkpoint, worker_threads, first), engine)
        summaries = [run_plan(plan, engine) for _ in range(work.size(2, 1))]
        if engine.deaths:
            raise RuntimeError(f"workers died: {engine.deaths}")
    return [each.counts.images / each.seconds for each in summaries]


def _plan(
    work: Work, manifest: Path, checkpoint: Path, worker_threads: int, users: int
) -> PredictPlan:
    options = PredictOptions(
        checkpoint=checkpoint, devices=work.device, decoder="dali", overwrite=True, limit=users
    )
    plan = plan_prediction(manifest, work.folder / "rate.parquet", options)
    engine_options = replace(plan.engine_options, worker_threads=worker_threads)
    return replace(plan, engine_options=engine_options)


def _compare(work: Work, what: str, rate: float, ratio: float | None, *, counts: bool) -> Finding:
    measured = f"{rate:,.0f} images/s"
    if ratio is None:
        return Finding(what, measured)
    goal = f"{_LEAST_OF_DALI:.0%} of DALI alone" if counts else ""
    holds = work.speed_goal(ratio >= _LEAST_OF_DALI) if counts else None
    return Finding(what, f"{measured}, {ratio:.0%} of DALI alone", goal, holds)


def _damage(manifest: Path, path: Path, user: int) -> None:
    """Write a manifest again, with the first image of a user cut in half."""
    table = pq.read_table(manifest)
    lists: list[list[bytes]] = table["images"].to_pylist()
    lists[user][0] = lists[user][0][: len(lists[user][0]) // 2]
    images = pa.array(lists, pa.list_(pa.binary()))
    pq.write_table(table.set_column(1, "images", images), path, compression="none")


def _predict(work: Work, manifest: Path, out: Path, *options: str) -> pa.Table:
    usual = ("--devices", work.device, "--decoder", "dali")
    seconds_of(predict_command(manifest, model(work), out, *usual, *options))
    return pq.read_table(out)


def _verdict(holds: bool, goal: str) -> tuple[Any, ...]:
    return ("yes" if holds else "no"), goal, holds


def compare_devices(work: Work) -> Outcome:
    """Predict the same users with one worker, and with two on the same device."""
    folder = work.folder / "two-workers"
    folder.mkdir(exist_ok=True)
    limit = ("--limit", str(work.size(512, 12)))
    one = _predict(work, by_path(work), folder / "one.parquet", *limit)
    both = f"{work.device},{work.device}"
    two = _predict(work, by_path(work), folder / "two.parquet", *limit, "--devices", both)
    same = one.equals(two)
    findings = [Finding(f"rows with --devices {both}", *_verdict(same, "equal to the bit"))]
    return Outcome(findings, {"same": same})
