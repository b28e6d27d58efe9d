"""Which tilts are beyond those of training."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.heard import Heard

from autoseg.images.geometry import Geometry
from autoseg.planning import examination
from autoseg.planning.examination import Examined
from autoseg.planning.tilt import Tilt, measured_tilt, outermost, unusual_tilt

STRAIGHT = (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("tilt", "seen", "expected"),
    [
        ((15.0, -15.0, 15.0), [STRAIGHT], []),
        ((15.1, 0.0, 0.0), [STRAIGHT], ["tilted by 15 degrees about left-right (training: 0 degrees)"]),
        ((0.0, 0.0, -40.0), [STRAIGHT], ["tilted by -40 degrees about inferior-superior (training: 0 degrees)"]),
        ((25.0, 0.0, 0.0), [STRAIGHT, (12.0, 0.0, 0.0)], []),
        # Trained a little below 45 degrees, a little beyond cuts along another axis and counts as tilted the other way.
        ((-44.0, 0.0, 0.0), [(44.0, 0.0, 0.0)], ["tilted by -44 degrees about left-right (training: 44 degrees)"]),
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


ANGLES = st.integers(-45, 45).map(float)


@given(tilts=st.lists(st.none() | st.tuples(ANGLES, ANGLES, ANGLES), max_size=30))
def test_the_outermost_stand_for_all_others(tilts: list[Tilt | None]) -> None:
    few = outermost(tilts)
    assert len(few) <= 12
    for place, tilt in enumerate(tilts):
        others = [other for number, other in enumerate(tilts) if number != place]
        assert unusual_tilt(tilt, [tilts[number] for number in few if number != place]) == unusual_tilt(tilt, others)


def test_a_scan_is_compared_with_a_few_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    labelled: Any = SimpleNamespace()
    cases = [Examined(f"case{number}", labelled, tilt=(0.1 * number, 0.0, 0.0)) for number in range(100)]
    cases += [Examined("new", tilt=(-20.0, 0.0, 0.0)), Examined("tilted", labelled, tilt=(0.0, 40.0, 0.0))]
    compared, events = list[int](), Heard()

    def counting(tilt: Tilt | None, seen: list[Tilt | None]) -> list[str]:
        compared.append(len(seen))
        return unusual_tilt(tilt, seen)

    monkeypatch.setattr(examination, "unusual_tilt", counting)
    examination._warn_of_tilt(cases, events=events)
    assert max(compared) <= 12
    assert len(compared) == 102
    (line,) = events.warnings
    assert "new is tilted by -20 degrees about left-right (training: 0 to 10 degrees)" in line
    assert "tilted is tilted by 40 degrees about posterior-anterior (training: 0 degrees)" in line
