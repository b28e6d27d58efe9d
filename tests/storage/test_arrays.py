from pathlib import Path

import numpy as np

from autoseg.storage.arrays import map_array, write_array


def test_an_array_is_a_plain_npy_file(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(0, 256, size=(3, 7, 4, 5)).astype(np.uint8)
    write_array(tmp_path / "whole.npy", whole.swapaxes(1, 2))
    np.testing.assert_array_equal(np.load(tmp_path / "whole.npy"), whole.swapaxes(1, 2))
    np.testing.assert_array_equal(map_array(tmp_path / "whole.npy"), whole.swapaxes(1, 2))
