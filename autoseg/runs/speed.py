"""How fast this machine is, where a plan is sized by it: recorded once, or measured in a process of its own."""

import math
from dataclasses import dataclass

from autoseg.catalogue import DeviceChoice, DeviceKind
from autoseg.errors import AutosegError, PlanError
from autoseg.events import Events
from autoseg.jobs.side_by_side import side_by_side
from autoseg.jobs.work import Run
from autoseg.planning.plan import read_plan
from autoseg.runs.workspace import Workspace


def machine_speed_kpx_s(workspace: Workspace, *, kind: DeviceKind, device: DeviceChoice, events: Events) -> float:
    """The speed that an earlier plan of the workspace recorded for this kind of machine, else a new measurement.

    Returns:
        thousand pixels that a U-Net of 16 features learns from in a second; measured ones are powers of two, so that
        measuring again seldom gives another plan.

    Raises:
        UsageError: the device is not there.
    """
    recorded = _recorded(workspace, kind)
    if recorded is not None:
        events.info(f"the speed recorded earlier is used: {recorded:g} thousand pixels a second")
        return recorded
    events.info("measuring this machine's speed")
    measured = nearest_power_of_two(_measured(device, events) / 1000)
    events.info(f"this machine learns from about {measured:g} thousand pixels a second (--speed {measured:g})")
    return measured


def nearest_power_of_two(number: float) -> float:
    """The power of two whose ratio to a number > 0 is the smallest."""
    return float(2.0 ** round(math.log2(number)))


def _recorded(workspace: Workspace, kind: DeviceKind) -> float | None:
    if not workspace.plan_file.exists():
        return None
    try:
        inputs = read_plan(workspace.plan_file).inputs
    except PlanError:
        return None
    return inputs.speed_kpx_s if inputs.device == kind else None


@dataclass(frozen=True)
class _Measuring:
    device: DeviceChoice

    def __call__(self, *, events: Events, started: float, slot: int) -> float:  # noqa: ARG002 - every run is told
        from autoseg.training.speed import pixels_per_s  # noqa: PLC0415 - torch is for the other process

        return pixels_per_s(self.device.first)


def _measured(device: DeviceChoice, events: Events) -> float:
    """Pixels learnt from in a second; torch is loaded by another process alone."""
    run = Run("speed", _Measuring(device))
    [(_, outcome)] = side_by_side([run], jobs=1, initialise=_nothing, events_of=lambda _: events)
    if isinstance(outcome, AutosegError):
        raise outcome
    return outcome


def _nothing() -> None:
    """Other processes have nothing to prepare."""
