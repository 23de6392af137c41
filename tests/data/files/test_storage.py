"""Object stores hold the same input and output as a disk, with and without faults."""

import http.client
import json
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import polars as pl
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from tweetprofile.cli import main
from tweetprofile.data.files.storage import RemotePath, as_path, is_remote
from tweetprofile.data.images.fetching import Fetcher
from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import ImageRef
from tweetprofile.errors import ChangedInputError, ImageError, OutputError, Reason, StoreError

pytestmark = pytest.mark.slow


def put(store: pafs.FileSystem, folder: Path, key: str) -> None:
    """Copy a folder into the store."""
    pafs.copy_files(str(folder), key, destination_filesystem=store)


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


# --- the meaning of a URI --------------------------------------------------------------------


def test_a_uri_is_distinguished_from_a_path() -> None:
    assert is_remote("s3://dumps/a.parquet")
    assert is_remote("gs://dumps/a.parquet")
    for local in ("a.parquet", "/a/s3://b", "https://server/a", "s3:/a"):
        assert not is_remote(local)
    path = as_path("s3://dumps/2019/a.parquet")
    assert isinstance(path, RemotePath)
    assert (path.name, str(path.parent), path.key) == (
        "a.parquet",
        "s3://dumps/2019",
        "dumps/2019/a.parquet",
    )


def test_a_folder_and_a_pattern_are_manifests_too(store: pafs.FileSystem, dump: Path) -> None:
    put(store, dump, "dumps/crawl")
    train, test = (Manifest.open(dump / f"{name}.parquet") for name in ("train", "test"))
    both = Manifest.open("s3://dumps/crawl")
    assert both.count_users() == train.count_users() + test.count_users()
    assert Manifest.open("s3://dumps/*/te*.parquet").count_users() == test.count_users()


@pytest.mark.parametrize("name", ["run [1]", "run*", "what?", "[a-z]", "50%20 #+"])
def test_a_key_that_could_be_a_pattern_is_read_literally(
    store: pafs.FileSystem, dump: Path, tmp_path: Path, name: str
) -> None:
    users = Manifest.open(dump / "test.parquet").count_users()
    for folder, file in ((name, "test"), ("run 1", "train"), ("x", "train")):
        (tmp_path / folder).mkdir()
        shutil.copy(dump / f"{file}.parquet", tmp_path / folder / "m.parquet")
    put(store, tmp_path, "dumps/keys")
    for source in ("", "/m.parquet", "/*.parquet"):
        manifest = Manifest.open(f"s3://dumps/keys/{name}{source}")
        assert manifest.count_users() == users
        out = "m.parquet" if source == "/m.parquet" else "new.parquet"
        with pytest.raises(OutputError):
            inputs_of(manifest).refuse(RemotePath(f"s3://dumps/keys/{name}/{out}"), out)


def test_other_suffixes_and_partitions_are_read_in_a_store_as_on_disk(
    store: pafs.FileSystem, dump: Path, tmp_path: Path
) -> None:
    for file, path in (("test", "side=a/m.pq"), ("train", "side=b/m.PARQUET"), ("test", ".x.pq")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(dump / f"{file}.parquet", tmp_path / path)
    (tmp_path / "_SUCCESS").touch()
    put(store, tmp_path, "dumps/parts")
    here, there = Manifest.open(tmp_path), Manifest.open("s3://dumps/parts")
    assert here.count_users() == there.count_users()
    assert there.remarks == here.remarks == ("Text columns taken from folder names: side.",)
    assert here.fingerprint() == there.fingerprint()
    sides = [set(table["side"].to_pylist()) for table in there.columns(["side"])]
    assert set.union(*sides) == {"a", "b"}


def test_a_copy_in_a_store_has_the_same_fingerprint(store: pafs.FileSystem, dump: Path) -> None:
    put(store, dump, "dumps/crawl")
    here = Manifest.open(dump / "test.parquet").fingerprint()
    assert Manifest.open("s3://dumps/crawl/test.parquet").fingerprint() == here


# --- images ----------------------------------------------------------------------------------


def test_a_path_never_leaves_the_image_root(store: pafs.FileSystem, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for path in ("in/a.jpg", "in/sub/b.jpg", "secret.jpg"):
        (tmp_path / path).write_bytes(path.encode())
    put(store, tmp_path, "dumps/root")
    reader = ImageReader(RemotePath("s3://dumps/root/in"), max_bytes=11)
    assert reader.read(ImageRef("a.jpg")) == b"in/a.jpg"
    assert reader.read(ImageRef("s3://dumps/root/in/a.jpg")) == b"in/a.jpg"
    refused = {
        "../secret.jpg": Reason.OUTSIDE_ROOT,
        "sub/../../secret.jpg": Reason.OUTSIDE_ROOT,
        "s3://dumps/root/secret.jpg": Reason.OUTSIDE_ROOT,
        "s3://dumps/root/in/../secret.jpg": Reason.OUTSIDE_ROOT,
        "s3://other/a.jpg": Reason.OUTSIDE_ROOT,
        "/etc/passwd": Reason.OUTSIDE_ROOT,
        "file:///etc/passwd": Reason.UNSUPPORTED_URI,
        "none.jpg": Reason.MISSING,
        "sub": Reason.MISSING,
        "sub/b.jpg": Reason.TOO_LARGE,
    }
    for path, reason in refused.items():
        with pytest.raises(ImageError) as error:
            reader.read(ImageRef(path))
        assert error.value.reason == reason, path


def test_images_are_read_concurrently_and_come_in_order(
    store: pafs.FileSystem, tmp_path: Path, faults: "Faults"
) -> None:
    (tmp_path / "many").mkdir()
    for number in range(100):
        (tmp_path / "many" / f"{number}.jpg").write_bytes(str(number).encode())
    put(store, tmp_path / "many", "dumps/many")
    reader = ImageReader(RemotePath("s3://dumps/many"))
    refs = [ImageRef(f"{number}.jpg") for number in range(101)]
    assert list(reader.read_all(refs)) == [
        *(str(number).encode() for number in range(100)),
        Reason.MISSING,
    ]
    assert faults.most_at_once > 8


# --- complete runs ---------------------------------------------------------------------------


_SLOW_DOWN = (
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


def _body_of(request: BaseHTTPRequestHandler) -> bytes:
    if request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length", 0)))
    body = b""
    while size := int(request.rfile.readline().split(b";")[0], 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return body


class Faults:
    """A server in front of the store, which throttles, disconnects and delays in turn.

    Attributes:
        done: how many faults there were, by kind.
        most_at_once: requests that were under way at the same time.
    """

    def __init__(self, store: str) -> None:
        self.done = {"503": 0, "reset": 0, "slow": 0}
        self.most_at_once = 0
        self._under_way = 0
        self._numbers = count(1)
        self._lock = threading.Lock()
        faults = self

        class Between(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: object) -> None:
                pass

            def handle_one(self) -> None:
                with faults._lock:
                    number = next(faults._numbers)
                    faults._under_way += 1
                    faults.most_at_once = max(faults.most_at_once, faults._under_way)
                try:
                    faults._answer(self, number, store.removeprefix("http://"))
                finally:
                    with faults._lock:
                        faults._under_way -= 1

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_one

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Between)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def _answer(self, request: BaseHTTPRequestHandler, number: int, store: str) -> None:
        body = _body_of(request)
        if number % 7 == 0:
            self.done["503"] += 1
            request.send_response(503, "Slow Down")
            said = _SLOW_DOWN if number % 2 and request.command != "HEAD" else b""
            request.send_header("Content-Length", str(len(said)))
            request.end_headers()
            request.wfile.write(said)
        elif number % 11 == 0:
            self.done["reset"] += 1
            linger = struct.pack("ii", 1, 0)  # the connection ends as if by a crash
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            request.close_connection = True
            request.connection.close()
        else:
            if number % 13 == 0:
                self.done["slow"] += 1
                time.sleep(0.5)
            self._pass_on(request, body, store)

    @staticmethod
    def _pass_on(request: BaseHTTPRequestHandler, body: bytes, store: str) -> None:
        connection = http.client.HTTPConnection(store, timeout=30)
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in ("transfer-encoding", "content-length", "expect")
        }
        connection.request(request.command, request.path, body or None, headers)
        answer = connection.getresponse()
        data = answer.read()
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "server", "date"):
                request.send_header(name, value)
        if "Content-Length" not in answer.headers:
            request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)
        connection.close()


@pytest.fixture
def faults(
    server: str, store: pafs.FileSystem, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Faults]:
    """A server through which the store is reached from now on."""
    between = Faults(server)
    thread = threading.Thread(target=between.server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", between.address)
    yield between
    between.server.shutdown()
    between.server.server_close()


def profiles_of(path: str, store: pafs.FileSystem | None = None) -> pl.DataFrame:
    table = pl.from_arrow(pq.read_table(path, filesystem=store))
    assert isinstance(table, pl.DataFrame)
    return table


def test_a_run_from_store_to_store_with_faults_equals_one_on_disk(
    store: pafs.FileSystem, faults: Faults, dump: Path, model: Path, tmp_path: Path
) -> None:
    put(store, dump, "dumps/crawl")
    first = pl.read_parquet(dump / "test.parquet")["images"].drop_nulls()[0][0]
    store.delete_file(f"dumps/crawl/{first}")
    (dump / first).unlink()

    local, remote = tmp_path / "out.parquet", "s3://dumps/results/out.parquet"
    same = ("--checkpoint", model, "--devices", "cpu", "--users-per-shard", "3")
    assert run("predict", dump / "test.parquet", "-o", local, *same) == 0
    assert run("predict", "s3://dumps/crawl/test.parquet", "-o", remote, *same) == 0
    expected, found = profiles_of(str(local)), profiles_of("dumps/results/out.parquet", store)
    assert found.equals(expected)
    assert "missing" in str(found["image_errors"].to_list())
    assert all(faults.done.values()), faults.done
    assert not list((tmp_path / "cache").rglob("*.parquet"))  # nothing stays on this disk


def test_profiles_in_a_store_are_evaluated_on_labels_in_a_store(
    store: pafs.FileSystem, dump: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(store, dump, "dumps/crawl")
    manifests = dump / "train.parquet", "s3://dumps/crawl/train.parquet"
    places = str(dump / "out.parquet"), "s3://dumps/out.parquet"
    said = []
    for manifest, out in zip(manifests, places, strict=True):
        same = ("--checkpoint", model, "--devices", "cpu", "--quiet")
        assert run("predict", manifest, "-o", out, *same) == 0
        assert run("evaluate", manifest, "-p", out, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        said.append(found["traits"])
    assert said[0] == said[1]


def test_a_folder_of_shards_is_uploaded_and_replaces_an_old_one_only_with_overwrite(
    store: pafs.FileSystem, dump: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(store, dump, "dumps/crawl")
    same = (
        "predict", "s3://dumps/crawl/test.parquet", "-o", "s3://dumps/parts/", "--devices", "cpu",
        "--checkpoint", model,
    )  # fmt: skip
    assert run(*same, "--users-per-shard", "2") == 0
    assert run(*same) == 2
    assert "s3://dumps/parts exists; choose another name" in capsys.readouterr().err
    assert run(*same, "--overwrite") == 0
    parts = store.get_file_info(pafs.FileSelector("dumps/parts"))
    assert [part.base_name for part in parts] == ["part-00000.parquet"]
    # A finished run has nothing to resume, and exits at once.
    assert run(*same, "--resume") == 0
    assert "already complete" in capsys.readouterr().err


def test_an_output_that_could_not_be_uploaded_is_kept_and_uploaded_on_resume(
    store: pafs.FileSystem,
    dump: Path,
    model: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The store accepts only empty objects, as if it were full.
    out = "s3://dumps/out.parquet"
    same = ("predict", dump / "test.parquet", "-o", out, "--checkpoint", model, "--devices", "cpu")

    def refuse(source: Path, target: RemotePath) -> None:
        raise OSError("the store is full")

    with monkeypatch.context() as patch:
        patch.setattr("tweetprofile.predicting.uploading.upload", refuse)
        assert run(*same) == 1
    assert "out.parquet cannot be written: the store is full" in capsys.readouterr().err
    assert run(*same, "--resume") == 0
    assert "already complete" in capsys.readouterr().err
    assert len(profiles_of("dumps/out.parquet", store)) == len(
        pl.read_parquet(dump / "test.parquet")
    )


# --- a store that fails during a run ---------------------------------------------------------


class Gate(Faults):
    """A server in front of the store that refuses or delays requests as the test says.

    Attributes:
        denied: whether a request (its method, path and number) is answered with 403.
        dawdled: parts of paths whose objects are sent a byte at a time.
    """

    def __init__(self, store: str) -> None:
        super().__init__(store)
        self.denied: Callable[[str, str, int], bool] = lambda method, path, number: False
        self.dawdled: tuple[str, ...] = ()
        self.closing = threading.Event()

    def _answer(self, request: BaseHTTPRequestHandler, number: int, store: str) -> None:
        body = _body_of(request)
        if self.denied(request.command, request.path, number):
            said = b"" if request.command == "HEAD" else _EXPIRED
            request.send_response(403, "Forbidden")
            request.send_header("Content-Length", str(len(said)))
            request.end_headers()
            request.wfile.write(said)
        elif request.command == "GET" and any(part in request.path for part in self.dawdled):
            self._dawdle(request)
        else:
            self._pass_on(request, body, store)

    def _dawdle(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(206)
        request.send_header("Content-Length", "1000")
        request.send_header("Content-Range", "bytes 0-999/1000")
        request.end_headers()
        with suppress(OSError):  # until the client disconnects, or the test ends
            while not self.closing.wait(0.5):
                request.wfile.write(b"x")
                request.wfile.flush()


_EXPIRED = (
    b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
)


@pytest.fixture
def gate(server: str, store: pafs.FileSystem, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A server through which the store is reached from now on."""
    between = Gate(server)
    thread = threading.Thread(target=between.server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", between.address)
    yield between
    between.closing.set()
    between.server.shutdown()
    between.server.server_close()


def test_credentials_that_expire_end_the_run_which_can_be_resumed(
    store: pafs.FileSystem,
    gate: Gate,
    dump: Path,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put(store, dump, "dumps/crawl")
    out, expected = tmp_path / "out.parquet", tmp_path / "expected.parquet"
    same = ("--checkpoint", model, "--devices", "cpu", "--users-per-shard", "2", "--quiet")
    assert run("predict", "s3://dumps/crawl/train.parquet", "-o", expected, *same) == 0

    gate.denied = _Expiry(images=150)
    assert run("predict", "s3://dumps/crawl/train.parquet", "-o", out, *same) == 1
    said = capsys.readouterr().err.splitlines()  # besides the lines of the test server
    (sentence,) = (line for line in said if line.startswith("tweetprofile: "))
    assert "s3://dumps/crawl cannot be read any more" in sentence
    assert sentence.endswith("pass --resume to continue the run.")
    assert not out.exists()

    gate.denied = lambda method, path, number: False
    assert run("predict", "s3://dumps/crawl/train.parquet", "-o", out, *same, "--resume") == 0
    assert profiles_of(str(out)).equals(profiles_of(str(expected)))


class _Expiry:
    """Denies all requests after a number of images."""

    def __init__(self, images: int) -> None:
        self._left = images

    def __call__(self, method: str, path: str, number: int) -> bool:
        self._left -= ".jpg" in path
        return self._left < 0


def test_a_single_refused_object_is_unreadable_and_the_run_continues(
    store: pafs.FileSystem, gate: Gate, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        with store.open_output_stream(f"dumps/few/{name}.jpg") as file:
            file.write(name.encode())
    gate.denied = lambda method, path, number: "b.jpg" in path
    reader = ImageReader(RemotePath("s3://dumps/few"))
    refs = [ImageRef(f"{name}.jpg") for name in ("a", "b", "c", "none")]
    assert list(reader.read_all(refs)) == [b"a", Reason.UNREADABLE, b"c", Reason.MISSING]


def test_a_bucket_deleted_during_a_run_is_not_a_missing_image(
    server: str, store: pafs.FileSystem
) -> None:
    store = pafs.S3FileSystem(
        scheme="http",
        endpoint_override=server.removeprefix("http://"),
        region="us-east-1",
        allow_bucket_creation=True,
        allow_bucket_deletion=True,
    )
    store.create_dir("leaving")
    with store.open_output_stream("leaving/a.jpg") as file:
        file.write(b"a")
    reader = ImageReader(RemotePath("s3://leaving"))
    assert reader.read(ImageRef("a.jpg")) == b"a"
    store.delete_file("leaving/a.jpg")
    store.delete_dir("leaving")
    with pytest.raises(StoreError, match="s3://leaving cannot be read any more"):
        reader.read(ImageRef("b.jpg"))


def test_an_object_sent_byte_by_byte_is_too_slow_and_blocks_no_others(
    store: pafs.FileSystem, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fetcher.__init__, "__defaults__", (2.0,))  # seconds
    for number in range(60):
        with store.open_output_stream(f"dumps/many/{number:02}.jpg") as file:
            file.write(bytes(1000))
    gate.dawdled = tuple(f"{number:02}.jpg" for number in range(0, 60, 10))
    reader = ImageReader(RemotePath("s3://dumps/many"))
    began = time.monotonic()
    found = list(reader.read_all(ImageRef(f"{number:02}.jpg") for number in range(60)))
    assert time.monotonic() - began < 20
    slow = [number for number, each in enumerate(found) if each is Reason.TOO_SLOW]
    assert slow == list(range(0, 60, 10))
    assert all(each == bytes(1000) for number, each in enumerate(found) if number % 10)


def test_a_manifest_replaced_in_a_store_is_detected(store: pafs.FileSystem, dump: Path) -> None:
    put(store, dump, "dumps/crawl")
    manifest = Manifest.open("s3://dumps/crawl/test.parquet")
    batches = manifest.batches(1, 1)
    next(batches)
    pafs.copy_files(
        str(dump / "train.parquet"), "dumps/crawl/test.parquet", destination_filesystem=store
    )
    with pytest.raises(ChangedInputError, match=r"s3://dumps/crawl/test\.parquet was changed"):
        list(batches)


# --- mistakes of the user --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manifest", "options", "sentence"),
    [
        ("s3://nowhere/m.parquet", (), "s3://nowhere/m.parquet holds no Parquet file"),
        ("s3://dumps/none.parquet", (), "s3://dumps/none.parquet holds no Parquet file"),
        ("HERE", ("--image-root", "s3://nowhere/a"), "there is no bucket 'nowhere'"),
        ("HERE", ("-o", "s3://nowhere/out.parquet"), "there is no bucket 'nowhere'"),
    ],
)
def test_a_missing_bucket_is_reported_before_any_work(
    store: pafs.FileSystem,
    dump: Path,
    model: Path,
    tmp_path: Path,
    manifest: str,
    options: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = dump / "test.parquet" if manifest == "HERE" else manifest
    out = () if "-o" in options else ("-o", tmp_path / "out.parquet")
    assert run("predict", source, *out, "--checkpoint", model, *options) == 2
    assert sentence in capsys.readouterr().err


def test_a_server_that_does_not_answer_is_reported_before_any_work(
    store: pafs.FileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert run("predict", "s3://dumps/m.parquet", "-o", tmp_path / "out.parquet") == 2
    said = capsys.readouterr().err
    assert said.startswith("tweetprofile: s3://dumps/m.parquet cannot be reached")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "m.parquet", "-o", "s3://dumps/x"),
        ("predict", "m.parquet", "-o", "y", "--checkpoint", "s3://dumps/x"),
        ("import", "folder", "s3://dumps/x", "-o", "y"),
    ],
)
def test_a_uri_is_refused_where_a_path_on_disk_is_needed(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert (
        "'s3://dumps/x' is a URI, but must be on a disk of this machine" in capsys.readouterr().err
    )
