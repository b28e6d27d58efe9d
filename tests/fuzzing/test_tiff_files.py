"""Corrupted TIFF files, by the hundred: each is refused with a cure, or read as Pillow reads it."""

from pathlib import Path

import pytest
from oracles.bounded_runs import amounts, require_outcomes
from oracles.decoded_tiff import COMPRESSIONS, ReadTiff


@pytest.mark.parametrize(("seed", "count"), amounts(20_266, default=200, gate=600, slow=20_000))
def test_corrupted_files_are_refused_or_read_right(tmp_path: Path, seed: int, count: int) -> None:
    require_outcomes(ReadTiff(tmp_path, seed), count=count, kinds=COMPRESSIONS, refused=50, accepted=50)
