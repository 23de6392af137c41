"""How far a share may be off is known from the number of users."""

from tweetprofile.scoring.uncertainty import FEWEST_USERS, wilson_interval


def test_wilson_interval_is_within_0_and_1() -> None:
    assert wilson_interval(1.0, 10)[1] == 1.0
    assert wilson_interval(0.0, 10)[0] == 0.0
    assert wilson_interval(0.5, 0) == (0.0, 1.0)


def test_the_fewest_users_tell_an_accuracy_to_within_0_18() -> None:
    low, high = wilson_interval(0.7, FEWEST_USERS)
    assert (round(low, 2), round(high, 2)) == (0.52, 0.83)
