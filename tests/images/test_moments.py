import tracemalloc

import numpy as np
import pytest

from autoseg.images import moments


@pytest.mark.parametrize("size", [1, 1000, 8192, 100_001, 300_004])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_bits_are_numpys_own_however_many_pieces(size: int, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "_WHOLE", 1 << 10)
    values = np.random.default_rng(size).normal(300, 100, size).astype(dtype)
    assert moments.mean_and_std(values) == (float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64)))


def test_many_values_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "_WHOLE", 1 << 12)
    values = np.zeros(1 << 20, dtype=np.float32)
    tracemalloc.start()
    try:
        moments.mean_and_std(values)
        assert tracemalloc.get_traced_memory()[1] < values.nbytes / 8
    finally:
        tracemalloc.stop()
