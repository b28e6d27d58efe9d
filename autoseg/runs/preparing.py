"""What a command that trains has to do: which runs, on which devices, on which arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from autoseg.catalogue import NETWORKS, Architecture
from autoseg.events import Events
from autoseg.model.compute import Compute
from autoseg.runs.continuing import with_times
from autoseg.runs.devices import devices_of_runs, runs_at_a_time
from autoseg.runs.session import RunChoices, Session, open_session, warn_of_memory
from autoseg.runs.targets import Target, targets_of
from autoseg.runs.workspace import Workspace


class TrainChoices(RunChoices, Protocol):
    """What the user chose for a command that trains."""

    @property
    def architecture(self) -> Architecture | Literal["all"]:
        """Network, or all of them."""

    @property
    def fold(self) -> int | str:
        """A number, `all`, `official` or `full`."""

    @property
    def seed(self) -> int | Sequence[int]:
        """Of all randomness, or several."""

    @property
    def jobs(self) -> int | Literal["auto"]:
        """Runs at a time."""

    @property
    def further(self) -> bool:
        """Whether finished runs are trained further."""


@dataclass(frozen=True)
class Prepared:
    """What there is to do.

    Attributes:
        session: what all runs share.
        targets: the runs.
        jobs: how many are in work at a time.
    """

    session: Session
    targets: Sequence[Target]
    jobs: int


def prepare(
    workspace: Workspace,
    choices: TrainChoices,
    *,
    computes: tuple[Compute, ...],
    events: Events,
    processes_here: int | None = None,
    remember: bool = True,
) -> Prepared:
    """Find out what to do; nothing is preprocessed yet, see `minutes.preprocess_missing`.

    Args:
        workspace: where runs take place.
        choices: what the user chose.
        computes: the devices; none where runs take place elsewhere.
        events: notified of everything.
        processes_here: how many processes of this machine train every network together, each calling this with its own
            device; None: this process is alone.
        remember: whether the workspace remembers the checksums of the cases' files.

    Raises:
        DatasetError: a case's files and its arrays are not there.
        UsageError: there is no such fold.
    """
    plan, dataset = workspace.plan(), workspace.dataset()
    networks = tuple(NETWORKS) if choices.architecture == "all" else (choices.architecture,)
    seeds = (choices.seed,) if isinstance(choices.seed, int) else choices.seed
    targets = targets_of(workspace, plan, networks, str(choices.fold), seeds=seeds)
    warn_of_memory(networks, plan, events=events)
    jobs = 1 if processes_here else runs_at_a_time(choices.jobs, runs=len(targets), devices=len(computes) or 1)
    if processes_here is None:
        computes = devices_of_runs(computes, choice=choices.device, runs=len(targets), jobs=jobs, events=events)
    session = open_session(
        workspace,
        plan,
        dataset,
        choices=choices,
        computes=computes,
        sharing=processes_here or (max(1, len(computes)) if len(targets) == 1 else jobs),
        events=events,
        remember=remember,
    )
    return Prepared(session, with_times(session, targets) if choices.further else targets, jobs)
