"""Fingerprints made by hand."""

from collections.abc import Callable
from typing import Any

import pytest

from autoseg.planning.case_fingerprint import CaseFingerprint, ChannelStatistics, IntensityStatistics
from autoseg.planning.fingerprint import Fingerprint


def intensities(**changes: Any) -> IntensityStatistics:
    values = {
        "voxels": 1000,
        "mean": 50.0,
        "std": 10.0,
        "minimum": 1.0,
        "percentile_00_5": 20.0,
        "percentile_25": 40.0,
        "percentile_50": 50.0,
        "percentile_75": 60.0,
        "percentile_99_5": 90.0,
        "maximum": 120.0,
    }
    return IntensityStatistics(**(values | changes))


def fingerprinted_case(**changes: Any) -> CaseFingerprint:
    """An axial volume of 40 x 80 x 60 voxels (Z, Y, X) of 1 mm, whose nonzero box is 20 x 40 x 30."""
    both = ChannelStatistics(positive=intensities(), labelled=intensities())
    values = {
        "id": "case",
        "image_sha256": ("0" * 64,),
        "label_sha256": "1" * 64,
        "shape": (40, 80, 60),
        "spacing_mm": (1.0, 1.0, 1.0),
        "dimensions": 3,
        "axes": ("inferior-superior", "posterior-anterior", "left-right"),
        "channels": (both,),
        "class_voxels": {0: 189_000, 1: 3000},
        "nonzero_voxels": 20_000,
        "nonzero_box": ((10, 30), (20, 60), (15, 45)),
        "label_box": ((10, 30), (20, 60), (15, 45)),
        "label_margin_px": 0,
        "symmetry": (0.4, 0.5, 0.8),
    }
    return CaseFingerprint(**(values | changes))


@pytest.fixture(scope="session")
def make_intensities() -> Callable[..., IntensityStatistics]:
    return intensities


@pytest.fixture(scope="session")
def make_case() -> Callable[..., CaseFingerprint]:
    return fingerprinted_case


@pytest.fixture(scope="session")
def make_fingerprint() -> Callable[..., Fingerprint]:
    """Takes one mapping of changes per case."""

    def make(*changes: dict[str, Any]) -> Fingerprint:
        return Fingerprint(
            cases=tuple(fingerprinted_case(**{"id": f"case_{index}"} | change) for index, change in enumerate(changes))
        )

    return make
