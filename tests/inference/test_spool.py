"""Probabilities of several views add up in a file: how much of it is read and written for that, and what is in it then."""

import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoseg.data.dataset import LabelClass
from autoseg.data.labels import encoding_of
from autoseg.inference.spool import SpooledProbabilities
from autoseg.inference.sums import Sums, SumsInMemory, add_around, add_up
from autoseg.preprocessing.footprint import Footprint, own_grid

ENCODING = encoding_of(
    (LabelClass(value=0, name="background"), LabelClass(value=1, name="a"), LabelClass(value=2, name="b"))
)
SHAPE = (48, 64, 96)
AXES = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
TEMPORARY_FILE = tempfile.TemporaryFile


class CountedFile:
    """A temporary file that counts the bytes which go to it and come from it."""

    def __init__(self, **how: Any) -> None:
        self._file = TEMPORARY_FILE(**how)
        self.read_bytes = self.written_bytes = 0

    def readinto(self, buffer: memoryview) -> int:
        self.read_bytes += buffer.nbytes
        return self._file.readinto(buffer)  # type: ignore[attr-defined,no-any-return]

    def write(self, content: memoryview) -> int:
        self.written_bytes += content.nbytes
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[CountedFile]:
    """The files that the test opens."""
    files: list[CountedFile] = []

    def count(**how: Any) -> CountedFile:
        files.append(CountedFile(**how))
        return files[-1]

    monkeypatch.setattr("autoseg.inference.spool.tempfile.TemporaryFile", count)
    return files


def footprint_of(plane: str, *, resampled: bool = False, cut: int = 0) -> Footprint:
    """A view of the whole scan, its first axis reversed, without the outermost voxels in each direction where it is cut."""
    axes = AXES[plane]
    _, rows, columns = kept = [SHAPE[axis] - 2 * cut for axis in axes]
    return Footprint(
        shape=SHAPE, axes=axes, flipped=(True, False, True), start=(cut, cut, cut), stop=tuple(cut + side for side in kept),
        size_px=(rows // 2, columns + 3) if resampled else (rows, columns), spacing_mm=(1.0, 1.0, 1.0), pad_value=(),
    )  # fmt: skip


def parts_of(footprint: Footprint, *, number: int) -> Iterator[tuple[int, np.ndarray]]:
    """Probabilities of a view in so many parts."""
    slices = footprint.kept[0]
    shape = (ENCODING.channels, slices, *footprint.size_px)
    whole = np.random.default_rng(slices).random(shape, dtype=np.float32)
    step = -(-slices // number)
    return ((first, whole[:, first : first + step].copy()) for first in range(0, slices, step))


@pytest.mark.parametrize("resampled", [False, True])
@pytest.mark.parametrize(
    ("plane", "parts", "times"), [("axial", 3, 1), ("coronal", 3, 1), ("sagittal", 1, 1), ("sagittal", 3, 3)]
)
def test_a_pass_reads_and_writes_the_rows_that_each_of_its_parts_shows(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    opened: list[CountedFile],
    *,
    plane: str,
    parts: int,
    times: int,
    resampled: bool,
) -> None:
    """Each part of a sagittal pass shows something of all rows, and those of other passes show whole ones."""
    monkeypatch.setattr("autoseg.preprocessing.footprint.BYTES_AT_ONCE", 10 * 4 * ENCODING.channels * 64 * 48)  # 10 slices
    footprint = footprint_of(plane, resampled=resampled)
    with closing(SpooledProbabilities(tmp_path, own_grid([footprint]), ENCODING)) as sums:
        add_up(sums, parts_of(footprint, number=parts), footprint, weight=1.0)
        (file,) = opened
        assert (file.read_bytes, file.written_bytes) == (times * sums.bytes, times * sums.bytes)


@pytest.mark.parametrize("resampled", [False, True])
def test_a_file_holds_what_memory_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resampled: bool) -> None:
    monkeypatch.setattr("autoseg.preprocessing.footprint.BYTES_AT_ONCE", 1 << 16)  # several slices at a time, but not all
    views = [footprint_of(plane, resampled=resampled, cut=cut) for cut, plane in enumerate(AXES)]
    grid = own_grid(views)

    def summed(sums: Sums) -> np.ndarray:
        for footprint in views:
            add_up(sums, parts_of(footprint, number=2), footprint, weight=1 / 3)
            add_around(sums, footprint, ENCODING, weight=1 / 3)
        return np.concatenate([part.copy() for _, part in sums.slabs()], axis=1)

    expected = summed(SumsInMemory(grid, ENCODING))
    with closing(SpooledProbabilities(tmp_path, grid, ENCODING)) as spooled:
        np.testing.assert_array_equal(summed(spooled), expected)
        np.testing.assert_array_equal(np.stack(list(spooled.volumes())), expected)


def test_around_a_view_only_what_is_probable_there_is_read_and_written(tmp_path: Path, opened: list[CountedFile]) -> None:
    whole, inner = footprint_of("axial"), footprint_of("sagittal", cut=5)
    with closing(SpooledProbabilities(tmp_path, own_grid([whole, inner]), ENCODING)) as sums:
        add_around(sums, inner, ENCODING, weight=1.0)
        of_background = sums.bytes // ENCODING.channels
        slices, rows = 10 / 48, 38 / 48 * 10 / 64
        columns = 2 * 38 / 48 * 54 / 64  # on the left, then on the right
        assert opened[0].read_bytes == opened[0].written_bytes == pytest.approx(of_background * (slices + rows + columns))


def test_a_part_takes_the_memory_of_one_class_on_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = 1 << 17
    monkeypatch.setattr("autoseg.preprocessing.footprint.BYTES_AT_ONCE", at_once)
    footprint = footprint_of("sagittal", resampled=True)
    ((first, part),) = parts_of(footprint, number=1)
    with closing(SpooledProbabilities(tmp_path, own_grid([footprint]), ENCODING)) as sums:
        sums.add_slices(part, footprint, first=first)  # weights of resampling stay
        tracemalloc.start()
        try:
            sums.add_slices(part, footprint, first=first)
            taken = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert taken < sums.bytes / ENCODING.channels + 4 * at_once
