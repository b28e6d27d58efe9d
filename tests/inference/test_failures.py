"""The table of scans that could not be segmented."""

from collections.abc import Iterator
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.inference.failures import note_failures, read_failures
from autoseg.inference.part import WHOLE


def test_the_cost_of_noting_is_linear(tmp_path: Path) -> None:
    """However many failed before, those that were tried are gone through once."""
    gone_through = []

    def tried() -> Iterator[str]:
        gone_through.append(True)
        yield from ("a", "b")

    class Tried:
        def __iter__(self) -> Iterator[str]:
            return tried()

    error = ImageError("damaged", remedy="Replace it.")
    note_failures(tmp_path, WHOLE, tried=["a", "b", "c", "d"], failures=[(case, error) for case in "abcd"])
    note_failures(tmp_path, WHOLE, tried=Tried(), failures=[("b", error)])
    assert read_failures(tmp_path) == {"b": "damaged", "c": "damaged", "d": "damaged"}
    assert len(gone_through) == 1
