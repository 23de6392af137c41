"""The stage clock counts seconds per stage, even if a stage raises."""

import time

import pytest

from tweetprofile.stages import Stage, StageClock


def test_a_clock_adds_up_the_time_of_its_blocks() -> None:
    clock = StageClock()
    for _ in range(2):
        with clock.timing(Stage.READ):
            time.sleep(0.01)
    with clock.timing(Stage.DECODE):
        pass
    seconds = clock.take()
    assert set(seconds) == {Stage.READ, Stage.DECODE}
    assert seconds[Stage.READ] >= 0.02


def test_seconds_that_were_taken_are_not_counted_again() -> None:
    clock = StageClock()
    clock.add({Stage.FORWARD: 1.5})
    clock.add({Stage.FORWARD: 1.0, Stage.STACK: 0.5})
    assert clock.take() == {Stage.FORWARD: 2.5, Stage.STACK: 0.5}
    assert clock.take() == {}


def test_a_block_that_raises_is_counted_too() -> None:
    clock = StageClock()
    with pytest.raises(ZeroDivisionError), clock.timing(Stage.DECODE):
        _ = 1 / 0
    assert Stage.DECODE in clock.take()
