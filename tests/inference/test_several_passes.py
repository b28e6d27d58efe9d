"""Several views of one scan, averaged on its own grid, in memory and in a file."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.tensor_memory import PeakOfTensors
from oracles.untrained_models import untrained_ensemble
from oracles.whole_scans import expected_dice

from autoseg.errors import MemoryLimitError, SystemFailureError
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image
from autoseg.inference import memory
from autoseg.inference.memory import Demand
from autoseg.inference.passes import Pass
from autoseg.inference.quality import ClassQuality, Quality, entropy
from autoseg.inference.segmenter import Segmentation, Segmenter
from autoseg.inference.shift import shifted
from autoseg.inference.stored_cases import predict_case
from autoseg.planning.plan import Plan
from autoseg.preprocessing.case import CutScan, apply
from autoseg.preprocessing.stored import SliceStack
from autoseg.storage import files

MakePlan = Callable[..., Plan]
TILTED = (-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0)
VIEWS = (
    {"plane": "coronal", "tta_axes": ["columns"]},
    {"plane": "axial", "spacing_mm": [0.8, 1.7]},
    {"plane": "sagittal", "patch_px": [12, 16]},
)
MANY: dict[str, dict[str, Any]] = {
    "data": {"classes": [{"value": value, "name": f"class {value}"} for value in range(60)]},
    "training": {"class_weights": [1.0] * 60},
}


@pytest.fixture
def plan(make_plan: MakePlan) -> Plan:
    return make_plan(
        views=VIEWS, view={"adjacent_slices": 1}, preprocessing={"crop": "nonzero"}, prediction={"batch_size": 3}
    )


def image_of(shape: tuple[int, int, int] = (12, 22, 26)) -> Image:
    values = np.zeros((1, *shape), np.float32)
    values[0, 2:, 1:-3, 4:-2] = np.random.default_rng(0).normal(5, 2, size=(shape[0] - 2, shape[1] - 4, shape[2] - 6))
    return Image(values, Geometry(shape=shape, spacing_mm=(2.0, 1.0, 1.0), direction=TILTED))


def segmenter_of(plan: Plan, *, folds: tuple[str, ...] = ("0",), memory_gb: float = 100.0, judged: bool = True) -> Segmenter:
    calibration = ClassQuality(name=plan.data.classes[1].name, intercept=0.0, slope=1.0, error=0.01, lowest=0.0)
    quality = Quality(classes=(calibration,), points=()) if judged else None
    ensemble = untrained_ensemble(plan, folds=folds, mirror=True)
    return Segmenter(ensemble, steps=(), quality=quality, trained_on=(), memory_gb=memory_gb)


def alone(plan: Plan, *, number: int, fold: int, image: Image) -> np.ndarray:
    """The probabilities that one network gives a scan through one view, by a plan that has no other."""
    one = plan.model_copy(update={"views": (plan.views[number],)})
    whole = segmenter_of(one, folds=tuple(str(each) for each in range(fold + 1)))
    ensemble = replace(whole.ensemble, members=whole.ensemble.members[fold:])
    found = replace(whole, ensemble=ensemble).segment(image, with_probabilities=True).probabilities
    assert found is not None
    return found


@pytest.mark.parametrize("log_shift", [(), (0.0, -0.1)])
@pytest.mark.parametrize("judged", [False, True])
def test_the_mean_is_that_of_every_network_and_view_on_the_scans_own_grid(
    plan: Plan, judged: bool, log_shift: tuple[float, ...]
) -> None:
    image = image_of()
    model = segmenter_of(plan, folds=("0", "1"), judged=judged)
    model = replace(model, ensemble=replace(model.ensemble, log_shift=log_shift))
    found = model.segment(image, with_probabilities=True, with_uncertainty=True)
    of_fold = [np.mean([alone(plan, number=view, fold=fold, image=image) for view in range(3)], axis=0) for fold in (0, 1)]
    mean = np.mean(of_fold, axis=0)
    of_fold, mean = [shifted(one, log_shift, exclusive=True) for one in of_fold], shifted(mean, log_shift, exclusive=True)
    assert found.probabilities is not None
    assert found.entropy is not None
    np.testing.assert_allclose(found.probabilities, mean, atol=1e-6)
    np.testing.assert_array_equal(found.labels.array, np.where(mean.argmax(axis=0) == 1, 2, 0))
    assert {0, 2} == set(np.unique(found.labels.array))
    np.testing.assert_allclose(found.entropy, entropy(mean.astype(np.float32), exclusive=True), atol=1e-5)
    # Dice counts the voxels that slices show: what is cut away is background by definition.
    inside = (slice(None), *(slice(*box) for box in ((1, 12), (0, 20), (3, 25))))
    expected = [expected_dice(one[inside].astype(np.float32), plan.data.encoding)[1] for one in of_fold]
    assert found.predicted_dice == (pytest.approx({"disc": np.mean(expected)}, abs=1e-5) if judged else {})


def test_networks_of_plans_that_crop_differently_are_averaged_where_each_saw_something(make_plan: MakePlan) -> None:
    plans = [
        make_plan(preprocessing={"crop": "none"}),
        make_plan(preprocessing={"crop": "nonzero"}, view={"plane": "sagittal"}),
    ]
    models = [segmenter_of(plan, folds=folds, judged=False) for plan, folds in zip(plans, (("0",), ("0", "1")), strict=True)]
    members = tuple(member for model in models for member in model.ensemble.members)
    for chosen in (members, members[::-1]):
        together = replace(models[0], ensemble=replace(models[0].ensemble, members=chosen))
        found = together.segment(image_of(), with_probabilities=True).probabilities
        one, two = (model.segment(image_of(), with_probabilities=True).probabilities for model in models)
        assert found is not None
        np.testing.assert_allclose(found, (one + 2 * two) / 3, atol=1e-6)  # type: ignore[operator]
        assert (found[0, 0] > 2 / 3).all()  # where the second plan saw nothing


@pytest.mark.parametrize(("judged", "log_shift"), [(False, ()), (True, ()), (True, (0.0, -0.7))])
def test_a_file_changes_nothing(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judged: bool, log_shift: tuple[float, ...]
) -> None:
    image, model = image_of(), segmenter_of(plan, folds=("0", "1"), judged=judged)
    model = replace(model, ensemble=replace(model.ensemble, log_shift=log_shift))

    def segmented() -> Segmentation:
        return model.segment(image, with_probabilities=True, with_uncertainty=True, spool=tmp_path)

    whole = segmented()
    blocks = Demand.blocks

    def refuse(self: Demand, *arguments: Any, **others: Any) -> Any:
        if self.sums:
            raise MemoryLimitError("too much", remedy="")
        return blocks(self, *arguments, **others)

    monkeypatch.setattr(Demand, "blocks", refuse)
    monkeypatch.setattr("autoseg.inference.spool.SLAB_BYTES", 1 << 12)  # several slabs
    found = segmented()
    assert found.spooled is not None
    assert not list(tmp_path.iterdir())  # the file has no name
    np.testing.assert_array_equal(found.labels.array, whole.labels.array)
    np.testing.assert_array_equal(found.entropy, whole.entropy)  # type: ignore[arg-type]
    assert found.predicted_dice == pytest.approx(whole.predicted_dice, rel=1e-12)
    np.testing.assert_array_equal(np.stack(list(found.spooled.volumes())), whole.probabilities)
    found.spooled.close()


def test_a_scan_stored_in_another_order_of_axes_has_the_same_label_map(plan: Plan) -> None:
    model, image = segmenter_of(plan, folds=("0", "1"), judged=False), image_of()
    expected = model.segment(image).labels.array
    assert len(np.unique(expected)) == 2
    matrix = np.array(TILTED).reshape(3, 3)
    spacing_mm = np.array(image.geometry.spacing_mm)[::-1]  # X, Y, Z
    for order in permutations(range(3)):
        for sign in (1, -1):
            signs = (sign, 1, 1)
            steps = tuple(slice(None, None, each) for each in signs)
            stored = image.array[0].T.transpose(order)[steps].T  # (Z, Y, X)
            direction = tuple((matrix[:, order] * signs).ravel().tolist())
            geometry = Geometry(stored.shape, tuple(spacing_mm[list(order)][::-1].tolist()), direction=direction)
            found = model.segment(Image(stored[np.newaxis].copy(), geometry)).labels.array
            np.testing.assert_array_equal(found.T[steps].transpose(np.argsort(order)).T, expected)


@pytest.mark.parametrize(("spooled", "log_shift"), [(False, ()), (True, (0.1, *[0.0] * 59))])
@pytest.mark.parametrize("asked", [{}, {"with_uncertainty": True}, {"with_probabilities": True}], ids=str)
def test_no_more_is_taken_than_was_expected(
    make_plan: MakePlan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    spooled: bool,
    log_shift: tuple[float, ...],
    asked: dict[str, bool],
) -> None:
    views = ({"plane": "coronal"}, {"plane": "axial"}, {"plane": "sagittal", "spacing_mm": [1.5, 1.5]})
    plan = make_plan(**MANY, views=views, view={"patch_px": [64, 64]})
    model, image = segmenter_of(plan, folds=("0", "1")), image_of((24, 60, 50))
    model = replace(model, ensemble=replace(model.ensemble, log_shift=log_shift))
    limits = []
    blocks = Demand.blocks

    def counted(self: Demand, *arguments: Any, **others: Any) -> Any:
        if spooled and self.sums:
            raise MemoryLimitError("too much", remedy="")
        found = blocks(self, *arguments, **others)
        limits.append(found.bytes)
        return found

    with PeakOfTensors():
        model.segment(image_of((8, 9, 10)))  # what is loaded once
    monkeypatch.setattr(Demand, "blocks", counted)
    tracemalloc.start()
    try:
        with PeakOfTensors() as tensors:
            found = model.segment(image, spool=tmp_path, **asked)
        taken = max(tracemalloc.get_traced_memory()[1], tensors.peak) + image.array.nbytes
    finally:
        tracemalloc.stop()
    expected = max(limits) - memory._PROGRAM_BYTES
    assert len(limits) == 3
    assert taken < expected < 8 * taken
    if found.spooled is not None:
        found.spooled.close()


@pytest.mark.parametrize("shift", [(), (0.5, -1.0)])
def test_held_out_cases_are_averaged_in_memory_or_in_a_file(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: tuple[float, ...]
) -> None:
    plan = plan.model_copy(update={"inputs": plan.inputs.model_copy(update={"memory_gb": 0.1})})
    model, image = segmenter_of(plan, folds=("0", "1")), image_of()
    model = replace(model, ensemble=replace(model.ensemble, log_shift=shift))
    prepared = [apply(image, plan.preprocessing, view=view) for view in plan.views]
    stacks = [SliceStack(one.array, np.zeros(one.array.shape[1:], np.uint8), one.footprint) for one in prepared]
    labels = []
    for name in ("memory", "file"):
        (tmp_path / name).mkdir()
        into = [tmp_path / name / f"{number}.npz" for number in range(3)]
        labels.append(predict_case(replace(model.ensemble, log_shift=()), stacks, into=into))
        assert sorted((tmp_path / name).iterdir()) == into
        monkeypatch.setattr("autoseg.inference.stored_cases.MEMORY_GB", 0.0)
        monkeypatch.setattr("autoseg.inference.stored_cases.SumsInMemory", None)  # would fail when called
    np.testing.assert_array_equal(labels[0], labels[1])
    assert len(np.unique(labels[0])) == 2
    found = model.segment(image, with_probabilities=True)
    assert (found.labels.array == labels[0]).all() == (not shift)


def test_what_fits_neither_memory_nor_disk_is_refused_before_anything_is_predicted(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(**MANY, views=({"plane": "coronal"}, {"plane": "axial"}))
    model, image = segmenter_of(plan, memory_gb=1.1), image_of((60, 200, 200))
    monkeypatch.setattr(Pass, "probabilities", None)  # would fail when called
    with pytest.raises(MemoryLimitError):
        model.segment(image)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10**8}))
    with pytest.raises(SystemFailureError, match=r"too little space; expected 0\.6 GB; found 0\.1 GB free"):
        model.segment(image, spool=tmp_path)


def test_the_darkest_value_of_a_view_is_looked_for_once(make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(views=[{"plane": view["plane"]} for view in VIEWS], prediction={"padding": "darkest"})
    made: list[int] = []
    part = CutScan.part

    def counted(cut: CutScan, window: slice) -> np.ndarray:
        made.append(window.stop - window.start)
        return part(cut, window)

    monkeypatch.setattr(CutScan, "part", counted)
    segmenter_of(plan, folds=("0", "1", "2")).segment(image_of())
    assert sum(made) == (12 + 22 + 26) * (1 + 3)  # once for the darkest, and once for each fold
