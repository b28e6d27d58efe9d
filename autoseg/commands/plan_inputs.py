"""What a plan is made from besides the data: what is asked for, and this machine; judged before any scan is read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autoseg.catalogue import DeviceKind
from autoseg.catalogue.devices import AUTO
from autoseg.data.dataset import Dataset
from autoseg.data.splits import fold_count
from autoseg.events import Events
from autoseg.jobs.machine import device_kind
from autoseg.planning.sections import AskedPlanes, Inputs
from autoseg.runs.memory import machine_memory_gb
from autoseg.runs.speed import machine_speed_kpx_s
from autoseg.runs.workspace import Workspace

if TYPE_CHECKING:
    from autoseg.commands.plan import PlanOptions


def inputs_of(
    options: "PlanOptions",
    dataset: Dataset,
    workspace: Workspace,
    *,
    planes: AskedPlanes,
    overrides: Mapping[str, Any],
    events: Events,
) -> Inputs:
    """What a plan is to be made from.

    Args:
        options: what the user chose.
        dataset: the cases as they were found.
        workspace: may hold a plan that recorded this machine's speed.
        planes: those asked for.
        overrides: values asked for, by their path.
        events: told of what is found here.

    Raises:
        UsageError: more folds than subjects are asked for, or a device that is not here.
    """
    if dataset.training:
        fold_count(len({case.subject for case in dataset.training}), asked=options.folds)  # copies may make it fewer
    kind = _kind(options)
    speed = options.speed
    if options.minutes is not None and speed is None:
        speed = machine_speed_kpx_s(workspace, kind=kind, device=options.device, events=events)
    return Inputs(
        name=dataset.name,
        recipe=options.recipe,
        plane=planes[0] if isinstance(planes, tuple) else "auto",
        planes=planes if planes == "all" or (isinstance(planes, tuple) and len(planes) > 1) else None,
        device=kind,
        memory_gb=options.memory_gb or machine_memory_gb(kind, options.device, events),
        folds=options.folds,
        not_finite=options.not_finite,
        minutes=options.minutes,
        speed_kpx_s=speed,
        overrides=dict(overrides),
    )


def _kind(options: "PlanOptions") -> DeviceKind:
    return device_kind() if options.device.kind == AUTO else "cpu" if options.device.kind == "cpu" else "gpu"
