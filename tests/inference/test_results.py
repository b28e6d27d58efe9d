import csv
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from oracles.dicom_files import write_series
from oracles.heard import Heard
from oracles.quick_predictions import Segmenter, listing, predict
from PIL import Image as Pillow

from autoseg.catalogue import NotFinite
from autoseg.errors import CasesFailedError, UsageError, WorkspaceError
from autoseg.events import Silent
from autoseg.formats.header import UNORIENTED
from autoseg.images import volumes
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, write_channels
from autoseg.inference.folder_table import FolderTable
from autoseg.inference.one_scan import ScanWork
from autoseg.inference.output_folder import Results
from autoseg.inference.part import WHOLE, Part
from autoseg.inference.quality import ClassQuality, Quality
from autoseg.inference.results import predict_scans
from autoseg.inference.review import review
from autoseg.inference.scans import find_scans
from autoseg.storage import files

GEOMETRY = Geometry(shape=(4, 11, 13), spacing_mm=(2.0, 1.0, 1.0))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def draw(path: Path, image: Image, overlays: Mapping[str, Any], /, *, classes: Any) -> None:
    files.write_text(path, "picture")


@contextmanager
def killed_after(owner: type, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ends once a method was done for one scan, as a killed process does: nothing is put in order."""
    method = getattr(owner, name)

    def killed(*arguments: Any) -> None:
        method(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        patch.setattr(FolderTable, "finish", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with every file whose voxels are decompressed to be verified, or decoded."""
    calls: list[str] = []
    verify, execute = volumes.verify_file, sitk.ImageFileReader.Execute

    def watched_verify(path: Path, **settings: Any) -> tuple[str, ...]:
        if not path.name.startswith("."):  # what was just written is verified, too
            calls.append(path.name)
        return verify(path, **settings)

    def watched_execute(reader: Any) -> Any:
        calls.append(Path(reader.GetFileName()).name)
        return execute(reader)

    monkeypatch.setattr(volumes, "verify_file", watched_verify)
    monkeypatch.setattr(sitk.ImageFileReader, "Execute", watched_execute)
    return calls


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    for seed, name in enumerate(("a", "b")):
        values = np.random.default_rng(seed).normal(size=(1, *GEOMETRY.shape)).astype(np.float32)
        write_channels(folder / f"{name}.nii.gz", values, GEOMETRY)
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results")


def test_every_scan_has_a_label_map_and_a_row(scans: Path, results: Results, tiny_plan: Any) -> None:
    predicted = predict(scans, results, Segmenter(tiny_plan))
    assert [row.case for row in predicted.rows] == ["a", "b"]
    assert not predicted.skipped
    assert listing(results.folder) == ["a.nii.gz", "b.nii.gz", "predictions.csv"]


def test_what_the_same_models_segmented_is_skipped(scans: Path, results: Results, tiny_plan: Any) -> None:
    segmenter = Segmenter(tiny_plan)
    first = predict(scans, results, segmenter)
    assert predict(scans, results, segmenter) == replace(first, skipped=("a", "b"))
    assert segmenter.segmented == 2
    assert predict(scans, results, Segmenter(tiny_plan, "another")).skipped == ()
    assert predict(scans, replace(results, force=True), Segmenter(tiny_plan, "another")).skipped == ()


def test_volumes_of_microscopy_are_the_same_in_a_second_call(tmp_path: Path, results: Results, tiny_plan: Any) -> None:
    values = np.random.default_rng(0).normal(size=(1, *GEOMETRY.shape)).astype(np.float32)
    write_channels(tmp_path / "scans" / "a.nii.gz", values, replace(GEOMETRY, spacing_mm=(0.01, 0.01, 0.01)))
    segmenter = Segmenter(tiny_plan, value=2)
    first = predict(tmp_path / "scans", results, segmenter)
    assert first.rows[0].volumes_ml["disc"] == pytest.approx((values > 0).sum() * 1e-9)
    assert predict(tmp_path / "scans", results, segmenter) == replace(first, skipped=("a",))


def test_doubts_about_a_file_reach_the_table_and_remarks_do_not(tmp_path: Path, results: Results, tiny_plan: Any) -> None:
    values = np.random.default_rng(0).normal(size=(1, *GEOMETRY.shape)).astype(np.float32)
    write_channels(tmp_path / "scans" / "lost.nii", values, GEOMETRY)
    content = bytearray((tmp_path / "scans" / "lost.nii").read_bytes())
    content[252:256] = bytes(4)  # neither qform nor sform
    (tmp_path / "scans" / "lost.nii").write_bytes(content)
    write_channels(tmp_path / "scans" / "flat.nii.gz", np.ones((1, *GEOMETRY.shape), np.float32), GEOMETRY)
    grey = np.random.default_rng(0).integers(0, 255, (9, 8, 1), dtype=np.uint8)
    Pillow.fromarray(np.repeat(grey, 3, axis=2)).save(tmp_path / "scans" / "photo.png")
    events = Heard()
    predicted = predict(tmp_path / "scans", results, Segmenter(tiny_plan), events=events)
    warnings = {row.case: row.warnings for row in predicted.rows}
    assert warnings == {
        "flat": "every voxel has the same value; the segmentation means nothing; rather bright",
        "lost": f"{UNORIENTED}; rather bright",
        "photo": "rather bright",
    }
    assert f"lost: {UNORIENTED}" in events.warnings
    assert any(message.startswith("photo: grey values stored as colours") for message in events.infos)
    assert any(message.startswith("photo: a PNG image states no reliable spacing") for message in events.infos)


def test_results_may_lie_beside_the_scans(tmp_path: Path, tiny_plan: Any) -> None:
    values = np.random.default_rng(0).normal(size=(1, *GEOMETRY.shape)).astype(np.float32)
    for name in ("p/T1.nii.gz", "q/T1.nii.gz", "r_0000.nii.gz", "s.nii"):
        write_channels(tmp_path / name, values, GEOMETRY)
    every = Results(tmp_path, probabilities=True, uncertainty=True, draw=draw)
    first = predict(tmp_path, every, Segmenter(tiny_plan))
    assert [row.case for row in first.rows] == ["p", "q", "r", "s"]
    before = listing(tmp_path)
    assert predict(tmp_path, every, Segmenter(tiny_plan)) == replace(first, skipped=("p", "q", "r", "s"))
    assert listing(tmp_path) == before
    found = find_scans(tmp_path, channels=1, results=tmp_path / "elsewhere")
    assert [scan.id for scan in found.scans] == ["p", "q", "r", "s"]


def test_what_a_killed_command_wrote_beside_the_scans_is_no_scan(tmp_path: Path, tiny_plan: Any) -> None:
    write_channels(tmp_path / "p.nii", np.ones((1, *GEOMETRY.shape), np.float32), GEOMETRY)
    files.write_json(tmp_path / ".pending.json", {"case": "p"})
    (tmp_path / "p.nii.gz").write_bytes(b"half")
    assert [row.case for row in predict(tmp_path, Results(tmp_path), Segmenter(tiny_plan)).rows] == ["p"]


def test_a_table_of_somebody_else_beside_the_scans_is_no_reason_to_skip_them(scans: Path) -> None:
    (scans / "predictions.csv").write_text("patient,tumour\na,yes\n", encoding="utf-8")
    assert [scan.id for scan in find_scans(scans, channels=1).scans] == ["a", "b"]


def test_a_finished_scan_is_recognised_without_being_decoded(
    scans: Path, results: Results, tiny_plan: Any, decoded: list[str]
) -> None:
    write_series(scans / "series", np.arange(4 * 11 * 13, dtype=np.int16).reshape(4, 11, 13))
    every = replace(results, probabilities=True, uncertainty=True)
    first = predict(scans, every, Segmenter(tiny_plan))
    assert (len(first.rows), len(decoded)) == (3, 2 * 2 + 4)  # two files, verified and read, and four slices
    decoded.clear()
    assert predict(scans, every, Segmenter(tiny_plan)) == replace(first, skipped=("a", "b", "series"))
    assert predict(scans, results, Segmenter(tiny_plan)).skipped == ("a", "b", "series")
    assert decoded == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda scans, _: write_channels(scans / "a.nii.gz", np.ones((1, *GEOMETRY.shape), np.float32), GEOMETRY),
        lambda _, folder: (folder / "a.nii.gz").unlink(),
        lambda _, folder: (folder / "probabilities" / "a.nii.gz").unlink(),
        lambda _, folder: (folder / "uncertainty" / "a.nii.gz").unlink(),
    ],
    ids=["another scan", "no label map", "no probabilities", "no uncertainty"],
)
def test_a_changed_scan_or_result_is_segmented_again_and_no_other(
    scans: Path, results: Results, tiny_plan: Any, decoded: list[str], spoil: Callable[[Path, Path], object]
) -> None:
    every = replace(results, probabilities=True, uncertainty=True)
    first = predict(scans, every, Segmenter(tiny_plan))
    whole = {path: path.read_bytes() for path in results.folder.rglob("a.nii.gz")}
    spoil(scans, results.folder)
    decoded.clear()
    again = predict(scans, every, Segmenter(tiny_plan))
    assert again.skipped == ("b",)
    assert len(decoded) == 2
    if again.rows[0].input_sha256 == first.rows[0].input_sha256:
        assert {path: path.read_bytes() for path in results.folder.rglob("a.nii.gz")} == whole


def test_another_scan_of_the_same_name_does_not_replace_a_result_in_silence(
    scans: Path, results: Results, tiny_plan: Any
) -> None:
    predict(scans, results, Segmenter(tiny_plan))
    (scans / "a.nii.gz").write_bytes((scans / "b.nii.gz").read_bytes())
    events = Heard()
    predict(scans, results, Segmenter(tiny_plan), events=events)
    assert events.warnings[0].startswith(
        "a: its files are not those that were segmented under this name before; the new result"
    )
    same = Heard()
    predict(scans, results, Segmenter(tiny_plan, "another"), events=same)
    assert not any("under this name" in warning for warning in same.warnings)


def test_a_scan_that_no_longer_can_be_read_is_not_hidden_by_its_earlier_result(
    scans: Path, results: Results, tiny_plan: Any
) -> None:
    predict(scans, results, Segmenter(tiny_plan))
    cut(scans / "a.nii.gz")
    events = Heard()
    with pytest.raises(CasesFailedError, match=r"a\.nii\.gz"):
        predict(scans, results, Segmenter(tiny_plan), events=events)
    assert "The result of an earlier call stays as it was." in events.warnings[-1]


def test_the_row_of_an_earlier_call_is_no_result_of_a_scan_that_failed(
    scans: Path, results: Results, tiny_plan: Any
) -> None:
    predict(scans, results, Segmenter(tiny_plan))
    cut(scans / "a.nii.gz")
    with pytest.raises(CasesFailedError) as failed:
        predict(scans, results, Segmenter(tiny_plan))
    assert [row.case for row in failed.value.result.rows] == ["b"]
    cut(scans / "b.nii.gz")
    with pytest.raises(CasesFailedError) as failed:
        predict(scans, results, Segmenter(tiny_plan))
    assert failed.value.result is None


def test_rows_of_another_model_for_other_scans_are_told_of_and_name_it(
    scans: Path, results: Results, tiny_plan: Any
) -> None:
    predict(scans, results, Segmenter(tiny_plan))
    events = Heard()
    found = predict(scans / "b.nii.gz", results, Segmenter(tiny_plan, "another"), events=events)
    assert [row.case for row in found.others] == ["a"]
    assert events.infos == ["segmenting 1 scan again, segmented with other models or settings before"]
    assert events.warnings[0] == (
        f"{results.table} holds 1 other scan segmented with other models or settings (column model): a. "
        "Segment them again, too, or choose another output folder"
    )
    rows = {line["case"]: line["model"] for line in csv.DictReader(results.table.read_text().splitlines())}
    assert rows["a"].startswith("tiny: unet fold_0 fold_1 + sepres fold_0 (")
    assert rows["a"] != rows["b"]
    # Until the table is of one model again:
    events = Heard()
    assert not predict(scans, results, Segmenter(tiny_plan, "another"), events=events).others
    assert not [warning for warning in events.warnings if "other models" in warning]


def test_results_depend_on_what_is_done_with_nan_and_on_the_calibration(
    scans: Path, results: Results, tiny_plan: Any
) -> None:
    events = Heard()

    def skipped(quality: Quality | None, not_finite: NotFinite, *, uncertainty: bool = False) -> int:
        segmenter = Segmenter(tiny_plan)
        segmenter.quality = quality
        found = find_scans(scans, channels=1, results=results.folder)
        asked = replace(results, uncertainty=uncertainty)
        return len(predict_scans(found, segmenter, asked, not_finite=not_finite, events=events).skipped)

    calibrated = Quality(classes=(ClassQuality(name="disc", intercept=0, slope=1, error=None, lowest=0.5),), points=())
    assert [skipped(None, "refuse"), skipped(None, "refuse")] == [0, 2]
    assert skipped(None, "zero") == 2  # nothing was refused, so that nothing is to be taken for 0
    assert skipped(calibrated, "refuse") == 2  # the label maps would be the same, but nothing marked those that are bad
    assert events.infos[-1].startswith("a, b: segmented before this selection was made")
    events.infos.clear()
    assert [skipped(calibrated, "zero", uncertainty=True), skipped(calibrated, "zero")] == [0, 2]
    assert not events.infos
    assert skipped(None, "zero", uncertainty=True) == 0
    assert skipped(None, "refuse") == 0  # what was taken for 0 is refused now


def test_what_is_asked_for_later_is_added_and_what_is_no_longer_asked_for_goes_with_its_label_map(
    scans: Path, results: Results, tiny_plan: Any
) -> None:
    drawn: list[Path] = []

    def draw(path: Path, image: Image, overlays: Mapping[str, Any], /, *, classes: Any) -> None:
        drawn.append(path)
        files.write_text(path, "picture")

    predict(scans, results, Segmenter(tiny_plan))
    every = replace(results, probabilities=True, uncertainty=True, draw=draw)
    assert predict(scans, every, Segmenter(tiny_plan)).skipped == ()
    kinds = {"pictures": "png", "probabilities": "nii.gz", "uncertainty": "nii.gz"}
    extras = [f"{folder}/{case}.{ending}" for folder, ending in kinds.items() for case in ("a", "b")]
    assert listing(results.folder) == ["a.nii.gz", "b.nii.gz", *extras[:2], "predictions.csv", *extras[2:]]
    assert [path.name for path in drawn] == ["a.png", "b.png"]
    predict(scans, results, Segmenter(tiny_plan, "another"))
    assert listing(results.folder) == ["a.nii.gz", "b.nii.gz", "predictions.csv"]


def test_label_maps_that_were_corrected_are_kept(scans: Path, results: Results, tiny_plan: Any) -> None:
    predict(scans, results, Segmenter(tiny_plan))
    corrected = results.folder / "a.nii.gz"
    corrected.write_bytes(b"corrected")
    with pytest.raises(UsageError, match=r"changed since.*a\.nii\.gz.*--force"):
        predict(scans, results, Segmenter(tiny_plan, "another"))
    assert corrected.read_bytes() == b"corrected"
    predict(scans, replace(results, force=True), Segmenter(tiny_plan))
    assert corrected.read_bytes() != b"corrected"


def test_a_label_map_of_a_killed_command_is_replaced(scans: Path, results: Results, tiny_plan: Any) -> None:
    files.write_json(results.folder / ".pending.json", {"case": "a"})
    (results.folder / "a.nii.gz").write_bytes(b"half of it was entered nowhere")
    assert len(predict(scans, results, Segmenter(tiny_plan)).rows) == 2
    assert not (results.folder / ".pending.json").exists()


def test_a_label_map_that_is_corrected_while_others_are_segmented_is_kept(
    scans: Path, results: Results, tiny_plan: Any
) -> None:
    predict(scans, results, Segmenter(tiny_plan))
    corrected = results.folder / "b.nii.gz"

    class Slow(Segmenter):
        def segment(self, image: Image, **how: Any) -> Any:
            corrected.write_bytes(b"corrected")
            return super().segment(image, **how)

    with pytest.raises(CasesFailedError, match=r"b: .*changed since"):
        predict(scans, results, Slow(tiny_plan, "another"))
    assert corrected.read_bytes() == b"corrected"


@pytest.mark.parametrize("entered", [False, True])
def test_a_label_map_that_is_corrected_after_a_kill_is_kept_if_it_was_finished(
    scans: Path, results: Results, tiny_plan: Any, monkeypatch: pytest.MonkeyPatch, *, entered: bool
) -> None:
    predict(scans, results, Segmenter(tiny_plan))
    add = FolderTable.add

    def killed(table: FolderTable, row: Any) -> None:
        add(table, row) if entered else None
        monkeypatch.setattr(FolderTable, "finish", lambda _: None)
        raise KeyboardInterrupt

    monkeypatch.setattr(FolderTable, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        predict(scans, results, Segmenter(tiny_plan, "another"))
    monkeypatch.undo()
    corrected = results.folder / "a.nii.gz"
    corrected.write_bytes(b"corrected, or half of it was written")
    if entered:
        with pytest.raises(UsageError, match=r"changed since.*a\.nii\.gz.*--force"):
            predict(scans, results, Segmenter(tiny_plan, "another"))
        assert corrected.read_bytes() == b"corrected, or half of it was written"
    else:
        assert len(predict(scans, results, Segmenter(tiny_plan, "another")).rows) == 2


@pytest.mark.parametrize("added", [{}, {"draw": draw}], ids=["the same", "with pictures"])
def test_a_label_map_that_was_made_again_before_the_kill_may_be_corrected(
    scans: Path, results: Results, tiny_plan: Any, monkeypatch: pytest.MonkeyPatch, added: dict[str, Any]
) -> None:
    again = replace(results, force=not added, **added)
    predict(scans, results, Segmenter(tiny_plan))
    with killed_after(FolderTable, "add", monkeypatch):
        predict(scans, again, Segmenter(tiny_plan))
    assert predict(scans, replace(again, force=False), Segmenter(tiny_plan)).skipped == (("a",) if added else ("a", "b"))
    corrected = results.folder / "a.nii.gz"
    corrected.write_bytes(b"corrected")
    first = next(scan for scan in review(results.folder) if scan.case == "a")
    assert first.corrections == (corrected,)
    assert not any("run it again" in reason for reason in first.reasons)
    with pytest.raises(UsageError, match=r"changed since.*a\.nii\.gz.*--force"):
        predict(scans, again if added else results, Segmenter(tiny_plan))
    assert corrected.read_bytes() == b"corrected"


def test_what_a_killed_command_began_and_left_as_it_was_counts_as_whole(
    scans: Path, results: Results, tiny_plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(scans, results, Segmenter(tiny_plan))
    with killed_after(FolderTable, "begin", monkeypatch):
        predict(scans, replace(results, force=True), Segmenter(tiny_plan))
    assert any("run it again" in reason for reason in review(results.folder)[0].reasons)
    assert predict(scans, results, Segmenter(tiny_plan)).skipped == ("a", "b")
    assert not any("run it again" in reason for scan in review(results.folder) for reason in scan.reasons)
    (results.folder / "a.nii.gz").write_bytes(b"corrected")
    with pytest.raises(UsageError, match=r"changed since"):
        predict(scans, results, Segmenter(tiny_plan))


def test_what_a_killed_command_left_beside_a_label_map_is_made_again(
    scans: Path, results: Results, tiny_plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(scans, results, Segmenter(tiny_plan))
    with killed_after(ScanWork, "write", monkeypatch):
        predict(scans, replace(results, draw=draw), Segmenter(tiny_plan))
    assert (results.folder / "pictures" / "a.png").exists()
    assert predict(scans, results, Segmenter(tiny_plan)).skipped == ("b",)
    assert listing(results.folder) == ["a.nii.gz", "b.nii.gz", "predictions.csv"]
    assert predict(scans, replace(results, draw=draw), Segmenter(tiny_plan)).skipped == ()


def test_a_result_is_read_once_to_find_that_it_is_what_it_was(
    scans: Path, results: Results, tiny_plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(scans, results, Segmenter(tiny_plan))
    read: list[Path] = []
    sha256_file = files.sha256_file
    monkeypatch.setattr(files, "sha256_file", lambda path: read.append(path) or sha256_file(path))
    assert predict(scans, results, Segmenter(tiny_plan)).skipped == ("a", "b")
    assert [path.name for path in read if path.parent == results.folder] == ["a.nii.gz", "b.nii.gz"]


@pytest.mark.parametrize("part", [WHOLE, Part(1, 2)], ids=str)
def test_whoever_lost_the_folder_to_another_process_segments_no_more(
    scans: Path, results: Results, tiny_plan: Any, part: Part
) -> None:
    for number in range(6):
        write_channels(scans / f"c{number}.nii.gz", np.full((1, *GEOMETRY.shape), number, np.float32), GEOMETRY)

    class Suspended(Segmenter):
        def segment(self, image: Image, **how: Any) -> Any:
            for lock in results.folder.rglob("*.lock"):
                if lock.parent == results.folder or lock.name != ".lock":
                    lock.write_text("another's")
            return super().segment(image, **how)

    segmenter = Suspended(tiny_plan)
    with pytest.raises(WorkspaceError, match="was lost"):
        predict(scans, results, segmenter, part=part)
    assert segmenter.segmented == 1
    assert listing(results.folder) == []


def test_scans_whose_checksums_are_known_are_not_read_again(scans: Path, results: Results, tiny_plan: Any) -> None:
    asked: list[Path] = []

    def checksum(path: Path) -> str:
        asked.append(path)
        return path.name

    for skipped in ((), ("a", "b")):
        found = find_scans(scans, channels=1)
        segmenter: Any = Segmenter(tiny_plan)
        predicted = predict_scans(found, segmenter, results, not_finite=None, events=Silent(), checksum=checksum)
        assert predicted.skipped == skipped
    assert [path.name for path in asked] == ["a.nii.gz", "b.nii.gz"] * 2


def test_parts_share_the_scans_and_the_table(scans: Path, results: Results, tiny_plan: Any, tmp_path: Path) -> None:
    for number in range(6):
        write_channels(scans / f"c{number}.nii.gz", np.full((1, *GEOMETRY.shape), number, np.float32), GEOMETRY)
    (scans / "bad.nii.gz").write_bytes(b"no scan")
    found = [scan.id for scan in find_scans(scans, channels=1).scans]
    whole = Results(tmp_path / "whole")
    with pytest.raises(CasesFailedError):
        predict(scans, whole, Segmenter(tiny_plan))
    done: list[str] = []
    parts = [Part(number, 3) for number in (3, 1, 2)]
    assert sum(part.holds("bad") for part in parts) == 1
    for part in parts:
        segmenter = Segmenter(tiny_plan)
        mine = [name for name in found if part.holds(name)]
        assert 0 < len(mine) < len(found)
        if "bad" in mine:
            with pytest.raises(CasesFailedError) as failed:
                predict(scans, results, segmenter, part=part)
            assert failed.value.done == segmenter.segmented == len(mine) - 1
        else:
            predicted = predict(scans, results, segmenter, part=part)
            assert [row.case for row in predicted.rows] == mine
            assert {*predicted.missing} == {*found} - {*done, *mine}
            assert segmenter.segmented == len(mine)
        done += [name for name in mine if name != "bad"]
    assert results.table.read_bytes() == whole.table.read_bytes()
    assert listing(results.folder) == listing(whole.folder)
    (scans / "bad.nii.gz").unlink()
    assert len(predict(scans, results, Segmenter(tiny_plan)).skipped) == 8


def test_parts_say_nothing_of_scans_that_other_parts_segment_again(scans: Path, results: Results, tiny_plan: Any) -> None:
    predict(scans, results, Segmenter(tiny_plan))
    of_a, of_b = (next(part for number in range(1, 4) if (part := Part(number, 3)).holds(name)) for name in "ab")
    assert of_a != of_b
    events = Heard()
    found = predict(scans, results, Segmenter(tiny_plan, "another"), events=events, part=of_a)
    assert not [warning for warning in events.warnings if "other models" in warning]
    assert events.infos == ["segmenting 1 scan again, segmented with other models or settings before"]
    assert (found.others, found.missing) == ((), ("b",))
    assert predict(scans, results, Segmenter(tiny_plan, "another"), part=of_b).missing == ()


def test_scans_of_the_same_part_that_failed_are_not_missing_from_other_parts(
    scans: Path, results: Results, tiny_plan: Any
) -> None:
    of_a, of_b = (next(part for number in range(1, 4) if (part := Part(number, 3)).holds(name)) for name in "ab")
    assert of_a.holds("bad1")
    (scans / "bad1.nii.gz").write_bytes(b"no scan")
    for part, missing in ((of_a, ("b",)), (of_b, ("a", "bad1")), (WHOLE, ())):
        shutil.rmtree(results.folder, ignore_errors=True)
        try:
            predicted = predict(scans, results, Segmenter(tiny_plan), part=part)
        except CasesFailedError as failed:
            predicted = failed.result
        assert predicted.missing == missing


def test_scans_are_not_written_over(scans: Path, tiny_plan: Any) -> None:
    segmenter = Segmenter(tiny_plan)
    with pytest.raises(UsageError, match=r"would replace the scans"):
        predict(scans / "a.nii.gz", Results(scans, force=True), segmenter)
    assert not segmenter.segmented


def test_a_bad_scan_leaves_the_others_alone(scans: Path, results: Results, tiny_plan: Any) -> None:
    (scans / "a.nii.gz").write_bytes(b"no scan")
    with pytest.raises(CasesFailedError, match=r"a: .*a\.nii\.gz") as failed:
        predict(scans, results, Segmenter(tiny_plan))
    assert (failed.value.done, listing(results.folder)) == (1, ["b.nii.gz", "failures.csv", "predictions.csv"])
    assert [row.case for row in failed.value.result.rows] == ["b"]
