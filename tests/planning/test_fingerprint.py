import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autoseg.data.dataset import Case, Dataset, LabelClass
from autoseg.errors import DatasetError, ImageError, WorkspaceError
from autoseg.events import Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, LabelMap, write_channels, write_labels
from autoseg.planning import case_fingerprint
from autoseg.planning.case_fingerprint import measure
from autoseg.planning.fingerprint import FINGERPRINT, fingerprint_dataset, found_classes
from autoseg.storage import files

SHAPE = (4, 6, 5)
SPACING_MM = (2.0, 1.0, 0.5)
CLASSES = tuple(LabelClass(value=value, name=name) for value, name in ((0, "background"), (1, "GM"), (3, "WM")))


class Recorder(Silent):
    def __init__(self):
        self.notes, self.warnings, self.steps = [], [], 0

    def info(self, message):
        self.notes.append(message)

    def warn(self, message):
        self.warnings.append(message)

    def advance(self, steps=1, **fields):
        self.steps += steps

    @contextmanager
    def track(self, label, *, total, unit):
        yield self


def scan(seed: int = 0) -> np.ndarray:
    array = np.zeros((1, *SHAPE), dtype=np.float32)
    array[0, 1:3, 1:5, 1:4] = np.random.default_rng(seed).integers(1, 100, (2, 4, 3))
    return array


def label_map() -> np.ndarray:
    labels = np.zeros(SHAPE, dtype=np.uint16)
    labels[1:3, 1:5, 1] = 1
    labels[1:3, 1:5, 2] = 3
    return labels


def write_case(root: Path, name: str, *, image=None, labels=None, spacing_mm=SPACING_MM, subset="training") -> Case:
    image = scan() if image is None else image
    labels = label_map() if labels is None else labels
    paths = root / f"{name}.nii.gz", root / f"{name}_seg.nii.gz"
    write_channels(paths[0], image, Geometry(shape=image.shape[1:], spacing_mm=SPACING_MM))
    write_labels(paths[1], labels, Geometry(shape=labels.shape, spacing_mm=spacing_mm))
    return Case(id=name, images=(paths[0],), label=paths[1], subject=name, subset=subset)


def dataset_of(*cases: Case, classes=CLASSES) -> Dataset:
    return Dataset(name="demo", root=Path("demo"), layout="table", channels=("T1",), classes=classes, cases=tuple(cases))


def fingerprint_of(*cases: Case, jobs: int = 1, classes=CLASSES, events=None):
    return fingerprint_dataset(dataset_of(*cases, classes=classes), jobs=jobs, events=events or Silent())


@pytest.fixture(scope="session")
def any_case(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "file"
    path.write_bytes(b"content")
    return Case(id="case", images=(path,), label=path, subject="case")


def measured(case, image, labels):
    geometry = Geometry(shape=labels.shape, spacing_mm=SPACING_MM)
    return measure(case, Image(image, geometry, ()), LabelMap(labels, geometry, ()))


def test_one_case_by_hand(tmp_path):
    image = np.zeros((1, *SHAPE), dtype=np.float32)
    image[0, 1, 1, 1:5] = [1, 2, 3, -2]
    labels = np.zeros(SHAPE, dtype=np.uint16)
    labels[1, 1, 2:4] = 1
    labels[3, 1, 2] = 3
    case = write_case(tmp_path, "a", image=image, labels=labels)

    (found,) = fingerprint_of(case).cases

    assert (found.id, found.shape, found.spacing_mm, found.dimensions) == ("a", SHAPE, SPACING_MM, 3)
    assert found.axes == ("inferior-superior", "posterior-anterior", "left-right")
    assert found.image_sha256 == (files.sha256_file(case.images[0]),)
    assert found.label_sha256 == files.sha256_file(case.label)
    assert found.class_voxels == {0: 117, 1: 2, 3: 1}
    assert found.nonzero_voxels == 4
    assert found.nonzero_box == ((1, 2), (1, 2), (1, 5))
    assert found.label_box == ((1, 4), (1, 2), (2, 4))
    assert found.label_margin_px == 2  # the label reaches index 3, the image index 1
    # The nonzero box, of 1 x 1 x 4 voxels, has its middle at 1.5, 1.5, 3, as has class 1; class 3 at 3.5, 1.5, 2.5.
    assert found.class_offsets == {1: (0.0, 0.0, 0.0), 3: (2.0, 0.0, -0.125)}
    # Mirrored along Z, class 1 meets 3 or nothing; along Y nothing moves; along X class 1 stays on itself, 3 moves off.
    assert found.symmetry == (0.0, 1.0, 0.5)
    positive, labelled = found.channels[0].positive, found.channels[0].labelled
    assert (positive.voxels, positive.mean, positive.std) == (3, 2.0, 0.816497)
    assert (positive.minimum, positive.maximum) == (1.0, 3.0)
    assert (positive.percentile_00_5, positive.percentile_25, positive.percentile_50) == (1.01, 1.5, 2.0)
    assert (labelled.voxels, labelled.mean, labelled.minimum, labelled.maximum) == (3, 1.66667, 0.0, 3.0)


def test_axes_and_spacing_follow_the_array(any_case):
    geometry = Geometry(shape=SHAPE, spacing_mm=SPACING_MM, direction=(1, 0, 0, 0, 0, 1, 0, 1, 0))
    found = measure(any_case, Image(scan(), geometry, ()), LabelMap(label_map(), geometry, ()))
    assert found.axes == ("posterior-anterior", "inferior-superior", "left-right")


@given(labels=hnp.arrays(np.uint16, SHAPE, elements=st.integers(0, 2)), axis=st.integers(0, 2))
def test_symmetry_is_that_of_the_mirrored_case_too(any_case, labels, axis):
    found = measured(any_case, scan(), labels)
    mirrored = measured(any_case, np.flip(scan(), axis + 1), np.flip(labels, axis))
    assert (found.symmetry, found.swapped) == (mirrored.symmetry, mirrored.swapped)
    assert found.label_margin_px == mirrored.label_margin_px
    assert found.symmetry is None or all(0 <= share <= 1 for share in found.symmetry)


@given(labels=hnp.arrays(np.uint16, SHAPE, elements=st.integers(0, 2)), axis=st.integers(0, 2))
def test_labels_beside_their_mirror_image_are_symmetric(any_case, labels, axis):
    both = np.concatenate([labels, np.flip(labels, axis)], axis=axis)
    assume(both.any())
    image = np.arange(both.size, dtype=np.float32).reshape(1, *both.shape)
    assert measured(any_case, image, both).symmetry[axis] == 1.0


def test_a_left_and_a_right_class_are_swapped_and_a_tumour_on_one_side_is_not(any_case):
    labels = np.zeros((4, 6, 8), dtype=np.uint16)
    labels[1:3, 1:5] = 1
    labels[1:3, 2:4, 1], labels[1:3, 2:4, 6] = 2, 3  # a pair
    image = np.arange(labels.size, dtype=np.float32).reshape(1, *labels.shape)
    pair = measured(any_case, image, labels)
    assert pair.swapped == (False, False, True)
    assert pair.symmetry == (1.0, 1.0, pytest.approx(1 / 3, abs=1e-6))
    labels[labels == 3] = 1
    assert measured(any_case, image, labels).swapped == (False, False, False)
    assert measured(any_case, image, np.zeros_like(labels)).swapped is None


def test_sides_are_those_of_the_patient_whichever_way_a_volume_is_stored(any_case):
    labels = np.zeros(SHAPE, dtype=np.uint16)
    labels[1, 2, 3] = 1
    image = np.ones((1, *SHAPE), dtype=np.float32)
    image[0, 0, 0, 0] = 2.0

    def offsets(*flipped, dimensions=3, order=(0, 1, 2)):
        """Of the case stored with these axes in the other direction and all of them in this order."""
        signs = [-1 if axis in flipped else 1 for axis in range(3)]
        columns = np.diag(signs[::-1])[:, [2 - axis for axis in order[::-1]]]
        here, there = np.flip(image[0], flipped).transpose(order), np.flip(labels, flipped).transpose(order)
        geometry = Geometry(there.shape, (1.0, 1.0, 1.0), direction=tuple(columns.ravel()), dimensions=dimensions)
        found = measure(any_case, Image(here[None], geometry, ()), LabelMap(there, geometry, ()))
        return dict(zip(found.axes, found.class_offsets[1], strict=True))

    expected = {"inferior-superior": -0.125, "posterior-anterior": pytest.approx(-1 / 12, abs=1e-6), "left-right": 0.2}
    assert offsets() == offsets(2) == offsets(0, 1) == offsets(0, 1, 2, order=(2, 0, 1)) == expected
    assert offsets(2, dimensions=2)["left-right"] == -0.2  # whose axes have no sides


def test_large_foregrounds_are_sampled_evenly(any_case, monkeypatch):
    monkeypatch.setattr(case_fingerprint, "_QUANTILE_SAMPLE", 30)
    image = np.arange(1, 121, dtype=np.float32).reshape(1, *SHAPE)
    positive = measured(any_case, image, label_map()).channels[0].positive
    assert (positive.voxels, positive.minimum, positive.maximum) == (120, 1.0, 120.0)
    assert positive.percentile_50 == 59.0  # of 1, 5, ... 117


def test_only_labelled_cases_are_read_and_sorted(tmp_path):
    unlabelled = Case(id="b", images=(tmp_path / "missing.nii.gz",), subject="b", subset="test")
    cases = write_case(tmp_path, "z"), unlabelled, write_case(tmp_path, "a", subset="validation")
    assert [case.id for case in fingerprint_of(*cases).cases] == ["a", "z"]


def test_the_same_whatever_the_order_and_the_number_of_jobs(tmp_path):
    cases = [write_case(tmp_path, name, image=scan(seed)) for seed, name in enumerate("cab")]
    FINGERPRINT.write(tmp_path / "one.json", fingerprint_of(*cases))
    FINGERPRINT.write(tmp_path / "two.json", fingerprint_of(*reversed(cases), jobs=2))
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_constant_images_teach_nothing(tmp_path):
    case = write_case(tmp_path, "a", image=np.full((1, *SHAPE), 7, dtype=np.float32))
    with pytest.raises(ImageError, match="7 everywhere") as raised:
        fingerprint_of(case)
    assert raised.value.where == str(case.images[0])


def test_undeclared_label_values_are_refused(tmp_path):
    labels = label_map()
    labels[1, 1, 1] = 9
    with pytest.raises(ImageError, match="9"):
        fingerprint_of(write_case(tmp_path, "a", labels=labels))


def test_image_and_label_have_to_share_a_grid(tmp_path):
    with pytest.raises(ImageError, match="spacing"):
        fingerprint_of(write_case(tmp_path, "a", spacing_mm=(9.0, 1.0, 0.5)))


@pytest.mark.parametrize("jobs", [1, 2])
def test_all_bad_cases_are_named_at_once(tmp_path, jobs):
    cases = [
        write_case(tmp_path, "a", image=np.full((1, *SHAPE), 7, dtype=np.float32)),
        write_case(tmp_path, "b"),
        write_case(tmp_path, "c", spacing_mm=(9.0, 1.0, 0.5)),
    ]
    with pytest.raises(DatasetError, match=r"2 problems in 2 case(.|\n)*a\.nii\.gz(.|\n)*c_seg\.nii\.gz") as raised:
        fingerprint_of(*cases, jobs=jobs)
    assert raised.value.exit_code == 3


def test_pictures_and_volumes_do_not_mix(tmp_path):
    flat = write_case(tmp_path, "flat")
    for path, array in ((flat.images[0], scan()[:, 1:2]), (flat.label, label_map()[1:2])):
        path.unlink()
        geometry = Geometry(shape=(1, 6, 5), spacing_mm=(1.0, 1.0, 1.0), dimensions=2)
        (write_labels if array.ndim == 3 else write_channels)(path, array, geometry)
    with pytest.raises(DatasetError, match=r"1 2D images \(such as flat\) and 1 3D images"):
        fingerprint_of(flat, write_case(tmp_path, "solid"))


def test_no_labels_at_all_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="no scan has a label map"):
        fingerprint_of(Case(id="a", images=(tmp_path / "a.nii.gz",), subject="a"))


def test_watchers_hear_of_progress_and_empty_label_maps(tmp_path):
    events = Recorder()
    empty = np.zeros(SHAPE, dtype=np.uint16)
    cases = [write_case(tmp_path, name, labels=empty) for name in "abcdefg"] + [write_case(tmp_path, "h")]
    found = fingerprint_of(*cases, events=events)
    assert events.steps == 8
    assert events.warnings[0].startswith("a, b, c, d, e and 2 more: nothing is labelled")
    assert len(events.notes) == len(set(events.notes))
    assert found.cases[0].label_box is None
    assert found.cases[0].class_voxels == {0: 120}


def test_scans_that_are_thick_along_different_axes_are_warned_of_with_what_to_do(tmp_path):
    def warnings(**spacings):
        (root := tmp_path / "-".join(spacings)).mkdir()
        cases = []
        for seed, (name, spacing_mm) in enumerate(spacings.items()):
            case = write_case(root, name, image=scan(seed))
            write_channels(case.images[0], scan(seed), Geometry(shape=SHAPE, spacing_mm=spacing_mm))
            write_labels(case.label, label_map(), Geometry(shape=SHAPE, spacing_mm=spacing_mm))
            cases.append(case)
        events = Recorder()
        fingerprint_of(*cases, events=events)
        return [warning for warning in events.warnings if "thick" in warning]

    axial, coronal, even = (5.0, 0.5, 0.5), (0.5, 5.0, 0.5), (1.0, 1.0, 1.0)
    assert warnings(a=axial, b=axial, c=even) == []
    (line,) = warnings(a=coronal, b=axial, c=even, d=axial)
    assert line == (
        "scans are thick along different axes: 2 along inferior-superior (b, d), 1 along posterior-anterior (a). No plane "
        "shows fine slices of all of them: plan each group as a data set of its own, or resample them to one spacing"
    )


def test_classes_are_found_where_none_are_declared(tmp_path):
    case = write_case(tmp_path, "a")
    whole = fingerprint_of(case, classes=None)
    classes = found_classes(dataset_of(case, classes=None), whole)
    assert [(label.value, label.name) for label in classes] == [(0, "background"), (1, "class 1"), (3, "class 3")]
    assert found_classes(dataset_of(case), whole) == CLASSES


def test_stored_and_read_again_it_is_the_same(tmp_path):
    whole = fingerprint_of(write_case(tmp_path, "a"))
    FINGERPRINT.write(tmp_path / "fingerprint.json", whole)
    assert FINGERPRINT.read(tmp_path / "fingerprint.json") == whole


def test_a_changed_document_is_refused(tmp_path):
    path = tmp_path / "fingerprint.json"
    FINGERPRINT.write(path, fingerprint_of(write_case(tmp_path, "a")))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"surprise": 1}))
    with pytest.raises(WorkspaceError, match="surprise"):
        FINGERPRINT.read(path)
