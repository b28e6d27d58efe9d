"""Preprocessed arrays are opened when they are read, a few at a time, and verified when they are first read."""

import gc
import os
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import WorkspaceError
from autoseg.preprocessing.mapped import MOST_OPEN, OpenArrays, StoredArray
from autoseg.storage import files
from autoseg.storage.arrays import write_array

SHAPE = (2, 3, 4, 5)


def content_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(size=SHAPE).astype(np.float32)


@pytest.fixture
def stored(tmp_path: Path) -> list[StoredArray]:
    """More arrays than stay open, and all mapped in one place."""
    arrays, found = OpenArrays(), []
    for number in range(3 * MOST_OPEN):
        path = tmp_path / f"{number}.npy"
        write_array(path, content_of(number))
        found.append(StoredArray(path, files.sha256_file(path), SHAPE, arrays))
    return found


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - Path.iterdir counts the one that it reads through alike


@pytest.mark.skipif(sys.platform != "linux", reason="counts open descriptors in /proc")
def test_few_stay_open_however_many_are_read(stored: list[StoredArray]) -> None:
    before = descriptors()
    for _ in range(2):
        for number, array in enumerate(stored):
            np.testing.assert_array_equal(array.read(), content_of(number))
    assert descriptors() - before <= MOST_OPEN
    del array, stored[:]
    assert descriptors() == before


def test_each_is_verified_once(stored: list[StoredArray], monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    original = files.sha256_stream

    def counting(stream: object) -> str:
        hashed.append(str(stream.name))  # type: ignore[attr-defined]
        return original(stream)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "sha256_stream", counting)
    for array in [*stored, *stored, *(array.transpose((0, 2, 1, 3)) for array in stored)]:
        array.read()
    assert sorted(hashed) == sorted(str(array.path) for array in stored)


@pytest.mark.parametrize("when", ["before it is read", "after it was let go"])
def test_one_that_changes_is_noticed(when: str, stored: list[StoredArray]) -> None:
    if when == "after it was let go":
        for array in stored:
            array.read()
    status = stored[0].path.stat()
    content = bytearray(stored[0].path.read_bytes())
    content[-1] ^= 1
    stored[0].path.write_bytes(content)
    os.utime(stored[0].path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    with pytest.raises(WorkspaceError, match="the preprocessed array has changed") as caught:
        stored[0].read()
    assert caught.value.where == str(stored[0].path)


def test_an_equal_copy_in_its_place_is_taken(stored: list[StoredArray]) -> None:
    for array in stored:
        array.read()
    copy = stored[0].path.with_name("copy.npy")
    shutil.copyfile(stored[0].path, copy)
    copy.replace(stored[0].path)
    np.testing.assert_array_equal(stored[0].read(), content_of(0))


def test_axes_in_another_order(stored: list[StoredArray]) -> None:
    turned = stored[0].transpose((0, 3, 1, 2))
    assert turned.shape == (2, 5, 3, 4)
    np.testing.assert_array_equal(turned.read(), content_of(0).transpose((0, 3, 1, 2)))
    again = turned.transpose((0, 2, 3, 1))
    assert again.shape == SHAPE
    np.testing.assert_array_equal(again.read(), content_of(0))


def test_another_process_gets_names_and_no_numbers(stored: list[StoredArray]) -> None:
    stored[0].read()
    sent = pickle.dumps(stored[0])
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent).read(), content_of(0))  # noqa: S301 - made above
