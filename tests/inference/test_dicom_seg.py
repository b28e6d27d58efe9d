"""Which scans get a DICOM segmentation, when it is made, and what becomes of one that is there."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.dicom_exports import export
from oracles.heard import Heard
from oracles.quick_predictions import Segmenter, listing, predict
from oracles.seg_reader import masks_on_grid

from autoseg.data.dataset import LabelClass
from autoseg.errors import CasesFailedError, MemoryLimitError, SystemFailureError, UsageError
from autoseg.images.dicom_seg import write_seg
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_channels
from autoseg.inference.dicom_seg import admit_seg, coded_segments
from autoseg.inference.output_folder import Results
from autoseg.inference.part import Part
from autoseg.inference.results import Predicted
from autoseg.planning.plan import Plan

VOLUME = np.where(np.indices((4, 11, 13)).sum(axis=0) % 3, 100, -100).astype(np.int16)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Two DICOM series and a NIfTI file."""
    folder = tmp_path / "scans"
    export(folder / "ada", VOLUME)
    export(folder / "bob", VOLUME[:, ::-1].copy(), series="b", study="b", PatientID="case-2")
    write_channels(folder / "c.nii.gz", np.ones((1, *VOLUME.shape), np.float32), Geometry(VOLUME.shape, (2.0, 1.0, 1.0)))
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results", write_seg=write_seg)


MADE = ["dicom_seg/ada.dcm", "dicom_seg/bob.dcm"]
MAPS = ["ada.nii.gz", "bob.nii.gz", "c.nii.gz"]


def discs(plan: Any, digest: str = "one") -> Segmenter:
    return Segmenter(plan, digest, plan.data.classes[1].value)


def files_of(predicted: Predicted) -> list[tuple[str, str, dict[str, str]]]:
    return [(row.case, row.output_sha256, dict(row.extras_sha256)) for row in predicted.rows]


def test_series_get_one_and_other_scans_are_named(scans: Path, results: Results, tiny_plan: Any) -> None:
    heard = Heard()
    predicted = predict(scans, results, discs(tiny_plan), events=heard)
    assert listing(results.folder) == sorted([*MAPS, *MADE, "predictions.csv"])
    assert "c: no DICOM series, so there is a label map only" in heard.infos
    assert [set(row.extras_sha256) for row in predicted.rows] == [{"dicom_seg"}, {"dicom_seg"}, set()]
    for case in ("ada", "bob"):
        masks, labels = masks_on_grid(results.dicom_seg(case), results.label_map(case))
        assert 0 < masks[1].sum() < labels.size
        np.testing.assert_array_equal(masks[1], labels == tiny_plan.data.classes[1].value)


def test_where_no_scan_is_a_series_nothing_is_segmented(scans: Path, results: Results, tiny_plan: Any) -> None:
    segmenter = discs(tiny_plan)
    with pytest.raises(UsageError, match="no scan is a DICOM series; found c"):
        predict(scans / "c.nii.gz", results, segmenter)
    assert segmenter.segmented == 0


def test_what_is_there_stays(scans: Path, results: Results, tiny_plan: Any) -> None:
    predict(scans, results, discs(tiny_plan))
    before = [(results.folder / name).stat().st_mtime_ns for name in MADE]
    assert predict(scans, results, discs(tiny_plan)).skipped == ("ada", "bob", "c")
    assert [(results.folder / name).stat().st_mtime_ns for name in MADE] == before


@pytest.mark.parametrize("lacks", ["never made", "deleted"])
def test_a_scan_that_lacks_it_is_not_segmented_again(scans: Path, results: Results, tiny_plan: Any, lacks: str) -> None:
    whole = predict(scans, results, discs(tiny_plan))
    expected = [(results.folder / name).read_bytes() for name in MADE]
    if lacks == "deleted":
        results.dicom_seg("ada").unlink()
    else:
        results = replace(results, folder=results.folder.with_name("later"))
        predict(scans, replace(results, write_seg=None), discs(tiny_plan))
        assert not (results.folder / "dicom_seg").exists()
    segmenter, heard = discs(tiny_plan), Heard()
    predicted = predict(scans, results, segmenter, events=heard)
    assert segmenter.segmented == 0
    assert files_of(predicted) == files_of(whole)
    assert predicted.skipped == ("ada", "bob", "c")
    assert [(results.folder / name).read_bytes() for name in MADE] == expected
    assert "ada: its DICOM segmentation is made of the label map that is there" in heard.infos


def test_parts_make_what_all_make(scans: Path, results: Results, tiny_plan: Any) -> None:
    parts = replace(results, folder=results.folder.with_name("parts"))
    whole = predict(scans, results, discs(tiny_plan))
    for number in (1, 2):
        predict(scans, parts, discs(tiny_plan), part=Part(number, 2))
    assert files_of(predict(scans, parts, discs(tiny_plan))) == files_of(whole)
    for name in MADE:
        assert (parts.folder / name).read_bytes() == (results.folder / name).read_bytes()


def test_another_model_replaces_it_or_takes_it_away(scans: Path, results: Results, tiny_plan: Any) -> None:
    predict(scans, results, discs(tiny_plan))
    before = results.dicom_seg("ada").read_bytes()
    predict(scans, results, discs(tiny_plan, "another"))
    assert results.dicom_seg("ada").read_bytes() != before
    predict(scans, replace(results, write_seg=None), discs(tiny_plan, "third"))
    assert not results.dicom_seg("ada").exists()


@pytest.mark.parametrize("writes", [True, False], ids=["asked for", "not asked for"])
@pytest.mark.parametrize("known", [True, False], ids=["edited", "foreign"])
def test_what_others_wrote_is_not_replaced(scans: Path, results: Results, tiny_plan: Any, writes: bool, known: bool) -> None:
    if known:
        predict(scans, results, discs(tiny_plan))
    results.dicom_seg("ada").parent.mkdir(parents=True, exist_ok=True)
    results.dicom_seg("ada").write_bytes(b"by hand")
    again = replace(results, write_seg=write_seg if writes else None)
    segmenter = discs(tiny_plan, "another")
    with pytest.raises(UsageError, match=r"holds DICOM segmentations that were changed since.*found ada\.dcm"):
        predict(scans, again, segmenter)
    assert segmenter.segmented == 0
    assert results.dicom_seg("ada").read_bytes() == b"by hand"
    predict(scans, replace(again, force=True), segmenter)
    assert results.dicom_seg("ada").exists() == writes


def test_an_edited_one_is_no_hindrance_where_nothing_is_written(scans: Path, results: Results, tiny_plan: Any) -> None:
    predict(scans, results, discs(tiny_plan))
    results.dicom_seg("ada").write_bytes(b"by hand")
    assert len(predict(scans, replace(results, write_seg=None), discs(tiny_plan)).skipped) == 3
    assert results.dicom_seg("ada").read_bytes() == b"by hand"


def test_a_series_that_allows_none_keeps_its_label_map(scans: Path, results: Results, tiny_plan: Any) -> None:
    for path in (scans / "ada").iterdir():
        path.unlink()
    export(scans / "ada", VOLUME, StudyInstanceUID=None)
    for segmented in (3, 0):
        segmenter, heard = discs(tiny_plan), Heard()
        with pytest.raises(CasesFailedError) as caught:
            predict(scans, results, segmenter, events=heard)
        assert [name for name, _ in caught.value.failures] == ["ada"]
        assert segmenter.segmented == segmented
        (said,) = [warning for warning in heard.warnings if "no DICOM segmentation can be made" in warning]
        assert said.startswith("ada: ")
        assert "stays as it was" not in said
    assert listing(results.folder) == sorted([*MAPS, "dicom_seg/bob.dcm", "predictions.csv"])


def test_one_of_another_result_does_not_stay_beside_a_new_label_map(scans: Path, results: Results, tiny_plan: Any) -> None:
    predict(scans, results, discs(tiny_plan))
    failing = replace(results, write_seg=full_disk)
    with pytest.raises(SystemFailureError):
        predict(scans, failing, discs(tiny_plan, "another"))
    assert not results.dicom_seg("ada").exists()
    segmenter = discs(tiny_plan, "another")
    predict(scans, results, segmenter)
    assert segmenter.segmented == 2  # the label map of ada was finished
    assert results.dicom_seg("ada").exists()


def full_disk(path: Path, *_: Any, **how: Any) -> None:
    raise SystemFailureError("the disk is full", where=path, remedy="Free some space.")


@pytest.mark.parametrize("segmented_before", [True, False])
def test_one_that_is_there_and_not_entered_is_made_again(
    scans: Path, results: Results, tiny_plan: Any, segmented_before: bool
) -> None:
    """As a kill leaves it between the file and its line in the table."""
    if segmented_before:
        predict(scans, replace(results, write_seg=None), discs(tiny_plan))
    with pytest.raises(KeyboardInterrupt):
        predict(scans, replace(results, write_seg=killed), discs(tiny_plan))
    assert results.dicom_seg("ada").exists()
    segmenter = discs(tiny_plan)
    predicted = predict(scans, results, segmenter)
    assert segmenter.segmented == (0 if segmented_before else 3)
    assert [set(row.extras_sha256) for row in predicted.rows] == [{"dicom_seg"}, {"dicom_seg"}, set()]
    masks, labels = masks_on_grid(results.dicom_seg("ada"), results.label_map("ada"))
    np.testing.assert_array_equal(masks[1], labels == tiny_plan.data.classes[1].value)


def killed(path: Path, *_: Any, **how: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"whole, but nobody knows")
    raise KeyboardInterrupt


def test_labels_that_take_too_much_memory_are_refused_before_they_are_read(
    scans: Path, results: Results, tiny_plan: Any, decoded_slices: list[Path]
) -> None:
    segmenter = discs(tiny_plan)
    segmenter.memory_gb = 0.5
    with pytest.raises(CasesFailedError) as caught:
        predict(scans, results, segmenter)
    assert {name: type(error) for name, error in caught.value.failures} == {"ada": MemoryLimitError, "bob": MemoryLimitError}
    assert "leave out --dicom-seg" in str(caught.value.failures[0][1])
    assert not decoded_slices
    predict(scans, replace(results, write_seg=None), segmenter)


@pytest.fixture
def decoded_slices(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    from autoseg.images.dicom.slice import Slice

    decoded, pixels = list[Path](), Slice.pixels
    monkeypatch.setattr(Slice, "pixels", lambda one: decoded.append(one.path) or pixels(one))
    return decoded


def classes(*regions: Sequence[int] | None) -> list[LabelClass]:
    names = [("edge", 1), ("core", 2)]
    return [
        LabelClass(value=0, name="background"),
        *(
            LabelClass(value=value, name=name, values=values, order=None if values is None else value)
            for (name, value), values in zip(names, regions, strict=True)
        ),
    ]


def test_regions_lie_inside_one_another(scans: Path, results: Results, make_plan: Callable[..., Plan]) -> None:
    nested = [label.model_dump() for label in classes((1, 2), (2,))]
    sections = {"training": {"class_weights": [1.0, 1.0, 1.0]}, "evaluation": {"tolerances_mm": [1.0, 1.0]}}
    plan = make_plan(data={"classes": nested}, **sections)
    predict(scans, results, Segmenter(plan, value=1))
    outer, labels = masks_on_grid(results.dicom_seg("ada"), results.label_map("ada"))
    np.testing.assert_array_equal(outer[1], labels == 1)
    assert not outer[2].any()
    predict(scans, results, Segmenter(plan, "another", value=2))
    inner, labels = masks_on_grid(results.dicom_seg("ada"), results.label_map("ada"))
    for number in (1, 2):
        np.testing.assert_array_equal(inner[number], labels == 2)


def test_regions_are_all_their_values() -> None:
    assert [one.values for one in coded_segments(classes((1, 2), (2,)))] == [(1, 2), (2,)]
    assert [one.values for one in coded_segments(classes(None, None))] == [(1,), (2,)]


def test_regions_take_more_memory() -> None:
    admit = partial(admit_seg, (200, 512, 512), memory_gb=1.3)
    admit(classes(None, None))
    with pytest.raises(MemoryLimitError, match="200 x 512 x 512 voxels and 2 segments"):
        admit(classes((1, 2), (2,)))
