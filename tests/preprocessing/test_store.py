"""Preprocessed arrays on disk: when they are made, kept, refused."""

import dataclasses
import gzip
import mmap
import shutil
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autoseg.data.dataset import Case
from autoseg.data.phantom import make_scan
from autoseg.errors import CasesFailedError, DatasetError, ImageError, SystemFailureError
from autoseg.events import Silent
from autoseg.images.image import read_image, read_labels, write_channels, write_labels
from autoseg.planning.case_fingerprint import measure
from autoseg.planning.plan import Plan
from autoseg.planning.slicing import stack_of
from autoseg.preprocessing import store as store_module
from autoseg.preprocessing.keys import case_checksum
from autoseg.preprocessing.store import Store, fill_store, store_of
from autoseg.preprocessing.stored import CaseFiles
from autoseg.storage import arrays
from autoseg.storage.locks import lock

MakePlan = Callable[..., Plan]


class Counted(Silent):
    """Events that remember how many cases were announced and finished."""

    def __init__(self) -> None:
        self.total: float | None = None
        self.done = 0.0

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Any:
        self.total = total
        yield self

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        self.done += steps


def built(folder: Path, cases: list[Case], plan: Plan, *, jobs: int = 1, events: Silent | None = None) -> Store:
    checksums = {case.id: case_checksum(case) for case in cases}
    store = store_of(folder / "preprocessed", plan=plan, checksums=checksums)
    fill_store(store, cases, plan=plan, jobs=jobs, events=events or Silent())
    return store


def stored_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in stored_files(folder)}


def times(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in stored_files(folder)}


def write_label_map(case: Case, labels: NDArray[np.integer[Any]], **header: Any) -> None:
    """Replace a case's label map by another on the scan's grid, or on one with a changed header."""
    geometry = read_image(case.images, channels=1).geometry
    write_labels(Path(str(case.label)), labels, dataclasses.replace(geometry, **header))


def replace(case: Case, other: Case) -> None:
    for old, new in zip((*case.images, case.label), (*other.images, other.label), strict=True):
        shutil.copyfile(Path(str(new)), Path(str(old)))


# What is stored.


def test_label_values_with_gaps_become_the_places_of_their_classes(
    cases: list[Case], make_plan: MakePlan, tmp_path: Path
) -> None:
    # The occupied box with its margin of 1 is the whole scan; axial slices run from superior to inferior.
    expected = np.zeros((5, 7, 6), dtype=np.uint8)
    expected[1:-1, 1:-1, 1:-1] = 1
    expected[2:-2, 2:-2, 2:-2] = 2
    stored = built(tmp_path, cases, make_plan()).load("case_0").stack(0)
    np.testing.assert_array_equal(stored.label, expected)
    assert stored.label.dtype == np.uint8
    assert stored.image.dtype == np.float32
    assert stored.image.shape == (1, 5, 7, 6)
    np.testing.assert_array_equal(stored.image[0] == stored.image.min(), expected == 0)
    assert stored.footprint.pad_value == (float(stored.image.min()),)


def test_more_than_256_classes_need_wider_labels(cases: list[Case], make_plan: MakePlan, tmp_path: Path) -> None:
    classes = [{"value": 3 * index, "name": f"class {index}"} for index in range(257)]
    labels = np.zeros((5, 7, 6), dtype=np.uint16)
    labels[0, 0, :2] = (255 * 3, 256 * 3)
    write_label_map(cases[0], labels)
    plan = make_plan(data={"classes": classes}, training={"class_weights": [1.0] * 257})
    stored = built(tmp_path, cases[:1], plan).load("case_0").stack(0)
    assert stored.label.dtype == np.uint16
    assert stored.label[-1, 0, :3].tolist() == [255, 256, 0]


def test_arrays_are_mapped_and_cannot_be_changed(cases: list[Case], make_plan: MakePlan, tmp_path: Path) -> None:
    stored = built(tmp_path, cases, make_plan()).load("case_0").stack(0)
    for array in (stored.image, stored.label):
        assert isinstance(array.base, mmap.mmap)
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("spacing_mm", [None, (7.0, 9.5)])
def test_a_phantom_has_the_slices_that_planning_expects(
    plane: str, spacing_mm: tuple[float, float] | None, make_plan: MakePlan, tmp_path: Path
) -> None:
    scan, labels, geometry = make_scan(3, shape=(24, 24, 24))
    write_channels(tmp_path / "head.nii.gz", scan[np.newaxis].astype(np.float32), geometry)
    write_labels(tmp_path / "head_seg.nii.gz", labels, geometry)
    case = Case(id="head", images=(tmp_path / "head.nii.gz",), label=tmp_path / "head_seg.nii.gz", subject="head")
    plan = make_plan(
        data={"classes": [{"value": value, "name": f"class {value}"} for value in range(4)]},
        training={"class_weights": [1.0] * 4},
        view={"plane": plane, "spacing_mm": spacing_mm},
    )
    stored = built(tmp_path, [case], plan).load("head").stack(0)
    assert case.label is not None
    fingerprint = measure(case, read_image(case.images, channels=1), read_labels(case.label))
    settings = plan.preprocessing
    stack = stack_of(fingerprint, plane=plan.views[0].plane, spacing_mm=spacing_mm, crop=settings.crop, margin_px=1)
    assert stored.image.shape == (1, stack.slices, stack.rows_px, stack.columns_px)
    assert stored.label.shape == stored.image.shape[1:]
    assert np.unique(stored.label).tolist() == [0, 1, 2, 3]


def test_one_and_two_jobs_give_identical_bytes(cases: list[Case], make_plan: MakePlan, tmp_path: Path) -> None:
    one = built(tmp_path / "one", cases, make_plan(), jobs=1)
    two = built(tmp_path / "two", cases, make_plan(), jobs=2)
    assert one.keys == two.keys
    assert contents(one.folder) == contents(two.folder)
    key = one.keys.cases["case_0"][:16]
    assert {name for name in contents(one.folder) if name.startswith("case_0")} == {
        f"case_0/{key}.image.npy", f"case_0/{key}.label.npy", f"case_0/{key}.json",
    }  # fmt: skip


# When it is stored.


def test_changed_voxels_beside_an_unchanged_header_get_a_place_of_their_own(
    cases: list[Case], make_plan: MakePlan, tmp_path: Path
) -> None:
    image = read_image(cases[0].images, channels=1)
    write_channels(tmp_path / "pair.nii", image.array, image.geometry)
    content = (tmp_path / "pair.nii").read_bytes()
    header = tmp_path / "pair.hdr"
    header.write_bytes(content[:344] + b"ni1\0")  # vox_offset 352 counts in the voxel file
    (tmp_path / "pair.img").write_bytes(content)
    case = cases[0].model_copy(update={"images": (header,)})
    before = built(tmp_path, [case], make_plan())
    write_channels(tmp_path / "pair.nii", image.array * 2, image.geometry)
    (tmp_path / "pair.img").write_bytes((tmp_path / "pair.nii").read_bytes())
    assert built(tmp_path, [case], make_plan()).keys.cases != before.keys.cases


def test_an_equal_key_is_used_as_it_is(
    cases: list[Case], make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = built(tmp_path, cases, make_plan())
    stamps = times(before.folder)
    monkeypatch.setattr(store_module, "_prepare", None)  # would fail when called
    events = Counted()
    assert built(tmp_path, cases, make_plan(view={"batch_size": 5}), events=events) == before
    assert times(before.folder) == stamps
    assert events.total is None


def test_a_changed_case_concerns_itself_alone(
    cases: list[Case], make_case: Callable[..., Case], make_plan: MakePlan, tmp_path: Path
) -> None:
    before = built(tmp_path, cases, make_plan())
    kept = contents(before.folder)
    replace(cases[1], make_case(tmp_path / "other", "x", seed=77))
    events = Counted()
    after = built(tmp_path, cases, make_plan(), events=events)
    assert events.total == 1
    assert after.keys.differing(before.keys) == ("case_1",)
    assert {name: content for name, content in contents(after.folder).items() if name in kept} == kept
    assert not np.array_equal(after.load("case_1").stack(0).image, before.load("case_1").stack(0).image)


def test_cases_that_come_or_go_concern_no_other(
    cases: list[Case], make_case: Callable[..., Case], make_plan: MakePlan, tmp_path: Path
) -> None:
    before = built(tmp_path, cases, make_plan())
    stamps, events = times(before.folder), Counted()
    after = built(tmp_path, [*cases[:2], make_case(tmp_path / "other", "new", seed=77)], make_plan(), events=events)
    assert events.total == 1
    assert after.keys.differing(before.keys) == before.keys.differing(after.keys) == ()
    assert times(before.folder).items() >= stamps.items()


def test_arrays_of_0_1_are_used_as_they_are(cases: list[Case], make_plan: MakePlan, tmp_path: Path) -> None:
    store = as_0_1_stored(built(tmp_path, cases, make_plan()))
    before, events = contents(store.folder), Counted()
    assert built(tmp_path, cases, make_plan(), events=events) == store
    assert events.total is None
    store.load("case_0").stack(0)
    assert contents(store.folder) == before


def test_arrays_of_0_1_that_do_not_fit_are_made_again(
    cases: list[Case], make_case: Callable[..., Case], make_plan: MakePlan, tmp_path: Path
) -> None:
    as_0_1_stored(built(tmp_path, cases, make_plan()))
    replace(cases[1], make_case(tmp_path / "other", "x", seed=77))
    events = Counted()
    built(tmp_path, cases, make_plan(), events=events)
    assert events.total == 3


def as_0_1_stored(store: Store) -> Store:
    """Move the arrays to where version 0.1 would have kept them."""
    folder = store.folder / store.keys.all_labelled[:16]
    folder.mkdir()
    for case in store.keys.cases:
        files_now, before = store.files_of(case)[0], CaseFiles(folder, case)
        files_now.image.rename(before.image)
        files_now.label.rename(before.label)
        files_now.document.rename(before.document)
    return store


def test_an_interrupted_build_goes_on_where_it_stopped(cases: list[Case], make_plan: MakePlan, tmp_path: Path) -> None:
    store = built(tmp_path, cases, make_plan())
    whole = contents(store.folder)
    store.files_of("case_1")[0].document.unlink()  # killed between arrays and document
    store.files_of("case_1")[0].label.write_bytes(b"half")
    stamps = times(store.folder)
    events = Counted()
    assert not store.holds("case_1")
    built(tmp_path, cases, make_plan(), events=events)
    assert (events.total, events.done) == (1, 1)
    assert contents(store.folder) == whole
    unchanged = {name for name, stamp in times(store.folder).items() if stamps.get(name) == stamp}
    assert {name for name in whole if name.startswith(("case_0", "case_2"))} <= unchanged


# What goes wrong.


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bad_case_does_not_keep_the_others(cases: list[Case], make_plan: MakePlan, tmp_path: Path, jobs: int) -> None:
    cases[1].images[0].write_bytes(b"no scan at all")
    events = Counted()
    with pytest.raises(CasesFailedError) as caught:
        built(tmp_path, cases, make_plan(), jobs=jobs, events=events)
    ((name, error),) = caught.value.failures
    assert name == "case_1"
    assert isinstance(error, ImageError)
    assert error.where == str(cases[1].images[0])
    assert caught.value.done == 2
    assert events.done == 3
    checksums = {case.id: case_checksum(case) for case in cases}
    store = store_of(tmp_path / "preprocessed", plan=make_plan(), checksums=checksums)
    assert [store.holds(case.id) for case in cases] == [True, False, True]
    store.load("case_2").stack(0)


def test_a_missing_scan_is_a_failed_case_like_any_other(cases: list[Case], make_plan: MakePlan, tmp_path: Path) -> None:
    cases[1].images[0].unlink()
    with pytest.raises(CasesFailedError) as caught:
        built(tmp_path, cases, make_plan())
    assert [(name, error.what) for name, error in caught.value.failures] == [("case_1", "the file does not exist")]
    assert caught.value.done == 2


def test_files_that_were_replaced_since_they_were_hashed_are_not_stored_as_those(
    cases: list[Case], make_plan: MakePlan, tmp_path: Path
) -> None:
    store = store_of(tmp_path, plan=make_plan(), checksums={case.id: case_checksum(case) for case in cases})
    write_label_map(cases[1], np.full((5, 7, 6), 5, dtype=np.uint8))
    with pytest.raises(CasesFailedError, match="files of case_1 were replaced, or cannot be read any more") as failed:
        fill_store(store, cases, plan=make_plan(), jobs=1, events=Silent())
    assert [case for case, _ in failed.value.failures] == ["case_1"]
    assert [store.holds(case.id) for case in cases] == [case.id != "case_1" for case in cases]


def test_files_that_cannot_be_read_any_more_are_not_said_to_be_others(
    cases: list[Case], make_plan: MakePlan, tmp_path: Path
) -> None:
    store = store_of(tmp_path, plan=make_plan(), checksums={case.id: case_checksum(case) for case in cases})
    store.require_same_files(cases[0])
    cases[0].images[0].unlink()
    with pytest.raises(
        DatasetError, match="files of case_0 were replaced, or cannot be read any more, while the command ran"
    ):
        store.require_same_files(cases[0])


def test_a_label_map_on_another_grid_is_refused(cases: list[Case], make_plan: MakePlan, tmp_path: Path) -> None:
    write_label_map(cases[0], np.zeros((5, 7, 6), dtype=np.uint8), origin_mm=(1.0, 0.0, 0.0))
    with pytest.raises(CasesFailedError, match="not on the grid"):
        built(tmp_path, cases, make_plan())


def test_undeclared_label_values_are_refused(cases: list[Case], make_plan: MakePlan, tmp_path: Path) -> None:
    classes = [{"value": 0, "name": "background"}, {"value": 5, "name": "edge"}, {"value": 7, "name": "other"}]
    with pytest.raises(CasesFailedError, match="9"):
        built(tmp_path, cases, make_plan(data={"classes": classes}))


def test_a_full_disk_ends_the_work_instead_of_failing_every_case(
    cases: list[Case], make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def refuse(stream: Any, header: Any) -> None:
        attempts.append(stream)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(arrays, "write_array_header_1_0", refuse)
    with pytest.raises(SystemFailureError, match="the disk is full"):
        built(tmp_path, cases, make_plan())
    assert len(attempts) == 1


def test_a_case_without_label_is_a_mistake(cases: list[Case], make_plan: MakePlan, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="case_0 has no label"):
        built(tmp_path, [cases[0].model_copy(update={"label": None})], make_plan())


def test_two_at_once_share_the_work(cases: list[Case], make_plan: MakePlan, tmp_path: Path) -> None:
    whole = contents(built(tmp_path / "alone", cases, make_plan()).folder)
    counted = [Counted(), Counted()]
    with ThreadPoolExecutor(2) as pool:
        stores = list(pool.map(lambda events: built(tmp_path, cases, make_plan(), events=events), counted))
    assert contents(stores[0].folder) == contents(stores[1].folder) == whole


def test_a_case_that_another_process_is_making_is_waited_for(cases: list[Case], make_plan: MakePlan, tmp_path: Path) -> None:
    store = built(tmp_path, cases, make_plan())
    place = store.files_of("case_1")[0]
    document = place.document.read_bytes()
    place.document.unlink()
    store.files_of("case_2")[0].document.unlink()
    place.image.write_bytes(b"being written")
    with ThreadPoolExecutor(1) as pool:
        with lock(place.folder / ".lock"):
            waiting = pool.submit(built, tmp_path, cases, make_plan())
            while not store.holds("case_2"):  # what nobody else is making goes first
                assert not waiting.done()
            place.document.write_bytes(document)
        waiting.result(timeout=300)
    assert place.image.read_bytes() == b"being written"  # made by the other, and left alone


def test_pixels_without_end_fail_the_case_before_they_are_made(
    cases: list[Case], make_plan: MakePlan, tmp_path: Path
) -> None:
    with pytest.raises(CasesFailedError, match=r"spacing_mm of the view makes pixels so small"):
        built(tmp_path, cases, make_plan(view={"spacing_mm": [1e-6, 1e-6]}))


def test_nan_is_taken_for_0_where_the_plan_says_so(cases: list[Case], make_plan: MakePlan, tmp_path: Path) -> None:
    content = bytearray(gzip.decompress(cases[0].images[0].read_bytes()))
    struct.pack_into("<f", content, len(content) - 4, float("nan"))
    cases[0].images[0].write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(CasesFailedError, match="not finite"):
        built(tmp_path, cases, make_plan())
    stored = built(tmp_path, cases, make_plan(preprocessing={"not_finite": "zero"})).load(cases[0].id).stack(0)
    assert np.isfinite(stored.image).all()
