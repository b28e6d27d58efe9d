"""What autoseg did not write, or somebody changed since, is neither replaced nor removed unasked, whatever it is."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.quick_predictions import Segmenter, listing, predict

from autoseg.errors import CasesFailedError, UsageError, WorkspaceError
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, write_channels
from autoseg.inference.output_folder import Results
from autoseg.storage import files

GEOMETRY = Geometry(shape=(2, 5, 6), spacing_mm=(2.0, 1.0, 1.0))
EXTRAS = ("probabilities/a.nii.gz", "uncertainty/a.nii.gz", "pictures/a.png", "dicom_seg/a.dcm")
PREDICTED = EXTRAS[:3]


def draw(path: Path, image: Image, overlays: Mapping[str, Any], /, *, classes: Any) -> None:
    files.write_text(path, "drawn")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a", "b")):
        values = np.random.default_rng(seed).normal(size=(1, *GEOMETRY.shape)).astype(np.float32)
        write_channels(tmp_path / "scans" / f"{name}.nii.gz", values, GEOMETRY)
    return tmp_path / "scans"


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results")


def every(results: Results, **others: Any) -> Results:
    return replace(results, probabilities=True, uncertainty=True, draw=draw, **others)


def put(results: Results, name: str, content: str = "somebody's own") -> Path:
    files.write_text(results.folder / name, content)
    return results.folder / name


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", PREDICTED)
def test_scans_that_lie_where_results_go_are_not_touched(tmp_path: Path, tiny_plan: Any, name: str, *, force: bool) -> None:
    scan = tmp_path / name
    write_channels(scan.with_name("a.nii.gz"), np.ones((1, *GEOMETRY.shape), np.float32), GEOMETRY)
    if scan.suffix == ".png":
        scan = scan.with_name("a.nii.gz").rename(scan)
    before, segmenter = scan.read_bytes(), Segmenter(tiny_plan)
    for results in (Results(tmp_path, force=force), every(Results(tmp_path, force=force))):
        with pytest.raises(UsageError, match="would replace the scans"):
            predict(scan.parent, results, segmenter)
    assert (scan.read_bytes(), segmenter.segmented) == (before, 0)


@pytest.mark.parametrize("name", EXTRAS)
def test_files_of_others_are_neither_replaced_nor_removed(scans: Path, results: Results, tiny_plan: Any, name: str) -> None:
    own, segmenter = put(results, name), Segmenter(tiny_plan)
    for asked in (results, every(results)):
        with pytest.raises(UsageError, match=rf"autoseg did not write.*{own.name}.*--force"):
            predict(scans, asked, segmenter)
    assert (own.read_text(), segmenter.segmented) == ("somebody's own", 0)
    predict(scans, every(results, force=True), segmenter)
    assert own.exists() == (name in PREDICTED)
    assert not own.exists() or own.read_bytes() != b"somebody's own"


@pytest.mark.parametrize("name", PREDICTED)
def test_files_that_were_changed_since_are_kept(scans: Path, results: Results, tiny_plan: Any, name: str) -> None:
    predict(scans, every(results), Segmenter(tiny_plan))
    changed = put(results, name, "annotated")
    for asked, model in ((every(results), "one"), (every(results), "another"), (results, "another")):
        segmenter = Segmenter(tiny_plan, model)
        with pytest.raises(UsageError, match=rf"changed since.*{changed.name}.*--force"):
            predict(scans, asked, segmenter)
        assert segmenter.segmented == 0
    assert predict(scans, results, Segmenter(tiny_plan)).skipped == ("a", "b")  # nothing is in its way
    assert changed.read_text() == "annotated"
    assert predict(scans, every(results, force=True), Segmenter(tiny_plan)).skipped == ()
    assert changed.read_bytes() != b"annotated"


def test_what_is_there_as_it_was_written_goes_with_its_label_map(scans: Path, results: Results, tiny_plan: Any) -> None:
    predict(scans, every(results), Segmenter(tiny_plan))
    kept = put(results, "pictures/notes.txt")
    predict(scans, results, Segmenter(tiny_plan, "another"))
    assert listing(results.folder) == ["a.nii.gz", "b.nii.gz", "pictures/notes.txt", "predictions.csv"]
    assert kept.read_text() == "somebody's own"


@pytest.mark.parametrize("asked", [False, True])
def test_files_that_appear_while_scans_are_segmented_are_kept(
    scans: Path, results: Results, tiny_plan: Any, *, asked: bool
) -> None:
    class Slow(Segmenter):
        def segment(self, image: Image, **how: Any) -> Any:
            put(results, "pictures/b.png")
            return super().segment(image, **how)

    with pytest.raises(CasesFailedError, match=r"b: .*pictures.*autoseg did not write"):
        predict(scans, every(results) if asked else results, Slow(tiny_plan))
    assert (results.folder / "pictures" / "b.png").read_text() == "somebody's own"
    assert not (results.folder / "b.nii.gz").exists()


@pytest.mark.parametrize("name", EXTRAS)
def test_what_a_killed_command_began_to_write_is_replaced(scans: Path, results: Results, tiny_plan: Any, name: str) -> None:
    files.write_json(results.folder / ".pending.json", {"case": "a"})
    begun = put(results, name, "begun")
    assert len(predict(scans, results, Segmenter(tiny_plan)).rows) == 2
    assert not begun.exists()


def test_of_what_version_0_1_wrote_nothing_is_removed_unasked(scans: Path, results: Results, tiny_plan: Any) -> None:
    predict(scans, results, Segmenter(tiny_plan))
    table = results.table.read_text()
    results.table.write_text(table.replace("tiny: unet fold_0 fold_1 + sepres fold_0 (one)", ""))
    assert results.table.read_text() != table
    old = put(results, "probabilities/a.nii.gz")
    put(results, "probabilities/b.nii.gz")
    assert predict(scans, replace(results, probabilities=True), Segmenter(tiny_plan)).skipped == ("a", "b")
    for asked in (every(results), results):
        with pytest.raises(UsageError, match="holds probabilities that"):
            predict(scans, asked, Segmenter(tiny_plan, "another"))
    assert old.read_text() == "somebody's own"


def test_a_table_of_failures_keeps_what_others_added_to_it(scans: Path, results: Results, tiny_plan: Any) -> None:
    (scans / "a.nii.gz").write_bytes(b"no scan")
    (scans / "c.nii.gz").write_bytes(b"no scan")
    with pytest.raises(CasesFailedError):
        predict(scans, results, Segmenter(tiny_plan))
    table = results.folder / "failures.csv"
    header, *lines = table.read_text().splitlines()
    marked = [f"{header},seen,hours", *(f"{line},by me,{number}.50" for number, line in enumerate(lines))]
    table.write_text("\n".join(marked) + "\n")
    (scans / "c.nii.gz").write_bytes((scans / "b.nii.gz").read_bytes())
    with pytest.raises(CasesFailedError):
        predict(scans, results, Segmenter(tiny_plan))
    assert table.read_text().splitlines() == marked[:2]


def test_a_table_of_other_failures_is_refused_before_anything_is_segmented(
    scans: Path, results: Results, tiny_plan: Any
) -> None:
    own, segmenter = put(results, "failures.csv", "part,defect\n7,crack\n"), Segmenter(tiny_plan)
    with pytest.raises(WorkspaceError, match=r"not a table of failures"):
        predict(scans, replace(results, force=True), segmenter)
    assert (own.read_text(), segmenter.segmented) == ("part,defect\n7,crack\n", 0)
