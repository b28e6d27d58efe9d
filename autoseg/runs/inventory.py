"""What was trained in a workspace."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Final

from autoseg import catalogue
from autoseg.data.naming import printable
from autoseg.data.splits import Fold, Splits
from autoseg.errors import BundleError
from autoseg.model.description import BUNDLE_FILE, read_document
from autoseg.model.identity import ModelId, model_folders
from autoseg.planning.plan import Plan
from autoseg.preprocessing.keys import DataKeys
from autoseg.runs.workspace import Workspace
from autoseg.training.fold_members import remedy_of_other_cases
from autoseg.training.run_state import read_state
from autoseg.wording import some


@dataclass(frozen=True)
class FinishedModel:
    """A run that came to its end under the current plan.

    Attributes:
        id: its network, its fold, and its seed where that is part of its place.
        folder: where everything about it lies.
        data: keys of the arrays it was trained on.
        seed: of its training, whatever its place.
        revision: of the data that it learnt from.
    """

    id: ModelId
    folder: Path
    data: DataKeys = field(hash=False)
    seed: int = 0
    revision: int = 0

    @property
    def architecture(self) -> catalogue.Architecture:
        """The network."""
        return self.id.architecture

    @property
    def fold(self) -> str:
        """A number, `official` or `full`."""
        return self.id.fold


@dataclass(frozen=True)
class ComparedNetwork:
    """What stands beside other networks in a comparison: a network, by its views and seeds where a fold has several models.

    Attributes:
        architecture: the network.
        seed: of all its models; None: no fold has several, and any will do.
        view: plane of the only view that all its models see; None: they see all.
    """

    architecture: catalogue.Architecture
    seed: int | None = None
    view: catalogue.Plane | None = None

    @property
    def name(self) -> str:
        """Its short name, such as `unet` or `unet, seed 1`."""
        return self._described(self.architecture)

    @property
    def title(self) -> str:
        """What users read, such as `U-Net` or `U-Net, seed 1`."""
        return self._described(catalogue.NETWORKS[self.architecture].title)

    def _described(self, name: str) -> str:
        view, seed = self.view, None if self.seed is None else f"seed {self.seed}"
        return ", ".join(part for part in (name, view, seed) if part is not None)


@dataclass(frozen=True)
class Inventory:
    """Everything trained in a workspace.

    Attributes:
        finished: models that may be used, by network, fold and seed.
        skipped: the others, each with the reason.
    """

    finished: tuple[FinishedModel, ...]
    skipped: tuple[str, ...]


def take_inventory(workspace: Workspace, plan: Plan) -> Inventory:
    """Find all models of a workspace.

    Raises:
        BundleError: a model cannot be parsed.
        WorkspaceError: nor can its checkpoint.
    """
    finished: list[FinishedModel] = []
    skipped: list[str] = []
    for folder in sorted(path for path in model_folders(workspace.models) if (path / BUNDLE_FILE).exists()):
        document, state = read_document(folder), read_state(folder)
        shown = printable(str(folder))  # documents say why a model was left out
        if folder != workspace.models / document.id.folder:
            skipped.append(f"{shown} (not the place of {document.id.title}: a copy, or renamed)")
        elif document.plan_digest != plan.digest:
            skipped.append(f"{shown} (trained under another plan)")
        elif state is None or not state.finished:
            skipped.append(f"{shown} (not finished: repeat its train command)")
        else:
            finished.append(FinishedModel(document.id, folder, state.keys, state.config.seed, document.provenance.revision))
    whole = [model for model in finished if not _views_missing(model, finished, plan)]
    skipped += [
        f"{printable(str(model.folder))} (not without the view {', '.join(missing)}: repeat its train command)"
        for model in finished
        if (missing := _views_missing(model, finished, plan))
    ]
    return Inventory(tuple(whole), tuple(skipped))


def _views_missing(model: FinishedModel, finished: Sequence[FinishedModel], plan: Plan) -> list[str]:
    """The views without a network beside that of a model, where each has its own: they predict together or not at all."""
    beside = {(other.architecture, other.fold, other.seed, other.id.view) for other in finished}
    views = [view for view in plan.network_views if view is not None]
    return [view for view in views if (model.architecture, model.fold, model.seed, view) not in beside]


def by_network(models: Sequence[FinishedModel]) -> dict[ComparedNetwork, tuple[FinishedModel, ...]]:
    """Models so that no two of a network are of one fold, in the order of the table of networks, then of views and seeds."""
    groups: dict[ComparedNetwork, tuple[FinishedModel, ...]] = {}
    for name in catalogue.NETWORKS:
        of_name = [model for model in models if model.architecture == name]
        for view in dict.fromkeys(model.id.view for model in of_name):
            found = [model for model in of_name if model.id.view == view]
            several = max(Counter(model.fold for model in found).values()) > 1
            for seed in sorted({model.seed for model in found}) if several else [None]:
                groups[ComparedNetwork(name, seed, view)] = tuple(model for model in found if seed in {None, model.seed})
    return groups


def refuse_mixed_data(models: Sequence[FinishedModel]) -> None:
    """Models whose training data differ form no cross-validation, and neither their mean nor their comparison has a meaning.

    Between revisions of the data, label maps were corrected; see `revisions_apart`.

    Raises:
        BundleError: their data differ, though they are of one revision.
    """
    for first, second in combinations(models, 2):
        if first.revision != second.revision:
            continue
        differing = first.data.differing(second.data)
        if differing != ():
            what = "data" if differing is None else ", ".join(differing)
            raise BundleError(
                "models under one plan were trained on different data",
                where=first.folder.parents[first.id.folder.count("/")],
                found=f"not the same {what} in {first.id.folder} and {second.id.folder}",
                remedy="Train the outdated ones again with --restart, or move them away.",
            )


_NO_CASES: Final = Fold(training=(), validation=())

OTHER_CASES: Final = "held out other cases than its fold does now"
"""What is wrong with a model of `of_other_folds`."""


def of_other_folds(models: Sequence[FinishedModel], splits: Splits) -> tuple[FinishedModel, ...]:
    """Models of numbered folds that held out a case which their folds do not hold out now, as after an edit of the folds.

    A model that was trained since may have held it out, too: a network's scores would have two of one case.
    """
    fold_of = {case: str(number) for number, fold in enumerate(splits.folds) for case in fold.validation}
    return tuple(
        model
        for model in models
        if model.id.is_numbered
        and any(fold_of.get(case) != model.fold for case in read_document(model.folder).provenance.validation_cases)
    )


def other_cases(model: FinishedModel, workspace: Workspace) -> BundleError:
    """The error of a model that held out other cases than its fold does now."""
    splits, state = workspace.stored_splits(), read_state(model.folder)
    now = dict(zip(map(str, range(len(splits.folds))), splits.folds, strict=True)).get(model.fold, _NO_CASES)
    labelled = [case.id for case in workspace.stored_dataset().labelled]
    return BundleError(
        f"the model {OTHER_CASES}",
        where=model.folder,
        remedy=remedy_of_other_cases(state.members if state else _NO_CASES, now, labelled=labelled),
    )


def refuse_other_folds(models: Sequence[FinishedModel], *, workspace: Workspace) -> None:
    """Models of several folds are one cross-validation only under one list of folds.

    Raises:
        BundleError: one of them is `of_other_folds`.
    """
    if len(models) > 1 and (apart := of_other_folds(models, workspace.stored_splits())):
        raise other_cases(apart[0], workspace)


def revisions_apart(models: Sequence[FinishedModel]) -> str | None:
    """Which models learnt from which revision of the data, in words, where they are not of one; None where they are."""
    by_revision = {
        model.revision: [other.id.folder for other in models if other.revision == model.revision] for model in models
    }
    if len(by_revision) < 2:
        return None
    return "; ".join(f"revision {number}: {some(names)}" for number, names in sorted(by_revision.items()))


def refuse_models_behind(models: Sequence[FinishedModel], *, workspace: Workspace) -> None:
    """Models are compared on the same cases, with the same label maps: those of the last revision of the data.

    Raises:
        BundleError: some learnt from an earlier one; names them.
    """
    revision = workspace.stored_dataset().revision
    if behind := [model for model in models if model.revision < revision]:
        raise BundleError(
            "models are behind the data: label maps were adopted since they were trained",
            where=workspace.models,
            expected=f"revision {revision} of the data",
            found="; ".join(f"{model.id.folder} of revision {model.revision}" for model in behind),
            remedy="Let each of them go on with `autoseg train --continue`; until then, what was selected before predicts.",
        )


def refuse_changed_data(models: Sequence[FinishedModel], keys: DataKeys, *, workspace: Workspace) -> None:
    """What models were trained on must still be there: they are judged on it. Label maps that were adopted since may differ.

    Raises:
        BundleError: cases have changed; names them where the models know.
    """
    cases = workspace.stored_dataset().cases if workspace.dataset_file.exists() else ()
    adopted = {case.id: case.adopted.revision for case in cases if case.adopted is not None}
    for model in models:
        differing = model.data.differing(keys)
        if differing is None and adopted and model.revision < max(adopted.values()):
            continue  # a run of 0.1, which knows all cases together: they are others now
        if differing is not None:
            differing = tuple(case for case in differing if adopted.get(case, 0) <= model.revision)
        if differing != ():
            what = "some of its cases" if differing is None else ", ".join(differing)
            raise BundleError(
                "the data set has changed since the models were trained",
                where=workspace.root,
                expected=f"the data that {model.id.folder} was trained on",
                found=f"other files for {what}",
                remedy="Bring the data back as they were, or train again with --restart.",
            )
