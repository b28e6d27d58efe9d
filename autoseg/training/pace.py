"""How far a run has come, and how it computes: where several ranks train, rank 0's clock decides for all of them."""

import torch

from autoseg.planning.plan import Plan
from autoseg.training.clock import Budget, build_budget
from autoseg.training.context import RunContext
from autoseg.training.first_steps import FirstSteps, Setting, settings_to_try, use_threads
from autoseg.training.learner import Learner
from autoseg.training.outlook import forecast
from autoseg.training.remaining import PIXELS_OF_ONE, Costs, Remaining, remaining
from autoseg.training.run_state import RunState
from autoseg.training.stretches import section_of


class Pace:
    """Progress of a run, and the setting that it computes with.

    What depends on time is measured by rank 0 and told to the others, so that all take the same steps at the same rates.

    Args:
        plan: how long the run is, and how its epochs are.
        state: of the run.
        context: where it takes place.
    """

    def __init__(self, plan: Plan, state: RunState, *, context: RunContext) -> None:
        self._training, self._state, self._context = section_of(plan.training, state), state, context
        self.budget: Budget = build_budget(plan.training, state.choices)
        self.first_steps = FirstSteps(_settings(state, context, by_the_clock=self.by_the_clock))
        self._timed, self._timed_s = 0.0, 0.0  # steps since the first ones; one at half resolution is a part of one
        self._closing_s: float | None = None

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
        return self.budget.done(step=self._steps, elapsed_s=self._elapsed_s)

    @property
    def _steps(self) -> int:
        """Steps that count for the budget: a continuation has its own."""
        return self._state.steps_taken - self._state.stretch.after_steps

    @property
    def _elapsed_s(self) -> float:
        """Likewise the seconds."""
        return self.elapsed_s - self._state.stretch.after_s

    def progress(self) -> float:
        """Fraction of the run that is done, in [0, 1], for all ranks; 1 means: take no further step."""
        progress = self.budget.progress(step=self._steps, elapsed_s=self._elapsed_s, closing_s=self._state.closing_s)
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

    def outlook(self, *, scoring_s: float) -> tuple[str, float]:
        """What fits into the run's time, or how long it will take, and the seconds left of it, once first steps were timed.

        Args:
            scoring_s: how long the scoring of held-out cases takes.
        """
        taken, elapsed_s = self._steps, self._elapsed_s
        left = self._left(self._step_s or self.first_steps.step_s, scoring_s=scoring_s)
        return forecast(self.budget, self._training, left, steps_done=taken, elapsed_s=elapsed_s), left.seconds

    def later_step_ended(self, seconds: float, *, half_resolution: bool) -> None:
        """Update with the time of a step after the first ones, by this rank's own clock."""
        self._timed += 1 / PIXELS_OF_ONE if half_resolution else 1.0
        self._timed_s += seconds

    def epoch_ended(self, closing_s: float) -> None:
        """Update with the time from an epoch's last step to its stored model."""
        self._closing_s = closing_s

    def left_s(self, *, scoring_s: float) -> float | None:
        """Seconds until the run is done and its held-out cases are scored; None: not known yet.

        Args:
            scoring_s: how long the scoring takes.
        """
        if self.budget.steps is None and self.budget.seconds is not None:
            return max(self.budget.seconds - self._elapsed_s, 0.0) + scoring_s
        return None if (step_s := self._step_s) is None else self._left(step_s, scoring_s=scoring_s).seconds

    @property
    def _step_s(self) -> float | None:
        """Time of a step at full resolution, in seconds; None: not known yet."""
        if self._timed_s > 0:
            return self._timed_s / self._timed
        if not self.first_steps.complete:
            return None
        all_at_half = 0 < self._state.steps_taken == self._state.half_resolution_steps
        return self.first_steps.step_s * (PIXELS_OF_ONE if all_at_half else 1.0)

    def _left(self, step_s: float, *, scoring_s: float) -> Remaining:
        return remaining(
            self.budget,
            self._training,
            Costs(step_s, self._state.closing_s if self._closing_s is None else self._closing_s, scoring_s),
            steps_done=self._steps,
            elapsed_s=self._elapsed_s,
        )

    def _told(self, value: float) -> float:
        """What rank 0 says instead; a tensor, because that travels in one go."""
        ranks = self._context.ranks
        return value if ranks.size == 1 else float(ranks.from_first(torch.tensor([value], dtype=torch.float64)))


def _settings(state: RunState, context: RunContext, *, by_the_clock: bool) -> list[Setting]:
    """The settings that the first steps choose among, the same ones on every rank."""
    config, ranks = state.choices, context.ranks
    settings = settings_to_try(
        threads=(state.threads if ranks.size == 1 else None) or config.threads,
        memory_format=state.memory_format or config.memory_format,
        compute=context.compute,
        by_the_clock=by_the_clock,
    )
    return [Setting(*said) for said in ranks.from_first([(each.threads, each.memory_format) for each in settings])]
