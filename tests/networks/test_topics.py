"""Topics: an image counts for the trait that explains it, over all classes of the others."""

from dataclasses import replace

import pytest
import torch

from tweetprofile.errors import OptionError
from tweetprofile.networks import MOST_PROFILES, Topics
from tweetprofile.traits import Trait, TraitSchema

GENDER = Trait("gender", ("female", "male"))
WORK = Trait("work", ("cook", "clerk", "other"))
SCHEMA = TraitSchema((GENDER, WORK))

KITCHEN, GARDEN = 0, 1
"""Two topics."""


def make_topics() -> Topics:
    """Return topics where men photograph kitchens rather than gardens, and so do cooks."""
    topics = Topics(2, SCHEMA)
    topics.begin(
        torch.tensor([0.5, 0.5]),
        torch.tensor([0.2, 0.3, 0.5]),
        torch.tensor([0.5, 0.5]),
        {
            "gender": torch.tensor([[0.3, 0.7], [0.7, 0.3]]),
            "work": torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]]),
        },
    )
    return topics


def images(*topics: int) -> torch.Tensor:
    """Return the shares of images that belong to one topic each."""
    return torch.eye(2)[list(topics)]


def test_evidence_is_the_likelihood_ratio_of_every_profile() -> None:
    topics = make_topics()
    found = topics.evidence(images(KITCHEN)).exp().view(2, 3) / 2  # half of the images
    for gender, of_gender in enumerate((0.3, 0.7)):
        for work, of_work in enumerate((0.9, 0.4, 0.4)):
            wanted = 0.2 * 0.5 + 0.3 * of_gender + 0.5 * of_work
            assert found[gender, work].item() == pytest.approx(wanted, abs=1e-3)


def test_the_logits_of_a_trait_sum_over_the_classes_of_the_others() -> None:
    topics = make_topics()
    evidence = topics.evidence(images(KITCHEN, KITCHEN, GARDEN)).sum(0, keepdim=True)
    joint = evidence.exp().view(2, 3)
    logits = topics(evidence)
    assert torch.allclose(logits["gender"].softmax(1)[0], joint.sum(1) / joint.sum(), atol=1e-5)
    assert torch.allclose(logits["work"].softmax(1)[0], joint.sum(0) / joint.sum(), atol=1e-5)


def test_images_that_one_trait_explains_say_less_about_another() -> None:
    topics = make_topics()
    kitchens = topics.evidence(images(KITCHEN, KITCHEN, KITCHEN)).sum(0, keepdim=True)
    unknown = topics(kitchens)["gender"].softmax(1)[0, 1].item()
    topics.prior["trait_work"].data[0] = 9.0  # the user is known to be a cook
    cook = topics(kitchens)["gender"].softmax(1)[0, 1].item()
    assert 0.5 < cook < unknown


def test_one_trait_is_enough() -> None:
    topics = Topics(2, TraitSchema((GENDER,)))
    assert topics(topics.evidence(images(KITCHEN)))["gender"].shape == (1, 2)
    assert topics(torch.zeros(0, 2))["gender"].shape == (0, 2)


def test_an_impossible_image_has_finite_logits() -> None:
    topics = make_topics()
    topics.get_buffer("frequency")[:] = torch.tensor([1.0, 0.0])
    found = topics(topics.evidence(torch.tensor([[0.0, 0.0], [0.0, 1.0]])))
    assert all(each.isfinite().all() for each in found.values())


def test_traits_with_too_many_combinations_are_refused() -> None:
    many = replace(WORK, classes=tuple(f"c{n}" for n in range(MOST_PROFILES // 2 + 1)))
    with pytest.raises(OptionError, match=r"these traits have 1,026, more than 1,024; use another"):
        Topics(2, TraitSchema((GENDER, many)))
