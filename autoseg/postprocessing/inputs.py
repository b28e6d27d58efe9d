"""What a selection is made from: the models of the cross-validation, and the cases they held out."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.catalogue import NETWORKS, Architecture, Plane
from autoseg.errors import BundleError
from autoseg.events import Events, Silent
from autoseg.model.description import read_document
from autoseg.model.packages import warn_of_other_versions
from autoseg.planning.plan import Plan
from autoseg.postprocessing import held_out
from autoseg.postprocessing.held_out import HeldOutCase
from autoseg.postprocessing.held_out.space import tell_size
from autoseg.preprocessing.store import Store
from autoseg.runs.inventory import (
    FinishedModel,
    Inventory,
    by_network,
    other_cases,
    refuse_changed_data,
    refuse_mixed_data,
    refuse_models_behind,
    take_inventory,
)
from autoseg.runs.preprocessing import find_arrays, preprocess
from autoseg.runs.removed_data import require_files
from autoseg.runs.workspace import Workspace, fold_of
from autoseg.wording import listing

_NOT_KEPT: Final = (
    "{}: the probabilities of its held-out cases were not kept (repeat its train command with --keep-probabilities, which "
    "predicts these cases again and trains nothing)"
)

_ByNetwork = defaultdict[Architecture, defaultdict[int, dict[Plane | None, Path]]]
"""Files of probabilities by network, seed and plane."""


@dataclass(frozen=True)
class SelectionInputs:
    """What there is to select from.

    Attributes:
        plan: the plan all models share.
        models: finished and scored models of numbered folds.
        cases: every case that any of them held out.
        missing: what could not take part, and why.
        data_key: over all labelled cases.
    """

    plan: Plan
    models: tuple[FinishedModel, ...]
    cases: tuple[HeldOutCase, ...]
    missing: tuple[str, ...]
    data_key: str

    def held_out_by(self, networks: Sequence[Architecture]) -> tuple[HeldOutCase, ...]:
        """Cases that each of the networks held out."""
        return tuple(case for case in self.cases if all(network in case.probabilities for network in networks))


def gather_inputs(workspace: Workspace, events: Events) -> SelectionInputs:
    """Every finished and scored model of a numbered fold, and the cases they held out.

    Raises:
        BundleError: no fold was trained to its end, or models stem from different data, or from an earlier revision of it.
    """
    plan, dataset = workspace.plan(), workspace.dataset()
    inventory = take_inventory(workspace, plan)
    scored = [model for model in inventory.finished if model.id.is_numbered and held_out.is_scored(model.folder)]
    without = [model for model in scored if not held_out.keeps_probabilities(model.folder)]
    models = _of_all_views([model for model in scored if model not in without], plan)
    not_kept = [_NOT_KEPT.format(model.id.folder) for model in without]
    if not models:
        raise BundleError(
            "no fold of the cross-validation was trained to its end under the current plan",
            where=workspace.models,
            found="; ".join([*not_kept, *inventory.skipped]) or "no models",
            remedy="Train some with `autoseg train --arch all --fold all`; one network on one fold is enough.",
        )
    refuse_models_behind(models, workspace=workspace)
    refuse_mixed_data(models)
    store = preprocess(workspace, plan, dataset.labelled, jobs=1, events=events)
    refuse_changed_data(models, store.keys, workspace=workspace)
    warn_of_other_versions((each for model in models for each in read_document(model.folder).registered), events)
    cases = _held_out_cases(workspace, plan, models, store)
    missing = (*_missing(workspace, inventory, [*models, *without]), *not_kept)
    tell_size(cases, models=len(models), events=events)
    for line in missing:
        events.info(f"not taking part: {line}")
    return SelectionInputs(plan, models, cases, missing, store.keys.all_labelled)


def refuse_changed_meanwhile(inputs: SelectionInputs, workspace: Workspace) -> None:
    """Require the data to be still those that a selection was made from, which read label maps as long as it worked.

    Raises:
        BundleError: cases have changed; names them.
    """
    store = find_arrays(workspace, inputs.plan, workspace.dataset().labelled, events=Silent())
    refuse_changed_data(inputs.models, store.keys, workspace=workspace)


def _of_all_views(scored: Sequence[FinishedModel], plan: Plan) -> tuple[FinishedModel, ...]:
    """Models that are there for all views where each has a network of its own."""
    views = Counter((model.architecture, model.fold, model.seed) for model in scored)
    needed = len(plan.network_views)
    return tuple(model for model in scored if views[model.architecture, model.fold, model.seed] == needed)


def _missing(workspace: Workspace, inventory: Inventory, models: Sequence[FinishedModel]) -> tuple[str, ...]:
    """Networks, folds and seeds that could have been trained and were not."""
    folds = [str(number) for number in range(len(workspace.splits().folds))]
    groups = by_network(models)
    trained = {network.architecture for network in groups}
    absent = [f"{name}: not trained on any fold" for name in NETWORKS if name not in trained]
    for network, of_network in groups.items():
        lacking = [fold for fold in folds if fold not in {model.fold for model in of_network}]
        of = f"{'fold' if len(lacking) == 1 else 'folds'} {listing(lacking)}"
        absent += [f"{network.name}: {of} not trained and scored to its end"] if lacking else []
    return (*absent, *inventory.skipped)


def _held_out_cases(
    workspace: Workspace, plan: Plan, models: Sequence[FinishedModel], store: Store
) -> tuple[HeldOutCase, ...]:
    dataset, splits = workspace.dataset(), workspace.splits()
    predicted: defaultdict[str, _ByNetwork] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    sha256: defaultdict[str, dict[Path, str]] = defaultdict(dict)
    folds: dict[str, str] = {}
    for model in sorted(models, key=lambda model: model.id.place_among_seeds):
        held_out_ids = read_document(model.folder).provenance.validation_cases
        digests = held_out.read_record(model.folder).probabilities_sha256
        planes = plan.of_view(model.id.view).planes
        paths = {case: held_out.found_probabilities_files(model.folder, case, planes=planes) for case in held_out_ids}
        names = {path.stem for of_case in paths.values() for path in of_case}
        if names != set(digests) or set(paths) != set(fold_of(splits, dataset, model.fold).validation):
            raise other_cases(model, workspace)
        for case_id, by_view in paths.items():
            folds[case_id] = model.fold
            predicted[case_id][model.architecture][model.seed].update(zip(planes, by_view, strict=True))
            sha256[case_id].update({path: digests[path.stem] for path in by_view})
    held_out_cases = [case for case in sorted(dataset.training, key=lambda case: case.id) if case.id in predicted]
    require_files(held_out_cases, workspace)
    return tuple(
        HeldOutCase(
            id=case.id,
            reference=case.label,
            footprints=store.footprints(case.id),
            probabilities={
                network: tuple(tuple(by_plane[plane] for plane in plan.planes) for by_plane in by_seed.values())
                for network, by_seed in predicted[case.id].items()
            },
            sha256=sha256[case.id],
            classes=plan.data.classes,
            scan=case.images[0],
            fold=folds[case.id],
            tolerances_mm=plan.tolerances_mm,
            ignore=plan.data.ignore,
        )
        for case in held_out_cases
        if case.label is not None
    )
