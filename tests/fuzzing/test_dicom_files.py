"""Corrupted DICOM slices, thousands of them: each is refused with a cure, or read as an independent decoding says."""

from pathlib import Path

import pytest
from oracles.bounded_runs import require_outcomes
from oracles.decoded_dicom import SYNTAXES, ReadDicom


@pytest.mark.parametrize(("seed", "count"), [(20_264, 2_000), pytest.param(20_265, 40_000, marks=pytest.mark.slow)])
def test_corrupted_slices_are_refused_or_read_right(tmp_path: Path, seed: int, count: int) -> None:
    require_outcomes(ReadDicom(tmp_path, seed), count=count, kinds=SYNTAXES, refused=30, accepted=30)
