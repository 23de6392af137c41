"""The engine of a Ray cluster: one Ray actor per GPU, or per four processors.

Ray Data hands ranges of shards to Ray actors. Each of them reads its own part of the manifest, so
that the images do not pass through the supervisor, and has a `LocalEngine` of its own: an image
that crashes a worker does not end the Ray actor, and is handled as on a single machine. If a Ray
actor or a whole machine fails, Ray replaces it, and its shards are computed again.
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
from typing import Any, Generic, Self

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, Dataset, from_items

from tweetprofile.data.files.scratch import Closing
from tweetprofile.data.files.storage import absolute
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.engines.jobs import FactsT, Job
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.engines.messages import pack, unpack
from tweetprofile.engines.replacement import require_same_model
from tweetprofile.engines.shards import ShardSource
from tweetprofile.errors import OptionError, TweetprofileError, WorkerError
from tweetprofile.job import WorkerFacts
from tweetprofile.stages import Stage, StageClock

_PROCESSORS_PER_ACTOR = 4

_CONNECT_SECONDS = 10.0
"""Time for the address of a cluster to accept a connection."""

_MOST_SHARDS_PER_RANGE = 16
_RANGES_PER_ACTOR = 8
"""The fewest ranges per Ray actor if there are shards enough, so that all Ray actors finish at
about the same time."""

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
"""One row per batch: its position, its ids and kept columns (packed) and its profiles (packed). The
first row of a range also has the log of the Ray actor as JSON. If the actor fails, the only row is
the pickled error, because Ray itself would pass on no more than its text."""


class RayEngine(Closing, Generic[FactsT]):
    """Predicts or embeds shards on a Ray cluster; a `ShardEngine`.

    Args:
        job: The job of each worker. Every machine must see the checkpoint and the images under the
            same names.
        options: The devices, and how to supervise workers. `devices` is `auto`, `cpu` or `cuda` for
            as many Ray actors as the cluster has room for, or one device per Ray actor, separated
            by commas.
        address: The address of the cluster; None for a cluster on this machine alone, which ends
            with the block.

    Attributes:
        facts: What the Ray actors reported about themselves. Set once the block is entered.
        deaths: Sentences on how workers crashed or hung, as reported by the Ray actors.
        clock: The seconds per stage that the worker threads of all Ray actors have spent.
        supervisor_clock: Always empty, because the Ray actors read the manifest.
        compute_slots: The number of worker threads that may compute at the same time, over all Ray
            actors.

    Raises:
        OptionError: No cluster answers, or it lacks the devices.
    """

    facts: FactsT

    def __init__(
        self, job: Job[FactsT], options: EngineOptions, address: str | None = None
    ) -> None:
        self._job = job.absolute()
        self._options = options
        self._address = address
        self._own_cluster = False
        self._actors = 1
        self.deaths: list[str] = []
        self.clock = StageClock()
        self.supervisor_clock = StageClock()
        self.compute_slots = 1

    def __enter__(self) -> Self:
        try:
            self._connect()
            self._plan_actors()
            self.facts, compute_slots = self._ask_one_actor()
            self.compute_slots = compute_slots * self._actors
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Leave the cluster, and end it if this engine has started it."""
        if self._own_cluster:
            ray.shutdown()

    @property
    def devices(self) -> tuple[str, ...]:
        """The device of each Ray actor."""
        return (self._kind,) * self._actors

    def run_shards(
        self, source: ShardSource, shards: Sequence[int]
    ) -> Iterator[tuple[UserBatch, pa.Table]]:
        """See `ShardEngine.run_shards`; the batches contain only ids and kept columns.

        Raises:
            TweetprofileError: A Ray actor could not continue; this is its error.
            WorkerError: Ray ended the run.
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
            raise _own_error(error) from error

    # --- the cluster -------------------------------------------------------------------------

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        # Ray neither reports usage to its makers nor leaves anything in the home folder.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # or it prints among our output
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
            logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # errors are also raised
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise _no_cluster(self._address, str(error).strip().splitlines()[0]) from error
        self._own_cluster = True
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # Ray has replaced it

    def _plan_actors(self) -> None:
        """Decide the number of Ray actors, their device, and the processors for each."""
        names = self._options.device_names
        has = ray.cluster_resources()
        gpus, processors = int(has.get("GPU", 0)), int(has.get("CPU", 1))
        on_gpu = names[0] == "cuda" or (names[0] == "auto" and gpus > 0)
        if any(":" in name for name in names):
            raise OptionError(
                f"`devices` is '{self._options.devices}', but Ray chooses the GPUs; give cuda."
            )
        room = gpus if on_gpu else -(-processors // _PROCESSORS_PER_ACTOR)
        self._kind = "cuda" if on_gpu else "cpu"
        self._actors = len(names) if len(names) > 1 else room
        if not 0 < self._actors <= (gpus if on_gpu else processors):
            raise OptionError(
                f"`devices` is '{self._options.devices}', which needs {max(1, self._actors)} Ray "
                f"actors; the cluster has {gpus} GPUs and {processors} processors."
            )
        self._processors = 1 if on_gpu else min(_PROCESSORS_PER_ACTOR, processors // self._actors)

    @property
    def _resources(self) -> dict[str, float]:
        gpus = {"num_gpus": 1.0} if self._kind == "cuda" else {}
        return {"num_cpus": float(self._processors), **gpus}

    @property
    def _actor_options(self) -> EngineOptions:
        """The options of an actor's engine: one device, and the processors reserved for it."""
        processors = None if self._kind == "cuda" else self._processors
        devices = "cuda:0" if self._kind == "cuda" else "cpu"
        return replace(self._options, devices=devices, processors=processors, log=None)

    def _ask_one_actor(self) -> tuple[FactsT, int]:
        """Return the facts and the number of compute slots of a Ray actor."""
        ask = ray.remote(_facts_of).options(**self._resources, max_retries=0)
        try:
            facts, compute_slots = ray.get(ask.remote(self._job, self._actor_options))
        except Exception as error:
            raise _own_error(error) from error
        return facts, compute_slots

    # --- the work ----------------------------------------------------------------------------

    def _pipeline(self, source: ShardSource, shards: Sequence[int]) -> Dataset:
        most = max(1, len(shards) // (self._actors * _RANGES_PER_ACTOR))
        ranges = _consecutive(shards, min(_MOST_SHARDS_PER_RANGE, most))
        items = [{"first": each.start, "stop": each.stop} for each in ranges]
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
    """What every Ray actor must find on its machine.

    Attributes:
        facts: The facts of the first actor, with the checksum of the weights.
        fingerprint: The fingerprint of the manifest.
    """

    facts: WorkerFacts
    fingerprint: str


class _ShardActor:
    """A Ray actor: an engine of its own, which reads the files of the manifest by itself."""

    def __init__(
        self, job: Job[Any], options: EngineOptions, source: ShardSource, expected: _Expected
    ) -> None:
        self._reported = 0
        self._refusal: TweetprofileError | None = None
        try:
            manifest = source.manifest.reopened(expected.fingerprint)
            self._source = replace(source, manifest=manifest)
            own_job = replace(job, rows=self._source.content_rows)
            self._engine = LocalEngine(own_job, options).__enter__()
            require_same_model(expected.facts, self._engine.facts, socket.gethostname())
        except TweetprofileError as error:
            self._refusal = error  # raised with the first rows, or Ray would start it again

    def __call__(self, ranges: pa.Table) -> pa.Table:
        """Return the results of each range of shards."""
        try:
            if self._refusal is not None:
                raise self._refusal
            rows = [row for each in ranges.to_pylist() for row in self._predict(**each)]
        except TweetprofileError as error:
            rows = [{"error": pickle.dumps(error)}]
        return pa.Table.from_pylist(rows, schema=_RESULTS)

    def _predict(self, first: int, stop: int) -> list[dict[str, Any]]:
        engine = self._engine
        rows = [
            {
                "shard": batch.shard,
                "first": batch.first,
                "batch": pack(batch.table.select(["user_id", *self._source.keep])).to_pybytes(),
                "profiles": pack(profiles).to_pybytes(),
            }
            for batch, profiles in engine.run_shards(self._source, range(first, stop))
        ]
        deaths, self._reported = engine.deaths[self._reported :], len(engine.deaths)
        seconds = {stage.value: spent for stage, spent in engine.clock.take().items()}
        if rows:  # if not, the manifest has shrunk, which shows when all users are counted
            rows[0]["log"] = json.dumps({"deaths": deaths, "seconds": seconds})
        return rows


def _require_answer(address: str) -> None:
    """Refuse an address where nothing listens: Ray would try for minutes, then end this process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:  # for example "auto", which Ray looks up in its own files
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str | None, reason: str) -> OptionError:
    return OptionError(
        f"`ray_address` {address or 'of this machine'}: no cluster answers ({reason}); give its "
        "HOST:PORT, or start it."
    )


def _facts_of(job: Job[FactsT], options: EngineOptions) -> tuple[FactsT, int]:
    with LocalEngine(job, options) as engine:
        return engine.facts, engine.compute_slots


def _consecutive(shards: Sequence[int], most: int) -> Iterator[range]:
    """Divide shards into ranges of consecutive numbers, of at most `most` shards each."""
    first = shards[0]
    for before, shard in zip(shards, [*shards[1:], None], strict=True):
        if shard is None or shard != before + 1 or shard - first >= most:
            yield range(first, before + 1)
            first = shard or 0


def _own_error(error: BaseException) -> TweetprofileError:
    """Return the `TweetprofileError` that Ray has wrapped, or one with Ray's message."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, TweetprofileError):
            return inner
        inner = getattr(inner, "cause", None) or inner.__cause__
    lines = [line for line in str(error).splitlines() if line.strip()]
    last = lines[-1].strip() if lines else type(error).__name__
    return WorkerError(
        f"Ray ended the run ({last}); fix that, and run it again with `resume=True` to continue."
    )
