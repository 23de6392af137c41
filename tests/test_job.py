"""The limits of images are the same wherever images are read, and are checked before any work."""

from pathlib import Path

import pytest

from tweetprofile.browsing.options import BrowseOptions
from tweetprofile.errors import OptionError
from tweetprofile.inspection.contact_sheets import SheetOptions
from tweetprofile.inspection.run import InspectOptions
from tweetprofile.job import LimitsDecoding, LimitsImages, PredictorOptions
from tweetprofile.predicting.embedding import EmbedOptions
from tweetprofile.predicting.plan import PredictOptions

COMMANDS: list[type[LimitsImages]] = [
    PredictOptions, EmbedOptions, InspectOptions, SheetOptions, BrowseOptions,
]  # fmt: skip


@pytest.mark.parametrize("options", [*COMMANDS, PredictorOptions])
@pytest.mark.parametrize("name", ["max_pixels", "max_image_bytes", "max_image_seconds"])
def test_a_limit_of_decoding_that_lets_nothing_pass_is_refused(
    options: type[LimitsDecoding], name: str
) -> None:
    with pytest.raises(OptionError, match=f"`{name}` is 0; it must be (at least 1|above 0)"):
        options(**{name: 0})


@pytest.mark.parametrize("options", COMMANDS)
def test_a_user_may_have_one_image_at_least(options: type[LimitsImages]) -> None:
    assert options(max_images=1).max_images == 1
    with pytest.raises(OptionError, match="`max_images` is 0; it must be at least 1"):
        options(max_images=0)


def test_workers_are_told_the_limits() -> None:
    limits = LimitsImages(max_pixels=1, max_image_bytes=2, max_image_seconds=3.0, max_images=4)
    told = limits.reading(Path("images"), "full")
    assert (told.max_pixels, told.max_image_bytes, told.max_image_seconds) == (1, 2, 3.0)
    assert (told.image_root, told.decoder, told.detail) == (Path("images"), "pillow", "full")
