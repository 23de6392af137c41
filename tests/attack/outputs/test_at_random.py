"""Whatever is at the name of its output, a command changes nothing but its own earlier outputs.

Hypothesis puts files, folders, links, pipes and earlier outputs at the names that commands use, and
runs a command on them.
"""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attack.outputs.helpers import TRAITS, leave_unfinished, snapshot, write_profiles
from tests.facts import predictor_facts
from tweetprofile.browsing.output_folder import check_folder as check_page
from tweetprofile.browsing.output_folder import new_folder as new_page
from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.data.files.logs import check_logs, open_log
from tweetprofile.data.files.protection import check_file
from tweetprofile.data.files.provenance import Kind, browse_line
from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import TweetprofileError
from tweetprofile.evaluation.output_folder import prepare_folder as prepare_evaluation
from tweetprofile.evaluation.written_files import write_files
from tweetprofile.importers.run import ImportOptions, import_dump
from tweetprofile.inspection.contact_sheets import _write_png
from tweetprofile.inspection.drawing import Sheet
from tweetprofile.networks import build_network, network_spec
from tweetprofile.predicting.destination import Destination
from tweetprofile.predicting.summary import PredictSummary, check_stats, write_stats
from tweetprofile.training.folder import FolderOptions, prepare_folder, write_card
from tweetprofile.training.settings import TrainOptions, write_settings
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.workers.profiles import Counts

FACTS = predictor_facts(schema=TRAITS)

NETWORK = build_network(network_spec("deepset"), VolumeSpec(height=16, width=16), TRAITS)


@dataclass
class World:
    """A folder with users, and with other things at some names.

    Attributes:
        root: The folder.
        owners: The command whose earlier output a path is, for each such path; it also owns
            everything below it.
    """

    root: Path
    owners: dict[Path, str] = field(default_factory=dict)

    def owner(self, path: Path) -> str | None:
        """Return the command that owns a path, or a folder that contains it."""
        owned = (each for each in (path, *path.parents) if each in self.owners)
        return next(map(self.owners.__getitem__, owned), None)


NAMES = ["a", "b", "c.csv", "m.parquet", "dump", "dump/ada/1.png", "labels.csv", "data"]
SIDES = ["", ".partial", ".skipped.csv", ".worker-0.log", ".json"]

Put = Callable[[World, Path, str], object]


def put_link(world: World, path: Path, other: str) -> None:
    path.symlink_to(world.root / other)


def put_hard_link(world: World, path: Path, other: str) -> None:
    if (world.root / other).is_file():
        path.hardlink_to(world.root / other)
        if (owner := world.owner(world.root / other)) is not None:
            world.owners[path] = owner


def put_socket(world: World, path: Path, other: str) -> None:
    with socket.socket(socket.AF_UNIX) as made, suppress(OSError):  # if the path is too long
        made.bind(str(path))


def put_folder(world: World, path: Path, other: str) -> None:
    path.mkdir()
    for name in ("run.json", "part-00000.parquet", "train.toml", ".tweetprofile.json"):
        (path / name).write_text("{}")


def put_earlier(world: World, path: Path, other: str) -> None:
    """Put an earlier output of one of the commands there; `other` decides which."""
    command = sorted(COMMANDS)[NAMES.index(other) % len(COMMANDS)]
    before = snapshot(world.root)
    with suppress(TweetprofileError):
        COMMANDS[command](world, path, world.root / "m.parquet", False, False)
    for new in snapshot(world.root).keys() - before.keys():
        world.owners[new] = command.partition(" ")[0]


def put_unfinished(world: World, path: Path, other: str) -> None:
    before = snapshot(world.root)
    with suppress(TweetprofileError):
        leave_unfinished(path)
    for new in snapshot(world.root).keys() - before.keys():
        world.owners[new] = "predict"


PUTS: dict[str, Put] = {
    "text": lambda world, path, other: path.write_text("precious"),
    "nothing in it": lambda world, path, other: path.touch(),
    "a pipe": lambda world, path, other: os.mkfifo(path),
    "a folder": put_folder,
    "an empty folder": lambda world, path, other: path.mkdir(),
    "a link": put_link,
    "a hard link": put_hard_link,
    "a socket": put_socket,
    "an earlier output": put_earlier,
    "an unfinished run": put_unfinished,
}

Command = Callable[[World, Path, Path, bool, bool], None]


def predict(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    inputs = inputs_of(Manifest.open(manifest), world.root)
    write_profiles(out, overwrite=overwrite, resume=resume, inputs=inputs)


def predict_parts(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    inputs = inputs_of(Manifest.open(manifest), world.root)
    write_profiles(f"{out}/", overwrite=overwrite, resume=resume, inputs=inputs)


def keep_logs(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    check_logs(out, inputs_of(Manifest.open(manifest)))
    with open_log(out, 0) as log:
        log.write(b"noise\n")


def statistics(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    inputs = inputs_of(Manifest.open(manifest), world.root)
    check_stats(out, Destination.of(f"{world.root}/p.parquet"), inputs, overwrite=overwrite)
    write_stats(out, PredictSummary("p", Counts(), 1.0, FACTS), overwrite=overwrite)


def import_folder(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    labels = manifest if manifest.suffix == ".csv" else None
    options = ImportOptions(overwrite=overwrite, labels=labels, min_images=1 + resume)
    import_dump("folder", world.root / "dump", out, options)


def embed(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    options = ImportOptions(overwrite=overwrite, embed=True)
    import_dump("folder", world.root / "dump", f"{out}/", options)


def draw(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    check_file(out, Kind.SHEET, inputs_of(Manifest.open(manifest)), overwrite=overwrite)
    _write_png(out, Sheet("ada", "", (16, 16), ()), overwrite=overwrite)


def evaluate(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    prepare_evaluation(out, overwrite=overwrite, inputs=inputs_of(Manifest.open(manifest)))
    name = "tables/mood.csv" if resume else "report.html"
    write_files(out, {"metrics.json": b"{}", name: os.urandom(8)})


def browse(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    inputs = inputs_of(Manifest.open(manifest), world.root / "dump")
    check_page(out, inputs, overwrite=overwrite)
    with new_page(out, overwrite=overwrite) as unfinished:
        for name in ("index.html", "files/more.js" if resume else "files/data.js"):
            line = browse_line(name.rpartition(".")[2])
            (unfinished / name).write_bytes(f"{line}\n".encode() + os.urandom(8))


def train(world: World, out: Path, manifest: Path, overwrite: bool, resume: bool) -> None:
    inputs = inputs_of(Manifest.open(manifest), world.root)
    prepare_folder(out, inputs, FolderOptions(overwrite, resume))
    write_settings(out / "train.toml", manifest, TrainOptions())
    write_card(
        out / "MODEL_CARD.md", "# Model card: a, b\n\nMade by tweetprofile 1. The network \n"
    )
    save_checkpoint(out / "model.safetensors", NETWORK, {})


COMMANDS: dict[str, Command] = {
    "predict": predict,
    "predict parts": predict_parts,
    "predict --debug": keep_logs,
    "predict --stats": statistics,
    "import": import_folder,
    "import --embed": embed,
    "inspect": draw,
    "evaluate": evaluate,
    "browse": browse,
    "train": train,
}

Thing = tuple[str, str, str, str]
"""What to put where: a name, its ending, a key of `PUTS`, and another name that it may refer to."""

Run = tuple[str, str, str, bool, bool]
"""A key of `COMMANDS`, the output, the manifest, and whether to overwrite and to resume."""

THINGS = st.tuples(
    st.sampled_from(NAMES[:3]),
    st.sampled_from(SIDES),
    st.sampled_from(sorted(PUTS)),
    st.sampled_from(NAMES),
)


ALWAYS_CONTINUING = ("predict --debug", "train")
"""Commands that append to an earlier log, and that continue a run without a finished epoch, even
without `--overwrite` or `--resume`."""

RUNS = st.tuples(
    st.sampled_from(sorted(COMMANDS)),
    st.sampled_from([*NAMES, "data/new.parquet", "dump/new", "new", "a.partial", "."]),
    st.sampled_from(["m.parquet", "data", "labels.csv", "a"]),
    st.booleans(),
    st.booleans(),
)


def foreign_changes(root: Path, things: list[Thing], run: Run) -> list[str]:
    """Put things into a folder and run a command; return what it changed and must not change."""
    command, out, source, overwrite, resume = run
    world = World(root)
    for name, side, put, other in things:
        path = root / f"{name}{side}"
        if not os.path.lexists(path):
            PUTS[put](world, path, other)
    before = snapshot(root)
    with suppress(TweetprofileError):
        COMMANDS[command](world, root / out, root / source, overwrite, resume)
    after = snapshot(root)
    owner = command.partition(" ")[0]
    wrong = [f"{path} was left behind" for path in after if path.name.startswith(".tweetprofile-")]
    for path, facts in before.items():
        if after.get(path) != facts:
            if world.owner(path) != owner:
                wrong.append(f"{path} is no earlier output of {owner}")
            if not (overwrite or resume or command in ALWAYS_CONTINUING):
                wrong.append(f"{path} was replaced without being asked to")
            if owner != "import" and path.is_relative_to(root / source):
                wrong.append(f"{path} is an input")
    return wrong


@pytest.fixture(scope="module")
def short_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a short path, because paths of sockets must be short."""
    folder = tmp_path_factory.mktemp("w")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("examples", "most_things"), [(60, 5), pytest.param(3000, 8, marks=pytest.mark.slow)]
)
def test_a_command_changes_nothing_but_its_own_earlier_outputs(
    drawn_users: Path, short_folder: Path, examples: int, most_things: int
) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(things=st.lists(THINGS, max_size=most_things), run=RUNS)
    def check(things: list[Thing], run: Run) -> None:
        root = shutil.copytree(drawn_users, short_folder / "w")
        try:
            wrong = foreign_changes(root, things, run)
        finally:
            shutil.rmtree(root)
        assert wrong == []

    check()
