"""Scripts of scans: in which order encoders write the coefficients of a JPEG."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScanSpec:
    """What one scan adds to a picture.

    Attributes:
        components: The numbers of its components: 0 for Y or grey, 1 for Cb, 2 for Cr.
        first: Its first coefficient, in zigzag order; 0 is DC.
        last: Its last coefficient.
        high: The bit down to which its coefficients were written before; 0 if none were.
        low: The lowest bit of the coefficients that it writes.
    """

    components: tuple[int, ...]
    first: int
    last: int
    high: int = 0
    low: int = 0


Script = tuple[ScanSpec, ...]

_Y, _CB, _CR, _ALL = (0,), (1,), (2,), (0, 1, 2)

BASELINE: Script = (ScanSpec(_ALL, 0, 63),)

THREE_SCANS: Script = (ScanSpec(_Y, 0, 63), ScanSpec(_CB, 0, 63), ScanSpec(_CR, 0, 63))
"""Sequential, with the components one after the other."""

STANDARD: Script = (
    ScanSpec(_ALL, 0, 0, 0, 1),
    ScanSpec(_Y, 1, 5, 0, 2),
    ScanSpec(_CR, 1, 63, 0, 1),
    ScanSpec(_CB, 1, 63, 0, 1),
    ScanSpec(_Y, 6, 63, 0, 2),
    ScanSpec(_Y, 1, 63, 2, 1),
    ScanSpec(_ALL, 0, 0, 1, 0),
    ScanSpec(_CR, 1, 63, 1, 0),
    ScanSpec(_CB, 1, 63, 1, 0),
    ScanSpec(_Y, 1, 63, 1, 0),
)
"""The ten scans of libjpeg, Pillow and ImageMagick."""

MOZJPEG: Script = (
    ScanSpec(_ALL, 0, 0),
    ScanSpec(_Y, 1, 8, 0, 2),
    ScanSpec(_CB, 1, 8),
    ScanSpec(_CR, 1, 8),
    ScanSpec(_Y, 9, 63, 0, 2),
    ScanSpec(_Y, 1, 63, 2, 1),
    ScanSpec(_Y, 1, 63, 1, 0),
    ScanSpec(_CB, 9, 63),
    ScanSpec(_CR, 9, 63),
)
"""The scans of mozjpeg where it does not search for better ones."""

MOZJPEG_SEARCHED: Script = (
    ScanSpec(_ALL, 0, 0),
    ScanSpec(_Y, 1, 5, 0, 1),
    ScanSpec(_Y, 6, 63, 0, 1),
    ScanSpec(_Y, 1, 63, 1, 0),
    ScanSpec(_CB, 1, 5),
    ScanSpec(_CB, 6, 63),
    ScanSpec(_CR, 1, 5),
    ScanSpec(_CR, 6, 63),
)
"""What mozjpeg's search leaves of most photographs: luma to its end before the colours."""

MOZJPEG_SEPARATE_DC: Script = (
    ScanSpec(_Y, 0, 0),
    ScanSpec(_CB, 0, 0),
    ScanSpec(_CR, 0, 0),
    ScanSpec(_Y, 1, 2, 0, 2),
    ScanSpec(_Y, 3, 63, 0, 2),
    ScanSpec(_Y, 1, 63, 2, 1),
    ScanSpec(_Y, 1, 63, 1, 0),
    ScanSpec(_CB, 1, 63),
    ScanSpec(_CR, 1, 63),
)
"""The same with another option: no scan has several components."""

SPECTRAL_ONLY: Script = (
    ScanSpec(_ALL, 0, 0),
    ScanSpec(_Y, 1, 2),
    ScanSpec(_Y, 3, 9),
    ScanSpec(_CB, 1, 63),
    ScanSpec(_CR, 1, 63),
    ScanSpec(_Y, 10, 63),
)
"""Every coefficient in full, in bands."""

SUCCESSIVE_ONLY: Script = (
    ScanSpec(_ALL, 0, 0, 0, 3),
    *(ScanSpec((component,), 1, 63, 0, 3) for component in _ALL),
    *(
        scan
        for low in (2, 1, 0)
        for scan in (
            ScanSpec(_ALL, 0, 0, low + 1, low),
            *(ScanSpec((component,), 1, 63, low + 1, low) for component in _ALL),
        )
    ),
)
"""All coefficients at once, bit by bit."""

DC_REFINED_LAST: Script = (
    ScanSpec(_ALL, 0, 0, 0, 2),
    *(ScanSpec((component,), 1, 63) for component in _ALL),
    ScanSpec(_ALL, 0, 0, 2, 1),
    ScanSpec(_ALL, 0, 0, 1, 0),
)
"""The mean of each block becomes right with the last scan."""

COMPONENT_BY_COMPONENT: Script = tuple(
    scan
    for component in ((2,), (1,), (0,))
    for scan in (
        ScanSpec(component, 0, 0, 0, 1),
        ScanSpec(component, 1, 63, 0, 1),
        ScanSpec(component, 1, 63, 1, 0),
        ScanSpec(component, 0, 0, 1, 0),
    )
)
"""Cr to its end, then Cb, then Y."""

HIGH_BANDS_FIRST: Script = (
    ScanSpec(_ALL, 0, 0),
    *(ScanSpec((component,), 20, 63) for component in _ALL),
    *(ScanSpec((component,), 1, 19) for component in _ALL),
)
"""The finest detail comes before what a small frame shows."""


def grey(script: Script) -> Script:
    """Return what a script would be for a grey picture: its scans of Y."""
    return tuple(
        ScanSpec(_Y, scan.first, scan.last, scan.high, scan.low)
        for scan in script
        if 0 in scan.components
    )


STANDARD_GREY = grey(STANDARD)
"""The six scans of libjpeg for grey pictures."""

PROGRESSIVE: dict[str, Script] = {
    "standard": STANDARD,
    "mozjpeg": MOZJPEG,
    "mozjpeg, searched": MOZJPEG_SEARCHED,
    "mozjpeg, separate DC": MOZJPEG_SEPARATE_DC,
    "spectral only": SPECTRAL_ONLY,
    "successive only": SUCCESSIVE_ONLY,
    "DC refined last": DC_REFINED_LAST,
    "component by component": COMPONENT_BY_COMPONENT,
    "high bands first": HIGH_BANDS_FIRST,
}
