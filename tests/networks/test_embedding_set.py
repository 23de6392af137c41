"""Networks over embeddings: heads ignore order and filling, and training changes what it may."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from tests.workers.backbones import SCHEMA, TINY, make_backbone
from tweetprofile.errors import OptionError
from tweetprofile.networks import (
    EmbeddingHead,
    EmbeddingSet,
    EmbeddingSetSpec,
    build_ensemble,
    count_members,
    fold_normalisation,
    spec_from_dict,
    spec_to_dict,
)
from tweetprofile.networks.specs import COUNTED, HeadPool
from tweetprofile.volumes.spec import VolumeSpec

SPEC = EmbeddingSetSpec("deepset-tiny", backbone=TINY, features=16, hidden=8)
VOLUME = VolumeSpec(frames=5, height=32, width=32)


def make_head(spec: EmbeddingSetSpec = SPEC) -> EmbeddingHead:
    torch.manual_seed(0)
    head = EmbeddingHead(spec, VOLUME, SCHEMA)
    head.initialise()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return head.eval()


def make_network(*, members: int = 1) -> EmbeddingSet:
    backbone = make_backbone()
    spec = replace(SPEC, features=backbone.features)
    network = build_ensemble(spec, backbone.volume_spec, SCHEMA, members)
    assert isinstance(network, EmbeddingSet)
    network.backbone.load_state_dict(backbone.state)
    return network.eval()


@pytest.mark.parametrize(
    ("pool", "hidden"),
    [(pool, n) for pool in get_args(HeadPool) for n in (0, 8) if n or pool not in COUNTED],
)
def test_heads_ignore_the_order_and_what_only_fills(pool: HeadPool, hidden: int) -> None:
    head = make_head(replace(SPEC, pool=pool, hidden=hidden))
    embeddings = torch.randn(2, 5, 16)
    mask = torch.tensor([[True] * 3 + [False] * 2] * 2)
    logits = head(embeddings, mask)["gender"]

    other = embeddings.clone()
    other[:, 3:] = 99.0
    assert torch.equal(head(other, mask)["gender"], logits)
    turned = embeddings[:, [2, 0, 1, 3, 4]]
    assert torch.allclose(head(turned, mask)["gender"], logits, atol=1e-6)
    assert not torch.allclose(head(embeddings)["gender"], logits, atol=1e-3)


def test_each_frame_adds_its_evidence_to_the_sum() -> None:
    head = make_head()
    frames = torch.randn(3, 1, 16)
    nothing = head(torch.zeros(1, 1, 16), torch.zeros(1, 1, dtype=torch.bool))["gender"]
    alone = head(frames)["gender"] - nothing
    together = head(frames.transpose(0, 1))["gender"] - nothing
    assert torch.allclose(together, alone.sum(0, keepdim=True), atol=1e-5)


def test_clusters_count_similar_frames() -> None:
    spec = replace(SPEC, pool="clusters", hidden=2)
    head = make_head(spec)
    head.place_clusters(torch.eye(16)[:2])
    near, far = torch.eye(16)[0], torch.eye(16)[1]
    counted: dict[str, torch.Tensor] = {}
    head.heads.register_forward_pre_hook(lambda _, given: counted.update(counts=given[0] / 20))
    head(torch.stack([near, 3 * near, far])[None])
    assert torch.allclose(counted["counts"], torch.tensor([[2.0, 1.0]]), atol=1e-5)


def test_clusters_need_a_hidden_layer() -> None:
    with pytest.raises(OptionError, match="2 clusters or more"):
        replace(SPEC, pool="clusters", hidden=1)


@pytest.mark.parametrize("pool", get_args(HeadPool))
def test_a_user_without_frames_has_finite_logits(pool: HeadPool) -> None:
    head = make_head(replace(SPEC, pool=pool))
    logits = head(torch.randn(1, 5, 16), torch.zeros(1, 5, dtype=torch.bool))
    assert all(each.isfinite().all() for each in logits.values())


def test_embeddings_are_standardised() -> None:
    head = make_head(replace(SPEC, hidden=0, pool="mean"))
    embeddings = torch.randn(100, 5, 16) * 7 + 3
    plain = make_head(replace(SPEC, hidden=0, pool="mean"))
    flat = embeddings.flatten(0, 1)
    head.standardise(flat.mean(0), flat.std(0))
    wanted = plain((embeddings - flat.mean(0)) / flat.std(0))["gender"]
    assert torch.allclose(head(embeddings)["gender"], wanted, atol=0.1)


def test_a_feature_that_never_varies_does_no_harm() -> None:
    head = make_head()
    head.standardise(torch.zeros(16), torch.zeros(16))
    assert head(torch.zeros(1, 5, 16))["gender"].isfinite().all()


def test_several_heads_give_the_mean_of_their_logits() -> None:
    network = make_network(members=3)
    volumes = torch.randn(2, 3, 4, 32, 32)
    mask = torch.tensor([[True] * 4, [True] * 2 + [False] * 2])
    embeddings = network.embed(volumes.transpose(1, 2).flatten(0, 1)).view(2, 4, -1)
    members = network.head.get_submodule("members")
    each = torch.stack([member(embeddings, mask)["gender"] for member in members.children()])
    assert count_members(network) == 3
    assert torch.allclose(network(volumes, mask)["gender"], each.mean(0), atol=1e-4)


def test_folding_leaves_the_logits_as_they_are() -> None:
    network = make_network()
    for name, buffer in network.backbone.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    folded = fold_normalisation(network)
    volumes = torch.randn(2, 3, 4, 32, 32)
    assert torch.allclose(folded(volumes)["gender"], network(volumes)["gender"], atol=1e-4)
    norms = [each for each in folded.modules() if "BatchNorm" in type(each).__name__]
    assert len(norms) < len([m for m in network.modules() if "BatchNorm" in type(m).__name__])


def test_only_what_is_to_be_learned_gets_gradients() -> None:
    network = make_network()

    def share() -> float:
        parameters = list(network.backbone.parameters())
        learned = sum(each.numel() for each in parameters if each.requires_grad)
        return learned / sum(each.numel() for each in parameters)

    network.learn("head")
    assert share() == 0
    network.learn("last")
    assert 0.25 < share() < 0.9
    assert not next(network.backbone.parameters()).requires_grad
    network.learn("all")
    assert share() == 1


def test_a_backbone_that_is_changed_a_little_keeps_its_normalisation() -> None:
    network = make_network()
    network.learn("last")
    assert network.train().head.training
    assert not network.backbone.training
    network.learn("all")
    assert network.train().backbone.training


def test_a_spec_survives_json() -> None:
    assert spec_from_dict(spec_to_dict(SPEC)) == SPEC


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pool": "max"}, "pool 'max' is unknown"),
        ({"hidden": 5000}, "hidden 5000 is out of range"),
        ({"features": 0}, "network widths"),
        ({"backbone": ""}, "the name of a backbone"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        replace(SPEC, **change)  # type: ignore[arg-type]
