"""Arrays in compressed blocks: what was stored comes back, and nothing else is taken for it."""

import tempfile
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles.stored_probabilities import read_whole

from autoseg.storage import compressed
from autoseg.storage.compressed import CompressedArray, compressed_in_parts

WHOLE = np.random.default_rng(0).integers(0, 256, size=(3, 30, 4, 5)).astype(np.uint8)
BYTE = np.dtype(np.uint8)


def store(path: Path, *, cuts: Sequence[int] = (), whole: NDArray[Any] = WHOLE) -> Path:
    with compressed_in_parts(path, whole.shape, whole.dtype.type) as array:
        for first, stop in zip([0, *cuts], [*cuts, whole.shape[1]], strict=True):
            array.put(whole[:, first:stop], first=first)
    return path


@given(st.sets(st.integers(1, 29), max_size=6), st.integers(0, 29), st.integers(1, 30), st.sampled_from([1, 240, 10_000]))
def test_any_slices_come_back_however_the_array_was_cut(cuts: set[int], first: int, count: int, block: int) -> None:
    window = slice(first, min(first + count, 30))
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(compressed, "_BLOCK_BYTES", block)
        path = store(Path(folder) / "a.npz", cuts=sorted(cuts))
        np.testing.assert_array_equal(CompressedArray(path, WHOLE.shape, BYTE).part(window), WHOLE[:, window])
        np.testing.assert_array_equal(read_whole(path), WHOLE)
        assert path.read_bytes() == store(Path(folder) / "b.npz").read_bytes()


def test_what_is_mostly_certain_takes_little(tmp_path: Path) -> None:
    whole = np.zeros((4, 64, 64, 64), np.uint8)
    whole[0] = 255
    assert store(tmp_path / "a.npz", whole=whole).stat().st_size < whole.nbytes / 100


def test_a_few_slices_are_read_without_the_others(tmp_path: Path) -> None:
    whole = np.zeros((2, 512, 128, 128), np.uint8)  # 16 MiB
    array = CompressedArray(store(tmp_path / "a.npz", whole=whole), whole.shape, BYTE)
    tracemalloc.start()
    try:
        assert array.part(slice(200, 203)).shape == (2, 3, 128, 128)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 << 20


@pytest.mark.parametrize("shape", [(3, 30, 4, 4), (3, 29, 4, 5), (2, 30, 4, 5), (3, 31, 4, 5)])
def test_another_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = store(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="instead of"):
        CompressedArray(path, shape, BYTE).part(slice(0, 1))


def test_another_type_is_refused(tmp_path: Path) -> None:
    path = store(tmp_path / "a.npz", whole=WHOLE.astype(np.int8))
    with pytest.raises(ValueError, match="int8"):
        CompressedArray(path, WHOLE.shape, BYTE).part(slice(0, 1))


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((ValueError, OSError)):
        CompressedArray(path, WHOLE.shape, BYTE)


def test_every_damaged_byte_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    path = store(tmp_path / "a.npz", whole=WHOLE[:, :2])
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        try:
            found = CompressedArray(path, (3, 2, 4, 5), BYTE).part(slice(0, 2))
        except (ValueError, OSError):
            continue
        np.testing.assert_array_equal(found, WHOLE[:, :2])


def test_an_array_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyError), compressed_in_parts(tmp_path / "a.npz", (2, 3), np.uint8):
        raise KeyError
    with pytest.raises(ValueError, match="0 of 3 slices"), compressed_in_parts(tmp_path / "a.npz", (2, 3), np.uint8):
        pass
    assert not list(tmp_path.iterdir())


def test_parts_come_in_their_order(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="begins at 0, not 1"),
        compressed_in_parts(tmp_path / "a.npz", (2, 3), np.uint8) as array,
    ):
        array.put(np.zeros((2, 1), np.uint8), first=1)
