"""Weights from the Hugging Face hub, and from its cache, by a server on this machine.

One process of its own makes all requests, since huggingface_hub reads its settings when it is
imported. Each repository on the server has a fault of its own.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from tweetprofile.networks.timm_backbones import build_backbone

OLD, NEW, NONE = "a" * 40, "b" * 40, "f" * 40

RESNET = "timm/test_resnet"
MISSING = "timm/test_efficientnet"
WITHOUT_FILE = "timm/test_convnext"
OTHER_INPUT = "timm/test_nfnet"
DEAD = "timm/test_vit"
LYING = "timm/test_vit2"

CLIENT = """
import json, sys
from tweetprofile.networks.timm_backbones import backbone_facts, build_backbone
from tweetprofile.weights import load_backbone_weights
for line in sys.stdin:
    name, source = json.loads(line)
    try:
        backbone = build_backbone(name, 64, 64)
        record = load_backbone_weights(backbone, backbone_facts(name), source)
        result = record.to_dict()
    except Exception as error:
        result = {"kind": type(error).__name__, "message": str(error)}
    print(json.dumps(result), flush=True)
"""


@dataclass
class Hub:
    """A hub with the weights of one network in two commits, and its client."""

    files: dict[tuple[str, str], bytes]
    main: str = OLD
    requests: list[str] = field(default_factory=list)
    address: str = ""
    client: subprocess.Popen[str] | None = None

    def load(self, name: str, source: str) -> dict[str, Any]:
        """Load weights in the client, and return their record, or the error."""
        client = self.client
        assert client is not None
        assert client.stdin is not None
        assert client.stdout is not None
        self.requests.clear()
        client.stdin.write(json.dumps([name, source]) + "\n")
        client.stdin.flush()
        found: dict[str, Any] = json.loads(client.stdout.readline())
        return found


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            hub.requests.append(f"{self.command} {path}")
            if "test_vit." in path:
                self.close_connection = True
            elif path.startswith("/api/models/") and "/revision/" in path:
                self._say_commit(path)
            elif "/resolve/" in path:
                self._send_file(path)
            else:
                self._send(404, b"{}")

        def _say_commit(self, path: str) -> None:
            if "test_efficientnet" in path:
                self._send(404, b"{}", **{"X-Error-Code": "RepoNotFound"})
                return
            sha = "../../etc" if "test_vit2" in path else hub.main
            name = path.removeprefix("/api/models/").partition("/revision/")[0]
            self._send(200, json.dumps({"id": name, "modelId": name, "sha": sha}).encode())

        def _send_file(self, path: str) -> None:
            _, _, commit, file = path.rsplit("/", 3)
            data = hub.files.get((commit, file))
            if commit == NONE:
                self._send(404, b"", **{"X-Error-Code": "RevisionNotFound"})
            elif data is None or "test_convnext" in path:
                self._send(404, b"", **{"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            else:
                etag = f'"{hashlib.sha256(data).hexdigest()}"'
                self._send(200, data, **{"ETag": etag, "X-Repo-Commit": commit})

        def _send(self, status: int, data: bytes, **headers: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def weights(seed: int) -> bytes:
    torch.manual_seed(seed)
    return save(build_backbone(RESNET, 64, 64).state_dict())


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    imagenet = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    hub = Hub(
        files={
            (OLD, "model.safetensors"): weights(1),
            (NEW, "model.safetensors"): weights(2),
            (NEW, "config.json"): json.dumps({"pretrained_cfg": imagenet}).encode(),
        }
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    foreign = ("HF_", "HUGGINGFACE", "TRANSFORMERS_", "HTTP", "http", "ALL_PROXY", "all_proxy")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(folder),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",  # a request of its own
    }
    hub.client = subprocess.Popen(
        [sys.executable, "-c", CLIENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    yield hub
    assert hub.client.stdin is not None
    hub.client.stdin.close()
    hub.client.wait(30)
    server.shutdown()
    server.server_close()


def test_the_cache_is_empty_at_first_and_is_read_without_a_request(hub: Hub) -> None:
    found = hub.load(RESNET, "cache")
    assert "holds no model.safetensors of timm/test_resnet.r160_in1k; download" in found["message"]
    assert not hub.requests


def test_the_hub_names_a_commit_whose_files_are_then_downloaded(hub: Hub) -> None:
    found = hub.load(RESNET, "hub")
    assert found["source"] == f"hub timm/test_resnet.r160_in1k at {OLD}"
    assert found["license"] == "apache-2.0"
    assert found["sha256"] == hashlib.sha256(hub.files[OLD, "model.safetensors"]).hexdigest()
    first, *others = hub.requests
    assert first == "GET /api/models/timm/test_resnet.r160_in1k/revision/main"
    assert f"GET /timm/test_resnet.r160_in1k/resolve/{OLD}/model.safetensors" in others
    assert not any("/main/" in each for each in others)


def test_what_was_downloaded_is_in_the_cache(hub: Hub) -> None:
    for source in ("cache", f"cache@{OLD}"):
        assert hub.load(RESNET, source)["source"].endswith(OLD)
        assert not hub.requests
    assert f"at {NEW}; download" in hub.load(RESNET, f"cache@{NEW}")["message"]


def test_a_pinned_commit_stays_the_same_when_the_branch_moves(hub: Hub) -> None:
    before = hub.load(RESNET, f"hub@{OLD}")
    hub.main = NEW
    assert hub.load(RESNET, f"hub@{OLD}") == before
    assert not any("revision" in each for each in hub.requests)


def test_the_configuration_of_the_commit_is_believed(hub: Hub) -> None:
    found = hub.load(RESNET, f"hub@{NEW}")
    assert found["kind"] == "CheckpointError"
    assert "config.json has mean 123.7/116.3/103.5" in found["message"]


def test_several_commits_in_the_cache_are_named(hub: Hub) -> None:
    found = hub.load(RESNET, "cache")
    assert "several versions of timm/test_resnet.r160_in1k" in found["message"]
    assert f"write one of the commits {OLD}, {NEW} after 'cache@'" in found["message"]


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        (MISSING, "hub", "has no model timm/test_efficientnet.r160_in1k; give `weights` a file"),
        (WITHOUT_FILE, "hub", "has no model.safetensors in timm/test_convnext.r160_in1k at"),
        (RESNET, f"hub@{NONE}", f"has no model timm/test_resnet.r160_in1k at {NONE}"),
        (DEAD, "hub", "cannot be reached for timm/test_vit.r160_in1k"),
        (LYING, "hub", "cannot be reached for timm/test_vit2.r160_in1k"),
    ],
)
def test_what_the_hub_lacks_is_said_in_one_sentence(
    name: str, source: str, message: str, hub: Hub
) -> None:
    found = hub.load(name, source)
    assert found["kind"] == "CheckpointError"
    assert found["message"].startswith(f"the Hugging Face hub {message}")
    assert len(found["message"]) < 500
    assert "\n" not in found["message"]


@pytest.mark.parametrize("source", ["hub@main", "hub@", "cache@abc", f"hub@{OLD.upper()}"])
def test_a_revision_that_is_no_commit_is_refused(source: str, hub: Hub) -> None:
    found = hub.load(RESNET, source)
    assert found["kind"] == "OptionError"
    assert "names no commit" in found["message"]
    assert not hub.requests


def test_a_backbone_without_a_repository_is_refused(hub: Hub) -> None:
    found = hub.load("timm/test_vit4", "hub")
    assert found["kind"] == "OptionError"
    assert "timm knows no repository with weights of 'timm/test_vit4'" in found["message"]
    assert not hub.requests
