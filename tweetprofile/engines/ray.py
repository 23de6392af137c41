"""Shards on the machines of a Ray cluster: an actor for each GPU, or for every few processors.

Ray Data hands runs of shards to actors. Each reads its own part of the manifest, so that nothing of
it passes through here, and has a `LocalEngine` of its own: an image that kills a worker kills no
actor, and is dealt with as on a single machine. An actor or machine that dies is replaced by Ray,
and what it was at is computed again.
"""

import json
import logging
import os
import pickle
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, Dataset, from_items

from tweetprofile.data.files.scratch import Closing
from tweetprofile.data.files.storage import absolute
from tweetprofile.data.manifests.manifest import UserBatch
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.engines.messages import PredictJob, pack, unpack
from tweetprofile.engines.replacement import require_same_model
from tweetprofile.engines.shards import ShardSource
from tweetprofile.errors import OptionError, TweetprofileError, WorkerError
from tweetprofile.job import PredictorFacts
from tweetprofile.stages import Stage, StageClock

_PROCESSORS_AN_ACTOR = 4

_ANSWER_SECONDS = 10.0

_MOST_SHARDS_A_RUN = 16
_RUNS_AN_ACTOR = 8
"""At least, where there are shards enough: so that all end at about the same time."""

_RESULTS = pa.schema(
    [
        ("shard", pa.int64()),
        ("first", pa.int64()),
        ("batch", pa.large_binary()),
        ("profiles", pa.large_binary()),
        ("log", pa.string()),
        ("error", pa.large_binary()),
    ]
)
"""A row a batch: where it stands, its ids and kept columns, its profiles (both packed), and in the
first row of a run what the actor has to say. In place of all that, an error of ours (pickled), of
which Ray would leave the text alone."""


class RayEngine(Closing):
    """Predicts shards on a Ray cluster, for the time of a `with` block.

    Args:
        job: what predicts; its checkpoint and images must be visible from every machine.
        options: `devices` are `auto`, `cpu` or `cuda` for as many actors as the cluster has room
            for, or one an actor, with commas between.
        address: of the cluster; None for one of this machine alone, which ends with the block.

    Attributes:
        facts: what the actors came to be, once the block is entered.
        deaths: how workers died, in words, as actors have told.
        clock: has counted what the lanes of all actors did.
        beside: counts what is done here beside it, which is nothing.

    Raises:
        OptionError: the cluster does not answer, or it lacks the devices.
    """

    facts: PredictorFacts

    def __init__(self, job: PredictJob, options: EngineOptions, address: str | None = None) -> None:
        root = absolute(job.options.image_root)
        options_there = replace(job.options, image_root=root)
        self._job = replace(job, checkpoint=job.checkpoint.resolve(), options=options_there)
        self._options = options
        self._address = address
        self._own_cluster = False
        self._actors = 1
        self.deaths: list[str] = []
        self.clock = StageClock()
        self.beside = StageClock()
        self.turns = 1

    def __enter__(self) -> Self:
        try:
            self._connect()
            self._size_up()
            self.facts, turns = self._ask_one()
            self.turns = turns * self._actors
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        if self._own_cluster:
            ray.shutdown()

    @property
    def devices(self) -> tuple[str, ...]:
        """The device of each actor."""
        return (self._kind,) * self._actors

    def run_shards(
        self, source: ShardSource, shards: Sequence[int]
    ) -> Iterator[tuple[UserBatch, pa.Table]]:
        """The batches of those shards and the rows of each, as they are finished: not in order.

        The tables of the batches hold ids and kept columns alone.

        Raises:
            TweetprofileError: what ended the run in an actor.
            WorkerError: Ray ended it.
        """
        if not shards:
            return
        try:
            for table in self._pipeline(source, shards).iter_batches(
                batch_size=None, batch_format="pyarrow"
            ):
                yield from self._unpack(table)
        except TweetprofileError:
            raise
        except Exception as error:
            raise _ours_in(error) from error

    # --- the cluster -------------------------------------------------------------------------

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        # Nothing is told to Ray's makers, and nothing left in the home folder.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it speaks among our lines
        if self._address is None:
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex())
        else:
            _require_answer(self._address)
        on_sigterm = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(
                address=self._address or "local",
                include_dashboard=False if self._address is None else None,
                log_to_driver=False,
                logging_level="error",
            )
            logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what is wrong is raised, too
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise _no_cluster(self._address, str(error).strip().splitlines()[0]) from error
        self._own_cluster = True
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own in its place

    def _size_up(self) -> None:
        """How many actors, on what, and how many processors each."""
        names = self._options.device_names
        has = ray.cluster_resources()
        gpus, processors = int(has.get("GPU", 0)), int(has.get("CPU", 1))
        on_gpu = names[0] == "cuda" or (names[0] == "auto" and gpus > 0)
        if any(":" in name for name in names):
            raise OptionError(f"--devices {self._options.devices}: Ray chooses GPUs; give cuda.")
        room = gpus if on_gpu else -(-processors // _PROCESSORS_AN_ACTOR)
        self._kind = "cuda" if on_gpu else "cpu"
        self._actors = len(names) if len(names) > 1 else room
        if not 0 < self._actors <= (gpus if on_gpu else processors):
            raise OptionError(
                f"--devices {self._options.devices} asks for {max(1, self._actors)} actors; the "
                f"cluster has {gpus} GPUs and {processors} processors."
            )
        self._processors = 1 if on_gpu else min(_PROCESSORS_AN_ACTOR, processors // self._actors)

    @property
    def _resources(self) -> dict[str, float]:
        gpus = {"num_gpus": 1.0} if self._kind == "cuda" else {}
        return {"num_cpus": float(self._processors), **gpus}

    @property
    def _actor_options(self) -> EngineOptions:
        """An actor's engine has one device, and the processors that Ray has set apart for it."""
        processors = None if self._kind == "cuda" else self._processors
        devices = "cuda:0" if self._kind == "cuda" else "cpu"
        return replace(self._options, devices=devices, processors=processors, log=None)

    def _ask_one(self) -> tuple[PredictorFacts, int]:
        """What an actor comes to be, and how many of its lanes compute at a time."""
        ask = ray.remote(_facts_of).options(**self._resources, max_retries=0)
        try:
            facts, turns = ray.get(ask.remote(self._job, self._actor_options))
        except Exception as error:
            raise _ours_in(error) from error
        return facts, turns

    # --- the work ----------------------------------------------------------------------------

    def _pipeline(self, source: ShardSource, shards: Sequence[int]) -> Dataset:
        most = max(1, len(shards) // (self._actors * _RUNS_AN_ACTOR))
        runs = _runs(shards, min(_MOST_SHARDS_A_RUN, most))
        items = [{"first": run.start, "stop": run.stop} for run in runs]
        opened = tuple(replace(each, path=absolute(each.path)) for each in source.manifest.opened)
        visible = replace(source, manifest=replace(source.manifest, opened=opened))
        expected = _Expected(self.facts, source.manifest.fingerprint())
        return from_items(items, override_num_blocks=len(items)).map_batches(
            _ShardActor,
            batch_size=1,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=self._actors),
            fn_constructor_args=(self._job, self._actor_options, visible, expected),
            **self._resources,
        )

    def _unpack(self, results: pa.Table) -> Iterator[tuple[UserBatch, pa.Table]]:
        for row in results.to_pylist():
            if row["error"] is not None:
                raise pickle.loads(row["error"])
            if row["log"] is not None:
                log = json.loads(row["log"])
                self.deaths += log["deaths"]
                self.clock.add({Stage(name): spent for name, spent in log["seconds"].items()})
            batch = UserBatch(row["shard"], row["first"], unpack(row["batch"]))
            yield batch, unpack(row["profiles"])


@dataclass(frozen=True, slots=True)
class _Expected:
    """What an actor must find on its machine: the run's model, and the manifest's content."""

    facts: PredictorFacts
    fingerprint: str


class _ShardActor:
    """What Ray makes of an actor: an engine of its own, and the manifest's files."""

    def __init__(
        self, job: PredictJob, options: EngineOptions, source: ShardSource, expected: _Expected
    ) -> None:
        self._engine = LocalEngine(job, options).__enter__()
        self._told = 0
        self._refusal: TweetprofileError | None = None
        try:
            require_same_model(expected.facts, self._engine.facts, socket.gethostname())
            manifest = source.manifest.reopened(expected.fingerprint)
            self._source = replace(source, manifest=manifest)
        except TweetprofileError as error:
            self._refusal = error  # told with the first rows: Ray would try to start it again

    def __call__(self, runs: pa.Table) -> pa.Table:
        """The results of each run of shards."""
        try:
            if self._refusal is not None:
                raise self._refusal
            rows = [row for run in runs.to_pylist() for row in self._predict(**run)]
        except TweetprofileError as error:
            rows = [{"error": pickle.dumps(error)}]
        return pa.Table.from_pylist(rows, schema=_RESULTS)

    def _predict(self, first: int, stop: int) -> list[dict[str, Any]]:
        engine = self._engine
        batches = self._source.batches(range(first, stop), engine.users_per_task)
        rows = [
            {
                "shard": batch.shard,
                "first": batch.first,
                "batch": pack(batch.table.select(["user_id", *self._source.keep])).to_pybytes(),
                "profiles": pack(profiles).to_pybytes(),
            }
            for batch, profiles in engine.run(batches)
        ]
        deaths, self._told = engine.deaths[self._told :], len(engine.deaths)
        seconds = {stage.value: spent for stage, spent in engine.clock.take().items()}
        if rows:  # else the manifest has shrunk, which shows when all is counted
            rows[0]["log"] = json.dumps({"deaths": deaths, "seconds": seconds})
        return rows


def _require_answer(address: str) -> None:
    """Refuse an address where nobody listens: Ray would try for minutes, and end this process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:  # such as "auto", which Ray looks up in its own files
        return
    try:
        socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str | None, reason: str) -> OptionError:
    return OptionError(
        f"--ray-address {address or 'of this machine'}: no cluster answers ({reason}); give its "
        "HOST:PORT, or start it."
    )


def _facts_of(job: PredictJob, options: EngineOptions) -> tuple[PredictorFacts, int]:
    with LocalEngine(job, options) as engine:
        return engine.facts, engine.turns


def _runs(shards: Sequence[int], most: int) -> Iterator[range]:
    """Shards that follow each other, so many at a time at most."""
    first = shards[0]
    for before, shard in zip(shards, [*shards[1:], None], strict=True):
        if shard is None or shard != before + 1 or shard - first >= most:
            yield range(first, before + 1)
            first = shard or 0


def _ours_in(error: BaseException) -> TweetprofileError:
    """The error of ours that Ray has wrapped, or one that says what Ray says."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, TweetprofileError):
            return inner
        inner = getattr(inner, "cause", None) or inner.__cause__
    lines = [line for line in str(error).splitlines() if line.strip()]
    last = lines[-1].strip() if lines else type(error).__name__
    return WorkerError(
        f"Ray ended the run ({last}); mend that and run the same command with --resume to go on."
    )
