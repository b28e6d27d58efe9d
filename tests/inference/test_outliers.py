from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autoseg.data.dataset import Case, LabelClass
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, LabelMap
from autoseg.inference.outliers import (
    TrainingData,
    label_map_instead,
    missing_classes,
    single_slice,
    unusual,
    unusual_colours,
    unusual_intensities,
    unusual_orientation,
    unusual_spacing,
    unusual_volume,
)
from autoseg.planning.case_fingerprint import Unlabelled, intensity_statistics, measure
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.sections import NormalisationStep

SHAPE = (10, 12, 14)
SCALE_FREE = [NormalisationStep(method="quantile_zscore")]
ABSOLUTE = [NormalisationStep(method="none")]


def intensities(seed: int, *, scale: float = 1.0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    values = np.random.default_rng(seed).uniform(50, 150, size=(1, *SHAPE))
    return (scale * values).astype(np.float32)


@pytest.fixture
def fingerprint(monkeypatch: pytest.MonkeyPatch) -> Fingerprint:
    """Two scans with spacings of 1 and 1.2 mm, intensities from 50 to 150, and 100 and 200 labelled voxels."""
    monkeypatch.setattr("autoseg.planning.case_fingerprint.image_checksum", lambda _: "0" * 64)
    cases = []
    for seed, (spacing_mm, voxels) in enumerate([(1.0, 100), (1.2, 200)]):
        geometry = Geometry(SHAPE, (3.0, spacing_mm, 1.0), direction=(1, 0, 0, 0, 1, 0, 0, 0, 1))
        labels = np.zeros(SHAPE, np.uint16)
        labels.reshape(-1)[:voxels] = 1
        case = Case(id=f"c{seed}", images=("c.nii",), label="s.nii", subject=f"c{seed}")  # type: ignore[arg-type]
        cases.append(measure(case, Image(intensities(seed), geometry), LabelMap(labels, geometry)))
    return Fingerprint(cases=tuple(cases))


def trained_on(fingerprint: Fingerprint, normalisation: Sequence[NormalisationStep] = SCALE_FREE) -> TrainingData:
    return TrainingData("scans", fingerprint, tuple(normalisation))


def test_spacings_of_training_are_usual(fingerprint: Fingerprint) -> None:
    for spacing_mm in (1.0, 1.1, 1.2, 1.2 * 1.24, 1.0 / 1.24):
        assert unusual_spacing(Geometry(SHAPE, (3.0, spacing_mm, 1.0)), trained_on(fingerprint)) == []


def test_other_spacings_are_named_with_their_axis(fingerprint: Fingerprint) -> None:
    assert unusual_spacing(Geometry(SHAPE, (3.0, 2.0, 0.7)), trained_on(fingerprint)) == [
        "spacing 2 mm posterior-anterior (training: 1 to 1.2 mm)",
        "spacing 0.7 mm left-right (training: 1 mm)",
    ]


def test_spacings_are_compared_along_the_patients_axes(fingerprint: Fingerprint) -> None:
    # The same scan with its array axes in another order: thick slices still run inferior-superior.
    direction = (0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0)  # X: inferior-superior, Y: left-right, Z: posterior-anterior
    assert unusual_spacing(Geometry(SHAPE, (1.0, 1.0, 3.0), direction=direction), trained_on(fingerprint)) == []
    assert len(unusual_spacing(Geometry(SHAPE, (3.0, 1.0, 1.0), direction=direction), trained_on(fingerprint))) == 2


def turned(degrees: float) -> Geometry:
    """About left-right."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return Geometry(SHAPE, (3.0, 1.0, 1.0), direction=(1, 0, 0, 0, cosine, -sine, 0, sine, cosine))


def test_a_tilt_that_training_did_not_show_is_named(fingerprint: Fingerprint) -> None:
    assert unusual_orientation(turned(14.0), trained_on(fingerprint)) == []
    assert unusual_orientation(turned(-16.0), trained_on(fingerprint)) == [
        "tilted by -16 degrees about left-right (training: 0 degrees)"
    ]
    for degrees in (45.0, 46.0, 60.0):
        assert len(unusual_orientation(turned(degrees), trained_on(fingerprint))) == 1
    assert unusual_orientation(turned(90.0), trained_on(fingerprint)) == []  # stored by other axes, and straight


def test_documents_of_before_know_no_tilt(fingerprint: Fingerprint) -> None:
    old = [case.model_copy(update={"tilt_degrees": None}) for case in fingerprint.cases]
    assert unusual_orientation(turned(44.0), trained_on(fingerprint.model_copy(update={"cases": tuple(old)}))) == []


def test_the_scale_matters_only_where_normalisation_keeps_it(fingerprint: Fingerprint) -> None:
    brighter = intensities(7, scale=10)
    assert unusual_intensities(brighter, trained_on(fingerprint), names=["T1"]) == []
    remarks = unusual_intensities(brighter, trained_on(fingerprint, ABSOLUTE), names=["T1"])
    assert len(remarks) == 2
    assert remarks[0].startswith("median intensity of T1")


@pytest.mark.parametrize(
    "change",
    [
        lambda values: np.where(values > 145, values * 20, values),
        lambda values: values + 300,
        lambda values: np.where(values < 60, 1e-3, values),
    ],
    ids=["very bright spots", "low contrast", "very dark spots"],
)
def test_another_shape_of_the_histogram_is_remarked_on(
    fingerprint: Fingerprint,
    change: Callable[[np.ndarray], np.ndarray],  # type: ignore[type-arg]
) -> None:
    assert unusual_intensities(intensities(7), trained_on(fingerprint), names=["T1"]) == []
    assert unusual_intensities(change(intensities(7)).astype(np.float32), trained_on(fingerprint), names=["T1"])


def test_a_scan_without_signal_is_remarked_on(fingerprint: Fingerprint) -> None:
    empty = np.zeros((1, *SHAPE), np.float32)
    assert unusual_intensities(empty, trained_on(fingerprint), names=["T1"]) == ["no voxel of T1 is > 0"]


@pytest.mark.parametrize(
    ("volume_ml", "found"),
    # Training: 100 voxels of 3 mm3 and 200 of 3.6 mm3, 0.3 and 0.72 ml.
    [(0.3, []), (0.72, []), (0.21, []), (1.0, []), (0.0, ["nothing was found"]),
     (1.2, ["1.2 ml of foreground (training: 0.3 to 0.72 ml)"]), (0.1, ["0.1 ml of foreground (training: 0.3 to 0.72 ml)"])],
)  # fmt: skip
def test_the_volume_of_all_foreground(fingerprint: Fingerprint, volume_ml: float, found: list[str]) -> None:
    assert unusual_volume(volume_ml, trained_on(fingerprint)) == found


def test_what_several_regions_hold_is_foreground_once(fingerprint: Fingerprint) -> None:
    whole = LabelClass(value=1, name="whole", values=(1, 2, 3), order=0)
    core = LabelClass(value=2, name="core", values=(2, 3), order=1)
    enhancing = LabelClass(value=3, name="enhancing", values=(3,), order=2)
    data: Any = SimpleNamespace(channels=("T1",), classes=(LabelClass(value=0, name="background"), whole, core, enhancing))
    seen = fingerprint.cases[0].model_copy(update={"class_voxels": {0: 780, 1: 100, 2: 300, 3: 500}})  # of 3 mm3
    tumours = trained_on(Fingerprint(cases=(seen,)))
    geometry = Geometry(SHAPE, (3.0, 1.0, 1.0), direction=(1, 0, 0, 0, 1, 0, 0, 0, 1))
    image, labels = Image(intensities(0), geometry), np.zeros(SHAPE, np.uint16)
    labels.reshape(-1)[:900] = np.repeat((1, 2, 3), (100, 300, 500))
    assert unusual(image, LabelMap(labels, geometry), tumours, data) == []
    labels.reshape(-1)[:650] = 0
    assert unusual(image, LabelMap(labels, geometry), tumours, data) == ["0.75 ml of foreground (training: 2.7 ml)"]


def test_volumes_of_scans_that_are_labelled_in_part_are_not_known(fingerprint: Fingerprint) -> None:
    part = Unlabelled(voxels=10, labelled_slices=(1, 12, 14))
    cases = [case.model_copy(update={"unlabelled": part}) for case in fingerprint.cases]
    assert unusual_volume(1e6, trained_on(Fingerprint(cases=tuple(cases)))) == []
    assert unusual_volume(1e6, trained_on(Fingerprint(cases=(cases[0], fingerprint.cases[1])))) != []
    assert unusual_volume(0.0, trained_on(Fingerprint(cases=tuple(cases)))) == ["nothing was found"]


def test_finding_nothing_is_usual_where_some_training_scans_show_nothing(fingerprint: Fingerprint) -> None:
    empty = fingerprint.cases[0].model_copy(update={"class_voxels": {0: 1680}})
    assert unusual_volume(0.0, trained_on(Fingerprint(cases=(empty, fingerprint.cases[1])))) == []


@pytest.mark.parametrize(
    ("volumes_ml", "found"),
    [
        ({"GM": 0.5, "WM": 0.5}, []),
        ({"GM": 0.0, "WM": 0.5}, ["no GM was found (training: in every case)"]),
        ({"GM": 0.5, "WM": 0.0}, []),  # one of the training scans shows none either
        ({"GM": 0.0, "WM": 0.0}, []),  # that nothing was found is said elsewhere
    ],
)
def test_a_class_that_every_training_scan_shows_is_missed(
    fingerprint: Fingerprint, volumes_ml: dict[str, float], found: list[str]
) -> None:
    classes = [LabelClass(value=value, name=name) for value, name in ((0, "background"), (1, "GM"), (3, "WM"))]
    both = fingerprint.cases[0].model_copy(update={"class_voxels": {0: 1480, 1: 100, 3: 100}})
    seen = Fingerprint(cases=(both, fingerprint.cases[1]))
    assert missing_classes(volumes_ml, classes, trained_on(seen)) == found


def test_a_picture_has_no_third_axis(fingerprint: Fingerprint) -> None:
    flat = Geometry((1, 12, 14), (1.0, 1.1, 1.0), dimensions=2)
    pictures = tuple(case.model_copy(update={"dimensions": 2}) for case in fingerprint.cases)
    assert unusual_spacing(flat, trained_on(fingerprint.model_copy(update={"cases": pictures}))) == []


def test_a_picture_is_unlike_volumes(fingerprint: Fingerprint) -> None:
    flat = Geometry((1, 12, 14), (1.0, 1.1, 1.0), dimensions=2)
    assert unusual_spacing(flat, trained_on(fingerprint)) == ["a 2D image, taken for one slice (training: volumes)"]


def test_a_volume_of_one_slice_is_unlike_those_of_several(fingerprint: Fingerprint) -> None:
    slices, rows, columns = SHAPE
    for shape, found in (
        ((1, rows, columns), [f"a single voxel inferior-superior (training: {slices})"]),
        ((slices, 1, columns), [f"a single voxel posterior-anterior (training: {rows})"]),
        ((2, rows, columns), []),
    ):
        assert single_slice(Geometry(shape, (3.0, 1.0, 1.0)), trained_on(fingerprint)) == found
    thin = fingerprint.cases[0].model_copy(update={"shape": (1, rows, columns)})
    some = fingerprint.model_copy(update={"cases": (thin, fingerprint.cases[1])})
    assert single_slice(Geometry((1, rows, columns), (3.0, 1.0, 1.0)), trained_on(some)) == []
    assert single_slice(Geometry((1, rows, columns), (3.0, 1.0, 1.0), dimensions=2), trained_on(fingerprint)) == []


def test_statistics_name_what_they_saw() -> None:
    statistics = intensity_statistics(np.arange(1, 101, dtype=np.float32))
    assert statistics is not None
    assert (statistics.voxels, statistics.percentile_50) == (100, 50.5)
    assert intensity_statistics(np.zeros(0, np.float32)) is None


def of_colours(fingerprint: Fingerprint, *, grey: bool) -> Fingerprint:
    """The same scans as colours, each like the others, or one of them twice as bright."""
    statistics = fingerprint.cases[0].channels[0]
    brighter = intensity_statistics(intensities(9, scale=2.0))
    others = (statistics, statistics) if grey else (statistics, statistics.model_copy(update={"positive": brighter}))
    channels = {"channels": (statistics, *others), "colours": True}
    return Fingerprint(cases=tuple(case.model_copy(update=channels) for case in fingerprint.cases))


def test_grey_where_all_training_images_show_colours_is_unusual(fingerprint: Fingerprint) -> None:
    geometry = Geometry(SHAPE, (3.0, 1.0, 1.0))
    grey = Image(np.repeat(intensities(7), 3, axis=0), geometry, colours=True)
    coloured = Image(grey.array * np.float32([[[[1]]], [[[2]]], [[[1]]]]), geometry, colours=True)
    said = ["red, green and blue are equal (training: colours in every image)"]
    assert unusual_colours(grey, trained_on(of_colours(fingerprint, grey=False))) == said
    assert unusual_colours(grey, trained_on(of_colours(fingerprint, grey=True))) == []
    assert unusual_colours(coloured, trained_on(of_colours(fingerprint, grey=False))) == []


def test_a_colour_that_training_images_lack_may_be_missing(fingerprint: Fingerprint) -> None:
    (statistics,) = fingerprint.cases[0].channels
    dark = statistics.model_copy(update={"positive": None})
    seen = Fingerprint(cases=(fingerprint.cases[0].model_copy(update={"channels": (dark,)}), fingerprint.cases[1]))
    empty = np.zeros_like(intensities(7))
    assert unusual_intensities(empty, trained_on(seen), names=["B"]) == []
    assert unusual_intensities(empty, trained_on(fingerprint), names=["B"]) == ["no voxel of B is > 0"]


def test_training_cases_are_gone_through_once_however_many_scans_come(fingerprint: Fingerprint) -> None:
    class Counted(tuple[Any, ...]):
        times = 0

        def __iter__(self) -> Any:
            type(self).times += 1
            return super().__iter__()

    seen = trained_on(fingerprint.model_copy(update={"cases": Counted(fingerprint.cases)}))
    data: Any = SimpleNamespace(
        channels=("T1",), classes=(LabelClass(value=0, name="background"), LabelClass(value=1, name="GM"))
    )
    geometry = Geometry(SHAPE, (3.0, 1.0, 1.0), direction=(1, 0, 0, 0, 1, 0, 0, 0, 1))
    image, labels = Image(intensities(0), geometry), LabelMap(np.zeros(SHAPE, np.uint16), geometry)
    assert unusual(image, labels, seen, data) == ["nothing was found"]
    once = Counted.times
    assert once > 0
    assert unusual(image, labels, seen, data) == ["nothing was found"]
    assert Counted.times == once


CLASSES = (LabelClass(value=0, name="background"), LabelClass(value=1, name="GM"), LabelClass(value=4, name="WM"))
MAYBE = ["every voxel has the value of a class: this is probably a label map, and no scan"]


def blocks(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Background and a block of each value, (1, Z, Y, X)."""
    image = np.zeros((1, *SHAPE), np.float32)
    for index, value in enumerate(values):
        image[:, 2:8, 2:10, 1 + 4 * index : 5 + 4 * index] = value
    return image


def darker(fingerprint: Fingerprint, brightest: float) -> Fingerprint:
    """The same with a case whose scan is dark."""
    first, second = fingerprint.cases
    (statistics,) = second.channels
    positive = statistics.positive.model_copy(update={"percentile_99_5": brightest})  # type: ignore[union-attr]
    channel = statistics.model_copy(update={"positive": positive})
    return Fingerprint(cases=(first, second.model_copy(update={"channels": (channel,)})))


@pytest.mark.parametrize("values", [(1.0,), (4.0,), (1.0, 4.0), (4.0, 1.0, 4.0)])
def test_a_label_map_in_the_place_of_a_scan_is_marked(fingerprint: Fingerprint, values: tuple[float, ...]) -> None:
    assert label_map_instead(blocks(*values), trained_on(fingerprint), CLASSES) == MAYBE


@pytest.mark.parametrize(
    "image",
    [
        intensities(0),
        blocks(1.0, 2.0),  # no class has the value 2
        blocks(1.0, 4.0, 255.0),
        blocks(0.5),
        blocks(-1.0, 1.0),
        blocks(),  # one value throughout, of which another warning tells
        np.random.default_rng(0).choice([0, 1, 4], size=(1, *SHAPE)).astype(np.float32),  # noise of few grey values
    ],
)
def test_a_scan_is_no_label_map(fingerprint: Fingerprint, image: Any) -> None:
    assert label_map_instead(image, trained_on(fingerprint), CLASSES) == []


def test_where_scans_of_training_have_as_few_values_nothing_tells_a_label_map(fingerprint: Fingerprint) -> None:
    assert label_map_instead(blocks(1.0, 4.0), trained_on(darker(fingerprint, 4.0)), CLASSES) == []
    assert label_map_instead(blocks(1.0, 4.0), trained_on(darker(fingerprint, 5.0)), CLASSES) == MAYBE


def test_a_label_map_in_one_of_several_channels_alone_is_a_channel(fingerprint: Fingerprint) -> None:
    assert label_map_instead(np.concatenate([blocks(1.0), intensities(0)]), trained_on(fingerprint), CLASSES) == []


def test_a_label_map_is_the_first_that_is_said_of_a_scan(fingerprint: Fingerprint) -> None:
    data: Any = SimpleNamespace(channels=("T1",), classes=CLASSES)
    geometry = Geometry(SHAPE, (3.0, 1.0, 1.0), direction=(1, 0, 0, 0, 1, 0, 0, 0, 1))
    nothing = LabelMap(np.zeros(SHAPE, np.uint16), geometry)
    assert unusual(Image(blocks(1.0, 4.0), geometry), nothing, trained_on(fingerprint), data)[:1] == MAYBE
