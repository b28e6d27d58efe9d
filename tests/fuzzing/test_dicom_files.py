"""Corrupted DICOM slices, by the hundred: each is refused with a cure, or read as an independent decoding says."""

from pathlib import Path

import pytest
from oracles.bounded_runs import amounts, require_outcomes
from oracles.corrupted_exports import SearchCorrupted
from oracles.decoded_dicom import SYNTAXES, ReadDicom


@pytest.mark.parametrize(("seed", "count"), amounts(20_264, default=200, gate=600, slow=40_000))
def test_corrupted_slices_are_refused_or_read_right(tmp_path: Path, seed: int, count: int) -> None:
    require_outcomes(ReadDicom(tmp_path, seed), count=count, kinds=SYNTAXES, refused=30, accepted=30)


@pytest.mark.parametrize(("seed", "count"), amounts(20_266, default=50, gate=200, slow=10_000))
def test_a_corrupted_slice_never_leaves_half_a_scan_in_silence(tmp_path: Path, seed: int, count: int) -> None:
    require_outcomes(SearchCorrupted(tmp_path, seed), count=count, kinds=["export"], refused=3, accepted=10)
