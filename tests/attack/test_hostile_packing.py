"""Compressed JSON lines, cut or damaged at random: everything before the damage is imported."""

import bz2
import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tweetprofile.importers.readers.json_records import read_records
from tweetprofile.importers.skipped import Skipped


def pack_zstd(data: bytes) -> bytes:
    packed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return packed


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": pack_zstd,
}


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("rounds", [15, pytest.param(400, marks=pytest.mark.slow)])
def test_damage_anywhere_costs_only_the_records_after_it(
    ending: str, rounds: int, tmp_path: Path
) -> None:
    """Each file has five streams; those before the damaged one are read completely and in order."""
    chance = random.Random(ending)
    path = tmp_path / f"tweets.jsonl{ending}"
    for _ in range(rounds):
        streams, lines = [], 0
        for _ in range(5):
            count = chance.randrange(1, 400)
            rows = (json.dumps({"n": n, "x": chance.random()}) for n in range(lines, lines + count))
            streams.append((PACK[ending]("".join(f"{row}\n" for row in rows).encode()), lines))
            lines += count
        broken = chance.randrange(5)
        packed, before = streams[broken]
        cut = packed[: chance.randrange(1, len(packed))]
        behind = chance.choice([b"", chance.randbytes(50), b"".join(s for s, _ in streams)])
        path.write_bytes(b"".join(s for s, _ in streams[:broken]) + cut + behind)
        skipped = Skipped(None)
        found = [record.get("n") for _, record in read_records(path, skipped)]
        assert found[:before] == list(range(before))
        assert skipped.counts.total() >= 1 or len(cut) == len(packed)


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("rounds", [30, pytest.param(1_000, marks=pytest.mark.slow)])
def test_flipped_bits_never_raise_an_error(ending: str, rounds: int, tmp_path: Path) -> None:
    chance = random.Random(ending)
    path = tmp_path / f"tweets.jsonl{ending}"
    intact = PACK[ending](b"".join(b'{"n": %d}\n' % n for n in range(2_000)))
    for _ in range(rounds):
        damaged = bytearray(intact)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        assert sum(1 for _ in read_records(path, Skipped(None))) <= 2_100
