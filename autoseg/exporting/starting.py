"""The networks that a run may start from: those of an exported model, or the one in the folder of a trained model."""

from functools import partial
from pathlib import Path

from autoseg.errors import UsageError
from autoseg.exporting.document import describe_exported, read_network
from autoseg.model.bundle import load_bundle
from autoseg.model.description import BUNDLE_FILE, read_document
from autoseg.model.identity import model_folders
from autoseg.runs.found import PLAN_FILE
from autoseg.runs.starts import StartingModel
from autoseg.runs.workspace import Workspace


def starting_models(model: Path) -> tuple[StartingModel, ...]:
    """The networks of a model, in the order in which they lie there; no weights are read.

    Args:
        model: an exported file, or the folder of one trained model.

    Raises:
        BundleError: not a model, damaged, or written by a newer autoseg.
        UsageError: a whole workspace, or a folder without a model.
    """
    model = model.absolute()  # other processes may work elsewhere
    if not model.is_dir():
        networks = describe_exported(model).bundles
        return tuple(
            StartingModel(document, f"{model} ({folder})", partial(read_network, model, folder))
            for folder, document in networks.items()
        )
    if (model / BUNDLE_FILE).exists():
        return (StartingModel(read_document(model), str(model), partial(load_bundle, model)),)
    there = [folder for folder in model_folders(Workspace(model).models) if (folder / BUNDLE_FILE).exists()]
    raise UsageError(
        "a workspace, not a model" if (model / PLAN_FILE).exists() else "holds no model",
        where=model,
        expected="an exported model (.autoseg), or a folder such as runs/NAME/models/unet/fold_0",
        remedy=f"Name one of its models, such as {min(there)}." if there else "Name a file or a folder that holds a model.",
    )
