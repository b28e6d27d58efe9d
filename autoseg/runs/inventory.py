"""What was trained in a workspace."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg import catalogue
from autoseg.errors import BundleError
from autoseg.model.bundle import BUNDLE_FILE, read_document
from autoseg.model.identity import FOLDERS, ModelId
from autoseg.planning.plan import Plan
from autoseg.runs.workspace import Workspace
from autoseg.training.checkpoint import read_state


@dataclass(frozen=True)
class FinishedModel:
    """A run that came to its end under the current plan.

    Attributes:
        id: its network and fold.
        folder: where everything about it lies.
        data_key: key of the arrays it was trained on.
    """

    id: ModelId
    folder: Path
    data_key: str

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
        if document.plan_digest != plan.digest:
            skipped.append(f"{folder} (trained under another plan)")
        elif state is None or not state.finished:
            skipped.append(f"{folder} (not finished: repeat its train command)")
        else:
            finished.append(FinishedModel(document.id, folder, state.data_key))
    return Inventory(tuple(finished), tuple(skipped))


def refuse_mixed_data(models: Sequence[FinishedModel]) -> None:
    """Models whose training data differ form no cross-validation, and neither their mean nor their comparison has a meaning.

    Raises:
        BundleError: their data differ.
    """
    if len({model.data_key for model in models}) > 1:
        raise BundleError(
            "models under one plan were trained on different data",
            where=models[0].folder.parent.parent,
            found=", ".join(f"{model.id.folder} on {model.data_key[:8]}" for model in models),
            remedy="Train the outdated ones again with --restart, or move them away.",
        )
