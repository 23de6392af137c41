"""However a user's images are damaged, no worker crashes, and no other row changes by one bit."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tweetprofile.data.manifests.forms import cap_images, unify_lists
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.engines.jobs import PredictJob
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.errors import Reason
from tweetprofile.job import DecoderName, PredictorFacts, PredictorOptions

pytest.importorskip("nvidia.dali", reason="DALI is for Linux")

USERS = 6

Damage = Callable[[bytes], bytes]


@pytest.fixture(scope="module", params=["pillow", "dali"])
def engine(request: pytest.FixtureRequest, model: Path) -> Iterator[LocalEngine[PredictorFacts]]:
    decoder: DecoderName = request.param
    job = PredictJob(model, options=PredictorOptions(decoder=decoder, precision="fp32"))
    with LocalEngine(job, EngineOptions("cpu")) as engine:
        yield engine


def predict(engine: LocalEngine[PredictorFacts], users: list[list[bytes]]) -> pa.Table:
    lists = pa.array(users, pa.list_(pa.binary()))
    table = pa.table({"user_id": [f"user-{user}" for user in range(len(users))], "images": lists})
    batch = UserBatch(0, 0, cap_images(unify_lists(table), 100))
    ((_, profiles),) = engine.run(iter([batch]))
    return profiles


def cut(fraction: float) -> Damage:
    return lambda image: image[: int(len(image) * fraction)]


def flip(positions: list[float], bit: int) -> Damage:
    def damage(image: bytes) -> bytes:
        flipped = bytearray(image)
        for position in positions if image else []:
            flipped[int(position * len(image))] ^= 1 << bit
        return bytes(flipped)

    return damage


def splice(position: float, removed: int, inserted: bytes) -> Damage:
    def damage(image: bytes) -> bytes:
        start = int(position * len(image))
        return image[:start] + inserted + image[start + removed :]

    return damage


def swap_header(header: bytes) -> Damage:
    return lambda image: header + image[len(header) :]


def empty() -> Damage:
    return lambda image: b""


FRACTIONS = st.floats(0, 1, exclude_max=True)
HEADERS = st.sampled_from(
    [
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF\xff\xff\x00\x00WEBPVP8 ",
        b"BM",
        b"II*\x00\x08\x00\x00\x00",
        b"II+\x00\x08\x00\x00\x00",
        b"\x00\x00\x00\x0cjP  \r\n\x87\n",
        b"\x00\x00\x00\x1cftypavif",
        b"8BPS\x00\x01",
        b"P6\n99999 99999\n255\n",
        b"<!DOCTYPE html>",
    ]
)
DAMAGES: st.SearchStrategy[Damage] = st.one_of(
    st.builds(cut, FRACTIONS),
    st.builds(flip, st.lists(FRACTIONS, min_size=1, max_size=20), st.integers(0, 7)),
    st.builds(splice, FRACTIONS, st.integers(0, 500), st.binary(max_size=500)),
    st.builds(swap_header, HEADERS),
    st.builds(empty),
)


@given(
    kinds=st.lists(st.integers(0, 1000), min_size=1, max_size=8),
    damages=st.lists(DAMAGES, min_size=1, max_size=8),
    victim=st.integers(0, USERS - 1),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_random_damage_crashes_no_worker_and_changes_no_other_row(
    engine: LocalEngine[PredictorFacts],
    good_images: dict[str, bytes],
    kinds: list[int],
    damages: list[Damage],
    victim: int,
) -> None:
    good = list(good_images.values())
    users = [good[user : user + 4] for user in range(USERS)]
    reference = predict(engine, users)
    users[victim] = [
        damages[position % len(damages)](good[kind % len(good)])
        for position, kind in enumerate(kinds)
    ]
    profiles = predict(engine, users)
    assert "crashed" not in profiles["status"].to_pylist()
    assert len(profiles) == USERS
    assert profiles.slice(0, victim) == reference.slice(0, victim)
    assert profiles.slice(victim + 1) == reference.slice(victim + 1)
    row = profiles.slice(victim, 1).to_pylist()[0]
    assert row["images_given"] == len(kinds)
    assert row["images_failed"] == len(row["image_errors"]) == len(kinds) - row["frames_used"]
    assert {error["reason"] for error in row["image_errors"]} <= set(Reason)
