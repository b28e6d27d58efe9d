"""Parts of the scans: every scan in one, whatever other scans there are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.errors import UsageError
from autoseg.inference.part import MOST_PARTS, WHOLE, Part, parse_part


@given(name=st.text(st.characters(), max_size=20), count=st.integers(1, 50))
def test_every_scan_is_in_exactly_one_part(name: str, count: int) -> None:
    assert sum(Part(number, count).holds(name) for number in range(1, count + 1)) == 1
    assert WHOLE.holds(name)


def test_parts_are_about_as_large_as_each_other() -> None:
    names = [f"case_{number:05d}" for number in range(8000)]
    sizes = [sum(map(Part(number, 8).holds, names)) for number in range(1, 9)]
    assert sum(sizes) == 8000
    assert all(abs(size - 1000) < 5 * 30 for size in sizes)  # a binomial deviates by 30


def test_the_part_of_a_scan_never_changes() -> None:
    """Two versions that divided the scans in other ways would segment some twice at once, and others not."""
    # sha256sum says ddcdac2d...305a12 of it, and 0x12 modulo 16 is 2: the third part of 4, of 8 and of 16.
    for count in (4, 8, 16):
        assert [number for number in range(1, count + 1) if Part(number, count).holds("IBSR_05")] == [3]


def test_parts_are_read_as_they_are_written() -> None:
    assert parse_part("2/8") == Part(2, 8)
    assert str(parse_part(" 1/1 ")) == "1/1"
    assert parse_part(f"{MOST_PARTS}/{MOST_PARTS}").number == MOST_PARTS


@pytest.mark.parametrize(
    "text", ["", "2", "0/8", "9/8", "-1/8", "2/0", "a/b", "1/8/9", "1.0/8", f"1/{MOST_PARTS + 1}", "²/8"]
)
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="1/8, 2/8"):
        parse_part(text)
