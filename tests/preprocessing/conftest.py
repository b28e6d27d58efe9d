"""A tiny plan with classes of its own, and tiny scans on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from autoseg.data.dataset import Case
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_channels, write_labels
from autoseg.planning.plan import Plan
from autoseg.planning.sections import PreprocessingSection, View

OWN: dict[str, dict[str, Any]] = {
    "data": {
        "classes": [{"value": 0, "name": "background"}, {"value": 5, "name": "edge"}, {"value": 9, "name": "core"}],
    },
    "preprocessing": {
        "crop": "nonzero",
        "crop_margin_px": 1,
        "normalisation": [{"method": "quantile_zscore", "clip": 5.0}],
    },
    "training": {"class_weights": [1.0, 2.0, 2.0]},
}
"""Where these tests' plan differs from the one all tests share."""


class Settings(NamedTuple):
    """What decides how a scan becomes slices."""

    section: PreprocessingSection
    view: View


def preprocessing_settings(**changes: Any) -> Settings:
    """Axial slices, whole and untouched, with settings changed key by key."""
    view = {
        "plane": "axial",
        "spacing_mm": None,
        "adjacent_slices": 0,
        "patch_px": (8, 8),
        "mirror_axes": (),
        "tta_axes": (),
        "batch_size": 1,
    }
    seen = {key: changes.pop(key) for key in ("plane", "spacing_mm") if key in changes}
    untouched = {
        "crop": "none",
        "crop_margin_px": 0,
        "normalisation": ({"method": "none"},),
    }
    return Settings(PreprocessingSection.model_validate(untouched | changes), View.model_validate(view | seen))


def write_case(folder: Path, name: str, *, seed: int) -> Case:
    """A scan of 5 x 7 x 6 voxels (Z, Y, X), 0 at its border, labelled 0, 5 and 9 in nested boxes."""
    generator = np.random.default_rng(seed)
    geometry = Geometry(shape=(5, 7, 6), spacing_mm=(3.0, 1.0, 1.0))
    scan = np.zeros((1, *geometry.shape), dtype=np.float32)
    scan[0, 1:-1, 1:-1, 1:-1] = generator.integers(1, 200, (3, 5, 4))
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    labels[1:-1, 1:-1, 1:-1] = 5
    labels[2:-2, 2:-2, 2:-2] = 9
    write_channels(folder / f"{name}.nii.gz", scan, geometry)
    write_labels(folder / f"{name}_seg.nii.gz", labels, geometry)
    return Case(id=name, images=(folder / f"{name}.nii.gz",), label=folder / f"{name}_seg.nii.gz", subject=name)


@pytest.fixture
def make_plan(make_plan: Callable[..., Plan]) -> Callable[..., Plan]:
    def plan(*, views: Sequence[dict[str, Any]] = ({},), **changes: dict[str, Any]) -> Plan:
        own = {name: {**OWN.get(name, {}), **changes.get(name, {})} for name in {**OWN, **changes}}
        return make_plan(**own, views=views)

    return plan


@pytest.fixture(scope="session")
def make_section() -> Callable[..., Settings]:
    return preprocessing_settings


@pytest.fixture
def make_case() -> Callable[..., Case]:
    return write_case


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    """Three labelled cases on disk."""
    return [write_case(tmp_path / "data", f"case_{number}", seed=number) for number in range(3)]
