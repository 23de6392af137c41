"""The backbones of timm: what is known of them, and that each turns frames into vectors."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from tweetprofile.errors import OptionError
from tweetprofile.networks.timm_backbones import (
    BackboneFacts,
    backbone_facts,
    build_backbone,
    import_timm,
    normalisations,
    use_channels_last,
)

SMALL = {
    "timm/test_resnet": 64,
    "timm/test_efficientnet": 64,
    "efficientnet-lite0": 64,
    "timm/mobilenetv3_small_050": 64,
    "timm/regnetx_002": 64,
    "timm/test_byobnet": 64,
    "timm/test_convnext": 64,
    "timm/test_vit": 64,
    "timm/test_vit3": 64,
}
"""A backbone of each kind, and the side of the frames that it gets here."""

LARGE = {
    "timm/test_maxvit": 64,
    "timm/resnet18": 64,
    "timm/convnext_atto": 64,
    "timm/vit_tiny_patch16_224": 64,
    "timm/vit_xsmall_patch16_clip_224.tinyclip_yfcc15m": 64,
    "timm/vit_base_patch32_siglip_256": 64,
    "timm/vit_small_patch14_dinov2": 56,
    "timm/swin_tiny_patch4_window7_224": 64,
}
"""Backbones that people use; the large ones take seconds to build."""

ATTENTION_POOLED = {"timm/test_vit3", "timm/vit_base_patch32_siglip_256"}
"""Backbones that pool by attention, whose last bit depends on where a vector lies in memory."""

SIDES = SMALL | LARGE
FAMILIES = [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]


@cache
def built(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build_backbone(name, SIDES[name], SIDES[name]).eval()


def frames(name: str) -> torch.Tensor:
    return torch.randn(3, 3, SIDES[name], SIDES[name], generator=torch.manual_seed(1))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_backbone_turns_frames_into_vectors_of_the_length_that_its_facts_say(name: str) -> None:
    with torch.inference_mode():
        vectors = built(name)(frames(name))
    assert vectors.shape == (3, backbone_facts(name).features)
    assert vectors.isfinite().all()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_backbone_takes_frames_in_channels_last_memory(name: str) -> None:
    with torch.inference_mode():
        expected = built(name)(frames(name))
        found = built(name)(frames(name).contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_state_of_a_backbone_in_a_fresh_one_gives_the_same_bits(name: str) -> None:
    torch.manual_seed(2)
    fresh = build_backbone(name, SIDES[name], SIDES[name]).eval()
    fresh.load_state_dict(built(name).state_dict())
    with torch.inference_mode():
        difference = (fresh(frames(name)) - built(name)(frames(name))).abs().max().item()
    assert difference <= (1e-6 if name in ATTENTION_POOLED else 0)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_backbone_without_memory_has_the_same_names_and_shapes(name: str) -> None:
    with torch.device("meta"):
        network = build_backbone(name, SIDES[name], SIDES[name])
    state = network.state_dict()
    assert all(tensor.is_meta for tensor in state.values())
    expected = {key: tensor.shape for key, tensor in built(name).state_dict().items()}
    assert {key: tensor.shape for key, tensor in state.items()} == expected


@pytest.mark.parametrize(
    ("name", "side", "hub_id"),
    [
        ("efficientnet-lite0", 224, "timm/tf_efficientnet_lite0.in1k"),
        ("efficientnet-lite2", 260, "timm/tf_efficientnet_lite2.in1k"),
    ],
)
def test_a_packaged_backbone_gets_frames_as_its_original_does(
    name: str, side: int, hub_id: str
) -> None:
    assert backbone_facts(name) == BackboneFacts(
        name=name,
        features=1280,
        side=side,
        any_side=True,
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        hub_id=hub_id,
        license="apache-2.0",
    )


def test_a_tag_chooses_normalisation_and_licence() -> None:
    openai = backbone_facts("timm/vit_base_patch16_clip_224.openai")
    metaclip = backbone_facts("timm/vit_base_patch16_clip_224.metaclip_400m")
    assert openai.mean == pytest.approx((122.77, 116.75, 104.09), abs=0.01)
    assert openai.std == pytest.approx((68.50, 66.63, 70.32), abs=0.01)
    assert (openai.license, metaclip.license) == ("apache-2.0", "cc-by-nc-4.0")
    assert openai.hub_id == "timm/vit_base_patch16_clip_224.openai"


def test_the_normalisation_of_every_training_of_a_network_is_known() -> None:
    found = normalisations("timm/vit_large_patch14_clip_224.openai")
    assert found["timm/vit_large_patch14_clip_224.laion2b"][0] == (127.5, 127.5, 127.5)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("timm/resnet81", "timm/resnet18"),
        ("resnet18", "timm/resnet18.a1_in1k"),
        ("timm/resnet18.mine", "timm/resnet18.a1_in1k"),
        ("efficientnet-lite1", "efficientnet-lite0, efficientnet-lite2, timm/"),
        ("EfficientNet-Lite2", "efficientnet-lite2"),
        ("none of these", "efficientnet-lite0, efficientnet-lite2"),
    ],
)
def test_an_unknown_name_is_refused_with_names_that_are_near(name: str, near: str) -> None:
    with pytest.raises(OptionError, match=f"'{name}' is unknown; choose .*{near}"):
        backbone_facts(name)


@pytest.mark.parametrize(
    "name",
    [
        "timm/hf-hub:someone/model",
        "timm/hf_hub:someone/model",
        "timm/local-dir:/tmp",
        "hf-hub:timm/resnet18.a1_in1k",
        "timm/timm/resnet18",
        "timm/../resnet18",
        "timm/resnet18\n",
        "timm/",
        "",
        "timm/" + "a" * 100_000,
    ],
)
def test_no_name_leads_timm_to_a_folder_or_to_the_network(name: str) -> None:
    for use in (backbone_facts, lambda given: build_backbone(given, 64, 64)):
        with pytest.raises(OptionError, match="is unknown") as refused:
            use(name)
        assert len(str(refused.value)) < 500
        assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("name", "height", "width", "fitting"),
    [
        ("timm/test_vit", 100, 100, 96),
        ("timm/test_vit", 64, 65, 64),
        ("timm/vit_small_patch14_dinov2", 128, 128, 126),
        pytest.param("timm/swin_tiny_patch4_window7_224", 130, 130, 128, marks=pytest.mark.slow),
        pytest.param("timm/halonet26t", 128, 128, 256, marks=pytest.mark.slow),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_with_a_side_that_does(
    name: str, height: int, width: int, fitting: int
) -> None:
    with torch.device("meta"):
        with pytest.raises(OptionError, match=rf"`frame_size`, for example {fitting}\.$"):
            build_backbone(name, height, width)
        build_backbone(name, fitting, fitting)


@pytest.mark.parametrize("name", ["timm/test_resnet", "efficientnet-lite0", "timm/test_vit"])
def test_frames_need_not_be_square(name: str) -> None:
    network = build_backbone(name, 64, 96).eval()
    assert network(torch.zeros(1, 3, 64, 96)).shape == (1, backbone_facts(name).features)


@pytest.mark.slow
def test_timm_is_not_imported_before_it_is_needed() -> None:
    script = "import sys, tweetprofile.networks.timm_backbones; assert 'timm' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_without_timm_the_message_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(OptionError, match=r"pip install 'tweetprofile\[backbones\]'"):
        backbone_facts("timm/resnet10t")


def test_another_fault_of_timms_import_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "timm.py").write_text("raise RuntimeError('something else')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm")
    with pytest.raises(RuntimeError, match="something else"):
        import_timm()


def test_weights_of_five_dimensions_stay_where_others_are_ordered_for_images() -> None:
    network = build_backbone("timm/lambda_resnet26t", 64, 64).eval()
    frames = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = network(frames)
        use_channels_last(network)
        assert torch.allclose(network(frames), expected, atol=1e-4)
    weights = list(network.parameters())
    assert any(weight.dim() == 5 for weight in weights)
    for weight in weights:
        if weight.dim() == 4:
            assert weight.is_contiguous(memory_format=torch.channels_last)
