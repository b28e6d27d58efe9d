"""Memory that segmenting a scan takes: what is expected, what is taken, and what is refused before any is."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.stored_probabilities import read_whole
from oracles.tensor_memory import PeakOfTensors
from oracles.untrained_models import untrained_ensemble

from autoseg.catalogue import NETWORKS
from autoseg.errors import MemoryLimitError, SystemFailureError
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image
from autoseg.inference import memory
from autoseg.inference.loaded import LoadedModel
from autoseg.inference.memory import Blocks, Demand, Limits, Slices, require_weights
from autoseg.inference.one_pass import parts_of
from autoseg.inference.passes import Pass
from autoseg.inference.quality import ClassQuality, Quality
from autoseg.inference.segmenter import Segmenter
from autoseg.inference.stored_cases import predict_case
from autoseg.inference.streams import Wanted
from autoseg.planning.plan import Plan
from autoseg.preprocessing.case import cut_slices
from autoseg.preprocessing.stored import SliceStack
from autoseg.storage import files

MakePlan = Callable[..., Plan]
SHAPE = (12, 22, 26)
TILTED = (-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0)
MANY: dict[str, dict[str, Any]] = {
    "data": {"classes": [{"value": value, "name": f"class {value}"} for value in range(60)]},
    "training": {"class_weights": [1.0] * 60},
}


def image_of(shape: tuple[int, int, int]) -> Image:
    values = np.random.default_rng(0).normal(5, 2, size=(1, *shape)).astype(np.float32)
    return Image(values, Geometry(shape=shape, spacing_mm=(2.0, 1.0, 1.0), direction=TILTED))


def segmenter_of(plan: Plan, *, folds: tuple[str, ...] = ("0",), memory_gb: float = 100.0) -> Segmenter:
    calibration = ClassQuality(name=plan.data.classes[1].name, intercept=0.0, slope=1.0, error=0.01, lowest=0.0)
    return Segmenter(
        untrained_ensemble(plan, folds=folds, mirror=True),
        steps=(),
        quality=Quality(classes=(calibration,), points=()),
        trained_on=(),
        memory_gb=memory_gb,
    )


def demand_of(plan: Plan, **asked: Any) -> Demand:
    return Demand(plan, plan.views[0], (NETWORKS["unet"],), weights_bytes=0, **asked)


def wanted_of(model: Segmenter, *, with_uncertainty: bool = False, with_probabilities: bool = False) -> Wanted:
    return Wanted(
        judged=True, entropy=with_uncertainty, probabilities=with_probabilities, memory_gb=model.memory_gb, spool=None,
        events=None,
    )  # fmt: skip


def least_gb(model: Segmenter, image: Image, **asked: bool) -> float:
    """The least memory the scan is segmented with, by what the refusal of less advises."""
    with pytest.raises(MemoryLimitError) as refused:
        replace(model, memory_gb=0.01).segment(image, **asked)
    return float(refused.value.remedy.split("--memory ")[1].split(")")[0])


# Parts.


def test_what_fits_is_segmented_whole(tiny_plan: Plan) -> None:
    slices = Slices(100, (16, 12), (16, 12))
    blocks = demand_of(tiny_plan).blocks((100, 16, 12), slices, limits=Limits(4e9))
    assert (blocks.slices, blocks.batch) == (100, tiny_plan.prediction.batch_size)
    assert list(blocks.windows(100)) == [slice(0, 100)]


def test_parts_are_whole_batches_as_long_as_a_batch_fits(make_plan: MakePlan) -> None:
    plan, slices = make_plan(**MANY), Slices(50, (64, 64), (64, 64))
    demand = demand_of(plan)
    for limit_gb in (0.7, 0.6, 0.53, 0.51):
        blocks = demand.blocks((50, 64, 64), slices, limits=Limits(limit_gb * 1e9))
        assert blocks.slices < 50
        assert blocks.slices % blocks.batch == 0
        assert blocks.bytes <= limit_gb * 1e9
    assert blocks.batch < plan.prediction.batch_size  # the last one has no room for a whole one


def test_parts_cover_every_slice_once() -> None:
    windows = list(Blocks(slices=4, batch=2, bytes=0.0).windows(10))
    assert windows == [slice(0, 4), slice(4, 8), slice(8, 10)]


@pytest.mark.parametrize("number", [100, 1_000])
def test_classes_do_not_add_to_the_memory_of_a_long_scan(make_plan: MakePlan, number: int) -> None:
    """512 x 512 pixels and 100 classes: the volumes of all classes would take 10.5 and 105 GB."""
    classes = [{"value": value, "name": f"class {value}"} for value in range(100)]
    plan = make_plan(
        data={"classes": classes}, training={"class_weights": [1.0] * 100}, view={"patch_px": [512, 512]},
        network={"features": [16, 32, 64, 128, 256], "convolutions": 2},
    )  # fmt: skip
    slices = Slices(number, (512, 512), (512, 512))
    blocks = demand_of(plan).blocks((number, 512, 512), slices, limits=Limits(4e9), stored_bytes=2)
    assert blocks.bytes <= 4e9


@pytest.mark.parametrize("own_px", [(300, 512), (240, 410)])
@pytest.mark.parametrize("shifted", [False, True])
def test_several_views_are_added_to_a_file_in_few_parts(make_plan: MakePlan, own_px: tuple[int, int], shifted: bool) -> None:
    """An isotropic CT and 10 classes: each part of a sagittal pass reads and writes all of a file of gigabytes."""
    plan = make_plan(
        data={"classes": [{"value": value, "name": f"class {value}"} for value in range(10)]},
        training={"class_weights": [1.0] * 10}, view={"patch_px": [304, 512], "plane": "sagittal"},
        network={"features": [32, 64, 128, 256, 512], "convolutions": 2},
    )  # fmt: skip
    shape, slices, limits = (*own_px, 512), Slices(512, (300, 512), own_px), Limits(4e9)
    with pytest.raises(MemoryLimitError):
        demand_of(plan, averaged=True, shifted=shifted, sums=2).blocks(shape, slices, limits=limits)
    blocks = demand_of(plan, averaged=True, shifted=shifted).blocks(shape, slices, limits=limits)
    assert blocks.bytes <= 4e9
    assert len(list(blocks.windows(512))) <= 4


def test_a_device_with_a_memory_of_its_own_takes_what_networks_do(tiny_plan: Plan) -> None:
    slices = Slices(8, (600, 600), (600, 600))
    plan = tiny_plan.model_copy(update={"views": (tiny_plan.views[0].model_copy(update={"patch_px": (600, 600)}),)})
    ample, little = Limits(4e9, device_bytes=10e9), Limits(4e9, device_bytes=0.2e9)
    assert demand_of(plan).blocks((8, 600, 600), slices, limits=ample).batch == 4
    assert demand_of(plan).blocks((8, 600, 600), slices, limits=little).batch < 4
    with pytest.raises(MemoryLimitError, match="more memory than the device has free"):
        demand_of(plan).blocks((8, 600, 600), slices, limits=Limits(4e9, device_bytes=1e6))


# Results.


@pytest.mark.parametrize("resampled", [False, True])
@pytest.mark.parametrize("folds", [("0",), ("0", "1")])
def test_parts_change_nothing(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resampled: bool, folds: tuple[str, ...]
) -> None:
    spacing = [0.8, 1.7] if resampled else None
    plan = make_plan(
        view={"adjacent_slices": 1, "spacing_mm": spacing, "tta_axes": ["columns"], "plane": "coronal"},
        prediction={"batch_size": 2},
    )
    image, model = image_of(SHAPE), segmenter_of(plan, folds=folds)
    whole = model.segment(image, with_probabilities=True, with_uncertainty=True)
    windows = []

    def parts(*_: Any, probabilities: bool = False, **__: Any) -> Blocks:
        return Blocks(slices=4, batch=2, bytes=0.0)

    def refuse_probabilities(self: Demand, *arguments: Any, **limits: Any) -> Blocks:
        if self.probabilities:
            raise MemoryLimitError("too much", remedy="")
        windows.append(1)
        return parts()

    monkeypatch.setattr(Demand, "blocks", refuse_probabilities)
    found = model.segment(image, with_probabilities=True, with_uncertainty=True, spool=tmp_path)
    assert windows
    np.testing.assert_array_equal(found.labels.array, whole.labels.array)
    np.testing.assert_array_equal(found.entropy, whole.entropy)  # type: ignore[arg-type]
    assert found.predicted_dice == pytest.approx(whole.predicted_dice, rel=1e-12)
    assert found.probabilities is None
    assert found.spooled is not None
    assert not list(tmp_path.iterdir())  # the file has no name: nothing stays behind, whatever happens
    np.testing.assert_array_equal(np.stack(list(found.spooled.volumes())), whole.probabilities)
    found.spooled.close()


def test_a_disk_without_space_is_found_before_anything_is_predicted(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, image = segmenter_of(make_plan(**MANY)), image_of((40, 128, 128))
    limited = replace(model, memory_gb=least_gb(model, image) + 0.05)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10**8}))
    monkeypatch.setattr(Pass, "probabilities", None)  # would fail when called
    with pytest.raises(SystemFailureError, match=r"too little space; expected 0\.3 GB; found 0\.1 GB free"):
        limited.segment(image, with_probabilities=True, spool=tmp_path)
    with pytest.raises(MemoryLimitError):  # and where no file may be used
        limited.segment(image, with_probabilities=True)


@pytest.mark.parametrize("limit_gb", [0.6, 0.1])
def test_held_out_cases_are_predicted_in_parts_and_never_refused(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit_gb: float
) -> None:
    plan = make_plan(**MANY, inputs={"memory_gb": limit_gb})
    model, image = untrained_ensemble(plan, folds=("0",), mirror=True), image_of((40, 48, 48))
    cut = cut_slices(image, plan.preprocessing, view=plan.views[0])
    slices = cut.part(slice(0, 48))
    stack = SliceStack(slices, np.zeros(slices.shape[1:], np.uint8), cut.footprint)
    whole, parts = tmp_path / "whole.npz", tmp_path / "parts.npz"
    labels = predict_case(model, [stack], into=[whole])
    assert read_whole(whole).shape == (60, 48, 40, 48)
    windows = []
    probabilities = Pass.probabilities

    def counted(self: Pass, *arguments: Any, wanted: slice, **others: Any) -> Any:
        windows.append(wanted)
        return probabilities(self, *arguments, wanted=wanted, **others)

    monkeypatch.setattr("autoseg.inference.stored_cases.MEMORY_GB", 0.0)
    monkeypatch.setattr(Pass, "probabilities", counted)
    assert (predict_case(model, [stack], into=[parts]) == labels).mean() > 0.999
    assert len(windows) > 1
    np.testing.assert_allclose(read_whole(parts).astype(int), read_whole(whole).astype(int), atol=1)


# What is taken.


@pytest.mark.parametrize("shape", [(40, 48, 48), (6, 120, 120)])
@pytest.mark.parametrize("limit", ["least", "ample"])
@pytest.mark.parametrize("asked", [{}, {"with_uncertainty": True}, {"with_probabilities": True}], ids=str)
def test_no_more_is_taken_than_was_expected(
    make_plan: MakePlan, shape: tuple[int, int, int], limit: str, asked: dict[str, bool]
) -> None:
    plan = make_plan(**MANY, view={"patch_px": [64, 64]}, preprocessing={"normalisation": [{"method": "quantile_zscore"}]})
    image, model = image_of(shape), segmenter_of(plan, folds=("0", "1"))
    model = replace(model, memory_gb=least_gb(model, image, **asked) if limit == "least" else 100.0)
    blocks, _ = parts_of(
        model.ensemble,
        cut_slices(image, plan.preprocessing, view=plan.views[0]).footprint,
        wanted_of(model, **asked),
    )
    with PeakOfTensors():
        model.segment(image_of((3, 5, 5)))  # what is loaded once
    tracemalloc.start()
    try:
        with PeakOfTensors() as tensors:
            model.segment(image, **asked)
        taken = max(tracemalloc.get_traced_memory()[1], tensors.peak) + image.array.nbytes
    finally:
        tracemalloc.stop()
    expected = blocks.bytes - memory._PROGRAM_BYTES
    assert taken < expected
    assert expected < 8 * taken


# What is refused.


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        (
            {
                "data": {"classes": [{"value": value, "name": f"class {value}"} for value in range(65_535)]},
                "training": {"class_weights": [1.0] * 65_535},
            },
            "65535 classes",
        ),
        ({"network": {"features": [1] * 12}, "view": {"patch_px": [8192, 8192]}}, "networks of 12 levels"),
        ({"view": {"spacing_mm": [0.016, 0.016], "patch_px": [8192, 8192]}}, "slices of 3750 x 4000 pixels"),
    ],
    ids=["classes", "levels", "pixels"],
)
def test_what_exceeds_the_limit_is_refused_before_it_is_taken(
    make_plan: MakePlan, changes: dict[str, Any], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, image = make_plan(**changes), image_of((30, 64, 64))
    model = segmenter_of(plan, memory_gb=1.5)
    monkeypatch.setattr(Pass, "probabilities", None)  # would fail when called
    for call in (lambda: model.segment(image), lambda: model.admit(image.geometry, 2)):
        tracemalloc.start()
        try:
            with PeakOfTensors() as tensors, pytest.raises(MemoryLimitError, match=found) as refused:
                call()
            assert tracemalloc.get_traced_memory()[1] < 10 << 20
        finally:
            tracemalloc.stop()
        assert tensors.peak < 10 << 20
        assert refused.value.exit_code == 6
        assert "--memory" in refused.value.remedy


def test_a_scan_is_admitted_by_its_header(tiny_plan: Plan) -> None:
    model = segmenter_of(tiny_plan, memory_gb=4.0)
    model.admit(Geometry(shape=(1000, 512, 512), spacing_mm=(1.0, 1.0, 1.0)), 2)
    with pytest.raises(MemoryLimitError, match="3000 x 2048 x 2048 voxels"):
        model.admit(Geometry(shape=(3000, 2048, 2048), spacing_mm=(1.0, 1.0, 1.0)), 2)


def test_weights_of_resampling_count(make_plan: MakePlan) -> None:
    """A scan of a few voxels whose pixels a model makes ever smaller: of its resampling the weights alone fill gigabytes."""
    plan = make_plan(view={"spacing_mm": [1e-5, 50.0], "patch_px": [65_536, 64]})
    image = Image(np.ones((1, 2, 50, 1), np.float32), Geometry(shape=(2, 50, 1), spacing_mm=(1.0, 1.0, 1.0)))
    with pytest.raises(MemoryLimitError, match="slices of 5000000 x 1 pixels"):
        segmenter_of(plan, memory_gb=4.0).segment(image)


def test_arrays_are_refused_like_files(make_plan: MakePlan) -> None:
    model = LoadedModel(segmenter_of(make_plan(**MANY), memory_gb=0.51))
    with pytest.raises(MemoryLimitError, match="40 x 500 x 500 voxels"):
        model.predict(np.ones((40, 500, 500), np.float32), spacing_mm=(1.0, 1.0, 1.0))


def test_weights_are_refused_before_they_are_read() -> None:
    require_weights([10**9, 10**8], memory_gb=4.0, where="model.autoseg")
    with pytest.raises(MemoryLimitError, match=r"model.autoseg: .*expected at most 4 GB; found 5\.5 GB for 3 network"):
        require_weights([10**9] * 3, memory_gb=4.0, where="model.autoseg")


@pytest.mark.parametrize(("padding", "tile"), [("darkest", "16 x 12"), ("replicated", "28 x 28")])
def test_tiles_are_those_of_slices_as_networks_are_given_them(make_plan: MakePlan, padding: str, tile: str) -> None:
    """Slices of 27 x 28 pixels are no more than four patches of 16 x 12, and extended to 28 x 28 they are."""
    plan = make_plan(prediction={"padding": padding})
    with pytest.raises(MemoryLimitError, match=f"to which a slice or a tile of it has {tile} pixels"):
        demand_of(plan).blocks((2, 27, 28), Slices(2, (27, 28), (27, 28)), limits=Limits(1e6))
