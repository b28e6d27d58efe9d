"""Corrupted image files, thousands of them: each is refused with a cure, or read as an independent decoding says."""

from pathlib import Path

import pytest
from oracles.bounded_runs import require_outcomes
from oracles.decoded_images import ReadImages

FORMATS = ("nifti", "gzip", "mha", "mhd", "nrrd", "nhdr")


@pytest.mark.parametrize(("seed", "count"), [(20_261, 3_000), pytest.param(20_262, 60_000, marks=pytest.mark.slow)])
def test_corrupted_images_are_refused_or_read_right(tmp_path: Path, seed: int, count: int) -> None:
    require_outcomes(ReadImages(tmp_path, seed), count=count, kinds=FORMATS, refused=300, accepted=300)
