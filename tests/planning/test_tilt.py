"""Which tilts are beyond those of training."""

import pytest

from autoseg.images.geometry import Geometry
from autoseg.planning.tilt import Tilt, measured_tilt, unusual_tilt

STRAIGHT = (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("tilt", "seen", "expected"),
    [
        ((15.0, -15.0, 15.0), [STRAIGHT], []),
        ((15.1, 0.0, 0.0), [STRAIGHT], ["tilted by 15 degrees about left-right (training: 0 to 0 degrees)"]),
        ((0.0, 0.0, -40.0), [STRAIGHT], ["tilted by -40 degrees about inferior-superior (training: 0 to 0 degrees)"]),
        ((25.0, 0.0, 0.0), [STRAIGHT, (12.0, 0.0, 0.0)], []),
        # Trained a little below 45 degrees, a little beyond cuts along another axis and counts as tilted the other way.
        ((-44.0, 0.0, 0.0), [(44.0, 0.0, 0.0)], ["tilted by -44 degrees about left-right (training: 44 to 44 degrees)"]),
        (STRAIGHT, [(0.0, 20.0, 0.0), (0.0, 22.0, 0.0)],
         ["tilted by 0 degrees about posterior-anterior (training: 20 to 22 degrees)"]),
        ((40.0, 0.0, 0.0), [None, None], []),
        ((40.0, 0.0, 0.0), [None, (30.0, 0.0, 0.0)], []),
        (None, [STRAIGHT], []),
        ((40.0, 0.0, 0.0), [], []),
    ],
)  # fmt: skip
def test_tilts_are_compared_axis_by_axis(tilt: Tilt | None, seen: list[Tilt | None], expected: list[str]) -> None:
    assert unusual_tilt(tilt, seen) == expected


def test_what_is_measured_is_rounded_and_has_no_negative_zero() -> None:
    nearly = Geometry((4, 5, 6), (1.0, 1.0, 1.0), direction=(1, 1e-9, 0, -1e-9, 1, 0, 0, 0, 1))
    assert str(measured_tilt(nearly)) == "(0.0, 0.0, 0.0)"
    assert measured_tilt(Geometry((1, 5, 6), (1.0, 1.0, 1.0), dimensions=2)) is None
