"""Trained models for arrays in memory: what `predict` would use, loaded. A function alone; there is no such command."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg import catalogue
from autoseg.events import Events
from autoseg.options.command import function
from autoseg.options.declaration import DeviceOption, OptionalPath, Options, option
from autoseg.options.shared import DEVICE, MEMORY, MIRROR, MODEL, PRECISION, WORKSPACE

if TYPE_CHECKING:
    from autoseg.inference.loaded import LoadedModel


class LoadOptions(Options):
    """Load what `predict` would use, to segment arrays in memory with the method `predict`."""

    workspace: OptionalPath = option(WORKSPACE, default=None)
    _: KW_ONLY
    model: str | Path | Sequence[str | Path] | None = option(MODEL, default=None)
    folders: Sequence[str | Path] | None = option(
        "The models to average, `<workspace>/models/<network>/fold_<f>`, without postprocessing; None: what was selected, "
        "else all that are finished.",
        default=None,
    )
    mirror: bool = option(MIRROR, default=True)
    memory_gb: float | None = option(MEMORY, default=None)
    device: DeviceOption = option(DEVICE, default="auto")
    precision: catalogue.PrecisionChoice = option(PRECISION, default="auto")


def run(options: LoadOptions, events: Events) -> "LoadedModel":
    """Load models to segment arrays with.

    Raises:
        BundleError: there is no model, one is damaged, or they segment different classes, or read different channels.
        MemoryLimitError: the weights do not fit into the memory.
        UsageError: a workspace or folders are given beside an exported model.
    """
    from autoseg.errors import UsageError
    from autoseg.exporting.segmenter import exported_segmenter
    from autoseg.inference.ensemble import load_ensemble
    from autoseg.inference.loaded import LoadedModel
    from autoseg.inference.memory import MEMORY_GB
    from autoseg.inference.segmenter import Segmenter
    from autoseg.model.compute import choose_compute
    from autoseg.postprocessing.in_use import workspace_segmenter
    from autoseg.runs.workspace import find_workspace

    compute, mirror = choose_compute(options.device, options.precision), options.mirror
    memory_gb = options.memory_gb or MEMORY_GB
    if options.model is not None:
        if options.folders is not None or options.workspace is not None:
            raise UsageError("an exported model stands for itself", remedy="Give no workspace or folders beside it.")
        return LoadedModel(
            exported_segmenter(options.model, compute=compute, mirror=mirror, memory_gb=memory_gb, events=events)
        )
    if options.folders is None:
        workspace = find_workspace(options.workspace)
        return LoadedModel(
            workspace_segmenter(workspace, compute=compute, mirror=mirror, memory_gb=memory_gb, events=events)
        )
    ensemble = load_ensemble(
        [Path(folder) for folder in options.folders], compute=compute, mirror=mirror, memory_gb=memory_gb
    )
    return LoadedModel(Segmenter(ensemble, steps=(), quality=None, trained_on=(), memory_gb=memory_gb))


load_model = function(LoadOptions, run)
