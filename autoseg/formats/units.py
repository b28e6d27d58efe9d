"""Units of length that headers state, in mm.

Readers of most formats drop them: a scan in microns then is a thousand times too large, without a word.
"""

from pathlib import Path
from typing import Final

from autoseg.errors import ImageError

_IN_MM: Final = {
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1e3),
    **dict.fromkeys(("um", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"), 1e-3),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), 1e-6),
    **dict.fromkeys(("in", "inch", "inches"), 25.4),
}
_MICRO: Final = str.maketrans("\N{MICRO SIGN}\N{GREEK SMALL LETTER MU}", "uu")
_NO_UNIT: Final = frozenset({"", "?", "???", "none", "pixel", "pixels", "px", "voxel", "voxels"})
"""What stands where no length is stated."""


def length_mm(unit: str) -> float | None:
    """One of a unit of length in mm; None for a word that names none."""
    return _IN_MM.get(unit.strip().lower().translate(_MICRO))


def is_no_unit(unit: str) -> bool:
    """Whether a word says that no length is stated, so that mm is assumed or the spacing is unknown."""
    return unit.strip().lower() in _NO_UNIT


def stated_mm(unit: str, *, where: Path) -> float:
    """One of a stated unit in mm; 1 where none is stated, because that is what tools assume.

    Raises:
        ImageError: the word is no unit of length that is known.
    """
    if is_no_unit(unit):
        return 1.0
    if (found := length_mm(unit)) is None:
        raise ImageError(
            "the header states an unknown unit of length",
            where=where,
            expected="mm, or one of um, nm, cm, m",
            found=repr(unit),
            remedy="Correct the unit, or store spacing and origin in mm: distances and volumes depend on it.",
        )
    return found
