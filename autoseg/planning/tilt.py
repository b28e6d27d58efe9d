"""How far scans are tilted against the patient's axes, compared with the scans of training.

Slices are cut along the axes of the array. A tilt that training did not show turns what they show; from 45 degrees on they
are cut along another axis of the anatomy.
"""

from collections.abc import Sequence
from typing import Final

from autoseg.images.geometry import ANATOMICAL_AXES, Geometry
from autoseg.wording import from_to

Tilt = tuple[float, float, float]
"""Of `Geometry.tilt_degrees`: about left-right, posterior-anterior and inferior-superior."""

TILT_MARGIN_DEGREES: Final = 15.0
"""Tilts beyond the training range by more than this are warned about.

Source: ours; less than the plan's augmentation rotates by (20 degrees), and a third of what makes slices change their axis;
heads and the slices planned on them vary by less within a protocol.
"""


def measured_tilt(geometry: Geometry) -> Tilt | None:
    """How a scan is tilted, to thousandths of a degree: the last digits of an angle depend on the processor."""
    if (tilt := geometry.tilt_degrees) is None:
        return None
    x, y, z = (round(degrees, 3) + 0.0 for degrees in tilt)  # without a negative zero
    return x, y, z


def outermost(tilts: Sequence[Tilt | None]) -> list[int]:
    """Places of the scans that suffice to compare each of many with all the others.

    These have one of the two smallest or the two largest angles about an axis: whichever scan is left out, the smallest
    and the largest angle of the others are among theirs.

    Args:
        tilts: of the scans; None where it is not known.

    Returns:
        places in the order given, rising, at most twelve.
    """
    known = {place: tilt for place, tilt in enumerate(tilts) if tilt is not None}
    found = set[int]()
    for angles in zip(*known.values(), strict=True):
        rising = [place for _, place in sorted(zip(angles, known, strict=True))]
        found.update(rising[:2], rising[-2:])
    return sorted(found)


def unusual_tilt(tilt: Tilt | None, seen: Sequence[Tilt | None]) -> list[str]:
    """Warnings about a tilt outside those of training, per axis.

    Every angle has a direction, so that scans beyond 45 degrees, which count as tilted the other way from their nearest
    axes, differ from scans a little below.

    Args:
        tilt: of a scan; None: a 2D image, which has none.
        seen: of the scans of training; None where it is not known, as in what version 0.1 stored.
    """
    known = [one for one in seen if one is not None]
    if tilt is None or not known:
        return []
    warnings = []
    for name, degrees, angles in zip(ANATOMICAL_AXES, tilt, zip(*known, strict=True), strict=True):
        if not min(angles) - TILT_MARGIN_DEGREES <= degrees <= max(angles) + TILT_MARGIN_DEGREES:
            learnt = from_to(min(angles), max(angles), ".0f")
            warnings.append(f"tilted by {degrees:.0f} degrees about {name} (training: {learnt} degrees)")
    return warnings
