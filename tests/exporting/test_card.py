"""What `autoseg info` says of models made by hand, whose every number is known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from oracles.exported_models import BUNDLE, CASE, FOLDER, SCORE, Members, exported_members

import autoseg
from autoseg.exporting.archive import write_archive
from autoseg.exporting.card import describe
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.plan import Plan
from autoseg.postprocessing.selection import Selection
from autoseg.storage import files


@pytest.fixture
def members(tiny_plan: Plan, tmp_path: Path) -> Members:
    return exported_members(tiny_plan, tmp_path / "model")


@pytest.fixture
def card(tmp_path: Path) -> Callable[[Members], tuple[dict[str, list[str]], dict[str, Any]]]:
    """Gives a model's card by headings, and its document."""

    def described(members: Members) -> tuple[dict[str, list[str]], dict[str, Any]]:
        path = tmp_path / "brain.autoseg"
        write_archive(path, members)
        text, document = describe(autoseg.info(path))
        first, *groups = text.split("\n\n")
        assert first == f"{path}: a model for scans like those of tiny"
        parts = {title: [line.removeprefix("  ") for line in lines] for title, *lines in map(str.splitlines, groups)}
        return parts, document

    return described


def changed(members: Members, name: str, **changes: Any) -> Members:
    return {**members, name: files.json_text({**json.loads(members[name]), **changes}).encode()}


def with_network(members: Members, folder: str) -> Members:
    """The same with a second network, whose place says what it is; its weights are the first's."""
    name, fold, *seed = folder.split("/")
    identity: dict[str, Any] = {"architecture": name, "fold": fold.removeprefix("fold_")}
    identity |= {"seed": int(seed[0].removeprefix("seed_"))} if seed else {}
    place = f"models/{folder}"
    bundle = changed(members, BUNDLE, **identity)[BUNDLE]
    both = changed(members, "model.json", bundles=[FOLDER, place])
    weights = {n.replace(FOLDER, place): content for n, content in members.items() if n.startswith(FOLDER)}
    return {**both, **weights, BUNDLE.replace(FOLDER, place): bundle}


def test_the_card_has_every_group_in_order(members: Members, card: Callable[..., Any]) -> None:
    parts, _ = card(members)
    assert list(parts) == ["Expects", "Gives", "Learnt from", "Scores on cases it had not seen", "File"]


def test_it_says_which_scans_it_expects(members: Members, card: Callable[..., Any]) -> None:
    cases = [CASE, {**CASE, "id": "case 2", "axes": CASE["axes"][::-1], "spacing_mm": [1.0, 1.25, 3.0]}]
    parts, _ = card(changed(members, "fingerprint.json", cases=cases))
    assert parts["Expects"] == [
        "3D scans, cut into axial slices, 1 channel: T1",
        "spacing inferior-superior: 2 to 3 mm",
        "spacing posterior-anterior: 1 to 1.25 mm",
        "spacing left-right: 1 mm",
        "slices of any size; learnt from patches of 16 x 12 px",
        "intensities, normalised by: none",
    ]


def test_it_says_what_becomes_of_the_background(
    make_plan: Callable[..., Plan], card: Callable[..., Any], tmp_path: Path
) -> None:
    plan = make_plan(preprocessing={"normalisation": [{"method": "quantile_zscore", "background": -8.5}]})
    parts, _ = card(exported_members(plan, tmp_path / "stripped"))
    assert parts["Expects"][-1] == "intensities, normalised by: quantile_zscore, voxels of 0 become -8.5"


def test_pictures_have_no_plane_and_two_spacings(
    members: Members, card: Callable[..., Any], make_plan: Callable[..., Plan]
) -> None:
    plan = make_plan(view={"plane": None})
    del members["selection.json"]
    members = changed(members, "fingerprint.json", cases=[{**CASE, "dimensions": 2}])
    members = changed(members, BUNDLE, plan=plan.model_dump(mode="json"), plan_digest=plan.digest)
    parts, _ = card({**members, "plan.json": plan.model_dump_json().encode()})
    assert parts["Expects"][:3] == [
        "2D images, 1 channel: T1",
        "spacing posterior-anterior: 1 mm",
        "spacing left-right: 1 mm",
    ]


def test_it_says_what_it_gives(members: Members, card: Callable[..., Any]) -> None:
    parts, _ = card(members)
    assert parts["Gives"] == [
        "label values 0 background, 2 disc",
        "postprocessing: disc: only the largest connected component kept",
    ]


def test_it_says_how_the_prior_was_put_right(
    members: Members, card: Callable[..., Any], make_plan: Callable[..., Plan]
) -> None:
    plan = make_plan(prediction={"prior_power": 0.5})
    del members["selection.json"]
    members = changed(members, BUNDLE, plan=plan.model_dump(mode="json"), plan_digest=plan.digest)
    parts, _ = card({**members, "plan.json": plan.model_dump_json().encode()})
    assert parts["Gives"][0] == "probabilities of each network, divided by the class weights to the power 0.5, averaged"


def test_it_says_how_the_selection_shifts_the_prior(members: Members, card: Callable[..., Any]) -> None:
    parts, _ = card(changed(members, "selection.json", log_shift=[0.0, -0.35]))
    assert parts["Gives"][1] == "logarithms of the averaged probabilities shifted by: disc -0.35"


def test_it_says_that_scores_of_what_was_chosen_on_them_are_optimistic(members: Members, card: Callable[..., Any]) -> None:
    nested = {
        "score": {**SCORE, "dice": {"mean": 0.75, "low": None, "high": None, "cases": 3}},
        "optimism": {"mean": 0.05, "low": None, "high": None, "cases": 3},
        "folds": [
            {"fold": "0", "cases": 3, "networks": ["sepres"], "views": [], "log_shift": [], "postprocessing": []},
        ],
    }  # fmt: skip
    for given, told in (
        ({}, ")"),
        ({"nested": nested}, "; chosen without each of them: mean Dice 0.750 (too few cases for an interval))"),
    ):
        parts, _ = card(changed(members, "selection.json", log_shift=[0.0, -0.35], **given))
        expected = f"(optimistic: what predicts was chosen on the same cases{told}"
        assert parts["Scores on cases it had not seen"][-1] == expected
    parts, _ = card(changed(members, "selection.json", postprocessing=[]))
    assert "optimistic" not in str(parts)


def test_it_says_that_a_selection_was_edited_since_it_was_scored(members: Members, card: Callable[..., Any]) -> None:
    told = "(the selection was edited by hand: the scores are those of what had been decided)"
    selection = Selection.model_validate_json(members["selection.json"])
    for decided, edited in ((selection.decision_sha256, False), ("0" * 64, True)):
        parts, _ = card(changed(members, "selection.json", decided_sha256=decided))
        assert (told in parts["Scores on cases it had not seen"]) is edited


def test_it_says_who_predicts_the_dice(members: Members, card: Callable[..., Any]) -> None:
    disc = {"name": "disc", "intercept": 0.0, "slope": 1.0, "error": 0.01, "lowest": 0.5}
    quality = {"classes": [disc], "points": [], "seeds": {"sepres": 2}}
    parts, _ = card(changed(members, "selection.json", quality=quality))
    assert "the probable Dice, from what the models of a fold, 2 seeds of sepres, expect" in parts["Gives"]


def test_without_a_selection_nothing_is_cleaned(members: Members, card: Callable[..., Any]) -> None:
    del members["selection.json"]
    parts, document = card(members)
    assert parts["Gives"][1] == "postprocessing: none"
    assert document["selection"] is None


def test_it_says_what_it_learnt_from(members: Members, card: Callable[..., Any]) -> None:
    parts, _ = card(members)
    assert parts["Learnt from"] == [
        "1 case of tiny, recipe auto",
        "sepres/fold_0: 3 epochs, 0.5 min, seed 0, float32, torch 2.99",
    ]


def test_it_says_on_what_where_that_was_recorded(members: Members, card: Callable[..., Any]) -> None:
    made = json.loads(members[BUNDLE])["provenance"]
    parts, _ = card(changed(members, BUNDLE, provenance=made | {"hardware": {"processor": "EPYC", "threads": 2}}))
    assert parts["Learnt from"][1].endswith("float32, torch 2.99, on EPYC (2 threads)")


def test_it_says_what_a_network_started_from_and_where_nobody_knows_what_that_had_seen(
    members: Members, card: Callable[..., Any]
) -> None:
    made = {**json.loads(members[BUNDLE])["provenance"], "validation_cases": ["case 1"]}
    origin = {"weights_sha256": "a" * 64, "name": "sepres, fold 0 of b", "epochs": 9, "minutes": 1.0}
    origin |= {"classes_kept": False, "channels_kept": False, "learnt_from": []}
    parts, _ = card(changed(members, BUNDLE, provenance=made | {"origin": origin}))
    own = "with last layers of its own and a first layer for other channels"
    assert parts["Learnt from"][1].endswith(f", started from sepres, fold 0 of b after 9 epochs, {own}")
    assert len(parts["Learnt from"]) == 2
    parts, _ = card(changed(members, BUNDLE, provenance=made | {"origin": {**origin, "learnt_from": None}}))
    assert parts["Learnt from"][2].startswith("not recorded is which scans sepres, fold 0 of b had learnt from")


def test_scores_come_with_their_intervals(members: Members, card: Callable[..., Any]) -> None:
    parts, _ = card(members)
    assert parts["Scores on cases it had not seen"] == [
        "sepres, 2 cases: mean Dice 0.800 (0.700 to 0.900)",
        "  disc: Dice 0.800 (0.700 to 0.900), HD 4.0 mm (3.9 to 4.1)",
        "(in brackets: 95 % percentile bootstrap interval over cases)",
        "(optimistic: what predicts was chosen on the same cases)",
    ]


def test_scores_say_what_they_are_of(members: Members, card: Callable[..., Any]) -> None:
    def first(**changes: Any) -> str:
        selected = changed(members, "model.json", scores={"selection": SCORE}, scored_cases={"selection": 2})
        told: str = card(changed(selected, "selection.json", **changes))[0]["Scores on cases it had not seen"][0]
        return told.partition(":")[0]

    assert first() == "selection, postprocessed, 2 cases"
    selection = json.loads(members["selection.json"]) | {"postprocessing": []}
    digest = Selection.model_validate(selection).decision_sha256
    assert first(postprocessing=[], decided_sha256=digest) == "selection, not postprocessed, 2 cases"
    assert first(decided_sha256="0" * 64) == "selection, 2 cases"  # edited: of what had been decided


def test_scores_of_single_networks_are_not_those_of_their_average(members: Members, card: Callable[..., Any]) -> None:
    alone = {name: content for name, content in members.items() if name != "selection.json"}
    told = "(of each network by itself, not postprocessed: their average, which predicts, was not scored)"
    assert told not in card(alone)[0]["Scores on cases it had not seen"]
    for other, several in {
        "unet/fold_0": True,
        "unet/fold_1": True,
        "sepres/fold_0/seed_3": True,
        "sepres/fold_1": False,
    }.items():
        # Only one of the two was scored, whatever the folds.
        assert (told in card(with_network(alone, other))[0]["Scores on cases it had not seen"]) is several


def test_scores_that_are_undefined_say_so(members: Members, card: Callable[..., Any]) -> None:
    nothing = {"mean": None, "low": None, "high": None, "cases": 0}
    single = {"mean": 0.5, "low": None, "high": None, "cases": 1}
    score = {**SCORE, "dice": single, "classes": [{"name": "disc", "dice": single, "hausdorff_mm": nothing}]}
    parts, _ = card(changed(members, "model.json", scores={"sepres": score}))
    assert parts["Scores on cases it had not seen"] == [
        "sepres, 2 cases: mean Dice 0.500 (too few cases for an interval)",
        "  disc: Dice 0.500 (too few cases for an interval), HD n/a",
        "(optimistic: what predicts was chosen on the same cases)",
    ]
    score["classes"] = [{"name": "disc", "dice": single, "hausdorff_mm": SCORE["hausdorff_mm"]}]
    parts, _ = card(changed(members, "model.json", scores={"sepres": score}))
    assert "(in brackets: 95 % percentile bootstrap interval over cases)" in parts["Scores on cases it had not seen"]


def test_a_model_nobody_tested_says_so(members: Members, card: Callable[..., Any]) -> None:
    parts, _ = card(changed(members, "model.json", scores={}, scored_cases={}))
    assert parts["Scores on cases it had not seen"] == ["none: nothing was held out"]


def test_the_file_is_named_by_its_digest(members: Members, card: Callable[..., Any], tmp_path: Path) -> None:
    parts, document = card(members)
    path = tmp_path / "brain.autoseg"
    assert parts["File"] == [
        f"{path.stat().st_size / 1e6:.1f} MB, written by autoseg {document['written_by']}",
        f"sha256 {files.sha256_file(path)}",
    ]


def test_programs_get_all_documents(members: Members, card: Callable[..., Any], tmp_path: Path) -> None:
    _, document = card(members)
    path = tmp_path / "brain.autoseg"
    assert (document["file"], document["bytes"], document["sha256"]) == (
        str(path), path.stat().st_size, files.sha256_file(path),
    )  # fmt: skip
    for key in ("plan", "selection", "model"):
        stored = json.loads(members[f"{key}.json"])
        assert {name: document[key][name] for name in stored} == stored
    whole = Fingerprint.model_validate_json(members["fingerprint.json"]).model_dump(mode="json")  # keys that came later, too
    assert document["fingerprint"] == whole
    network = json.loads(members[BUNDLE])
    del network["plan"]  # it is there once, for all
    assert document["networks"] == {FOLDER: network}
    json.loads(files.json_text(document))


def test_several_planes_are_named_and_their_mean_is_said(
    members: Members, card: Callable[..., Any], make_plan: Callable[..., Plan]
) -> None:
    plan = make_plan(views=[{}, {"plane": "coronal", "patch_px": [32, 12]}])
    del members["selection.json"]
    members = changed(members, BUNDLE, plan=plan.model_dump(mode="json"), plan_digest=plan.digest)
    parts, _ = card({**members, "plan.json": plan.model_dump_json().encode()})
    assert parts["Expects"][0] == "3D scans, cut into axial and coronal slices, 1 channel: T1"
    assert parts["Expects"][4] == "slices of any size; learnt from patches of 16 x 12 px and 32 x 12 px"
    assert parts["Gives"][0] == "the mean over 2 planes, on the scan's own voxels"


def test_label_maps_that_a_person_corrected_are_counted(members: Members, card: Callable[..., Any]) -> None:
    made = json.loads(members[BUNDLE])["provenance"]
    adopted = {"revision": 3, "adopted_sha256": ["a" * 64, "b" * 64], "corrected_sha256": ["c" * 64]}
    parts, document = card(changed(members, BUNDLE, provenance=made | adopted))
    assert parts["Learnt from"][1] == (
        "3 label maps predicted by a model, and corrected or confirmed by a person: 2 of further cases, 1 in place of "
        "others (revision 3 of the data)"
    )
    assert document["networks"][FOLDER]["provenance"]["adopted_sha256"] == adopted["adopted_sha256"]
