"""What a run leaves in its folder after every epoch: model, tables and checkpoint, in this order."""

from collections.abc import Sequence
from typing import Final

from autoseg.model.bundle import HasState
from autoseg.planning.plan import Plan
from autoseg.training.best_model import store_model
from autoseg.training.checkpoint import RunState, save_checkpoint
from autoseg.training.context import RunContext
from autoseg.training.history import StepRecord, append_steps, write_history
from autoseg.training.resume import begin_steps
from autoseg.training.storing import Storing

HISTORY_FILE: Final = "history.csv"
STEPS_FILE: Final = "steps.csv"


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

    @property
    def seconds(self) -> float:
        """How long storing took beside the run the last time."""
        return self._storing.seconds

    def begin(self, *, steps_taken: int) -> None:
        """Keep the steps that a run has taken, and no others: see `begin_steps`."""
        if self._context.ranks.is_first:
            begin_steps(self._context.folder / STEPS_FILE, taken=steps_taken, events=self._context.events)

    def store(self, state: RunState, steps: Sequence[StepRecord], *, best: bool) -> None:
        """Store the run after an epoch.

        Args:
            state: of the run; may change afterwards.
            steps: of the epoch.
            best: whether its weights become the model.
        """
        if not self._context.ranks.is_first:
            return
        network, optimiser = self._storing.of(self._network), self._storing.of(self._optimiser)
        folder, plan, minutes = self._context.folder, self._plan, self._context.stopwatch.elapsed_s / 60
        state = state.model_copy(update={"epochs": list(state.epochs)})

        def store() -> None:
            if best:
                store_model(folder, network, plan=plan, state=state, minutes=minutes)
            write_history(folder / HISTORY_FILE, state.epochs)
            append_steps(folder / STEPS_FILE, steps)
            save_checkpoint(folder, state, network=network, optimiser=optimiser)

        self._storing.begin(store)

    def finish(self, state: RunState) -> None:
        """Store the run once more, as a finished one."""
        if self._context.ranks.is_first:
            save_checkpoint(self._context.folder, state, network=self._network, optimiser=self._optimiser)

    def end(self) -> None:
        """Wait until everything is stored; raises what went wrong."""
        self._storing.end()

    def close(self) -> None:
        """Wait for what is being stored; whatever else ends the run is raised."""
        self._storing.close()
