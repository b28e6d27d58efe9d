"""How far a run has come, and how it computes: where several ranks train, rank 0's clock decides for all of them."""

import torch

from autoseg.planning.plan import Plan
from autoseg.training.clock import Budget, build_budget
from autoseg.training.context import RunContext
from autoseg.training.first_steps import FirstSteps, Setting, settings_to_try, use_threads
from autoseg.training.learner import Learner
from autoseg.training.outlook import forecast
from autoseg.training.run_state import RunState


class Pace:
    """Progress of a run, and the setting that it computes with.

    What depends on time is measured by rank 0 and told to the others, so that all take the same steps at the same rates.

    Args:
        plan: how long the run is, and how its epochs are.
        state: of the run.
        context: where it takes place.
    """

    def __init__(self, plan: Plan, state: RunState, *, context: RunContext) -> None:
        self._training, self._state, self._context = plan.training, state, context
        self.budget: Budget = build_budget(plan.training, state.config)
        self.first_steps = FirstSteps(_settings(state, context, by_the_clock=self.by_the_clock))

    @property
    def by_the_clock(self) -> bool:
        """Whether time may end the run."""
        return self.budget.seconds is not None

    @property
    def elapsed_s(self) -> float:
        """Seconds of the run so far, by this rank's own clock."""
        return self._context.stopwatch.elapsed_s

    @property
    def done(self) -> float:
        """How much of the run is done, in the unit of its budget, by this rank's own clock."""
        return self.budget.done(step=self._state.steps_taken, elapsed_s=self.elapsed_s)

    def progress(self) -> float:
        """Fraction of the run that is done, in [0, 1], for all ranks; 1 means: take no further step."""
        progress = self.budget.progress(
            step=self._state.steps_taken, elapsed_s=self.elapsed_s, closing_s=self._state.closing_s
        )
        return self._told(progress) if self.by_the_clock else progress  # steps are counted alike everywhere

    def use_setting(self, learner: Learner) -> None:
        """Compute as the first steps say, and note in the run's state what they chose."""
        setting = self.first_steps.next
        use_threads(setting.threads)
        learner.use_memory_format(setting.memory_format)
        if chosen := self.first_steps.chosen:
            self._state.memory_format = chosen.memory_format
            if self._context.ranks.size == 1:  # several processes share the cores: that is no number for one of its own
                self._state.threads = chosen.threads

    def step_ended(self, seconds: float) -> None:
        """Update with the time of one of the first steps, in seconds > 0."""
        self.first_steps.step_ended(self._told(seconds))

    def outlook(self) -> str:
        """What fits into the run's time, or how long it will take, once its first steps were timed."""
        return forecast(
            self.budget,
            self._training,
            step_s=self.first_steps.step_s,
            closing_s=self._state.closing_s,
            elapsed_s=self.elapsed_s,
            steps_done=self._state.steps_taken,
            half_resolution_steps=self._state.half_resolution_steps,
        )

    def _told(self, value: float) -> float:
        """What rank 0 says instead; a tensor, because that travels in one go."""
        ranks = self._context.ranks
        return value if ranks.size == 1 else float(ranks.from_first(torch.tensor([value], dtype=torch.float64)))


def _settings(state: RunState, context: RunContext, *, by_the_clock: bool) -> list[Setting]:
    """The settings that the first steps choose among, the same ones on every rank."""
    config, ranks = state.config, context.ranks
    settings = settings_to_try(
        threads=(state.threads if ranks.size == 1 else None) or config.threads,
        memory_format=state.memory_format or config.memory_format,
        compute=context.compute,
        by_the_clock=by_the_clock,
    )
    return [Setting(*said) for said in ranks.from_first([(each.threads, each.memory_format) for each in settings])]
