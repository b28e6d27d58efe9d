"""`autoseg select`: from the cross-validation to one model: which networks, which clean-up, and how good it will be."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from autoseg.catalogue import NETWORKS, Architecture
from autoseg.commands.choices import Choices, Processes
from autoseg.data.dataset import LabelClass
from autoseg.data.image import write_labels
from autoseg.errors import BundleError
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.statistics import LEVEL, meaningful
from autoseg.evaluation.tables import write_scores
from autoseg.events import Events
from autoseg.inference.quality import Quality, calibrate
from autoseg.inference.steps import Step, describe
from autoseg.jobs.pool import Apply, workers
from autoseg.model.bundle import read_document
from autoseg.planning.plan import Plan
from autoseg.postprocessing import held_out
from autoseg.postprocessing.combinations import TIE_DICE, Networks, all_combinations, comparable, rank
from autoseg.postprocessing.held_out import HeldOutCase, expectations, postprocessed, score_choices, verify
from autoseg.postprocessing.scoring import score_of
from autoseg.postprocessing.search import Cleaning, find_cleaning
from autoseg.postprocessing.selection import Candidate, SelectedModel, Selection, decision_digest, write_selection
from autoseg.preprocessing.store import Store
from autoseg.runs.inventory import FinishedModel, Inventory, refuse_mixed_data, take_inventory
from autoseg.runs.preprocessing import preprocess
from autoseg.runs.workspace import Workspace, find_workspace, fold_of
from autoseg.storage import files

FOLDER: Final = "selection"


class SelectConfig(Choices):
    """What the user chose for the selection.

    Attributes:
        workspace: the workspace; None: the only one under `runs/`.
        jobs: processes that score cases.
    """

    workspace: Path | None = None
    jobs: Processes = 1


@dataclass(frozen=True)
class SelectResult:
    """What was decided.

    Attributes:
        file: the selection, to be read and edited.
        selection: the same as an object.
        folder: label maps of the held-out cases as the selection makes them, and their scores.
    """

    file: Path
    selection: Selection
    folder: Path


@dataclass(frozen=True)
class _Material:
    """What there is to select from.

    Attributes:
        plan: the plan all models share.
        models: finished and scored models of numbered folds.
        cases: every case that any of them held out.
        missing: what could not take part, and why.
    """

    plan: Plan
    models: tuple[FinishedModel, ...]
    cases: tuple[HeldOutCase, ...]
    missing: tuple[str, ...]

    def held_out_by(self, networks: Sequence[Architecture]) -> tuple[HeldOutCase, ...]:
        """Cases that each of the networks held out."""
        return tuple(case for case in self.cases if all(network in case.probabilities for network in networks))


def run(config: SelectConfig, events: Events) -> SelectResult:
    """Score every network and every combination, choose, find the clean-up that helps, and write it all down.

    Raises:
        BundleError: no fold was trained to its end, or models stem from different data.
        WorkspaceError: stored probabilities are damaged, or another process works on the plan.
    """
    workspace = find_workspace(config.workspace)
    with files.lock(workspace.lock_file):
        material = _gather(workspace, events)
        with workers(min(config.jobs, len(material.cases))) as apply:
            list(apply(verify, material.cases))
            compared, scores = _compare(material, apply, events)
            candidates = rank(scores)
            networks = candidates[0].networks
            cases = material.held_out_by(networks)
            if tuple(case.id for case in cases) != compared:  # it may have held out more than all have in common
                scores = _scores(cases, [networks], apply, events)
            uncleaned = scores[networks]
            cleaning = find_cleaning(cases, networks=networks, before=uncleaned, apply=apply, events=events)
            quality = _calibrate(cases, networks, cleaning.scores, apply)
            _write_results(workspace.root / FOLDER, cases, networks, cleaning, apply)
        models = _models_of(material, networks)
        selection = Selection(
            plan_digest=material.plan.digest,
            data_key=material.models[0].data_key,
            models=models,
            postprocessing=cleaning.steps,
            decided_sha256=decision_digest(models, cleaning.steps),
            reasons=_reasons(candidates, compared, cleaning, material.plan.data.classes),
            missing=material.missing,
            compared_cases=compared,
            candidates=candidates,
            tried=cleaning.tried,
            score=score_of(cleaning.scores),
            quality=quality,
        )
        write_selection(selection, workspace.selection_file)
    return SelectResult(workspace.selection_file, selection, workspace.root / FOLDER)


def _gather(workspace: Workspace, events: Events) -> _Material:
    """Every finished and scored model of a numbered fold, and the cases they held out."""
    plan, dataset = workspace.plan(), workspace.dataset()
    inventory = take_inventory(workspace, plan)
    models = tuple(model for model in inventory.finished if model.fold.isdigit() and held_out.is_scored(model.folder))
    if not models:
        raise BundleError(
            "no fold of the cross-validation was trained to its end under the current plan",
            where=workspace.models,
            found="; ".join(inventory.skipped) or "no models",
            remedy="Train some with `autoseg train --arch all --fold all`; one network on one fold is enough.",
        )
    refuse_mixed_data(models)
    store = preprocess(workspace, plan, dataset.labelled, jobs=1, events=events)
    if store.key != models[0].data_key:
        raise BundleError(
            "the data set has changed since the models were trained",
            where=workspace.root,
            expected=f"data {models[0].data_key[:8]}",
            found=store.key[:8],
            remedy="Bring the data back as they were, or train again with --restart.",
        )
    missing = _missing(workspace, inventory, models)
    for line in missing:
        events.info(f"not taking part: {line}")
    return _Material(plan, models, _held_out_cases(workspace, plan, models, store), missing)


def _missing(workspace: Workspace, inventory: Inventory, models: Sequence[FinishedModel]) -> tuple[str, ...]:
    """Networks and folds that could have been trained and were not."""
    there = {(model.architecture, model.fold) for model in models}
    folds = [str(number) for number in range(len(workspace.splits().folds))]
    absent = []
    for name in NETWORKS:
        lacking = [fold for fold in folds if (name, fold) not in there]
        if lacking:
            what = "not trained and scored to its end" if len(lacking) < len(folds) else "not trained on any fold"
            absent.append(f"{name}: fold {', '.join(lacking)} {what}" if len(lacking) < len(folds) else f"{name}: {what}")
    return (*absent, *inventory.skipped)


def _held_out_cases(
    workspace: Workspace, plan: Plan, models: Sequence[FinishedModel], store: Store
) -> tuple[HeldOutCase, ...]:
    dataset, splits = workspace.dataset(), workspace.splits()
    predicted: dict[str, dict[Architecture, Path]] = {}
    sha256: dict[str, dict[Architecture, str]] = {}
    for model in models:
        held_out_ids = read_document(model.folder).provenance.validation_cases
        digests = held_out.read_record(model.folder).probabilities_sha256
        if not set(held_out_ids) == set(digests) == set(fold_of(splits, dataset, model.fold).validation):
            raise BundleError(
                "the model held out other cases than its fold does now",
                where=model.folder,
                remedy="Restore splits.json, or train the model again with --restart.",
            )
        for case_id in held_out_ids:
            predicted.setdefault(case_id, {})[model.architecture] = held_out.probabilities_file(model.folder, case_id)
            sha256.setdefault(case_id, {})[model.architecture] = digests[case_id]
    return tuple(
        HeldOutCase(
            id=case.id,
            reference=case.label,
            footprint=store.footprint(case.id),
            probabilities=predicted[case.id],
            sha256=sha256[case.id],
            classes=plan.data.classes,
        )
        for case in sorted(dataset.training, key=lambda case: case.id)
        if case.id in predicted and case.label is not None
    )


def _compare(
    material: _Material, apply: Apply, events: Events
) -> tuple[tuple[str, ...], dict[Networks, tuple[CaseMetrics, ...]]]:
    """The ids of the cases that all candidates can be compared on, and every candidate's scores on them."""
    held_out_ids = {
        name: {case.id for case in material.cases if name in case.probabilities}
        for name in NETWORKS
        if any(name in case.probabilities for case in material.cases)
    }
    networks, common = comparable(held_out_ids)
    for name in held_out_ids.keys() - set(networks):
        events.warn(f"{name} is not compared: it held out none of the cases that the other networks did")
    cases = [case for case in material.cases if case.id in common]
    return common, _scores(cases, all_combinations(networks), apply, events)


def _scores(
    cases: Sequence[HeldOutCase], choices: Sequence[Networks], apply: Apply, events: Events
) -> dict[Networks, tuple[CaseMetrics, ...]]:
    by_case = []
    with events.track("scoring networks and combinations", total=len(cases), unit="cases") as progress:
        for scores in apply(partial(score_choices, choices=choices), cases):
            by_case.append(scores)
            progress.advance()
    return dict(zip(choices, zip(*by_case, strict=True), strict=True))


def _calibrate(cases: Sequence[HeldOutCase], networks: Networks, scores: Sequence[CaseMetrics], apply: Apply) -> Quality:
    expected: dict[str, dict[str, float]] = {}
    reached: dict[str, dict[str, float]] = {}
    found = apply(partial(expectations, networks=networks), cases)
    for case, of_case, expectation in zip(cases, scores, found, strict=True):
        for label in of_case.classes:
            expected.setdefault(label.name, {})[case.id] = expectation[label.name]
            reached.setdefault(label.name, {})[case.id] = label.dice
    return calibrate(expected, reached)


def _write_results(folder: Path, cases: Sequence[HeldOutCase], networks: Networks, cleaning: Cleaning, apply: Apply) -> None:
    """The held-out cases' label maps as the selection makes them, and their scores."""
    for path in folder.glob("*.nii.gz"):
        path.unlink()
    write = partial(_write_label_map, folder=folder, networks=networks, steps=cleaning.steps)
    list(apply(write, cases))
    write_scores(folder, cleaning.scores)


def _write_label_map(case: HeldOutCase, *, folder: Path, networks: Networks, steps: Sequence[Step]) -> None:
    geometry = case.read_reference().geometry
    labels = postprocessed(case, networks=networks, steps=steps, spacing_mm=geometry.spacing_mm)
    write_labels(folder / f"{case.id}.nii.gz", labels, geometry)


def _models_of(material: _Material, networks: Networks) -> tuple[SelectedModel, ...]:
    return tuple(
        SelectedModel(
            architecture=model.architecture,
            fold=model.fold,
            weights_sha256=read_document(model.folder).weights_sha256,
        )
        for model in material.models
        if model.architecture in networks
    )


def _reasons(
    candidates: Sequence[Candidate], compared: Sequence[str], cleaning: Cleaning, classes: Sequence[LabelClass]
) -> tuple[str, ...]:
    best, *others = candidates
    reasons = [f"{_names(best.networks)}: {_why(best, others, compared)}"]
    if others and not meaningful(len(compared)):
        reasons.append(f"{len(compared)} case(s) are too few to tell a difference from chance: at least six are needed")
    elif similar := [_names(candidate.networks) for candidate in others if (candidate.p or 0) > 1 - LEVEL]:
        reasons.append(f"not significantly different (p > {1 - LEVEL:.2f}): {'; '.join(similar)}")
    return (*reasons, *(f"clean-up kept: {describe(step, classes)}" for step in cleaning.steps))


def _why(best: Candidate, others: Sequence[Candidate], compared: Sequence[str]) -> str:
    if not others:
        return "nothing else was trained"
    if (best.score.dice.mean or 0) < max(candidate.score.dice.mean or 0 for candidate in others):
        return f"mean Dice within {TIE_DICE} of the highest, and the least Hausdorff distance"
    return f"highest mean Dice of {len(others) + 1} on {len(compared)} held-out case(s)"


def _names(networks: Networks) -> str:
    return " + ".join(networks)
