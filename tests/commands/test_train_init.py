"""`autoseg train --init`: which network a run starts from, what is refused, and what is recorded."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from oracles.watched_runs import Recorder

import autoseg
from autoseg.commands import status
from autoseg.commands import train as training
from autoseg.errors import BundleError, UsageError, WorkspaceError
from autoseg.events import Silent
from autoseg.exporting.card import describe
from autoseg.model.bundle import load_bundle
from autoseg.model.description import BUNDLE_FILE, BundleDocument, read_document
from autoseg.reporting.data import gather
from autoseg.reporting.methods import methods_paragraph
from autoseg.reporting.study import study_of
from autoseg.runs.workspace import Workspace

FOLD = "models/unet/fold_0"
ORIGIN = "unet, fold 0 of IBSR18 after 3 epochs"


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohort's networks in one file."""
    file = tmp_path_factory.mktemp("init") / "brain.autoseg"
    autoseg.export(file, workspace=trained)
    return file


@pytest.fixture(scope="module")
def started(trained: Path, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohort's workspace with one network trained again, from the exported model; not to be changed."""
    folder = tmp_path_factory.mktemp("started") / "run"
    shutil.copytree(trained, folder)
    train(folder, exported, fold=0)
    return folder


def train(workspace: Path, model: Path | None, **choices: Any) -> tuple[training.TrainResult, str]:
    """Train, for an epoch and in place of what is there; gives what was made, and what was said."""
    options = {"epochs": 1, "precision": "float32", "workspace": workspace, "init": model, "restart": True}
    events = Recorder()
    result = training.run(training.TrainOptions(**{**options, **choices}), events)
    return result, "\n".join([training.describe(result).text, *events.notes, *events.warnings])


def copied(folder: Path, to: Path, **provenance: Any) -> Path:
    """A copy of a model with values of its provenance replaced, or taken out where they are None."""
    shutil.copytree(folder, to)
    document = json.loads((to / BUNDLE_FILE).read_text())
    document["provenance"].update(provenance)
    document["provenance"] = {key: value for key, value in document["provenance"].items() if value is not None}
    (to / BUNDLE_FILE).write_text(json.dumps(document))
    return to


def unet(workspace: Path) -> BundleDocument:
    return read_document(workspace / FOLD)


def test_a_run_starts_from_the_network_that_had_not_seen_its_held_out_cases(started: Path, trained: Path) -> None:
    before, provenance = unet(trained), unet(started).provenance
    assert provenance.origin is not None
    assert provenance.origin.weights_sha256 == before.weights_sha256
    assert provenance.origin.learnt_from == before.provenance.scans == provenance.scans
    assert provenance.origin.name == "unet, fold 0 of IBSR18"
    assert (provenance.origin.epochs, provenance.origin.classes_kept, provenance.origin.channels_kept) == (3, True, True)


def test_what_a_model_started_from_is_told_wherever_the_model_is(started: Path, tmp_path: Path) -> None:
    autoseg.export(tmp_path / "next.autoseg", workspace=started)
    description = autoseg.info(tmp_path / "next.autoseg")
    card = describe(description)[0]
    assert re.search(rf"unet/fold_0: 1 epoch, .*, started from {ORIGIN}\n", card)
    assert "not recorded" not in card
    provenance = description.description.bundles[FOLD].provenance
    assert provenance.origin == unet(started).provenance.origin
    text = provenance.model_dump_json()
    assert not any(case.id in text for case in Workspace(started).dataset().cases)
    assert str(started.parent) not in text
    told = status.describe(autoseg.status(workspace=started))
    assert ("started from", ORIGIN) in told.tables[0].rows
    data = gather(Workspace(started), Silent())
    paragraph, _ = methods_paragraph(data.plan, study_of(data))
    assert f"One of three trainings started from trained weights ({ORIGIN}). Learning rates were multiplied by" in paragraph
    assert "None of these had been learnt from the scans that were held out." in paragraph


def test_each_fold_has_a_network_of_its_own_to_start_from(workspace: Path, exported: Path, trained: Path) -> None:
    _, said = train(workspace, exported, fold="all", dry_run=True)
    for fold in (0, 1):
        assert f"  starts from unet, fold {fold} of IBSR18 after 3 epochs\n" in said
    assert "starts from" not in train(workspace, None, dry_run=True)[1]
    assert unet(workspace) == unet(trained)


def test_a_model_that_learnt_from_held_out_cases_is_refused_and_the_cases_are_named(workspace: Path, trained: Path) -> None:
    other, before = trained / "models/unet/fold_1", unet(workspace)
    with pytest.raises(UsageError, match=", ".join(before.provenance.validation_cases)) as refused:
        train(workspace, other, fold=0)
    assert "--fold full" in str(refused.value)
    assert unet(workspace) == before
    assert "starts from unet, fold 1" in train(workspace, other, fold="full", dry_run=True)[1]


def test_what_the_origin_of_a_model_had_learnt_from_counts(started: Path, trained: Path, tmp_path: Path) -> None:
    provenance = unet(started).provenance
    assert provenance.origin is not None
    train(started, copied(started / FOLD, tmp_path / "honest"), fold=0, dry_run=True)
    learnt = read_document(trained / "models/unet/fold_1").provenance.scans
    origin = provenance.origin.model_copy(update={"learnt_from": learnt}).model_dump(mode="json")
    with pytest.raises(UsageError, match="has learnt from cases that this run holds out"):
        train(started, copied(started / FOLD, tmp_path / "learnt", origin=origin), fold=0, dry_run=True)


def test_it_is_said_where_nobody_knows_what_a_model_had_learnt_from(started: Path, trained: Path, tmp_path: Path) -> None:
    unknown = "it is not recorded which scans unet, fold 1 of IBSR18 had learnt from"
    older = copied(trained / "models/unet/fold_1", tmp_path / "older", scans=None)
    assert unknown in train(started, older, fold=0, dry_run=True)[1]
    assert unknown not in train(started, older, fold="full", dry_run=True)[1]  # nothing is held out there


def test_the_same_command_finds_the_run_finished_and_another_start_is_refused(
    started: Path, exported: Path, trained: Path
) -> None:
    for same in (exported, trained / FOLD):  # the same weights
        result, said = train(started, same, fold=0, restart=False)
        assert not result.models[0].trained_now
        assert "starting from" not in said
    with pytest.raises(WorkspaceError, match=r"the model it was started from \('[0-9a-f]{12}' before, None now\)"):
        train(started, None, fold=0, restart=False)


@pytest.mark.parametrize("damage", ["weights", "document", "foreign", "missing"])
def test_a_model_that_cannot_be_used_costs_nothing(workspace: Path, trained: Path, tmp_path: Path, damage: str) -> None:
    model = copied(trained / FOLD, tmp_path / "model")
    weights, before = model / unet(trained).weights_file, unet(workspace)
    if damage == "weights":
        weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    elif damage == "document":
        (model / BUNDLE_FILE).write_text("{")
    else:
        shutil.rmtree(model)
    if damage == "foreign":
        model.write_bytes(b"PK no model")
    with pytest.raises(BundleError):
        train(workspace, model, fold=0)
    assert load_bundle(workspace / FOLD).document == before


def test_what_nothing_fits_is_told_before_anything_is_trained(workspace: Path, exported: Path, trained: Path) -> None:
    before = unet(workspace)
    with pytest.raises(UsageError, match="attention, fold 0: none of the networks to start from is of its kind") as refused:
        train(workspace, exported, architecture="all", fold=0)
    assert refused.value.found == "sepres, unet"
    with pytest.raises(UsageError, match="a workspace, not a model"):
        train(workspace, trained)
    with pytest.raises(UsageError, match="cannot start from what lies in its own place"):
        train(workspace, workspace / FOLD)
    assert unet(workspace) == before


def test_a_model_of_another_seed_may_lie_inside_the_place_of_a_run(workspace: Path) -> None:
    inside = copied(workspace / "models/unet/fold_0", workspace.parent / "copy").rename(workspace / FOLD / "seed_1")
    assert "starts from unet, fold 0" in train(workspace, inside, dry_run=True)[1]
    with pytest.raises(UsageError, match="seed 1: a run cannot start from what lies in its own place"):
        train(workspace, inside, seed=1)


def test_an_interrupted_run_needs_nothing_of_its_start_but_to_recognise_it(
    started: Path, trained: Path, tmp_path: Path
) -> None:
    start = copied(trained / FOLD, tmp_path / "start")
    (start / unet(trained).weights_file).unlink()
    assert not train(started, start, restart=False)[0].models[0].trained_now
    with pytest.raises(BundleError):
        train(started, start)
    assert unet(started).provenance.origin is not None


def test_other_sizes_are_refused_with_the_keys_that_differ(trained: Path, cohort: Path, tmp_path: Path) -> None:
    sizes = ("network.features=[8,16]", "network.convolutions=1")
    autoseg.plan(cohort, workspace=tmp_path / "run", folds=2, overrides=sizes)
    with pytest.raises(UsageError, match="of other sizes than the plan's") as refused:
        train(tmp_path / "run", trained / FOLD, dry_run=True)
    assert refused.value.expected == "network.features [8,16], network.convolutions 1"
    assert "--set 'network.features=" in str(refused.value)
