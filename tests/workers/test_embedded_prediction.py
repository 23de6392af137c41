"""Predictions by networks over embeddings: each image computed once, each user alone."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.random_models import save_head
from tests.workers.backbones import SCHEMA, make_backbone, save_model
from tweetprofile.checkpoints.backbone import Backbone
from tweetprofile.checkpoints.checkpoint import Checkpoint, load_checkpoint
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.errors import CheckpointError, OptionError
from tweetprofile.job import Precision, PredictorOptions
from tweetprofile.workers.embedder import Embedder
from tweetprofile.workers.feature_rows import EMBEDDINGS
from tweetprofile.workers.predictor import Predictor

OPTIONS = PredictorOptions(device="cpu", decoder="pillow")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return save_model(tmp_path_factory.mktemp("model") / "model.safetensors", make_backbone())


def draw(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def user(name: str, *seeds: int) -> UserImages:
    return UserImages(name, tuple(ImageRef(data=draw(seed)) for seed in seeds))


USERS = [user("a", *range(14)), user("b", 3), user("c"), user("d", 5, 5, 6)]


def test_probabilities_are_those_of_the_whole_network(checkpoint: Checkpoint) -> None:
    rows = Predictor(checkpoint, OPTIONS)([user("a", 0, 1, 2)]).to_pylist()
    embedded = Embedder(Backbone.of(checkpoint), 11, OPTIONS)([user("a", 0, 1, 2)])
    data = embedded[EMBEDDINGS][0].as_py()
    embeddings = torch.from_numpy(np.frombuffer(data, np.float16).copy()).view(1, 3, -1)
    network = checkpoint.network
    logits = network.get_submodule("head")(embeddings.float())
    for trait in SCHEMA:
        wanted = logits[trait.name].softmax(1)[0].tolist()
        found = list(rows[0][f"{trait.name}_probabilities"].values())
        assert found == pytest.approx(wanted, abs=1e-6)


def test_a_users_row_depends_on_that_user_alone(checkpoint: Checkpoint) -> None:
    predictor = Predictor(checkpoint, OPTIONS)
    together = predictor(USERS).to_pylist()
    for place in range(len(USERS)):
        others = [user(str(each.user_id), 90 + number) for number, each in enumerate(USERS)]
        others[place] = USERS[place]
        assert predictor(others).to_pylist()[place] == together[place]


def test_shared_images_are_embedded_once_per_batch(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(checkpoint, OPTIONS)
    embedder = predictor._images._embedder
    assert embedder is not None
    computed: list[int] = []
    compute = type(embedder)._compute

    def count(self: object, frames: torch.Tensor, observer: object) -> object:
        computed.append(len(frames))
        return compute(self, frames, observer)  # type: ignore[arg-type]

    monkeypatch.setattr(type(embedder), "_compute", count)
    predictor([user("a", 1, 2), user("b", 2, 1), user("c", 1)])
    assert computed == [2]


def test_a_cache_of_embeddings_changes_no_bit(checkpoint: Checkpoint, tmp_path: Path) -> None:
    plain = Predictor(checkpoint, OPTIONS)(USERS)
    cached = replace(OPTIONS, embedding_cache=tmp_path)
    assert Predictor(checkpoint, cached)(USERS).equals(plain)
    assert list(tmp_path.glob("*/*.embeddings"))
    assert Predictor(checkpoint, cached)(USERS).equals(plain)


def test_views_and_clips_are_averaged(checkpoint: Checkpoint) -> None:
    plain = Predictor(checkpoint, OPTIONS)(USERS).to_pylist()
    for options in (replace(OPTIONS, views=4), replace(OPTIONS, clips=2)):
        rows = Predictor(checkpoint, options)(USERS).to_pylist()
        assert rows[0]["gender_probabilities"] != plain[0]["gender_probabilities"]
        assert rows[2]["gender"] is None
        assert sum(rows[0]["gender_probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_several_orders_are_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(OptionError, match="same result in any order"):
        Predictor(checkpoint, replace(OPTIONS, orders=2))


def test_networks_without_embeddings_refuse_a_cache_of_them(model: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, embedding_cache=tmp_path)
    with pytest.raises(OptionError, match="model1 computes no embeddings; leave it out"):
        Predictor(load_checkpoint(model), options)


def test_networks_without_a_backbone_cannot_embed(model: Path) -> None:
    with pytest.raises(CheckpointError, match="model1, which computes no embeddings"):
        Backbone.of(load_checkpoint(model))


def test_models_with_one_backbone_share_its_digest(checkpoint: Checkpoint, tmp_path: Path) -> None:
    other = save_model(tmp_path / "other.safetensors", make_backbone(), members=2)
    assert other.members == 2
    assert Backbone.of(other).digest == Backbone.of(checkpoint).digest
    assert Predictor(other, OPTIONS)(USERS).num_rows == len(USERS)


def test_a_batch_without_any_image_is_predicted(checkpoint: Checkpoint) -> None:
    rows = Predictor(checkpoint, OPTIONS)([user("a"), user("b")]).to_pylist()
    assert [row["status"] for row in rows] == ["no_images", "no_images"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_that_overflow_are_one_sentence_with_a_remedy_that_helps(
    precision: Precision, tmp_path: Path
) -> None:
    found = load_checkpoint(save_head(tmp_path / "model.safetensors", "topics"))
    found.state["head.heads.sharpness"].fill_(100.0)
    remedy = r"again, or pass `precision=\"fp32\"`\.$" if precision == "bf16" else r"again\.$"
    with pytest.raises(CheckpointError, match=rf"probabilities of 'gender'.*{remedy}"):
        Predictor(found, replace(OPTIONS, precision=precision))([user("a", 0, 1)])
