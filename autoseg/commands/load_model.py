"""Trained models for scans in memory: what `predict` would use, loaded. A function alone; there is no such command."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Final

from autoseg import catalogue
from autoseg.errors import UsageError
from autoseg.events import Events
from autoseg.options.command import function
from autoseg.options.declaration import DeviceOption, OptionalPath, Options, option
from autoseg.options.shared import DEVICE, MEMORY, MIRROR, PRECISION

if TYPE_CHECKING:
    from autoseg.inference.loaded import LoadedModel
    from autoseg.inference.segmenter import Segmenter
    from autoseg.model.compute import Compute

_SUFFIX: Final = ".autoseg"
_BUNDLE: Final = "bundle.json"
"""Of exported models, and in the folder of each trained one; what reads them loads torch."""


class LoadOptions(Options):
    """Load what `predict` would use, to segment single scans, files or arrays, with the method `predict`."""

    model: str | Path | Sequence[str | Path] | None = option(
        "A workspace, an exported model, or a list of exported models, whose networks are averaged. Default: the only "
        "workspace under runs/.",
        default=None,
    )
    _: KW_ONLY
    workspace: OptionalPath = option("The same as `model` with a workspace.", default=None)
    folders: Sequence[str | Path] | None = option(
        "In place of both: the models to average, `<workspace>/models/<network>/fold_<f>`, without postprocessing. Without "
        "it a workspace stands for what was selected, else for all models that are finished.",
        default=None,
    )
    mirror: bool = option(MIRROR, default=True)
    memory_gb: float | None = option(MEMORY, default=None)
    device: DeviceOption = option(DEVICE, default="auto")
    precision: catalogue.PrecisionChoice = option(PRECISION, default="auto")


def run(options: LoadOptions, events: Events) -> "LoadedModel":
    """Load models to segment scans with.

    Raises:
        BundleError: there is no model, one is damaged, or they segment different classes, or read different channels.
        MemoryLimitError: the weights do not fit into the memory.
        UsageError: more than one of model, workspace and folders is given, or a folder is something else.
        WorkspaceError: there is no such workspace, or there are several and none was named.
    """
    model = _model(options)  # a wrong name is told before torch is loaded

    from autoseg.inference.loaded import LoadedModel
    from autoseg.inference.memory import MEMORY_GB
    from autoseg.model.compute import choose_compute

    compute = choose_compute(options.device, options.precision)
    return LoadedModel(_segmenter(options, model, compute, memory_gb=options.memory_gb or MEMORY_GB, events=events))


def _model(options: LoadOptions) -> Path | tuple[Path, ...] | None:
    """A workspace, or exported models; None where folders are named.

    Raises:
        UsageError: as of `run`.
        WorkspaceError: as of `run`.
    """
    from autoseg.runs.found import workspace_folder

    if sum(given is not None for given in (options.model, options.workspace, options.folders)) > 1:
        raise UsageError("an exported model, a workspace or folders are wanted", remedy="Give one of them.")
    if options.folders is not None:
        return None
    given = options.workspace if options.model is None else options.model
    if not isinstance(given, str | Path | None):
        return tuple(map(_exported, given))
    if given is not None and (Path(given).is_file() or Path(given).suffix == _SUFFIX):
        return (_exported(given),)
    if given is not None and (Path(given) / _BUNDLE).exists():
        raise UsageError("one model's folder, not a workspace", where=given, remedy=f"Give it as folders=[{str(given)!r}].")
    return workspace_folder(None if given is None else Path(given))


def _exported(given: str | Path) -> Path:
    if Path(given).is_dir():
        raise UsageError(
            "a folder, not an exported model",
            where=given,
            remedy="Average exported models (`autoseg export`), or name models by `folders`.",
        )
    return Path(given)


def _segmenter(
    options: LoadOptions, model: Path | tuple[Path, ...] | None, compute: "Compute", *, memory_gb: float, events: Events
) -> "Segmenter":
    from autoseg.exporting.segmenter import exported_segmenter
    from autoseg.inference.ensemble import load_ensemble
    from autoseg.inference.segmenter import Segmenter
    from autoseg.model.description import read_document
    from autoseg.model.packages import warn_of_other_versions
    from autoseg.postprocessing.in_use import workspace_segmenter
    from autoseg.runs.workspace import Workspace

    mirror = options.mirror
    if model is None:
        folders = [Path(folder) for folder in options.folders or ()]
        ensemble = load_ensemble(folders, compute=compute, mirror=mirror, memory_gb=memory_gb)
        warn_of_other_versions((each for folder in folders for each in read_document(folder).registered), events)
        return Segmenter(ensemble, steps=(), quality=None, trained_on=(), memory_gb=memory_gb)
    if isinstance(model, Path):
        return workspace_segmenter(Workspace(model), compute=compute, mirror=mirror, memory_gb=memory_gb, events=events)
    return exported_segmenter(model, compute=compute, mirror=mirror, memory_gb=memory_gb, events=events)


load_model = function(LoadOptions, run)
