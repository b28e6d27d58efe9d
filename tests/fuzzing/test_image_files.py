"""Corrupted image files, by the hundred: each is refused with a cure, or read as an independent decoding says."""

from pathlib import Path

import pytest
from oracles.bounded_runs import amounts, require_outcomes
from oracles.decoded_images import ReadImages

FORMATS = ("nifti", "gzip", "mha", "mhd", "nrrd", "nhdr")


@pytest.mark.parametrize(("seed", "count"), amounts(20_261, default=200, gate=800, slow=60_000))
def test_corrupted_images_are_refused_or_read_right(tmp_path: Path, seed: int, count: int) -> None:
    require_outcomes(ReadImages(tmp_path, seed), count=count, kinds=FORMATS, refused=300, accepted=300)
