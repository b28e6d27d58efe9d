"""Voxels without a label in planning: they count for nothing, and cases that have nothing else take no part."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.heard import Heard

from autoseg.data.dataset import Case, Dataset, LabelClass
from autoseg.errors import AutosegError, DatasetError, UsageError
from autoseg.events import Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, LabelMap, write_channels, write_labels
from autoseg.layouts import find_dataset
from autoseg.layouts.common import Choice
from autoseg.planning.case_fingerprint import CaseFingerprint, measure
from autoseg.planning.fingerprint import Fingerprint, fingerprint_dataset, found_classes
from autoseg.planning.labelled import labelled_part, without_unlabelled
from autoseg.planning.rules import class_weights
from autoseg.planning.sizing import training_slices
from autoseg.planning.slicing import PLANE_AXES, stack_of

SHAPE = (6, 8, 7)
IGNORE = 255
CLASSES = tuple(LabelClass(value=value, name=name) for value, name in ((0, "background"), (1, "GM"), (3, "WM")))


def arrays(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    generator = np.random.default_rng(seed)
    image = generator.integers(1, 99, (1, *SHAPE)).astype(np.float32)
    return image, generator.choice([0, 1, 3], SHAPE).astype(np.uint16)


def measured(tmp_path: Path, image: NDArray[np.float32], labels: NDArray[np.uint16], ignore: int | None) -> CaseFingerprint:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    geometry = Geometry(shape=labels.shape, spacing_mm=(1.0, 1.0, 1.0))
    case = Case(id="case", images=(file,), label=file, subject="case")
    return measure(case, Image(image, geometry), LabelMap(labels, geometry), ignore=ignore)


def test_a_fingerprint_is_that_of_the_labelled_part(tmp_path: Path) -> None:
    image, labels = arrays()
    cut = measured(tmp_path, image[:, :2], labels[:2], None)
    labels[2:] = IGNORE
    found = measured(tmp_path, image, labels, IGNORE)
    assert found.class_voxels == cut.class_voxels
    assert found.channels[0].labelled == cut.channels[0].labelled
    assert (found.label_box, found.label_margin_px) == (cut.label_box, cut.label_margin_px)
    assert found.symmetry == cut.symmetry
    assert found.unlabelled is not None
    assert found.unlabelled.voxels == 4 * 8 * 7
    assert found.unlabelled.labelled_slices == (2, 8, 7)


def test_a_single_slice_that_is_labelled_in_part_counts_as_one_slice(tmp_path: Path) -> None:
    image, labels = arrays()
    labels[:, ::2] = IGNORE
    found = labelled_part([measured(tmp_path, image[:, :1], labels[:1], IGNORE)])
    assert found is not None
    assert (found.slices, found.of_slices) == (1, 1)


def test_without_such_voxels_a_fingerprint_is_as_it_was(tmp_path: Path) -> None:
    assert measured(tmp_path, *arrays(), IGNORE) == measured(tmp_path, *arrays(), None)


def test_symmetry_is_of_voxels_that_are_labelled_on_both_sides(tmp_path: Path) -> None:
    image, labels = arrays()
    labels[:] = 1
    labels[0], labels[4] = IGNORE, IGNORE
    assert measured(tmp_path, image, labels, IGNORE).symmetry == (1.0, 1.0, 1.0)
    labels[2:] = IGNORE
    labels[1, 0, 0] = IGNORE
    assert measured(tmp_path, image, labels, IGNORE).symmetry == (1.0, 1.0, 1.0)


def test_weights_are_those_of_the_labelled_part(tmp_path: Path) -> None:
    image, labels = arrays()
    cut = Fingerprint(cases=(measured(tmp_path, image[:, :2], labels[:2], None),))
    labels[2:] = IGNORE
    found = Fingerprint(cases=(measured(tmp_path, image, labels, IGNORE),))
    weights = [class_weights(each.class_voxels, classes=CLASSES, recipe="auto").value for each in (cut, found)]
    assert weights[0] == weights[1]


def test_a_pass_is_over_the_labelled_slices(tmp_path: Path) -> None:
    image, labels = arrays()
    labels[[0, 2, 3, 5]] = IGNORE
    case = measured(tmp_path, image, labels, IGNORE)
    across = {axes[0]: plane for plane, axes in PLANE_AXES.items()}
    across_z, across_y = (
        stack_of(case, plane=across[axis], spacing_mm=None, crop="none", margin_px=0) for axis in case.axes[:2]
    )
    assert (across_z.slices, across_z.labelled) == (6, 2)
    assert (across_y.slices, across_y.labelled) == (8, 8)
    assert training_slices([across_z] * 4, folds=4) == 6


def test_how_much_is_labelled_in_words(tmp_path: Path) -> None:
    image, labels = arrays()
    whole = measured(tmp_path, image, labels, IGNORE)
    labels[1:] = IGNORE
    part = labelled_part([whole, measured(tmp_path, image, labels, IGNORE)])
    assert str(part) == "58.3% of the voxels are labelled; 1 of 2 cases in part, in 1 of 6 slices"
    assert labelled_part([whole]) is None


def written(root: Path, name: str, labels: NDArray[np.uint16]) -> Case:
    geometry = Geometry(shape=labels.shape, spacing_mm=(1.0, 1.0, 1.0))
    paths = root / "images" / f"{name}.nii.gz", root / "labels" / f"{name}.nii.gz"
    write_channels(paths[0], arrays(ord(name[0]))[0], geometry)
    write_labels(paths[1], labels, geometry)
    return Case(id=name, images=(paths[0],), label=paths[1], subject=name)


def dataset_of(root: Path, *cases: Case) -> Dataset:
    return Dataset(name="demo", root=root, layout="table", channels=("T1",), classes=None, ignore=IGNORE, cases=tuple(cases))


def test_cases_without_a_label_take_no_part(tmp_path: Path) -> None:
    nothing = np.full(SHAPE, IGNORE, dtype=np.uint16)
    half = arrays()[1]
    half[3:] = IGNORE
    dataset = dataset_of(tmp_path, written(tmp_path, "half", half), written(tmp_path, "none", nothing))
    events = Heard()
    fingerprint = fingerprint_dataset(dataset, jobs=1, events=events)
    kept, cases = without_unlabelled(dataset, fingerprint.cases, events)
    assert [case.id for case in cases] == [case.id for case in kept.training] == ["half"]
    assert len(kept.cases) == 2
    assert events.infos == ["none: no voxel has a label, so these scans take no part in training"]
    assert events.warnings == []
    assert [label.value for label in found_classes(dataset, fingerprint)] == [0, 1, 3]
    alone = dataset_of(tmp_path, dataset.cases[1])
    with pytest.raises(DatasetError, match="no voxel of any training scan has a label"):
        without_unlabelled(alone, [case for case in fingerprint.cases if case.id == "none"], events)


def test_a_value_that_occurs_nowhere_is_told(tmp_path: Path) -> None:
    dataset, events = dataset_of(tmp_path, written(tmp_path, "whole", arrays()[1])), Heard()
    fingerprint = fingerprint_dataset(dataset, jobs=1, events=events)
    assert without_unlabelled(dataset, fingerprint.cases, events) == (dataset, fingerprint.cases)
    assert events.warnings == ["no voxel has the value 255 (ignore): everything counts as labelled"]


def test_255_is_a_class_unless_asked(tmp_path: Path) -> None:
    labels = arrays()[1]
    labels[labels > 0] = 255
    written(tmp_path, "one", labels)
    found = [find_dataset(tmp_path, choice=Choice(ignore=ignore)) for ignore in (None, 255)]
    assert [dataset.ignore for dataset in found] == [None, 255]
    classes = [found_classes(dataset, fingerprint_dataset(dataset, jobs=1, events=Silent())) for dataset in found]
    assert [[label.value for label in each] for each in classes] == [[0, 255], [0]]


@pytest.mark.parametrize(
    ("labels", "ignore", "error", "words"),
    [
        ({"background": 0, "GM": 1, "WM": 3}, 3, DatasetError, "is the value of a class, WM"),
        ({"background": 0, "GM": 1, "WM": 3, "ignore": 255}, 254, DatasetError, "another value than the data set calls"),
        ({"background": 0, "GM": 1, "WM": 3}, 0, UsageError, "0 is the background"),
    ],
)
def test_a_value_that_cannot_be_ignored_is_refused(
    tmp_path: Path, labels: dict[str, int], ignore: int, error: type[AutosegError], words: str
) -> None:
    geometry = Geometry(shape=SHAPE, spacing_mm=(1.0, 1.0, 1.0))
    write_channels(tmp_path / "imagesTr" / "a_0000.nii.gz", arrays()[0], geometry)
    write_labels(tmp_path / "labelsTr" / "a.nii.gz", arrays()[1], geometry)
    document = {"channel_names": {"0": "T1"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(error, match=words):
        find_dataset(tmp_path, choice=Choice(ignore=ignore))
