"""What a run leaves in its folder after every epoch: model, tables and checkpoint, in this order."""

from collections.abc import Sequence

from autoseg.model.bundle import HasState
from autoseg.model.hardware import hardware_of
from autoseg.planning.plan import Plan
from autoseg.training.best_model import store_model
from autoseg.training.checkpoint import save_checkpoint
from autoseg.training.context import RunContext
from autoseg.training.history import STEPS_FILE, EpochLog, StepRecord, append_steps
from autoseg.training.resume import begin_steps
from autoseg.training.run_state import RunState
from autoseg.training.storing import Storing


class EpochFiles:
    """Writes them; of several ranks only the first does.

    Args:
        plan: of the run.
        context: says where.
        network: whose weights are stored.
        optimiser: that moves them.
    """

    def __init__(self, plan: Plan, *, context: RunContext, network: HasState, optimiser: HasState) -> None:
        self._plan, self._context, self._network, self._optimiser = plan, context, network, optimiser
        self._storing = Storing(beside=context.compute.free_bytes() is not None)
        self._log: EpochLog | None = None

    @property
    def seconds(self) -> float:
        """How long storing took beside the run the last time."""
        return self._storing.seconds

    def begin(self, state: RunState) -> None:
        """Keep the epochs and steps that a run has taken, and no others: see `EpochLog` and `begin_steps`."""
        if self._context.ranks.is_first:
            self._log = EpochLog(self._context.folder, state.epochs, after=state.stretches_after)
            begin_steps(self._context.folder / STEPS_FILE, taken=state.steps_taken, events=self._context.events)

    def store(self, state: RunState, steps: Sequence[StepRecord], *, best: bool) -> None:
        """Store the run after an epoch.

        Args:
            state: of the run; may change afterwards.
            steps: of the epoch.
            best: whether its weights become the model.
        """
        if self._log is None:
            return
        network, optimiser = self._storing.of(self._network), self._storing.of(self._optimiser)
        folder, plan, minutes = self._context.folder, self._plan, self._context.stopwatch.elapsed_s / 60
        record, log = state.epochs[-1], self._log
        compute, ranks = self._context.compute, self._context.ranks
        hardware = hardware_of(compute.device, processes=ranks.size, threads=state.threads)
        state = state.model_copy(update={"epochs": []})  # what an epoch stores does not grow with their number

        def store() -> None:
            if best:
                store_model(
                    folder,
                    network,
                    plan=plan,
                    state=state,
                    epochs=record.epoch,
                    minutes=minutes,
                    hardware=hardware,
                )
            log.append(record)
            append_steps(folder / STEPS_FILE, steps)
            save_checkpoint(folder, state, epochs=log.stored, network=network, optimiser=optimiser)

        self._storing.begin(store)

    def finish(self, state: RunState) -> None:
        """Store the run once more, as a finished one."""
        if self._log is not None:
            save_checkpoint(
                self._context.folder,
                state,
                epochs=self._log.stored,
                network=self._network,
                optimiser=self._optimiser,
            )

    def end(self) -> None:
        """Wait until everything is stored; raises what went wrong."""
        self._storing.end()

    def close(self) -> None:
        """Wait for what is being stored; whatever else ends the run is raised."""
        self._storing.close()
