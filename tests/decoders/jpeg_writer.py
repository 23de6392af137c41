"""A writer of JPEGs with any script of scans, since Pillow writes one script only.

    write_jpeg(pixels, MOZJPEG, JpegOptions(quality=85, subsampling="4:2:0"))

Scans are written as symbols first, and packed into bits once their Huffman codes are known. Numbers
of sections and figures are those of the standard, ITU-T T.81.
"""

import heapq
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise

import numpy as np

from tests.decoders.jpeg_coefficients import (
    Component,
    Pixels,
    Subsampling,
    Values,
    components_of,
    mcus_of,
    quantisation_tables,
)
from tests.decoders.jpeg_scripts import STANDARD, ScanSpec, Script


@dataclass(frozen=True, slots=True)
class JpegOptions:
    """How a picture is written.

    Attributes:
        quality: The quality from 1 to 100, on the scale of libjpeg.
        subsampling: The resolution of the colours; of no effect for grey pictures.
        restart_interval: The number of MCUs between restart markers; 0 for no markers.
    """

    quality: int = 85
    subsampling: Subsampling = "4:2:0"
    restart_interval: int = 0


def write_jpeg(
    pixels: Pixels, script: Script = STANDARD, options: JpegOptions | None = None
) -> bytes:
    """Return a JPEG: sequential if every scan of the script has all coefficients, else progressive.

    Args:
        pixels: (height, width, 3) RGB, or (height, width) grey.
        script: The scans in their order. It is written as it is, even if no decoder can read it.
        options: Quality, subsampling and restart interval.
    """
    options = options or JpegOptions()
    tables = quantisation_tables(options.quality)
    components = components_of(pixels, tables, options.subsampling)
    sequential = all((scan.first, scan.last) == (0, 63) for scan in script)
    head = _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    for number, table in enumerate(tables[: len(components)]):
        head += _segment(0xDB, bytes([number, *table.tolist()]))
    head += _frame_header(pixels, components, 0xC0 if sequential else 0xC2)
    if options.restart_interval:
        head += _segment(0xDD, struct.pack(">H", options.restart_interval))
    scans = [_scan(components, scan, options.restart_interval) for scan in script]
    return b"\xff\xd8" + head + b"".join(scans) + b"\xff\xd9"


# -- From coefficients to symbols ---------------------------------------------------------------

_DC, _AC = 0, 512
"""What is added to the symbols of each class of tables."""

_CHROMA = 256
"""What is added to the symbols of Cb and Cr, which have tables of their own."""

_NO_SYMBOL = -1
_ZERO_RUN = 0xF0
_LONGEST_END_RUN = 0x7FFF


@dataclass(slots=True)
class _Symbols:
    """What stands between two restart markers: symbols, each with the bits that follow it."""

    symbols: list[int] = field(default_factory=list)
    extras: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def add(self, symbol: int, extra: int = 0, size: int = 0) -> None:
        """Append a symbol and the `size` bits of `extra`."""
        self.symbols.append(symbol)
        self.extras.append(extra)
        self.sizes.append(size)

    def add_value(self, symbol: int, value: int) -> None:
        """Append a symbol whose lower half is the size of the value, and the value (F.1.2.1)."""
        size = abs(value).bit_length()
        self.add(symbol + size, value if value >= 0 else value + (1 << size) - 1, size)

    def add_bits(self, bits: Sequence[int]) -> None:
        """Append bits without a symbol."""
        self.symbols += [_NO_SYMBOL] * len(bits)
        self.extras += bits
        self.sizes += [1] * len(bits)


@dataclass(slots=True)
class _EndRun:
    """Blocks of which nothing is left to write but correction bits (G.1.2.2)."""

    symbols: _Symbols
    table: int
    blocks: int = 0
    corrections: list[int] = field(default_factory=list)

    def add(self, corrections: Sequence[int] = ()) -> None:
        """Count one more block."""
        self.blocks += 1
        self.corrections += corrections
        if self.blocks == _LONGEST_END_RUN:
            self.flush()

    def flush(self) -> None:
        """Write the blocks counted so far: something else follows."""
        if self.blocks:
            size = self.blocks.bit_length() - 1
            self.symbols.add(self.table + (size << 4), self.blocks - (1 << size), size)
            self.symbols.add_bits(self.corrections)
        self.blocks, self.corrections = 0, []


def _symbols_of(mcus: Values, scan: ScanSpec, tables: Sequence[int]) -> _Symbols:
    """Return the symbols of the MCUs between two restart markers.

    Args:
        mcus: (MCUs, blocks per MCU, 64) coefficients.
        scan: What is written of them.
        tables: For each block of an MCU, the number of its component in the scan.
    """
    if scan.first == scan.last == 0:
        return _refined_dc(mcus, scan) if scan.high else _first_dc(mcus, scan, tables)
    if scan.first > 0:
        return _refined_ac(mcus, scan) if scan.high else _first_ac(mcus, scan)
    return _sequential(mcus, scan, tables)


def _dc_differences(mcus: Values, low: int, tables: Sequence[int]) -> Values:
    """Return (MCUs, blocks per MCU): each DC less the one before it of the same component."""
    shifted = mcus[..., 0] >> low
    differences = np.empty_like(shifted)
    for table in set(tables):
        places = [place for place, other in enumerate(tables) if other == table]
        own = shifted[:, places]
        differences[:, places] = np.diff(own.ravel(), prepend=0).reshape(own.shape)
    return differences


def _first_dc(mcus: Values, scan: ScanSpec, tables: Sequence[int]) -> _Symbols:
    symbols = _Symbols()
    for mcu in _dc_differences(mcus, scan.low, tables).tolist():
        for value, table in zip(mcu, tables, strict=True):
            symbols.add_value(_DC + _table_of(scan.components[table]), value)
    return symbols


def _refined_dc(mcus: Values, scan: ScanSpec) -> _Symbols:
    symbols = _Symbols()
    symbols.add_bits((mcus[..., 0] >> scan.low & 1).ravel().tolist())
    return symbols


def _first_ac(mcus: Values, scan: ScanSpec) -> _Symbols:
    symbols = _Symbols()
    table = _AC + _table_of(scan.components[0])
    end = _EndRun(symbols, table)
    magnitudes = np.abs(mcus) >> scan.low
    for block in _nonzero(np.sign(mcus) * magnitudes, scan):
        before = scan.first - 1
        for place, value in block:
            end.flush()
            _add_after_zeros(symbols, table, place - before - 1, value)
            before = place
        if before < scan.last:
            end.add()
    end.flush()
    return symbols


def _add_after_zeros(symbols: _Symbols, table: int, zeros: int, value: int) -> None:
    for _ in range(zeros // 16):
        symbols.add(table + _ZERO_RUN)
    symbols.add_value(table + (zeros % 16 << 4), value)


def _refined_ac(mcus: Values, scan: ScanSpec) -> _Symbols:
    """Return new coefficients of magnitude 1, each followed by corrections of earlier ones (G.7).

    A run counts the coefficients that are still zero; those that it passes over and that are not
    zero give one bit each.
    """
    symbols = _Symbols()
    table = _AC + _table_of(scan.components[0])
    end = _EndRun(symbols, table)
    magnitudes = np.abs(mcus) >> scan.low
    for block in _nonzero(np.where(mcus < 0, -magnitudes, magnitudes), scan):
        last_new = max((place for place, value in block if abs(value) == 1), default=0)
        before, zeros = scan.first - 1, 0
        corrections: list[int] = []
        for place, value in block:
            zeros += place - before - 1
            before = place
            while zeros > 15 and place <= last_new:
                end.flush()
                symbols.add(table + _ZERO_RUN)
                symbols.add_bits(corrections)
                corrections, zeros = [], zeros - 16
            if abs(value) > 1:
                corrections.append(abs(value) & 1)
                continue
            end.flush()
            symbols.add(table + (zeros << 4) + 1, int(value > 0), 1)
            symbols.add_bits(corrections)
            corrections, zeros = [], 0
        if last_new < scan.last:
            end.add(corrections)
    end.flush()
    return symbols


def _sequential(mcus: Values, scan: ScanSpec, tables: Sequence[int]) -> _Symbols:
    symbols = _Symbols()
    differences = _dc_differences(mcus, 0, tables).ravel().tolist()
    ac = _nonzero(mcus, ScanSpec(scan.components, 1, 63))
    for number, (difference, block) in enumerate(zip(differences, ac, strict=True)):
        table = _table_of(scan.components[tables[number % len(tables)]])
        symbols.add_value(_DC + table, difference)
        before = 0
        for place, value in block:
            _add_after_zeros(symbols, _AC + table, place - before - 1, value)
            before = place
        if before < 63:
            symbols.add(_AC + table)
    return symbols


def _table_of(component: int) -> int:
    return _CHROMA if component else 0


def _nonzero(mcus: Values, scan: ScanSpec) -> Iterator[list[tuple[int, int]]]:
    """Yield, for each block, place and value of what is not zero in the band of the scan."""
    band = mcus.reshape(-1, 64)[:, scan.first : scan.last + 1]
    blocks, places = np.nonzero(band)
    ends = np.searchsorted(blocks, np.arange(len(band) + 1)).tolist()
    entries = list(zip((places + scan.first).tolist(), band[blocks, places].tolist(), strict=True))
    for start, end in pairwise(ends):
        yield entries[start:end]


# -- From symbols to bytes ----------------------------------------------------------------------


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _frame_header(pixels: Pixels, components: Sequence[Component], marker: int) -> bytes:
    body = struct.pack(">BHHB", 8, *pixels.shape[:2], len(components))
    for number, each in enumerate(components):
        body += bytes([number + 1, each.columns << 4 | each.rows, int(number > 0)])
    return _segment(marker, body)


def _scan(components: Sequence[Component], scan: ScanSpec, restart_interval: int) -> bytes:
    """Return one scan: its Huffman tables, its header, and its entropy-coded data."""
    chosen = [components[number] for number in scan.components]
    mcus = mcus_of(chosen)
    sizes = [each.rows * each.columns if len(chosen) > 1 else 1 for each in chosen]
    tables = np.repeat(np.arange(len(chosen)), sizes).tolist()
    interval = restart_interval or len(mcus)
    parts = [
        _symbols_of(mcus[start : start + interval], scan, tables)
        for start in range(0, len(mcus), interval)
    ]
    codes, lengths = np.zeros(1024, np.int64), np.zeros(1024, np.int64)
    head = _huffman_tables(parts, codes, lengths)
    body = bytes([len(chosen)])
    for number in scan.components:
        body += bytes([number + 1, 0x11 if number else 0])
    head += _segment(0xDA, body + bytes([scan.first, scan.last, scan.high << 4 | scan.low]))
    data = bytearray(_packed(parts[0], codes, lengths))
    for number, part in enumerate(parts[1:]):
        data += bytes([0xFF, 0xD0 + number % 8]) + _packed(part, codes, lengths)
    return head + bytes(data)


def _huffman_tables(parts: Sequence[_Symbols], codes: Values, lengths: Values) -> bytes:
    """Return the Huffman tables that suit the symbols best, and fill in `codes` and `lengths`."""
    used = np.concatenate([np.array(part.symbols, np.int64) for part in parts])
    counts = np.bincount(used[used >= 0], minlength=1024).reshape(4, 256)
    tables = b""
    for table in np.flatnonzero(counts.any(1)).tolist():
        by_symbol = _code_lengths(counts[table])
        ordered = sorted(by_symbol, key=lambda symbol: (by_symbol[symbol], symbol))
        code, length = 0, 0
        for symbol in ordered:
            code <<= by_symbol[symbol] - length
            length = by_symbol[symbol]
            codes[table * 256 + symbol], lengths[table * 256 + symbol] = code, length
            code += 1
        numbers = [list(by_symbol.values()).count(length) for length in range(1, 17)]
        name = (table // 2) << 4 | table % 2
        tables += _segment(0xC4, bytes([name, *numbers, *ordered]))
    return tables


def _code_lengths(counts: Values) -> dict[int, int]:
    """Return the length of each symbol's Huffman code: at most 16, and never all ones (annex C)."""
    weights = {int(symbol): int(counts[symbol]) for symbol in np.flatnonzero(counts)}
    while True:
        unique = count()
        heap = [(weight, next(unique), [symbol]) for symbol, weight in weights.items()]
        heap.append((0, next(unique), []))  # takes the code of all ones, which is reserved
        heapq.heapify(heap)
        lengths = dict.fromkeys(weights, 0)
        while len(heap) > 1:
            low, high = heapq.heappop(heap), heapq.heappop(heap)
            merged = low[2] + high[2]
            for symbol in merged:
                lengths[symbol] += 1
            heapq.heappush(heap, (low[0] + high[0], next(unique), merged))
        if max(lengths.values()) <= 16:
            return lengths
        weights = {symbol: (weight + 1) // 2 for symbol, weight in weights.items()}


def _packed(part: _Symbols, codes: Values, lengths: Values) -> bytes:
    """Return the bits of the symbols, filled up with ones, and FF followed by 00 (F.1.2.3)."""
    symbols, extras, sizes = (
        np.array(values, np.int64) for values in (part.symbols, part.extras, part.sizes)
    )
    has_code = symbols >= 0
    values = np.where(has_code, codes[symbols], 0) << sizes | extras
    widths = np.where(has_code, lengths[symbols], 0) + sizes
    ends = np.cumsum(widths)
    shifts = np.repeat(ends, widths) - np.arange(ends[-1]) - 1
    bits = np.repeat(values, widths) >> shifts & 1
    filled = np.concatenate([bits, np.ones(-len(bits) % 8, np.int64)]).astype(np.uint8)
    return np.packbits(filled).tobytes().replace(b"\xff", b"\xff\0")
