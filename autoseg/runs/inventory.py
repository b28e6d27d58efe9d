"""What was trained in a workspace."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from autoseg import catalogue
from autoseg.data.naming import printable
from autoseg.errors import BundleError
from autoseg.model.bundle import BUNDLE_FILE, read_document
from autoseg.model.identity import FOLDERS, ModelId
from autoseg.planning.plan import Plan
from autoseg.preprocessing.keys import DataKeys
from autoseg.runs.workspace import Workspace
from autoseg.training.checkpoint import read_state


@dataclass(frozen=True)
class FinishedModel:
    """A run that came to its end under the current plan.

    Attributes:
        id: its network and fold.
        folder: where everything about it lies.
        data: keys of the arrays it was trained on.
    """

    id: ModelId
    folder: Path
    data: DataKeys = field(hash=False)

    @property
    def architecture(self) -> catalogue.Architecture:
        """The network."""
        return self.id.architecture

    @property
    def fold(self) -> str:
        """A number, `official` or `full`."""
        return self.id.fold


@dataclass(frozen=True)
class Inventory:
    """Everything trained in a workspace.

    Attributes:
        finished: models that may be used, by network and fold.
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
    for folder in sorted(path.parent for path in workspace.models.glob(f"{FOLDERS}/{BUNDLE_FILE}")):
        document, state = read_document(folder), read_state(folder)
        shown = printable(str(folder))  # documents say why a model was left out
        if document.plan_digest != plan.digest:
            skipped.append(f"{shown} (trained under another plan)")
        elif state is None or not state.finished:
            skipped.append(f"{shown} (not finished: repeat its train command)")
        else:
            finished.append(FinishedModel(document.id, folder, state.keys))
    return Inventory(tuple(finished), tuple(skipped))


def refuse_mixed_data(models: Sequence[FinishedModel]) -> None:
    """Models whose training data differ form no cross-validation, and neither their mean nor their comparison has a meaning.

    Raises:
        BundleError: their data differ.
    """
    for first, second in combinations(models, 2):
        differing = first.data.differing(second.data)
        if differing != ():
            what = "data" if differing is None else ", ".join(differing)
            raise BundleError(
                "models under one plan were trained on different data",
                where=first.folder.parent.parent,
                found=f"not the same {what} in {first.id.folder} and {second.id.folder}",
                remedy="Train the outdated ones again with --restart, or move them away.",
            )


def refuse_changed_data(models: Sequence[FinishedModel], keys: DataKeys, *, workspace: Workspace) -> None:
    """What models were trained on must still be there: they are judged on it.

    Raises:
        BundleError: cases have changed; names them where the models know.
    """
    for model in models:
        differing = model.data.differing(keys)
        if differing != ():
            what = "some of its cases" if differing is None else ", ".join(differing)
            raise BundleError(
                "the data set has changed since the models were trained",
                where=workspace.root,
                expected=f"the data that {model.id.folder} was trained on",
                found=f"other files for {what}",
                remedy="Bring the data back as they were, or train again with --restart.",
            )
