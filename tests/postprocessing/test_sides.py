"""Scores found by the place they lie in: workspaces, networks and models that version 0.1 stored, tables, label maps."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.heard import Heard

from autoseg.data.dataset import LabelClass
from autoseg.errors import BundleError, UsageError, WorkspaceError
from autoseg.evaluation.cases import score_case
from autoseg.evaluation.paired import Side, compare_sides
from autoseg.evaluation.tables import write_scores
from autoseg.events import Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels
from autoseg.planning.plan import write_plan
from autoseg.postprocessing.held_out import write_shown
from autoseg.postprocessing.sides import Judging, find_sides
from autoseg.runs.workspace import Workspace

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1"
WORKSPACE = STORED / "workspace"
MODELS = WORKSPACE / "models"
IDS = ["IBSR_01", "IBSR_04"]
"""What fold 0 held out."""

REGIONS = (
    LabelClass(value=0, name="background"),
    LabelClass(value=1, name="whole", values=(1, 2, 3), order=0),
    LabelClass(value=2, name="core", values=(2, 3), order=1),
    LabelClass(value=3, name="enhancing", values=(3,), order=2),
)


def side(place: Path, **judging: object) -> Side:
    [found] = find_sides({"it": place}, Judging(**judging), Silent()).sides
    return found


def dice(found: Side) -> list[float]:
    return [scores.dice for case in found.cases for scores in case.classes]


@pytest.mark.parametrize(
    "place", [MODELS / "sepres", MODELS / "sepres" / "fold_0", MODELS / "sepres" / "fold_0" / "validation"]
)
def test_a_network_is_the_cases_that_its_folds_held_out(place: Path) -> None:
    found = side(place)
    assert [case.id for case in found.cases] == IDS
    assert dice(found)[0] == 0.575
    assert set(IDS) < found.references.keys()


def test_a_workspace_is_what_it_selected(tmp_path: Path) -> None:
    selected = dice(side(WORKSPACE / "selection"))
    assert dice(side(WORKSPACE)) == selected != dice(side(MODELS / "sepres"))  # it selected Sep-Res, and postprocessing
    shutil.copytree(WORKSPACE, tmp_path / "run")
    (tmp_path / "run" / "selection.json").unlink()
    with pytest.raises(UsageError, match=r"several networks \(unet, sepres, attention\)"):
        side(tmp_path / "run")
    for name in ("unet", "sepres"):
        shutil.rmtree(tmp_path / "run" / "models" / name)
    assert dice(side(tmp_path / "run")) == dice(side(MODELS / "attention"))
    shutil.rmtree(tmp_path / "run" / "models")
    with pytest.raises(BundleError, match="no model was trained and scored"):
        side(tmp_path / "run")


def test_a_case_that_two_folds_of_a_network_held_out_is_refused(tmp_path: Path) -> None:
    shutil.copytree(WORKSPACE, tmp_path / "run")
    first = tmp_path / "run" / "models" / "sepres" / "fold_0"
    shutil.copytree(first, first.with_name("fold_1"))
    bundle = first.with_name("fold_1") / "bundle.json"
    document = json.loads(bundle.read_text()) | {"fold": "1"}
    bundle.write_text(json.dumps(document))  # trained before the folds were edited: fold 1 holds out others now
    with pytest.raises(BundleError, match="held out other cases than its fold does now") as caught:
        side(first.parent)
    assert caught.value.where == str(first.with_name("fold_1"))
    assert dice(side(first)) == dice(side(MODELS / "sepres"))  # alone it is what it held out


def test_networks_on_the_official_split_alone_are_named(tmp_path: Path) -> None:
    shutil.copytree(WORKSPACE, tmp_path / "run")
    (tmp_path / "run" / "selection.json").unlink()
    for network in ("unet", "sepres", "attention"):
        first = tmp_path / "run" / "models" / network / "fold_0"
        bundle = first.rename(first.with_name("fold_official")) / "bundle.json"
        bundle.write_text(json.dumps(json.loads(bundle.read_text()) | {"fold": "official"}))
    with pytest.raises(UsageError, match=r"several networks \(unet, sepres, attention\)"):
        side(tmp_path / "run")
    assert dice(side(tmp_path / "run" / "models" / "sepres")) == dice(side(MODELS / "sepres"))


def test_scores_of_a_selection_that_was_edited_are_said_to_be_of_before(tmp_path: Path) -> None:
    path = Path(shutil.copytree(WORKSPACE, tmp_path / "run")) / "selection.json"
    for steps, warned in (([], False), ([{"kind": "fill_holes", "label": None}], True)):
        path.write_text(json.dumps({**json.loads(path.read_text()), "postprocessing": steps}))
        heard = Heard()
        places = {"it": tmp_path / "run", "a model of it": tmp_path / "run" / "models" / "sepres"}
        find_sides(places, Judging(), heard)
        told = f"{path} was edited by hand: the scores are those of what had been decided"
        assert heard.warnings == ([told] if warned else [])


def test_models_are_compared_by_what_0_1_stored() -> None:
    places = {"attention": MODELS / "attention", "sepres": MODELS / "sepres"}
    comparison = compare_sides(find_sides(places, Judging(), Silent()).sides)
    [gm] = [each for each in comparison.results if (each.metric, each.label) == ("dice", "GM")]
    assert gm.cases[0].difference == pytest.approx(0.6332155477031802 - 0.5401785714285714)
    assert comparison.warnings == ("Normalised surface Dice: no case of attention, sepres has it",)


def test_label_maps_are_judged_by_the_classes_of_the_scores_beside_them(tmp_path: Path) -> None:
    # What was selected, as if a tool had made it.
    (tmp_path / "tool").mkdir()
    for case in IDS:
        shutil.copy(WORKSPACE / "selection" / f"{case}.nii.gz", tmp_path / "tool")
    places = {"tool": tmp_path / "tool", "workspace": WORKSPACE}
    found = find_sides(places, Judging(references=STORED / "data" / "Training_Set"), Silent())
    assert (found.failures, [each.name for each in found.sides]) == ((), ["tool", "workspace"])
    assert dice(found.sides[0]) == pytest.approx(dice(found.sides[1]))
    comparison = compare_sides(found.sides)
    assert {result.label for result in comparison.results} == {None, "CSF", "GM", "WM"}
    assert all(abs(each.test.difference.mean) < 1e-12 for each in comparison.results)  # as 0.1 computed them
    shutil.copytree(STORED / "data" / "Training_Set", tmp_path / "data")
    reference = tmp_path / "data" / "IBSR_04" / "IBSR_04_seg.nii.gz"
    reference.write_bytes(gzip.compress(gzip.decompress(reference.read_bytes()), 1))  # another file
    other = find_sides(places, Judging(references=tmp_path / "data"), Silent())
    with pytest.raises(UsageError, match="same references as those of tool: IBSR_04;"):
        compare_sides(other.sides)


@pytest.mark.parametrize("scored", [True, False], ids=["beside scores", "label maps alone"])
def test_regions_are_judged_as_the_plan_of_a_workspace_has_them(tmp_path: Path, make_plan: Any, *, scored: bool) -> None:
    regions = REGIONS[1:]
    data = {"classes": [label.model_dump(mode="json") for label in REGIONS]}
    write_plan(make_plan(data=data, training={"class_weights": [1.0] * 4}), tmp_path / "run" / "plan.json")
    geometry, cases = Geometry((8, 8, 8), (1.0, 1.0, 1.0)), []
    for number in range(3):
        reference = np.zeros(geometry.shape, np.uint16)
        for value in (1, 2, 3):
            reference[value:-value, value:-value, value:-value] = value
        prediction, name = np.roll(reference, number % 2, axis=0), f"c{number}.nii.gz"
        for folder, labels in (("labels", reference), ("tool", prediction), ("run/results", prediction)):
            write_labels(tmp_path / folder / name, labels, geometry)
        cases.append(
            score_case(f"c{number}", prediction, reference, classes=REGIONS, spacing_mm=geometry.spacing_mm, ignore=None)
        )
    if scored:
        write_scores(tmp_path / "run" / "scores", cases)
    places = {"ours": tmp_path / "run" / ("scores" if scored else "results"), "tool": tmp_path / "tool"}
    found = find_sides(places, Judging(references=tmp_path / "labels"), Silent())
    assert [[label.name for label in case.classes] for case in found.sides[1].cases] == [[one.name for one in regions]] * 3
    assert dice(found.sides[0]) == pytest.approx(dice(found.sides[1]))
    assert all(each.test.difference.mean == pytest.approx(0) for each in compare_sides(found.sides).results)


def test_scores_of_other_classes_than_a_workspace_beside_them_has_say_what_is_judged(tmp_path: Path) -> None:
    write_plan(Workspace(WORKSPACE).plan(), tmp_path / "run" / "plan.json")
    geometry = Geometry((1, 2, 2), (1.0, 1.0, 1.0))
    labels = np.array([[[0, 7], [7, 7]]], np.uint16)
    for folder in ("labels", "tool"):
        write_labels(tmp_path / folder / "c.nii.gz", labels, geometry)
    classes = (LabelClass(value=7, name="disc"),)
    write_scores(
        tmp_path / "run" / "scores",
        [score_case("c", labels, labels, classes=classes, spacing_mm=(1.0, 1.0, 1.0), ignore=None)],
    )
    places = {"ours": tmp_path / "run" / "scores", "tool": tmp_path / "tool"}
    found = find_sides(places, Judging(references=tmp_path / "labels"), Silent())
    assert [label.name for label in found.sides[1].cases[0].classes] == ["disc"]


def test_scores_changed_since_they_were_made_are_refused(tmp_path: Path) -> None:
    shutil.copytree(WORKSPACE, tmp_path / "run")
    fold = tmp_path / "run" / "models" / "sepres" / "fold_0"
    table = fold / "validation" / "metrics.csv"
    write_shown([table], table.parent)  # as this version does
    assert side(fold).cases
    table.write_text(table.read_text().replace("0.575", "0.975"))
    with pytest.raises(WorkspaceError, match="was changed since the held-out cases were scored"):
        side(fold)


@pytest.mark.parametrize(("folder", "remedy"), [("models/sepres/fold_0/validation", "train"), ("selection", "select")])
def test_the_folder_of_these_scores_is_no_way_round(tmp_path: Path, folder: str, remedy: str) -> None:
    place = tmp_path / "run" / folder
    shutil.copytree(WORKSPACE, tmp_path / "run")
    label_map, table = place / "IBSR_04.nii.gz", place / "metrics.csv"
    shutil.copy(STORED / "results" / "IBSR_05.nii.gz", label_map)
    write_shown([label_map, table], place)
    assert side(place).cases
    label_map.write_bytes(b"of another selection, or changed by hand")
    for named in (place, table):
        with pytest.raises(WorkspaceError, match=rf"IBSR_04\.nii\.gz: was changed since .*{remedy}"):
            side(named)


def test_label_maps_that_held_out_scores_are_of_are_judged_where_references_are_named(tmp_path: Path) -> None:
    shutil.copytree(WORKSPACE, tmp_path / "run")
    for case in IDS:
        reference = STORED / "data" / "Training_Set" / case / f"{case}_seg.nii.gz"
        shutil.copy(reference, tmp_path / "run" / "selection" / f"{case}.nii.gz")
    found = side(tmp_path / "run" / "selection", references=STORED / "data" / "Training_Set")
    assert dice(found) == [1.0] * 6
    assert found.references.keys() == set(IDS)
    assert dice(side(tmp_path / "run", references=STORED / "data" / "Training_Set")) == dice(side(WORKSPACE))


def test_scores_of_a_selection_of_models_that_were_trained_again_are_refused(tmp_path: Path) -> None:
    shutil.copytree(WORKSPACE, tmp_path / "run")
    bundle = tmp_path / "run" / "models" / "sepres" / "fold_0" / "bundle.json"
    document = json.loads(bundle.read_text(encoding="utf-8"))
    bundle.write_text(json.dumps({**document, "weights_sha256": "0" * 64}), encoding="utf-8")
    with pytest.raises(BundleError, match=r"was trained again, or further, since.*autoseg select"):
        side(tmp_path / "run")
    shutil.rmtree(bundle.parent)  # these scores are all that is left of it
    assert dice(side(tmp_path / "run")) == dice(side(WORKSPACE))


def test_results_on_cases_that_the_models_had_learnt_from_are_warned_of(tmp_path: Path) -> None:
    shutil.copytree(STORED / "results", tmp_path / "results")
    table = tmp_path / "results" / "predictions.csv"
    table.write_text(table.read_text().replace("IBSR_05", "IBSR_02"))
    shutil.copytree(STORED / "evaluation", tmp_path / "results" / "evaluation")
    heard = Heard()
    found = find_sides({"results": tmp_path / "results", "workspace": WORKSPACE}, Judging(), heard)
    assert [each.name for each in found.sides] == ["results", "workspace"]
    assert any("results was segmented by models of" in warning and "IBSR_02" in warning for warning in heard.warnings)
