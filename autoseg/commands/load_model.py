"""Trained models for arrays in memory: what `predict` would use, loaded."""

from pathlib import Path

from autoseg.catalogue import DeviceChoice, PrecisionChoice
from autoseg.commands.choices import Choices
from autoseg.errors import UsageError
from autoseg.events import Events
from autoseg.exporting.segmenter import exported_segmenter
from autoseg.inference.ensemble import load_ensemble
from autoseg.inference.loaded import LoadedModel
from autoseg.inference.segmenter import Segmenter
from autoseg.model.compute import choose_compute
from autoseg.postprocessing.in_use import workspace_segmenter
from autoseg.runs.workspace import find_workspace


class LoadConfig(Choices):
    """What the user chose to load.

    Attributes:
        workspace: the workspace; None: the only one under `runs/`. Not looked at where `folders` are given.
        model: an exported model.
        folders: models to average, without postprocessing; None: what `predict` would take.
        mirror: average over the flips that the plan names.
        device: where to predict.
        precision: number format of the convolutions.
    """

    workspace: Path | None = None
    model: Path | None = None
    folders: tuple[Path, ...] | None = None
    mirror: bool = True
    device: DeviceChoice = "auto"
    precision: PrecisionChoice = "auto"


def load_model(config: LoadConfig, events: Events) -> LoadedModel:
    """Load models to segment arrays with.

    Raises:
        BundleError: there is no model, one is damaged, or they stem from different plans.
        UsageError: a workspace or folders are given beside an exported model.
    """
    compute, mirror = choose_compute(config.device, config.precision), config.mirror
    if config.model is not None:
        if config.folders is not None or config.workspace is not None:
            raise UsageError("an exported model stands for itself", remedy="Give no workspace or folders beside it.")
        return LoadedModel(exported_segmenter(config.model, compute=compute, mirror=mirror, events=events))
    if config.folders is None:
        workspace = find_workspace(config.workspace)
        return LoadedModel(workspace_segmenter(workspace, compute=compute, mirror=mirror, events=events))
    ensemble = load_ensemble(config.folders, compute=compute, mirror=mirror)
    return LoadedModel(Segmenter(ensemble, steps=(), quality=None, fingerprint=None))
