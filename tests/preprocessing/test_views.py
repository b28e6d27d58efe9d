"""Several views of one stored case."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from autoseg.images.geometry import Geometry
from autoseg.images.image import Image
from autoseg.planning.plan import Plan
from autoseg.planning.sections import View
from autoseg.preprocessing.case import apply
from autoseg.preprocessing.footprint import apply_to_labels, kept_part
from autoseg.preprocessing.keys import DataKeys, volume_keys
from autoseg.preprocessing.store import Store
from autoseg.preprocessing.stored import CaseFiles, StoredCase
from autoseg.preprocessing.views import axis_order, cuts, stored_views, turned, volume_numbers

MakePlan = Callable[..., Plan]
PLANES = ("axial", "coronal", "sagittal")

TILTED = Geometry(
    shape=(5, 7, 6), spacing_mm=(3.0, 1.5, 2.0), direction=(0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0, -1.0, 0.0), dimensions=3
)
"""Array axes that are none of the usual ones, two of them reversed."""


def seen(planes: Sequence[str], *, spacings: Sequence[tuple[float, float] | None] = (None,) * 3) -> list[View]:
    return [
        View(plane=plane, spacing_mm=spacing, adjacent_slices=0, patch_px=(8, 8), mirror_axes=(), tta_axes=(), batch_size=2)
        for plane, spacing in zip(planes, spacings, strict=False)
    ]


def scan() -> tuple[Image, NDArray[np.uint8]]:
    generator = np.random.default_rng(5)
    array = generator.uniform(1, 2, (1, *TILTED.shape)).astype(np.float32)
    array[:, 0], array[:, :, :2] = 0, 0  # to be cut away
    return Image(array=array, geometry=TILTED), generator.integers(0, 3, TILTED.shape, dtype=np.uint8)


def stored(plan: Plan, folder: Path) -> StoredCase:
    image, labels = scan()
    keys = DataKeys(cases={"a": "x"}, all_labelled="y")
    store = Store(folder, keys, {"a": "sum"}, {"a": volume_keys(plan, "sum")}, cuts(plan.views))
    for place, view in zip(store.files_of("a"), stored_views(plan.views), strict=True):
        prepared = apply(image, plan.preprocessing, view=view)
        place.write(prepared.array, apply_to_labels(labels, prepared.footprint), prepared.footprint)
    assert store.footprints("a") == tuple(stack.footprint for stack in store.load("a").stacks)
    return store.load("a")


@pytest.mark.parametrize("first", PLANES)
@pytest.mark.parametrize("crop", ["none", "nonzero"])
def test_every_view_of_one_volume_is_what_a_plan_of_that_view_alone_stores(
    first: str, crop: str, make_plan: MakePlan, tmp_path: Path
) -> None:
    planes = [first, *(plane for plane in PLANES if plane != first)]
    preprocessing = {"crop": crop, "crop_margin_px": 1 if crop == "nonzero" else 0}
    plan = make_plan(views=[{"plane": plane} for plane in planes], preprocessing=preprocessing)
    case = stored(plan, tmp_path)
    assert len(list(tmp_path.rglob("*.image.npy"))) == 1
    image, labels = scan()
    for number, view in enumerate(plan.views):
        alone = apply(image, plan.preprocessing, view=view)
        stack = case.stack(number)
        assert stack.footprint == alone.footprint
        np.testing.assert_array_equal(stack.image, alone.array)
        np.testing.assert_array_equal(stack.label, apply_to_labels(labels, alone.footprint))
        np.testing.assert_array_equal(kept_part(labels, stack.footprint), stack.label)


def test_views_that_resample_have_volumes_of_their_own(make_plan: MakePlan, tmp_path: Path) -> None:
    views = [{"plane": "coronal"}, {"plane": "axial", "spacing_mm": (1.0, 2.5)}, {"plane": "sagittal"}]
    plan = make_plan(views=views)
    assert volume_numbers(plan.views) == (0, 1, 0)
    case = stored(plan, tmp_path)
    assert len(list(tmp_path.rglob("*.image.npy"))) == 2
    image, _ = scan()
    for number, view in enumerate(plan.views):
        alone = apply(image, plan.preprocessing, view=view)
        assert case.stack(number).footprint == alone.footprint
        np.testing.assert_array_equal(case.stack(number).image, alone.array)


def test_a_first_view_that_resamples_shares_nothing() -> None:
    views = seen(PLANES, spacings=[(1.0, 1.0), None, None])
    assert volume_numbers(views) == (0, 1, 1)
    assert [view.plane for view in stored_views(views)] == ["axial", "coronal"]


def test_one_view_keeps_the_arrays_it_has_without_others(make_plan: MakePlan) -> None:
    alone, more = make_plan(), make_plan(views=[{}, {"plane": "sagittal"}])
    assert volume_keys(alone, "sum") == volume_keys(more, "sum")
    assert (
        volume_keys(make_plan(views=[{}, {"plane": "sagittal", "spacing_mm": (1, 1)}]), "sum")[0]
        == volume_keys(alone, "sum")[0]
    )


def test_images_without_planes_have_one_order() -> None:
    flat = seen([None])[0]  # type: ignore[list-item]
    assert axis_order(flat, flat) == (0, 1, 2)


def test_resampled_slices_cannot_be_turned(make_plan: MakePlan) -> None:
    image, _ = scan()
    plan = make_plan(view={"spacing_mm": (1.0, 1.0)})
    footprint = apply(image, plan.preprocessing, view=plan.views[0]).footprint
    assert turned(footprint, (0, 1, 2)) == footprint
    with pytest.raises(ValueError, match="one plane alone"):
        turned(footprint, (1, 0, 2))


def test_files_are_named_by_the_volume(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(views=[{}, {"plane": "coronal", "spacing_mm": (1, 1)}])
    keys = volume_keys(plan, "sum")
    store = Store(tmp_path, DataKeys(cases={"a": "x"}, all_labelled="y"), {"a": "sum"}, {"a": keys}, cuts(plan.views))
    assert store.files_of("a") == tuple(CaseFiles(tmp_path / "a", key[:16]) for key in keys)
    assert not store.holds("a")
