"""What a plan is made from besides the data: what is asked for, now and before, and this machine; no scan is read for it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from autoseg.catalogue import DeviceKind
from autoseg.catalogue.devices import AUTO, DeviceChoice
from autoseg.commands.plan.options import PlanOptions
from autoseg.data.dataset import Dataset
from autoseg.data.splits import fold_count
from autoseg.errors import DatasetError, UsageError
from autoseg.events import Events
from autoseg.jobs.machine import device_kind
from autoseg.layouts import find_dataset
from autoseg.layouts.common import Choice
from autoseg.planning.asked import Asked, dropped, held, together
from autoseg.planning.overrides import refuse_missing_views
from autoseg.planning.sections import AskedPlanes, Inputs
from autoseg.runs.found import RUNS
from autoseg.runs.memory import machine_memory_gb
from autoseg.runs.planned_before import EarlierPlanning, earlier_choice, planned_from
from autoseg.runs.speed import machine_speed_kpx_s
from autoseg.runs.workspace import Workspace


@dataclass(frozen=True)
class Found:
    """A data set and where it is planned.

    Attributes:
        dataset: the cases.
        workspace: where everything lies.
        held: options that were given before, hold, and say what of the folder is read as what.
        forgotten: likewise, that do not hold.
    """

    dataset: Dataset
    workspace: Workspace
    held: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()


def find(options: PlanOptions) -> Found:
    """The data set that is to be planned, read as it was planned before where that is not asked for otherwise.

    Raises:
        DatasetError: the folder is no data set.
    """
    given = Choice(options.labels, tuple(options.channels), options.ignore)
    workspace = Workspace(options.workspace) if options.workspace else planned_from(options.dataset, name=options.name)
    if workspace is None:
        dataset = find_dataset(options.dataset, name=options.name, choice=given)
        return Found(dataset, Workspace(RUNS / dataset.name))
    before = earlier_choice(workspace, options.dataset, given)
    others = tuple(word for word in before.options if word not in given.options)
    try:
        dataset = find_dataset(options.dataset, name=options.name, choice=given if options.forget else before)
    except DatasetError as error:
        if others:
            error.remedy += f" It was planned before with {' '.join(others)}."
        raise
    return Found(dataset, workspace, forgotten=others) if options.forget else Found(dataset, workspace, held=others)


def asked_for(options: PlanOptions, *, planes: AskedPlanes | None, overrides: Mapping[str, Any]) -> Asked:
    """What the user asks for.

    Args:
        options: what the user chose.
        planes: those asked for; None: none are.
        overrides: values asked for, by their path.

    Raises:
        UsageError: it cannot be together.
    """
    refuse_missing_views(overrides, planes or "auto")
    if options.minutes is not None and options.recipe == "paper":
        raise _no_budget()
    return Asked(
        recipe=options.recipe,
        planes=planes,
        not_finite=options.not_finite,
        folds=options.folds,
        minutes=options.minutes,
        speed_kpx_s=options.speed,
        device=None if options.device is None else _kind(options.device),
        memory_gb=options.memory_gb,
        overrides=overrides,
    )


def holding(found: Found, earlier: EarlierPlanning, now: Asked, *, forget: bool, events: Events) -> Asked:
    """What an earlier plan was asked for and holds; what does not, though nothing takes its place, is warned of."""
    before = earlier.asked
    planned_for = None if earlier.inputs is None else earlier.inputs.device
    holds = Asked() if forget else held(before, now, planned_for=planned_for)
    if gone := [*found.forgotten, *dropped(before, now, holds).options]:
        why = "with --forget" if forget else "with another recipe, device or other planes"
        events.warn(f"asked for before, and left out {why}: {' '.join(gone)}")
    return holds


@contextmanager
def told_what_holds(options: Sequence[str]) -> Iterator[None]:
    """Have what is refused say which options of before hold: they may be the reason."""
    try:
        yield
    except UsageError as error:
        if options:
            before = " ".join(options)
            error.remedy += (
                f" As asked for before: {before}. These hold until other values replace them, or --forget drops them."
            )
        raise


def inputs_of(
    options: PlanOptions,
    now: Asked,
    holds: Asked,
    *,
    earlier: EarlierPlanning,
    dataset: Dataset,
    workspace: Workspace,
    events: Events,
) -> Inputs:
    """What a plan is to be made from.

    Args:
        options: what the user chose.
        now: what is asked for by it.
        holds: what was asked for before and holds.
        earlier: what the workspace was planned with before.
        dataset: the cases as they were found.
        workspace: may hold a plan that recorded this machine's speed.
        events: told of what is found here.

    Raises:
        UsageError: what is asked for cannot be together; or more folds than subjects, or a device that is not here, are.
    """
    asked = together(now, holds)
    if options.speed is not None and asked.minutes is None:
        raise UsageError("is for plans that are made for some minutes", where="--speed", remedy="Give --minutes, too.")
    refuse_missing_views(asked.overrides, asked.planes or "auto")
    if asked.minutes is not None and asked.recipe == "paper":
        raise _no_budget()
    if dataset.training:
        fold_count(len({case.subject for case in dataset.training}), asked=asked.folds)  # copies may make it fewer
    kind = asked.device or device_kind()
    device = options.device or DeviceChoice((AUTO if holds.device is None else {"cpu": "cpu", "gpu": "cuda"}[holds.device],))
    before_gb = None if earlier.inputs is None or now.device is not None else earlier.inputs.memory_gb
    memory_gb = asked.memory_gb or (before_gb if holds.device else None) or machine_memory_gb(kind, device, events)
    if asked.memory_gb is None and before_gb not in {None, memory_gb}:
        events.warn(f"planned for {memory_gb:g} GB, as found here, and before for {before_gb:g} (--memory)")
    speed = asked.speed_kpx_s
    if asked.minutes is not None and speed is None:
        speed = machine_speed_kpx_s(workspace, kind=kind, device=device, events=events)
    planes = asked.planes or "auto"
    return Inputs(
        name=dataset.name,
        recipe=asked.recipe or "auto",
        plane=planes[0] if isinstance(planes, tuple) else "auto",
        planes=planes if planes == "all" or (isinstance(planes, tuple) and len(planes) > 1) else None,
        device=kind,
        memory_gb=memory_gb,
        folds=asked.folds,
        not_finite=asked.not_finite or "refuse",
        minutes=asked.minutes,
        speed_kpx_s=speed,
        overrides=dict(asked.overrides),
        asked=(
            *(("device",) if (options.device.kind != AUTO if options.device else holds.device is not None) else ()),
            *(("memory_gb",) if asked.memory_gb is not None else ()),
        ),
    )


def _kind(device: DeviceChoice) -> DeviceKind:
    return device_kind() if device.kind == AUTO else "cpu" if device.kind == "cpu" else "gpu"


def _no_budget() -> UsageError:
    return UsageError(
        "the recipe paper is the published method, whose networks and epochs no budget changes",
        where="--minutes",
        remedy="Leave it out; `autoseg train --minutes` ends runs earlier.",
    )
