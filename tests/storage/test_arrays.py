from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import SystemFailureError
from autoseg.storage import files
from autoseg.storage.arrays import array_in_parts, map_array, write_array


def test_parts_give_the_bytes_of_the_whole(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(0, 256, size=(3, 7, 4, 5)).astype(np.uint8)
    write_array(tmp_path / "whole.npy", whole)
    with array_in_parts(tmp_path / "parts.npy", whole.shape, np.uint8) as array:
        for first in (4, 0, 2, 6):  # in any order
            array.put(whole[:, first : first + 2], first=first)
    assert (tmp_path / "parts.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    np.testing.assert_array_equal(map_array(tmp_path / "parts.npy"), whole)


def test_an_array_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyError), array_in_parts(tmp_path / "parts.npy", (2, 3), np.uint8):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_disk_without_space_is_found_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(SystemFailureError, match="too little space"), array_in_parts(tmp_path / "a.npy", (2, 6), np.uint8):
        pass
