"""What the runs of one command share."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from autoseg.catalogue import NETWORKS, Architecture, DeviceChoice, MemoryFormatChoice, PrecisionChoice, Tracker
from autoseg.data.dataset import Case, Dataset
from autoseg.data.splits import Fold
from autoseg.events import Events
from autoseg.jobs.machine import machine_digest, usable_cores
from autoseg.model.compute import Compute, choose_computes
from autoseg.model.description import AdoptedLabels, Origin
from autoseg.model.identity import ModelId
from autoseg.planning.overrides import edits_without_effect
from autoseg.planning.plan import Plan
from autoseg.preprocessing.store import Store
from autoseg.runs.folder_changes import warn_of_additions
from autoseg.runs.preprocessing import find_arrays
from autoseg.runs.starts import StartingModel
from autoseg.runs.targets import Target
from autoseg.runs.workspace import Workspace
from autoseg.storage.lease import LIMIT_S
from autoseg.storage.owner import Owner, this_process
from autoseg.training.config import TrainConfig

_MOST_WORKERS: Final = 8
"""Processes that prepare batches beside a GPU. Source: ours; not measured."""


_PATIENCE_S: Final = LIMIT_S + 30.0
"""How long a run on a worker waits for another process that works on its model: a worker that was lost had this run before,
and its lock is stale after `LIMIT_S`.
"""


class RunChoices(Protocol):
    """What the user chose for runs."""

    @property
    def epochs(self) -> int | None:
        """Length in epochs; None: the plan's."""

    @property
    def minutes(self) -> float | None:
        """Wall-clock budget of each run; None: the plan's."""

    @property
    def device(self) -> DeviceChoice:
        """Where to train."""

    @property
    def precision(self) -> PrecisionChoice:
        """Number format of the convolutions."""

    @property
    def workers(self) -> int | None:
        """Processes that prepare batches; None: by number of cores."""

    @property
    def threads(self) -> int | None:
        """Processor threads of each run; None: by rule."""

    @property
    def memory_format(self) -> MemoryFormatChoice:
        """Order of a batch's values in memory."""

    @property
    def restart(self) -> bool:
        """Whether to discard what an earlier call left."""

    @property
    def keep_probabilities(self) -> bool:
        """Whether probabilities of held-out cases are kept."""

    @property
    def track(self) -> Tracker | None:
        """Who else gets every epoch; None: nobody but `history.csv` and the curves."""


@dataclass(frozen=True)
class Session:
    """What all runs of one command share.

    Attributes:
        workspace: where they take place.
        plan: what they train.
        cases: all labelled cases, by id.
        store: the same, preprocessed.
        computes: devices, each with the number format, which is the same for all; runs take them in turn. None where runs
            take place elsewhere, see `here`.
        cores: processor cores each run may use.
        choices: what the user chose.
        patience_s: how long to wait for another process that works on a model.
        scored_case_s: how long scoring a held-out case took in earlier runs on these devices, in seconds; 0: not known.
        starts: the model that each run starts from, by what it trains; empty: they start from nothing.
        revision: of the data.
        command: the process whose command it is, wherever its runs take place.
    """

    workspace: Workspace
    plan: Plan
    cases: Mapping[str, Case]
    store: Store
    computes: tuple[Compute, ...]
    cores: int
    choices: RunChoices
    patience_s: float = 0.0
    scored_case_s: float = 0.0
    starts: Mapping[ModelId, StartingModel] = field(default_factory=dict)
    revision: int = 0
    command: Owner = field(default_factory=this_process)

    def adopted_labels(self, members: Fold) -> AdoptedLabels:
        """Which label maps of a fold's training cases were adopted."""
        adopted = [made for case in members.training if (made := self.cases[case].adopted) is not None]
        return AdoptedLabels(
            new_sha256=tuple(sorted(made.label_sha256 for made in adopted if not made.corrected)),
            corrected_sha256=tuple(sorted(made.label_sha256 for made in adopted if made.corrected)),
        )

    @property
    def compute(self) -> Compute:
        """Device and number format; the first device where there are several."""
        return self.computes[0]

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the devices, such as `cuda:0`."""
        return tuple(str(compute.device) for compute in self.computes)

    def on(self, slot: int) -> "Session":
        """The same with one device alone: that of one of the runs at a time.

        Args:
            slot: of the run. So many slots as there are devices have different ones, and twice as many have each twice.
        """
        return replace(self, computes=(self.computes[slot % len(self.computes)],))

    def here(self, events: Events) -> "Session":
        """The same on the devices and cores of this machine, where a run of it has come to.

        Args:
            events: told on what it trains.

        Raises:
            UsageError: the device is not there.
        """
        here = replace(
            self,
            computes=choose_computes(self.choices.device, self.choices.precision),
            cores=usable_cores(),
            patience_s=_PATIENCE_S,
            scored_case_s=0.0,
        )
        events.info(f"training on {', '.join(here.devices)} in {here.compute.precision} on {socket.gethostname()}")
        return here

    def config(self, target: Target) -> TrainConfig:
        """The choices that decide a run's result."""
        start = self.starts.get(target.model)
        return TrainConfig(
            architecture=target.model.architecture,
            fold=target.model.fold,
            seed=target.seed,
            named_by_seed=target.model.seed is not None,
            view=target.model.view,
            epochs=self.choices.epochs,
            minutes=self.choices.minutes,
            threads=self.choices.threads,
            memory_format=None if (chosen := self.choices.memory_format) == "auto" else chosen,
            precision=self.compute.precision,
            started_from=None if start is None else start.document.weights_sha256,
        )

    def origin(self, model: ModelId) -> Origin | None:
        """The model that a run starts from; None: it starts from nothing."""
        start = self.starts.get(model)
        return None if start is None else start.origin(self.plan, model)

    @property
    def computed_on(self) -> str:
        """Digest of this machine and of the hardware that the session computes on."""
        return machine_digest(*(compute.hardware for compute in self.computes))

    @property
    def threads(self) -> int:
        """Processor threads that each run has at most."""
        return self.choices.threads or self.cores

    @property
    def loading_processes(self) -> int:
        """Processes that prepare batches: many beside a GPU, none where they would only take cores from the training."""
        if self.choices.workers is not None:
            return self.choices.workers
        return min(_MOST_WORKERS, self.cores - 1) if self.compute.device.type == "cuda" else 0


def warn_of_memory(networks: Sequence[Architecture], plan: Plan, *, events: Events) -> None:
    """Say which networks of other packages need more memory than the plan, which knows autoseg's own, was sized for."""
    sized_for_gb = max(plan.inputs.memory_gb, plan.training_step_gb())
    for name in networks:
        package = NETWORKS.package(name)
        if package is not None and (needed_gb := plan.training_step_gb(NETWORKS[name])) > sized_for_gb:
            events.warn(
                f"the network `{name}` of the package {package} needs about {needed_gb:.1f} GB for a training step, and the "
                f"plan was sized for {sized_for_gb:.1f} GB: lower batch_size of views in plan.json if memory runs out"
            )


def open_session(
    workspace: Workspace,
    plan: Plan,
    dataset: Dataset,
    *,
    choices: RunChoices,
    computes: tuple[Compute, ...],
    sharing: int,
    events: Events,
    remember: bool = True,
) -> Session:
    """Find out what the runs share; nothing is preprocessed yet, see `minutes.preprocess_missing`.

    Args:
        workspace: where the runs take place.
        plan: its plan.
        dataset: its cases.
        choices: what the user chose.
        computes: the devices that are used; none where runs take place elsewhere.
        sharing: processes at a time that share the cores.
        events: notified of everything.
        remember: whether the workspace remembers the checksums of the cases' files.

    Raises:
        DatasetError: a case's files and its arrays are not there.
    """
    if plan.edited:
        events.info("using a plan that was edited by hand")
    for told in edits_without_effect(plan):
        events.warn(told)
    if workspace.stored_splits().edited:
        events.info("using folds that were edited by hand")
    warn_of_additions(workspace, events)
    if choices.minutes is None and choices.epochs is None and plan.training.minutes is not None:
        events.info(
            f"each run takes {plan.training.minutes:g} minutes of training (the plan's; choose another with --minutes)"
        )
    if computes:
        devices = ", ".join(dict.fromkeys(str(compute.device) for compute in computes))
        events.info(f"training on {devices} in {computes[0].precision}")
    return Session(
        workspace=workspace,
        plan=plan,
        cases={case.id: case for case in dataset.labelled},
        store=find_arrays(workspace, plan, dataset.labelled, events=events, remember=remember),
        computes=computes,
        cores=max(1, usable_cores() // sharing),
        choices=choices,
        revision=dataset.revision,
    )
