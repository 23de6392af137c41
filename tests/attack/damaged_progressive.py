"""Every kind of damage to progressive JPEGs, the same for the same seed.

A kind is a function from a regular progressive JPEG and a source of chance to the damaged file.
"""

import io
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image

from tests.attack.progressive_jpegs import (
    DATA,
    FRAME,
    HUFFMAN,
    QUANTISERS,
    SCAN,
    parts_of,
    scans_of,
)

Damage = Callable[[bytes, Random], bytes]

_START_OF_IMAGE = b"\xff\xd8"
_END_OF_IMAGE = b"\xff\xd9"

_RESTART = re.compile(rb"\xff[\xd0-\xd7]", re.DOTALL)


# -- Cuts and flips -----------------------------------------------------------------------------


def cut(jpeg: bytes, chance: Random) -> bytes:
    return jpeg[: chance.randrange(3, len(jpeg))]


def cut_and_ended(jpeg: bytes, chance: Random) -> bytes:
    return cut(jpeg, chance) + _END_OF_IMAGE


def cut_after_a_scan(jpeg: bytes, chance: Random) -> bytes:
    return jpeg[: chance.choice(scans_of(jpeg)).end]


def cut_after_a_scan_and_ended(jpeg: bytes, chance: Random) -> bytes:
    return cut_after_a_scan(jpeg, chance) + _END_OF_IMAGE


def without_its_end(jpeg: bytes, chance: Random) -> bytes:
    return jpeg.removesuffix(_END_OF_IMAGE)


def _slice(jpeg: bytes, chance: Random) -> tuple[int, int]:
    start = chance.randrange(2, len(jpeg) - 3)
    length = int(2 ** chance.uniform(0, 12))
    return start, min(start + length, len(jpeg) - 2)


def with_a_gap(jpeg: bytes, chance: Random) -> bytes:
    start, end = _slice(jpeg, chance)
    return jpeg[:start] + jpeg[end:]


def with_zeros(jpeg: bytes, chance: Random) -> bytes:
    start, end = _slice(jpeg, chance)
    return jpeg[:start] + bytes(end - start) + jpeg[end:]


def with_noise(jpeg: bytes, chance: Random) -> bytes:
    start, end = _slice(jpeg, chance)
    return jpeg[:start] + chance.randbytes(end - start) + jpeg[end:]


def _flip(jpeg: bytes, places: Sequence[int], number: int, chance: Random) -> bytes:
    flipped = bytearray(jpeg)
    for _ in range(number):
        flipped[chance.choice(places)] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def few_bits_flipped(jpeg: bytes, chance: Random) -> bytes:
    return _flip(jpeg, range(2, len(jpeg)), chance.randint(1, 3), chance)


def many_bits_flipped(jpeg: bytes, chance: Random) -> bytes:
    return _flip(jpeg, range(2, len(jpeg)), int(2 ** chance.uniform(3, 9)), chance)


def header_flipped(jpeg: bytes, chance: Random) -> bytes:
    return _flip(jpeg, range(scans_of(jpeg)[0].start), chance.randint(1, 4), chance)


def flipped_in(*markers: int) -> Damage:
    """Return a kind that flips bits of one part with one of these markers."""

    def damage(jpeg: bytes, chance: Random) -> bytes:
        part = chance.choice([part for part in parts_of(jpeg) if part.marker in markers])
        skipped = 0 if part.marker == DATA else chance.choice([0, 2, 4])  # marker and length
        places = range(min(part.start + skipped, part.end - 1), part.end)
        return _flip(jpeg, places, chance.choice([1, 1, 2, 5, 30]), chance)

    return damage


# -- Scans --------------------------------------------------------------------------------------


def rearranged(change: Callable[[list[bytes], Random], Iterable[bytes]]) -> Damage:
    """Return a kind that changes the list of scans."""

    def damage(jpeg: bytes, chance: Random) -> bytes:
        scans = scans_of(jpeg)
        changed = change([jpeg[scan.start : scan.end] for scan in scans], chance)
        return jpeg[: scans[0].start] + b"".join(changed) + jpeg[scans[-1].end :]

    return damage


def _without_one(scans: list[bytes], chance: Random) -> list[bytes]:
    del scans[chance.randrange(len(scans))]
    return scans


def _without_some(scans: list[bytes], chance: Random) -> list[bytes]:
    return [scan for scan in scans if chance.random() < 0.6] or scans[-1:]


def _doubled(scans: list[bytes], chance: Random) -> list[bytes]:
    number = chance.randrange(len(scans))
    scans.insert(chance.choice([number, chance.randrange(len(scans))]), scans[number])
    return scans


def _swapped(scans: list[bytes], chance: Random) -> list[bytes]:
    one, other = chance.sample(range(len(scans)), 2)
    scans[one], scans[other] = scans[other], scans[one]
    return scans


def _moved(scans: list[bytes], chance: Random) -> list[bytes]:
    moved = scans.pop(chance.randrange(len(scans)))
    scans.insert(chance.randrange(len(scans) + 1), moved)
    return scans


def _shuffled(scans: list[bytes], chance: Random) -> list[bytes]:
    return chance.sample(scans, len(scans))


def _split(scan: bytes) -> tuple[bytes, bytes]:
    """Return the tables and the header of a scan, and its data."""
    data = parts_of(_START_OF_IMAGE + scan + _END_OF_IMAGE)[-1]
    return scan[: data.start - 2], scan[data.start - 2 :]


def _without_data(scans: list[bytes], chance: Random) -> list[bytes]:
    number = chance.randrange(len(scans))
    scans[number], _ = _split(scans[number])
    return scans


def _with_data_exchanged(scans: list[bytes], chance: Random) -> list[bytes]:
    """Give a scan the data of another."""
    one, other = chance.sample(range(len(scans)), 2)
    scans[one] = _split(scans[one])[0] + _split(scans[other])[1]
    return scans


def scan_header_changed(jpeg: bytes, chance: Random) -> bytes:
    """Give a scan another band, other bits, another component or another table."""
    changed = bytearray(jpeg)
    header = chance.choice([part for part in parts_of(jpeg) if part.marker == SCAN])
    field = chance.choice([-3, -2, -1, -1, 4 - (header.end - header.start), -5, -4])
    place = header.end + field
    if field == -1:
        high, low = changed[place] >> 4, changed[place] & 15
        other = chance.choice([high - 1, high + 1, chance.randrange(16)]) % 16
        bits = [other << 4 | low, high << 4 | other, chance.randrange(14) * 17 + 16]
        changed[place] = chance.choice(bits)
    elif field in (-3, -2):
        changed[place] = chance.choice([0, 1, 2, 5, 6, 8, 9, 31, 62, 63, 64, 255])
    else:
        changed[place] = chance.choice([0, 1, 2, 3, 4, 0x11, 0x22, chance.randrange(256)])
    return bytes(changed)


# -- Insertions ---------------------------------------------------------------------------------


def inserted(make: Callable[[bytes, Random], bytes]) -> Damage:
    """Return a kind that inserts bytes into the data of a scan."""

    def damage(jpeg: bytes, chance: Random) -> bytes:
        part = chance.choice([part for part in parts_of(jpeg) if part.marker == DATA])
        place = chance.choice([part.start, part.end, chance.randint(part.start, part.end)])
        return jpeg[:place] + make(jpeg, chance) + jpeg[place:]

    return damage


def _copied_segment(*markers: int) -> Callable[[bytes, Random], bytes]:
    def make(jpeg: bytes, chance: Random) -> bytes:
        part = chance.choice([part for part in parts_of(jpeg) if part.marker in markers])
        return jpeg[part.start : part.end]

    return make


def _strange_segment(*markers: int) -> Callable[[bytes, Random], bytes]:
    """Return a maker of segments of random content and, sometimes, of a wrong length."""

    def make(jpeg: bytes, chance: Random) -> bytes:
        body = chance.randbytes(chance.choice([0, 1, 2, 6, 17, 65, 200]))
        length = len(body) + 2 if chance.random() < 0.7 else chance.randrange(1 << 16)
        return struct.pack(">BBH", 0xFF, chance.choice(markers), length) + body

    return make


def _empty_scan(jpeg: bytes, chance: Random) -> bytes:
    return bytes.fromhex("ffda 0008 01 01 00 01 3f 00")


def _restart(jpeg: bytes, chance: Random) -> bytes:
    return bytes([0xFF, 0xD0 + chance.randrange(8)])


def _any_marker(jpeg: bytes, chance: Random) -> bytes:
    return bytes([0xFF, chance.randrange(256)]) * chance.choice([1, 1, 2, 50])


def restarts_disordered(jpeg: bytes, chance: Random) -> bytes:
    """Drop, double or renumber a restart marker; without any, insert one."""
    data = [part for part in parts_of(jpeg) if part.marker == DATA]
    places = [
        found.start() for part in data for found in _RESTART.finditer(jpeg, part.start, part.end)
    ]
    if not places:
        return inserted(_restart)(jpeg, chance)
    place = chance.choice(places)
    marker = jpeg[place : place + 2]
    others = [b"", 2 * marker, _restart(jpeg, chance), marker + _restart(jpeg, chance)]
    return jpeg[:place] + chance.choice(others) + jpeg[place + 2 :]


def interval_changed(jpeg: bytes, chance: Random) -> bytes:
    """Define another restart interval, before all scans or before one."""
    place = chance.choice([scans_of(jpeg)[0], chance.choice(scans_of(jpeg))]).start
    segment = struct.pack(">HHH", 0xFFDD, 4, chance.choice([0, 1, 3, 7, 20, 60_000]))
    return jpeg[:place] + segment + jpeg[place:]


# -- Ends ---------------------------------------------------------------------------------------


def with_junk_behind(jpeg: bytes, chance: Random) -> bytes:
    length = chance.choice([1, 2, 100, 4000, 4095, 4096, 5000, 20_000])
    return jpeg + chance.choice([bytes(length), chance.randbytes(length), b"\xff" * length])


def with_its_end_repeated(jpeg: bytes, chance: Random) -> bytes:
    return jpeg + _END_OF_IMAGE * chance.choice([1, 2, 3000])


def with_a_second_image(jpeg: bytes, chance: Random) -> bytes:
    """Append a whole image or a part of one, behind the end marker or in its place."""
    second = chance.choice([jpeg, small_jpeg(chance), cut(jpeg, chance)])
    first = jpeg if chance.random() < 0.5 else jpeg.removesuffix(_END_OF_IMAGE)
    return first + second


def within_another(jpeg: bytes, chance: Random) -> bytes:
    """Put another image between two scans."""
    place = chance.choice(scans_of(jpeg)).start
    return jpeg[:place] + small_jpeg(chance) + jpeg[place:]


def small_jpeg(chance: Random) -> bytes:
    file = io.BytesIO()
    image = Image.frombytes("RGB", (24, 16), chance.randbytes(24 * 16 * 3))
    image.save(file, "JPEG", progressive=chance.random() < 0.5)
    return file.getvalue()


KINDS: dict[str, Damage] = {
    "cut": cut,
    "cut, and ended": cut_and_ended,
    "cut after a scan": cut_after_a_scan,
    "cut after a scan, and ended": cut_after_a_scan_and_ended,
    "without its end": without_its_end,
    "a gap": with_a_gap,
    "zeros": with_zeros,
    "noise": with_noise,
    "few bits flipped": few_bits_flipped,
    "many bits flipped": many_bits_flipped,
    "header flipped": header_flipped,
    "frame header flipped": flipped_in(FRAME),
    "quantisers flipped": flipped_in(QUANTISERS),
    "Huffman table flipped": flipped_in(HUFFMAN),
    "scan header flipped": flipped_in(SCAN),
    "data flipped": flipped_in(DATA),
    "a scan dropped": rearranged(_without_one),
    "scans dropped": rearranged(_without_some),
    "a scan doubled": rearranged(_doubled),
    "scans swapped": rearranged(_swapped),
    "a scan moved": rearranged(_moved),
    "scans shuffled": rearranged(_shuffled),
    "a scan without data": rearranged(_without_data),
    "a scan with another's data": rearranged(_with_data_exchanged),
    "scan header changed": scan_header_changed,
    "end marker inserted": inserted(lambda jpeg, chance: _END_OF_IMAGE),
    "start marker inserted": inserted(lambda jpeg, chance: _START_OF_IMAGE),
    "empty scan inserted": inserted(_empty_scan),
    "scan header inserted": inserted(_copied_segment(SCAN)),
    "strange scan header inserted": inserted(_strange_segment(SCAN)),
    "frame header inserted": inserted(_copied_segment(FRAME)),
    "strange frame header inserted": inserted(_strange_segment(0xC0, FRAME, 0xC9)),
    "quantisers inserted": inserted(_copied_segment(QUANTISERS)),
    "strange quantisers inserted": inserted(_strange_segment(QUANTISERS)),
    "Huffman table inserted": inserted(_copied_segment(HUFFMAN)),
    "strange Huffman table inserted": inserted(_strange_segment(HUFFMAN)),
    "strange segment inserted": inserted(_strange_segment(0xDC, 0xDD, 0xE1, 0xEE, 0xFE, 0xF7)),
    "restart marker inserted": inserted(_restart),
    "stuffing inserted": inserted(lambda jpeg, chance: b"\xff\0"),
    "any marker inserted": inserted(_any_marker),
    "restart markers disordered": restarts_disordered,
    "restart interval changed": interval_changed,
    "junk behind": with_junk_behind,
    "end repeated": with_its_end_repeated,
    "a second image": with_a_second_image,
    "another image between scans": within_another,
}

_WITHOUT_STRUCTURE = (cut, with_a_gap, with_noise, few_bits_flipped, with_junk_behind)
"""Kinds that can follow another one, after which the file may be irregular."""


@dataclass(frozen=True, slots=True)
class DamagedImage:
    """A damaged file, and what it was before.

    Attributes:
        kind: The kind of damage.
        original: The regular file.
        data: The damaged file.
    """

    kind: str
    original: bytes
    data: bytes


def damaged_image(seed: int, images: Sequence[bytes]) -> DamagedImage:
    """Return the damaged image of this seed: kinds in turn, one in eight damaged twice."""
    chance = Random(seed)
    kind = list(KINDS)[seed % len(KINDS)]
    original = chance.choice(images)
    data = KINDS[kind](original, chance)
    if chance.random() < 1 / 8 and len(data) > 10:
        return DamagedImage(
            f"{kind}, and more", original, chance.choice(_WITHOUT_STRUCTURE)(data, chance)
        )
    return DamagedImage(kind, original, data)
