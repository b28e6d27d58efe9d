"""Corrupted TIFF files, thousands of them: each is refused with a cure, or read as Pillow reads it."""

from pathlib import Path

import pytest
from oracles.bounded_runs import require_outcomes
from oracles.decoded_tiff import COMPRESSIONS, ReadTiff


@pytest.mark.parametrize(("seed", "count"), [(20_266, 1_000), pytest.param(20_267, 20_000, marks=pytest.mark.slow)])
def test_corrupted_files_are_refused_or_read_right(tmp_path: Path, seed: int, count: int) -> None:
    require_outcomes(ReadTiff(tmp_path, seed), count=count, kinds=COMPRESSIONS, refused=50, accepted=50)
