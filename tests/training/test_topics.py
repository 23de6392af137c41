"""Topics are found by expectation maximisation, from users' labels alone."""

import torch

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.training.topics import fit_topics, memberships_of

REASONS = torch.tensor([0.2, 0.3, 0.5])
COMMON = torch.tensor([0.1, 0.1, 0.1, 0.7])
BY_GENDER = torch.tensor([[0.8, 0.2, 0.0, 0.0], [0.2, 0.8, 0.0, 0.0]])
BY_WORK = torch.tensor([[0.0, 0.5, 0.5, 0.0], [0.5, 0.0, 0.0, 0.5], [0.1, 0.1, 0.7, 0.1]])


def draw(images: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw the genders and works of users, and the topic of an image of each."""
    torch.manual_seed(0)
    gender, work = torch.randint(2, (images,)), torch.randint(3, (images,))
    reason = torch.multinomial(REASONS, images, replacement=True)
    by_reason = torch.stack([COMMON.expand(images, 4), BY_GENDER[gender], BY_WORK[work]])
    chosen = by_reason[reason, torch.arange(images)]
    return gender, work, torch.multinomial(chosen, 1)[:, 0]


def test_why_images_were_chosen_is_found() -> None:
    gender, work, topic = draw(40_000)
    frequency = torch.bincount(topic) / len(topic)
    ratios = torch.eye(4)[topic] / frequency
    found = fit_topics(ratios, [memberships_of(gender, 2), memberships_of(work, 3)])
    for a in range(2):
        for b in range(3):
            wanted = REASONS[0] * COMMON + REASONS[1] * BY_GENDER[a] + REASONS[2] * BY_WORK[b]
            by_gender, by_work = found.chosen[0][a], found.chosen[1][b]
            model = found.reasons[0] * found.common_K + found.reasons[1] * by_gender
            assert torch.allclose(model + found.reasons[2] * by_work, wanted, atol=0.02)
    assert torch.allclose(found.reasons.sum(), torch.tensor(1.0))


def test_users_without_a_label_count_as_average_users() -> None:
    labels = torch.tensor([0, 0, 0, 1, UNKNOWN])
    assert memberships_of(labels, 2)[0].tolist() == [1.0, 0.0]
    assert torch.allclose(memberships_of(labels, 2)[4], torch.tensor([4 / 6, 2 / 6]))


def test_a_topic_that_nobody_has_does_no_harm() -> None:
    ratios = torch.tensor([[2.0, 2.0, 0.0], [2.0, 0.0, 0.0]])
    found = fit_topics(ratios, [memberships_of(torch.tensor([0, 1]), 2)])
    assert all(each.isfinite().all() and (each > 0).all() for each in found.chosen)
