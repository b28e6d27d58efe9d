"""Label maps that join a workspace's data: which, what keeps them out, and what becomes of the documents."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from oracles.commands import autoseg as command
from oracles.dicom_files import write_series
from oracles.predicted_folder import write_results, write_scans
from oracles.tiny_cases import tiny_scans, write_nifti, write_tiny_cases
from oracles.watched_runs import Recorder

import autoseg
from autoseg.commands.adopt import AdoptResult
from autoseg.data.dataset import Dataset
from autoseg.errors import AutosegError, ProblemsError, UsageError
from autoseg.formats.checksum import image_checksum
from autoseg.images.image import read_labels
from autoseg.layouts import LAYOUTS
from autoseg.layouts.common import Choice, Layout, Mismatch
from autoseg.runs import adopting, moved_data, revisions, source_checksums
from autoseg.runs.workspace import Workspace
from autoseg.storage.locks import lock

NEW = dict(zip(("new_a", "new_b"), tiny_scans(2, seed=7), strict=True))
"""Scans that are no cases of the data set, with what is right for each."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planned workspace `w` of four labelled cases and a test case; `results` of it, a labelled case and two others."""
    home = tmp_path_factory.mktemp("adoption")
    write_tiny_cases(home / "data", 4, unlabelled=1)
    autoseg.plan(home / "data", workspace=home / "w", folds=2, events=autoseg.silent)
    write_scans(home / "scans", {name: scan for name, (scan, _) in NEW.items()})
    for path in (home / "data" / "imagesTs" / "case_00004_0000.nii", home / "data" / "imagesTr" / "case_00001_0000.nii"):
        shutil.copy(path, home / "scans" / f"{path.name[:10]}.nii")
    wrong = np.roll(next(tiny_scans(1))[1], 2, axis=2)
    write_results(home / "results", home / "scans", dict.fromkeys((*NEW, "case_00004", "case_00001"), wrong))
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "home")
    return tmp_path / "home"


def correct(home: Path, case: str, label: Any = None) -> None:
    """Have a person save a label map at its place."""
    (home / "results" / f"{case}.nii.gz").unlink()
    write_nifti(home / f"{case}.nii", NEW[case][1] if label is None else label)
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(home / f"{case}.nii")), str(home / "results" / f"{case}.nii.gz"))


def adopt(home: Path, **options: Any) -> AdoptResult:
    return autoseg.adopt(home / "results", workspace=home / "w", events=autoseg.silent, **options)


def documents(home: Path) -> dict[str, bytes]:
    """Every document of the workspace and every adopted file."""
    return {str(path): path.read_bytes() for path in (home / "w").rglob("*") if path.is_file() and path.name != ".lock"}


def refused(home: Path, **options: Any) -> str:
    """What is said where nothing is adopted; nothing has changed then."""
    before = documents(home)
    with pytest.raises(AutosegError) as raised:
        adopt(home, **options)
    assert documents(home) == before
    return str(raised.value)


def test_nothing_is_new_where_nobody_corrected_anything(home: Path) -> None:
    before = documents(home)
    assert adopt(home).revision is None
    assert documents(home) == before


def test_a_corrected_label_map_becomes_a_training_case(home: Path) -> None:
    correct(home, "new_a")
    plan = (home / "w" / "plan.json").read_bytes()
    earlier = Workspace(home / "w").splits()
    revision = adopt(home, by="Anna").revision
    assert revision is not None
    workspace = Workspace(home / "w")
    dataset = workspace.dataset()
    case = next(case for case in dataset.training if case.id == "new_a")
    assert case.adopted is not None
    assert (dataset.revision, case.adopted.revision, case.adopted.corrected) == (1, 1, False)
    assert case.images == (home / "scans" / "new_a.nii",)
    assert case.label is not None
    assert case.label == home / "w" / "adopted" / "revision_1" / "new_a.nii.gz"
    np.testing.assert_array_equal(read_labels(case.label).array, NEW["new_a"][1])
    assert (home / "w" / "plan.json").read_bytes() == plan
    splits = workspace.splits()
    assert not splits.edited
    (entry,) = revision.cases
    for number, (now, before) in enumerate(zip(splits.folds, earlier.folds, strict=True)):
        assert set(now.validation) == {*before.validation, *(["new_a"] if number == entry.fold else [])}
        assert set(now.training) == {*before.training, *(["new_a"] if number != entry.fold else [])}
    measured = {one.id: one for one in workspace.fingerprint().cases}
    assert measured["new_a"].label_sha256 == entry.label_sha256 == case.adopted.label_sha256
    assert measured["new_a"].class_voxels[1] == np.count_nonzero(NEW["new_a"][1])
    history = json.loads((home / "w" / "revisions.json").read_text())
    assert [(each["number"], each["by"]) for each in history["revisions"]] == [(1, "Anna")]
    assert not any(b"Anna" in content for name, content in documents(home).items() if not name.endswith("revisions.json"))
    answer = command("preprocess", "--workspace", "w", cwd=home)
    assert "changed since" not in answer.said
    assert "5 cases are preprocessed" in answer.told


def test_twice_is_nothing_new_and_a_further_correction_is(home: Path) -> None:
    correct(home, "new_a")
    adopt(home)
    before = documents(home)
    assert adopt(home).revision is None
    assert documents(home) == before
    correct(home, "new_a", np.roll(NEW["new_a"][1], 1, axis=1))
    revision = adopt(home).revision
    assert revision is not None
    assert [(case.case, case.corrected, case.earlier_sha256 is None) for case in revision.cases] == [("new_a", True, False)]
    case = next(case for case in Workspace(home / "w").dataset().cases if case.id == "new_a")
    assert case.adopted is not None
    assert (case.adopted.revision, case.adopted.corrected) == (2, False)  # the data set itself has none
    assert (home / "w" / "adopted" / "revision_1" / "new_a.nii.gz").exists()  # what models learnt from stays


def test_what_a_person_found_right_is_named(home: Path) -> None:
    assert [case.case for case in adopt(home, cases=["new_b"]).revision.cases] == ["new_b"]  # type: ignore[union-attr]
    assert {case.case for case in adopt(home, every=True).revision.cases} == {"new_a", "case_00001", "case_00004"}  # type: ignore[union-attr]


def test_a_test_case_learns_and_a_labelled_one_is_corrected(home: Path) -> None:
    revision = adopt(home, cases=["case_00004", "case_00001"]).revision
    assert revision is not None
    assert [(case.case, case.corrected) for case in revision.cases] == [("case_00001", True), ("case_00004", False)]
    dataset = Workspace(home / "w").dataset()
    subsets = {case.id: (case.subset, case.images[0].parent.name) for case in dataset.cases}
    assert subsets["case_00004"] == ("training", "imagesTs")
    assert subsets["case_00001"] == ("training", "imagesTr")


def saved_as_float(path: Path, image: Any) -> None:
    SimpleITK.WriteImage(SimpleITK.Cast(image, SimpleITK.sitkFloat32), str(path))


@pytest.mark.parametrize("name", ["new_a.nrrd", "new_a.seg.nrrd", "new_a_seg.nii.gz", "new_a-label.mha"])
def test_a_label_map_beside_the_predicted_one_is_the_correction(home: Path, name: str) -> None:
    write_nifti(home / "right.nii", NEW["new_a"][1])
    saved_as_float(home / "results" / name, SimpleITK.ReadImage(str(home / "right.nii")))
    revision = adopt(home).revision
    assert revision is not None
    assert [case.case for case in revision.cases] == ["new_a"]
    np.testing.assert_array_equal(read_labels(home / "w" / "adopted" / "revision_1" / "new_a.nii.gz").array, NEW["new_a"][1])


def test_several_corrections_of_one_scan_are_refused(home: Path) -> None:
    correct(home, "new_a")
    shutil.copy(home / "new_a.nii", home / "results" / "new_a.nii")
    assert "several label maps were changed" in refused(home)
    assert "new_a.nii.gz, new_a.nii" in refused(home)


def test_all_problems_are_told_together_and_nothing_changes(home: Path) -> None:
    correct(home, "new_a", 7 * NEW["new_a"][1])
    correct(home, "new_b", NEW["new_b"][1][:, :, :8])
    with pytest.raises(ProblemsError) as raised:
        adopt(home)
    assert [case for case, _ in raised.value.problems] == ["new_a", "new_b"]
    said = refused(home)
    assert "7 (" in said
    assert "grid" in said


def test_an_empty_label_map_needs_to_be_meant(home: Path) -> None:
    correct(home, "new_a", np.zeros_like(NEW["new_a"][1]))
    assert "--empty" in refused(home)
    assert adopt(home, empty=True).revision is not None


def test_a_damaged_label_map_is_refused(home: Path) -> None:
    (home / "results" / "new_a.nii.gz").write_bytes(b"no image")
    assert "new_a.nii.gz" in refused(home)


def test_the_same_scan_under_another_name_is_refused(home: Path) -> None:
    for source, name in (("imagesTr/case_00002_0000.nii", "copy_of_2"), ("imagesTs/case_00004_0000.nii", "copy_of_4")):
        shutil.copy(home / "data" / source, home / "scans" / f"{name}.nii")
        write_results(home / "results", home / "scans", {name: NEW["new_a"][1]})
        said = refused(home, cases=[name])
        assert f"the same scan as case_0000{name[-1]}" in said


def test_another_scan_of_a_known_name_is_refused(home: Path) -> None:
    write_nifti(home / "scans" / "case_00001.nii", NEW["new_a"][0])
    write_results(home / "results", home / "scans", {"case_00001": NEW["new_a"][1]})
    assert "another scan of this name" in refused(home, every=True)


def test_two_names_of_one_scan_are_refused(home: Path) -> None:
    shutil.copy(home / "scans" / "new_a.nii", home / "scans" / "new_c.nii")
    write_results(home / "results", home / "scans", dict.fromkeys(("new_a", "new_c"), NEW["new_a"][1]))
    assert "the same scan as new_a" in refused(home, every=True)


def test_a_scan_that_is_gone_or_changed_is_refused_and_found_elsewhere(home: Path) -> None:
    correct(home, "new_a")
    (home / "scans").rename(home / "elsewhere")
    assert "not there any more" in refused(home)
    assert adopt(home, scans=home / "elsewhere", dry_run=True).revision is not None
    write_nifti(home / "elsewhere" / "new_a.nii", NEW["new_b"][0])
    assert "not the scan that was segmented" in refused(home, scans=home / "elsewhere")


def test_a_name_without_a_result_is_told(home: Path) -> None:
    with pytest.raises(UsageError, match="holds no result of nobody"):
        adopt(home, cases=["nobody"])
    with pytest.raises(UsageError, match="holds no results"):
        autoseg.adopt(home / "scans", workspace=home / "w", events=autoseg.silent)
    with pytest.raises(UsageError, match="all label maps are asked for"):
        adopt(home, cases=["new_a"], every=True)


def test_dry_run_changes_nothing(home: Path) -> None:
    correct(home, "new_a")
    before = documents(home)
    result = adopt(home, dry_run=True)
    assert result.revision is not None
    assert documents(home) == before


def test_a_workspace_in_use_is_left_alone(home: Path) -> None:
    correct(home, "new_a")
    with lock(home / "w" / ".lock"):
        assert "in use" in refused(home)


@pytest.mark.parametrize("document", ["revisions.json", "fingerprint.json", "splits.json", "dataset.json"])
def test_a_kill_after_the_change_began_leaves_all_of_it(home: Path, document: str, monkeypatch: pytest.MonkeyPatch) -> None:
    correct(home, "new_a")
    stop_before(monkeypatch, document)
    with pytest.raises(KeyboardInterrupt):
        adopt(home)
    monkeypatch.undo()
    workspace = Workspace(home / "w")
    assert workspace.dataset().revision == 1
    assert "new_a" in {case for fold in workspace.splits().folds for case in fold.validation}
    assert "new_a" in {case.id for case in workspace.fingerprint().cases}
    assert adopt(home).revision is None  # completes it
    assert not (home / "w" / revisions.CHANGE_FILE).exists()
    assert "new_a" in (home / "w" / document).read_text()


def test_a_kill_before_leaves_nothing_of_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    correct(home, "new_a")
    before = documents(home)
    stop_before(monkeypatch, revisions.CHANGE_FILE)
    with pytest.raises(KeyboardInterrupt):
        adopt(home)
    monkeypatch.undo()
    after = documents(home)
    assert {name: content for name, content in after.items() if "/adopted/" not in name} == before
    assert adopt(home).revision is not None


def stop_before(monkeypatch: pytest.MonkeyPatch, document: str) -> None:
    """End the process before a document is written."""
    write_text: Callable[[Path, str], None] = revisions.files.write_text

    def stopping(path: Path, content: str) -> None:
        if path.name == document:
            raise KeyboardInterrupt
        write_text(path, content)

    monkeypatch.setattr(revisions.files, "write_text", stopping)


def test_planning_again_keeps_what_was_adopted(home: Path) -> None:
    correct(home, "new_a")
    adopt(home, cases=["new_a", "case_00001"])
    splits = (home / "w" / "splits.json").read_bytes()
    answer = command("plan", "data", "--workspace", "w", "--folds", "2", cwd=home)
    assert (home / "w" / "splits.json").read_bytes() == splits
    assert "with 2 adopted label maps: case_00001, new_a" in answer.said
    dataset = Workspace(home / "w").dataset()
    assert dataset.revision == 1
    adopted = {case.id: case.label for case in dataset.training if case.adopted is not None}
    assert adopted == {name: home / "w" / "adopted" / "revision_1" / f"{name}.nii.gz" for name in ("case_00001", "new_a")}


def test_planning_other_data_there_says_what_it_leaves_out(home: Path) -> None:
    adopt(home, cases=["new_b"])
    write_tiny_cases(home / "other", 4, seed=3)
    command("plan", "other", "--workspace", "w", cwd=home, expect=5)
    answer = command("plan", "other", "--workspace", "w", "--force", cwd=home)
    assert "adopted for the data set before are left out: new_b" in answer.said
    dataset = Workspace(home / "w").dataset()
    assert (dataset.revision, [case.id for case in dataset.cases if case.adopted]) == (2, [])


def test_what_was_adopted_for_other_data_is_adopted_again(home: Path) -> None:
    """As where the data were copied to a faster disk, and the copy is planned."""
    correct(home, "new_a")
    assert adopt(home, cases=["new_a", "case_00001"]).revision is not None
    assert states(home) == {"new_a": "adopted", "new_b": "open", "case_00001": "adopted", "case_00004": "open"}
    before = (home / "w" / "adopted" / "revision_1" / "new_a.nii.gz").read_bytes()
    shutil.copytree(home / "data", home / "copy")
    autoseg.plan(home / "copy", workspace=home / "w", folds=2, force=True, events=autoseg.silent)
    assert states(home) == {"new_a": "corrected", "new_b": "open", "case_00001": "open", "case_00004": "open"}
    revision = adopt(home, cases=["new_a", "case_00001"]).revision
    assert revision is not None
    assert (revision.number, [case.case for case in revision.cases]) == (3, ["case_00001", "new_a"])
    assert states(home)["new_a"] == "adopted"
    assert adopt(home, cases=["new_a", "case_00001"]).revision is None
    assert (home / "w" / "adopted" / "revision_1" / "new_a.nii.gz").read_bytes() == before


def states(home: Path) -> dict[str, str]:
    """What the queue says of each scan."""
    found = autoseg.queue(home / "results", workspace=home / "w", events=autoseg.silent)
    return {queued.scan.case: queued.state for queued in found.scans}


def test_no_revision_is_numbered_twice(home: Path) -> None:
    adopt(home, cases=["new_b"])
    copy = home / "w" / "adopted" / "revision_1" / "new_b.nii.gz"
    before = copy.read_bytes()
    (home / "w" / "dataset.json").write_text("{")
    events = Recorder()
    autoseg.plan(home / "data", workspace=home / "w", folds=2, force=True, events=events)
    assert any("left out: new_b" in warning for warning in events.warnings)
    assert Workspace(home / "w").dataset().revision == 2  # models of revision 1 learnt from other data
    assert [adopt(home, cases=[case]).revision.number for case in ("new_a", "new_b")] == [3, 4]  # type: ignore[union-attr]
    assert copy.read_bytes() == before


def test_data_that_were_moved_are_adopted_to(home: Path) -> None:
    (home / "data").rename(home / "elsewhere")
    revision = adopt(home, cases=["new_a", "case_00004"], data=home / "elsewhere").revision
    assert revision is not None
    assert [case.case for case in revision.cases] == ["case_00004", "new_a"]
    cases = {case.id: case for case in Workspace(home / "w").dataset().training}
    assert cases["case_00004"].images[0].parent == home / "elsewhere" / "imagesTs"
    assert adopt(home, cases=["new_a", "case_00004"]).revision is None


def test_what_is_adopted_while_moved_data_are_compared_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare = moved_data._refuse_other_data

    def compare_while_another_adopts(*args: Any, **options: Any) -> None:
        monkeypatch.undo()
        compare(*args, **options)
        assert adopt(home, cases=["new_a", "case_00001"]).revision is not None

    monkeypatch.setattr(moved_data, "_refuse_other_data", compare_while_another_adopts)
    shutil.copytree(home / "data", home / "copy")
    told = moved_data.with_data_in(Workspace(home / "w"), home / "copy", autoseg.silent)
    for dataset in (told.dataset(), Workspace(home / "w").dataset()):
        assert (dataset.root, dataset.revision) == (home / "copy", 1)
        assert {case.id for case in dataset.training if case.adopted} == {"new_a", "case_00001"}
    assert "new_a" in {case for fold in told.splits().folds for case in fold.validation}


def test_scans_without_a_label_map_are_hashed_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not again in a further call: they are looked through for copies of every scan that is adopted."""
    hashed: list[str] = []

    def counting(path: Path) -> str:
        hashed.append(path.name)
        return image_checksum(path)

    monkeypatch.setattr(source_checksums, "image_checksum", counting)
    scan = home / "data" / "imagesTs" / "case_00004_0000.nii"
    os.utime(scan)  # changed a moment ago, so that its checksum is not remembered
    adopt(home, cases=["new_a", "new_b"], dry_run=True)
    assert hashed.count(scan.name) == 1
    os.utime(scan, ns=(0, 0))
    adopt(home, cases=["new_a"])
    assert hashed.count(scan.name) == 2
    adopt(home, cases=["new_b"])
    assert hashed.count(scan.name) == 2


def test_workspace_and_data_may_move_apart(home: Path) -> None:
    adopt(home, cases=["new_b", "case_00001"])
    (home / "moved").mkdir()
    (home / "w").rename(home / "moved" / "w")
    (home / "data").rename(home / "moved" / "elsewhere")
    answer = command("preprocess", "--workspace", "moved/w", "--data", "moved/elsewhere", cwd=home)
    assert "5 cases are preprocessed" in answer.told
    assert "changed since" not in answer.said
    labels = {case.id: case.label for case in Workspace(home / "moved" / "w").dataset().cases if case.adopted}
    assert set(labels.values()) == {home / "moved" / "w" / "adopted" / "revision_1" / f"{name}.nii.gz" for name in labels}


def with_subjects(home: Path, layout: str, subjects: dict[str, str]) -> None:
    """Have the data set say whose scans some cases are."""
    path = home / "w" / "dataset.json"
    document = json.loads(path.read_text()) | {"layout": layout}
    for case in document["cases"]:
        case["subject"] = subjects.get(case["id"], case["subject"])
    path.write_text(json.dumps(document))


def results_of(home: Path, folder: str, *cases: str) -> None:
    """Results of up to two further scans, which lie in a folder."""
    made = dict(zip(cases, NEW.values(), strict=False))
    write_scans(home / "further" / folder, {case: scan for case, (scan, _) in made.items()})
    write_results(home / "results", home / "further", {case: label for case, (_, label) in made.items()})


def subject_and_fold(home: Path, case: str) -> tuple[str, int]:
    """What a case that was adopted says, and which fold holds it out."""
    found = next(one for one in Workspace(home / "w").dataset().training if one.id == case)
    folds = Workspace(home / "w").splits().folds
    return found.subject, next(number for number, fold in enumerate(folds) if case in fold.validation)


@pytest.fixture(params=[0, 1], ids=["held out by the first fold", "held out by the second"])
def known(home: Path, request: pytest.FixtureRequest) -> tuple[str, int]:
    """A case and the fold that holds it out."""
    return Workspace(home / "w").splits().folds[request.param].validation[0], request.param


@pytest.mark.parametrize("layout", ["beside", "folder_pair", "ibsr18"])
@pytest.mark.parametrize("folder", ["p1", "p1/day3/anat"])
def test_a_scan_in_the_folder_of_a_known_subject_is_held_out_with_it(
    home: Path, known: tuple[str, int], layout: str, folder: str
) -> None:
    with_subjects(home, layout, {known[0]: "p1"})
    results_of(home, folder, "day3")
    adopt(home, cases=["day3"])
    assert subject_and_fold(home, "day3") == ("p1", known[1])


def test_a_scan_of_a_stated_subject_is_held_out_with_it(home: Path, known: tuple[str, int]) -> None:
    with_subjects(home, "cases_csv", {known[0]: "p1"})
    results_of(home, "p1", "day3", "day4")
    adopt(home, every=True, subjects=["day3=p1", "day4=p9"])
    assert subject_and_fold(home, "day3") == ("p1", known[1])
    assert subject_and_fold(home, "day4")[0] == "p9"
    assert adopt(home, cases=["day3"], subjects=["day3=p1"]).revision is None


class WithSubjects(Layout):
    """A layout of one's own, with a folder for each subject."""

    subjects = "folder"

    def read(self, root: Path, *, choice: Choice) -> Dataset:
        raise Mismatch


@pytest.mark.parametrize(
    ("registered", "subject"), [(True, "p1"), (False, "day3")], ids=["in the table", "not there any more"]
)
def test_a_layout_of_ones_own_says_whether_subjects_have_folders(
    home: Path, monkeypatch: pytest.MonkeyPatch, subject: str, *, registered: bool
) -> None:
    with_subjects(home, "mine", {"case_00000": "p1"})
    results_of(home, "p1", "day3")
    if registered:
        monkeypatch.setitem(LAYOUTS, "mine", WithSubjects())
    adopt(home, cases=["day3"])
    assert subject_and_fold(home, "day3")[0] == subject


def test_folders_above_the_data_set_are_nobodys(home: Path) -> None:
    with_subjects(home, "beside", {"case_00000": home.name})
    adopt(home, cases=["new_a"])
    assert subject_and_fold(home, "new_a")[0] == "new_a"


@pytest.mark.parametrize(("options", "warned"), [((), True), (("--subject", "new_a=p2"), False)])
def test_a_new_case_whose_subject_nothing_tells_is_named(home: Path, options: tuple[str, ...], *, warned: bool) -> None:
    with_subjects(home, "cases_csv", {"case_00000": "p1"})
    said = command("adopt", "results", "-w", "w", "--case", "new_a", "--dry-run", *options, cwd=home).said
    assert ("nothing says whose scans these are" in said) == warned
    assert ("new_a. --subject new_a=SUBJECT says it" in " ".join(said.split())) == warned


def test_a_stated_subject_that_the_data_set_does_not_have_is_named(home: Path) -> None:
    with_subjects(home, "cases_csv", {"case_00000": "p1"})
    stated = [f"--subject={pair}" for pair in ("new_a=P1", "new_b=p1")]
    said = command("adopt", "results", "-w", "w", "--case", "new_a", "--case", "new_b", "--dry-run", *stated, cwd=home).said
    assert "the data set has no other scans of P1, which --subject names" in " ".join(said.split())


def test_where_every_case_is_a_subject_nothing_is_said_of_it(home: Path) -> None:
    assert "nothing says" not in command("adopt", "results", "-w", "w", "--case", "new_a", "--dry-run", cwd=home).said


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        (["new_a"], "expected CASE=SUBJECT"),
        (["new_a="], "expected CASE=SUBJECT"),
        (["=p1"], "expected CASE=SUBJECT"),
        (["new_a=p1", "new_a=p2"], "new_a has two subjects"),
        (["case_00004=p1"], "of scans that the data set does not have; expected one of new_a; found case_00004"),
        (["new_b=p1"], "expected one of new_a; found new_b"),
    ],
)
def test_subjects_that_cannot_be_are_refused(home: Path, stated: list[str], says: str) -> None:
    assert says in refused(home, cases=["new_a", "case_00004"], subjects=stated)


def test_a_subject_of_the_official_validation_set_stays_there(home: Path) -> None:
    path = home / "w" / "dataset.json"
    document = json.loads(path.read_text())
    by_id = {case["id"]: case for case in document["cases"]}
    by_id["case_00003"] |= {"subset": "validation", "subject": "new_a"}
    path.write_text(json.dumps(document))
    splits = json.loads((home / "w" / "splits.json").read_text())
    for fold in splits["folds"]:
        for side in ("training", "validation"):
            fold[side] = [case for case in fold[side] if case != "case_00003"]
    (home / "w" / "splits.json").write_text(json.dumps(splits))
    assert "a scan of the subject of case_00003" in refused(home, cases=["new_a"])


def test_the_numbers_of_the_copy_are_those_that_are_planned(home: Path) -> None:
    correct(home, "new_a")
    adopt(home)
    workspace = Workspace(home / "w")
    again = adopting.with_adopted(workspace.dataset(), workspace, force=False, events=autoseg.silent)
    assert again == workspace.dataset()


def test_a_dicom_series_in_a_folder_of_its_own_is_adopted(home: Path) -> None:
    scan, label = NEW["new_a"]
    write_series(home / "dicom" / "anna", scan)
    write_results(home / "results", home / "dicom", {"anna": label[::-1]})  # its slices run from the feet
    assert adopt(home, cases=["anna"]).revision is not None
    case = next(case for case in Workspace(home / "w").dataset().cases if case.id == "anna")
    assert case.images == (home / "dicom" / "anna",)
    assert "5 cases are preprocessed" in command("preprocess", "--workspace", "w", cwd=home).told


def test_a_dicom_series_among_others_is_refused(home: Path) -> None:
    write_series(home / "dicom" / "anna", NEW["new_a"][0])
    write_series(home / "dicom" / "anna", NEW["new_b"][0], number=8, names="B{:04d}")
    write_results(home / "results", home / "dicom", dict.fromkeys(("anna_7", "anna_8"), NEW["new_a"][1]))
    assert "of a DICOM series a folder that holds nothing else" in refused(home, every=True)
