"""Embeddings: they depend on their own frame alone, and are computed once."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.workers.backbones import FAMILIES, TINY, make_backbone
from tweetprofile.checkpoints.backbone import Backbone, load_backbone
from tweetprofile.errors import CheckpointError
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.volumes.views import VIEWS
from tweetprofile.workers.embedding import FrameEmbedder, group_size, shared_embedder
from tweetprofile.workers.embedding_store import STORED, EmbeddingStore, frame_key

CPU = torch.device("cpu")


def embedder_of(
    backbone: Backbone, views: int = 1, precision: torch.dtype = torch.float32
) -> FrameEmbedder:
    return FrameEmbedder(backbone, device=CPU, precision=precision, views=VIEWS[:views])


def draw_frames(count: int, side: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    shape = (count, side, side, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name.endswith("224") else [])
        for name in FAMILIES
    ],
)
def test_no_bit_of_an_embedding_depends_on_other_frames(name: str) -> None:
    backbone = make_backbone(name)
    embedder, side = embedder_of(backbone), backbone.volume_spec.height
    frames = draw_frames(19, side)  # more than a group

    together = embedder.embed(frames)
    alone = torch.cat([embedder.embed(frame[None]) for frame in frames[[0, 7, 15, 16, 18]]])
    reversed_ = embedder.embed(frames.flip(0)).flip(0)

    assert together.dtype == torch.float16
    assert together.shape == (19, 1, backbone.features)
    assert torch.equal(alone, together[[0, 7, 15, 16, 18]])
    assert torch.equal(reversed_, together)
    assert not torch.equal(together[0], together[1])


def test_groups_of_large_frames_are_smaller() -> None:
    sizes = [group_size(CPU, VolumeSpec(height=side, width=side)) for side in (32, 128, 224, 1024)]
    assert sizes == [16, 16, 4, 1]
    assert group_size(torch.device("cuda"), VolumeSpec(height=224, width=224)) == 256


def test_embeddings_are_those_of_the_network_itself() -> None:
    backbone = make_backbone()
    frames = draw_frames(3, 32)
    normalised = backbone.volume_spec.normalise_frames(frames)

    embeddings = embedder_of(backbone).embed(frames)[:, 0]

    with torch.inference_mode():
        wanted = backbone.network(normalised)
    assert torch.allclose(embeddings.float(), wanted, atol=2e-3)


def test_a_frame_that_occurs_again_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = embedder_of(make_backbone())
    computed: list[int] = []
    compute = embedder._compute

    def count(frames: torch.Tensor, observer: object) -> object:
        computed.append(len(frames))
        return compute(frames, observer)  # type: ignore[arg-type]

    monkeypatch.setattr(embedder, "_compute", count)
    two = draw_frames(2, 32)

    embeddings = embedder.embed(two[[0, 1, 0, 0, 1]])

    assert computed == [2]
    assert torch.equal(embeddings, embedder.embed(two)[[0, 1, 0, 0, 1]])


def test_no_frames_have_no_embeddings() -> None:
    embedder = embedder_of(make_backbone())
    assert embedder.embed(draw_frames(0, 32)).shape == (0, 1, embedder.features)


def test_views_are_embedded_side_by_side() -> None:
    backbone = make_backbone()
    frames = draw_frames(2, 32)
    both = embedder_of(backbone, views=2).embed(frames)

    assert torch.equal(both[:, 0], embedder_of(backbone).embed(frames)[:, 0])
    assert torch.equal(both[:, 1], embedder_of(backbone).embed(frames.flip(2))[:, 0])


@pytest.mark.parametrize(
    ("precision", "remedy"),
    [(torch.float32, "use other weights"), (torch.bfloat16, 'pass `precision="fp32"`')],
)
def test_numbers_that_overflow_are_one_sentence_with_a_remedy_that_helps(
    precision: torch.dtype, remedy: str
) -> None:
    backbone = make_backbone()
    for name, weight in backbone.state.items():
        if name.endswith("conv1.weight"):
            weight.fill_(3e38)
    with pytest.raises(CheckpointError, match=rf"embeddings that are not numbers.*{remedy}\.$"):
        embedder_of(backbone, precision=precision).embed(draw_frames(1, 32))


def test_threads_share_an_embedder() -> None:
    backbone = make_backbone()
    one, other = (
        shared_embedder(backbone, device=CPU, precision=torch.float32, views=VIEWS[:1])
        for _ in range(2)
    )
    assert one is other


class TestStore:
    def open(self, folder: Path, gigabytes: float = 1.0) -> EmbeddingStore:
        return EmbeddingStore(folder, 4, gigabytes)

    def fill(self, folder: Path, count: int = 3) -> tuple[list[bytes], np.ndarray]:
        keys = [frame_key(frame.numpy()) for frame in draw_frames(count, 16)]
        vectors = np.arange(count * 4, dtype=np.float16).reshape(count, 4)
        self.open(folder).add(keys, vectors)
        return keys, vectors

    def test_a_later_process_finds_what_was_added(self, tmp_path: Path) -> None:
        keys, vectors = self.fill(tmp_path)
        later = self.open(tmp_path)
        assert [later.find(key) is not None for key in keys] == [True] * 3
        assert np.array_equal(later.find(keys[1]), vectors[1])  # type: ignore[arg-type]
        assert later.find(b"0" * 16) is None

    def test_a_record_that_was_cut_off_is_not_used(self, tmp_path: Path) -> None:
        for ending in STORED:
            folder = tmp_path / ending
            keys, _ = self.fill(folder)
            (file,) = folder.glob(f"*{ending}")
            file.write_bytes(file.read_bytes()[:-1])
            later = self.open(folder)
            assert [later.find(key) is not None for key in keys] == [True, True, False]

    def test_a_damaged_record_is_not_used(self, tmp_path: Path) -> None:
        for ending in STORED:
            folder = tmp_path / ending
            keys, _ = self.fill(folder)
            (file,) = folder.glob(f"*{ending}")
            data = bytearray(file.read_bytes())
            data[-1] ^= 1
            file.write_bytes(data)
            later = self.open(folder)
            assert [later.find(key) is not None for key in keys] == [True, True, False]

    def test_a_record_that_another_process_has_stored_soundly_is_used(self, tmp_path: Path) -> None:
        keys, vectors = self.fill(tmp_path)
        for ending in STORED:
            (file,) = tmp_path.glob(f"*{ending}")
            (tmp_path / f"0{ending}").write_bytes(bytes(file.stat().st_size))  # sorts before it
            shutil.copy(file, tmp_path / f"1{ending}")
        (damaged,) = tmp_path.glob(f"1{STORED[0]}")
        damaged.write_bytes(bytes(damaged.stat().st_size))
        later = self.open(tmp_path)
        assert [
            np.array_equal(later.find(key), vector)  # type: ignore[arg-type]
            for key, vector in zip(keys, vectors, strict=True)
        ] == [True] * 3

    def test_a_full_store_stays_as_it_is(self, tmp_path: Path) -> None:
        keys, vectors = self.fill(tmp_path)
        size = sum(file.stat().st_size for file in tmp_path.iterdir())
        full = self.open(tmp_path, gigabytes=size / 1e9)
        full.add([b"1" * 16], vectors[:1])
        assert full.find(b"1" * 16) is None
        assert full.find(keys[0]) is not None

    def test_a_folder_that_vanishes_costs_no_embedding(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        store.add([b"1" * 16], np.ones((1, 4), np.float16))
        assert store.find(b"1" * 16) is None

    def test_embeddings_from_a_store_are_those_that_were_computed(self, tmp_path: Path) -> None:
        embedder = embedder_of(make_backbone(), views=2)
        frames = draw_frames(5, 32)
        wanted = embedder.embed(frames)
        first, second = (EmbeddingStore(tmp_path, embedder.size, 1.0) for _ in range(2))

        assert torch.equal(embedder.embed(frames[:3], store=first), wanted[:3])
        assert torch.equal(embedder.embed(frames, store=second), wanted)
        assert torch.equal(
            embedder.embed(frames, store=EmbeddingStore(tmp_path, embedder.size, 1.0)), wanted
        )

    def test_another_backbone_has_another_folder(self, tmp_path: Path) -> None:
        other = make_backbone()
        for weight in other.state.values():
            if weight.is_floating_point():
                weight.add_(1)
        for backbone in (make_backbone(), make_backbone(side=48), other):
            embedder_of(backbone).open_store(tmp_path, 1.0)
        embedder_of(make_backbone()).open_store(tmp_path, 1.0)
        assert len(list(tmp_path.iterdir())) == 3


class TestBackboneFile:
    def test_a_backbone_survives_saving(self, tmp_path: Path) -> None:
        backbone = make_backbone("timm/test_vit")
        backbone.save(tmp_path / "backbone.safetensors")
        loaded = load_backbone(tmp_path / "backbone.safetensors")
        assert loaded.digest == backbone.digest
        frames = draw_frames(2, backbone.volume_spec.height)
        assert torch.equal(embedder_of(loaded).embed(frames), embedder_of(backbone).embed(frames))

    @pytest.mark.parametrize(
        ("header", "reason"),
        [
            ({"features": 8}, "lacks 'name'"),
            ({"name": "timm/../etc", "features": 8, "volume": {}}, "unknown"),
            ({"name": "hf-hub:x/y", "features": 8, "volume": {}}, "unknown"),
            ({"name": TINY, "features": 8, "volume": {"height": 1}}, "out of range"),
            ({"name": "timm/vit_giant_patch14_224", "features": 1408, "volume": {}}, "requires"),
            ({"name": TINY, "features": 10**6, "volume": {}}, "features"),
        ],
    )
    def test_a_header_that_is_wrong_is_one_sentence(
        self, tmp_path: Path, header: dict[str, object], reason: str
    ) -> None:
        path = tmp_path / "backbone.safetensors"
        make_backbone().save(path)
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        fields = json.loads(data[8 : 8 + length])
        fields["__metadata__"] = {"tweetprofile-backbone": json.dumps(header)}
        text = json.dumps(fields).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
        with pytest.raises(CheckpointError, match=reason):
            load_backbone(path)
