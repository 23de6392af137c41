"""Users of the same image are named to each other, without the image's digest."""

import numpy as np

from tweetprofile.browsing.shared_images import MOST_NAMED, SharedImage, find_shared


def test_each_user_is_told_of_the_others_who_have_an_image() -> None:
    digests = {
        2: np.array([7, 8], np.uint64),
        0: np.array([8, 9, 8], np.uint64),
        5: np.array([1], np.uint64),
        6: np.array([8], np.uint64),
        7: np.empty(0, np.uint64),
    }
    found = find_shared(digests)
    assert found[2] == [None, SharedImage((0, 6), 2)]
    assert found[0] == [SharedImage((2, 6), 2), None, SharedImage((2, 6), 2)]
    assert 5 not in found
    assert find_shared({}) == {}


def test_of_an_image_that_everybody_has_some_users_are_named_and_all_are_counted() -> None:
    digests = {user: np.array([3], np.uint64) for user in range(100)}
    (shared,) = find_shared(digests)[0]
    assert shared == SharedImage(tuple(range(1, MOST_NAMED + 1)), 99)
