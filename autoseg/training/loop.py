"""The loop: epochs of optimiser steps, each followed by a validation, a record and a checkpoint.

It knows no network and no data set by name; the plan says what to build, and the configuration how long.
"""

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from statistics import mean
from typing import Final

import torch

from autoseg.events import Progress
from autoseg.planning.plan import Plan
from autoseg.training.batches import TrainingBatch
from autoseg.training.best_model import store_model
from autoseg.training.checkpoint import Checkpoint, RunState, restore, save_checkpoint
from autoseg.training.clock import build_budget
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.first_steps import FirstSteps, settings_to_try, use_threads
from autoseg.training.history import EpochRecord, StepRecord, append_steps, write_history
from autoseg.training.learner import Learner
from autoseg.training.outlook import after_the_run, doubts, forecast, longer
from autoseg.training.resume import begin_run, begin_steps, earlier_run
from autoseg.training.schedule import BestEpoch, EarlyStopping, EpochResult, build_schedule
from autoseg.training.source import mean_pixels, open_batches
from autoseg.training.storing import Storing
from autoseg.training.unread import TakenStep, UnreadSteps, broken_weights
from autoseg.training.validation import ValidationResult, dice_of_classes, mean_of_defined
from autoseg.training.watch import Watch

HISTORY_FILE: Final = "history.csv"
STEPS_FILE: Final = "steps.csv"
_STORING_S: Final = 0.5
"""Time kept free for storing a first model. Source: ours; storing 2 million weights takes a third of it."""


def train(plan: Plan, config: TrainConfig, data: FoldData, *, context: RunContext) -> RunState:
    """Train one network on one fold, or go on where an earlier call stopped.

    After every epoch the folder holds a checkpoint, a model, `history.csv` and `steps.csv`. Nothing is stored before every
    loss of the epoch was read, and found finite.

    Returns:
        the finished run.

    Raises:
        WorkspaceError: the folder holds a run of another plan, configuration or data.
        TrainingError: the loss is not finite, or a loading process died.
    """
    run = _Run(plan, config, data, context=context, checkpoint=earlier_run(plan, config, data, folder=context.folder))
    with (
        context.compute.repeatable(),
        context.events.track(run.title, total=run.budget.length, unit=run.budget.unit) as progress,
    ):
        run.warm_up()
        run.show(progress)
        with closing(run.batches), closing(run.storing):
            while not run.done:
                run.epoch(progress)
            run.storing.end()
    run.finish()
    return run.state


class _Run:
    """One run in the making: learner, rules, and the state that a checkpoint stores."""

    def __init__(
        self, plan: Plan, config: TrainConfig, data: FoldData, *, context: RunContext, checkpoint: Checkpoint | None
    ) -> None:
        self._plan, self._config, self._data, self._context = plan, config, data, context
        self._seen, shown = plan.of_view(config.view), data.of_view(config.view, planes=plan.planes)
        self.state = begin_run(plan, config, data) if checkpoint is None else checkpoint.state
        self.budget = build_budget(plan.training, config)
        self._first_steps = FirstSteps(
            settings_to_try(
                threads=self.state.threads or config.threads,
                memory_format=self.state.memory_format or config.memory_format,
                compute=context.compute,
                by_the_clock=self.budget.seconds is not None,
            )
        )
        compute = replace(context.compute, layout=self._first_steps.next.memory_format)
        torch.manual_seed(config.seed)
        self._learner = Learner(
            self._seen, architecture=config.architecture, compute=compute, not_recorded=self._tell_slower
        )
        self._schedule = build_schedule(plan.training)
        self._stopping = EarlyStopping(plan.training.early_stopping_patience)
        self._best = BestEpoch(plan.training.best_model)
        self.storing = Storing(beside=context.compute.free_bytes() is not None)
        self._unread = UnreadSteps(self._seen.planes)
        self.batches = open_batches(
            self.state, shown.training, plan=self._seen, learner=self._learner, context=context, begun=checkpoint is not None
        )
        self._mean_pixels = mean_pixels(self._seen, halvings=self.state.halvings)
        self._watch = Watch(
            self._learner,
            [case for _, case in shown.validation],
            plan=self._seen,
            seed=config.seed,
            stopwatch=context.stopwatch,
        )
        self._shown = 0.0
        begin_steps(context.folder / STEPS_FILE, taken=self.state.steps_taken, events=context.events)
        if checkpoint is not None:
            self._go_on(checkpoint)

    @property
    def title(self) -> str:
        """What the progress bar is called."""
        return self._config.model.title

    @property
    def done(self) -> bool:
        """Whether no further epoch is to come."""
        return bool(self.state.epochs) and (self._stopping.reached or self._progress() >= 1.0)

    def _tell_slower(self, reason: str) -> None:
        self._context.events.info(f"{self.title}: steps are slower than need be: they cannot be recorded ({reason})")

    def warm_up(self) -> None:
        """Find out how long a validation takes, for a run whose first epoch may already be its last."""
        self._apply_setting()
        if self.budget.seconds is not None and not self.state.epochs:
            self._watch.measure()  # the first pass also pays for what happens only once
            self._measure_closing()

    def show(self, progress: Progress, **fields: float | str) -> None:
        """Bring the progress bar to where the run is."""
        done = self.budget.done(step=self.state.steps_taken, elapsed_s=self._context.stopwatch.elapsed_s)
        progress.advance(done - self._shown, **fields)
        self._shown = done

    def epoch(self, progress: Progress) -> None:
        """One epoch: steps, validation, record, checkpoint, model."""
        number = len(self.state.epochs)
        started = self._context.stopwatch.elapsed_s
        steps, counts, slices = self._steps(number, progress)
        trained_s = self._context.stopwatch.elapsed_s - started
        validation = self._watch.look(self.title, events=self._context.events, tick=lambda: self.show(progress))
        self._refuse_broken_weights(validation)
        training_dice = dice_of_classes(counts)
        record = EpochRecord(
            epoch=number + 1,
            seconds=self._context.stopwatch.elapsed_s,
            learning_rate=steps[-1].learning_rate,
            slices_per_s=slices / max(trained_s, 1e-9),
            training_loss=sum(step.loss for step in steps) / len(steps),
            training_dice=mean_of_defined(training_dice),
            validation_loss=validation.loss,
            validation_dice=validation.dice,
            class_dice=dict(zip(self._foreground, validation.class_dice, strict=True)),
            validation_slices=validation.slices,
        )
        best = self._update(EpochResult.of(record))
        self.state.epochs.append(record)
        self._store(steps, best=best)
        self._context.tracker.epoch_ended(record, validation.samples)
        closing_s = self._context.stopwatch.elapsed_s - started - trained_s + self.storing.seconds
        self.state.closing_s = max(self.state.closing_s, closing_s)
        self.show(progress, epoch=str(record.epoch), validation_loss=validation.loss, validation_dice=validation.dice)

    def finish(self) -> None:
        """Mark run and model as finished, and say where it was too short."""
        state, learner = self.state, self._learner
        state.finished = True
        save_checkpoint(self._context.folder, state, network=learner.network, optimiser=learner.optimiser)
        found = doubts(state.epochs, steps=state.steps_taken, budget=self.budget, stopped_early=self._stopping.reached)
        if found:
            self._context.events.warn(
                f"{self.title} is probably far from converged: {'; '.join(found)}. "
                + longer(self.budget, steps=state.steps_taken, elapsed_s=state.elapsed_s)
            )

    def _go_on(self, checkpoint: Checkpoint) -> None:
        """Go back to where an earlier call stopped."""
        self.state.plan_digest = self._plan.digest  # one of 0.1 is rewritten
        self._context.stopwatch.before_s = self.state.elapsed_s
        restore(checkpoint, network=self._learner.network, optimiser=self._learner.optimiser)
        for record in self.state.epochs:  # the rules remember nothing but the epochs they have seen
            self._update(EpochResult.of(record))
        self._context.events.info(f"{self.title}: continuing after epoch {len(self.state.epochs)}")

    @property
    def _foreground(self) -> list[str]:
        return [label.name for label in self._plan.data.classes[1:]]

    def _progress(self) -> float:
        return self.budget.progress(
            step=self.state.steps_taken,
            elapsed_s=self._context.stopwatch.elapsed_s,
            closing_s=self.state.closing_s,
        )

    def _steps(self, epoch: int, progress: Progress) -> tuple[list[StepRecord], torch.Tensor, int]:
        """The optimiser steps of one epoch, at least one; ends early when the run's time is up.

        Returns:
            the steps, counts of pixels by class, as `class_counts` gives them, and the number of slices learnt from.
        """
        counts, steps, slices = self._learner.no_counts(), list[StepRecord](), 0
        started = self._context.stopwatch.elapsed_s
        before_s = started
        for batch in self.batches.epoch(epoch):
            last, counted = self._step(batch)
            counts += counted
            slices += len(batch.sources)
            timed = not self._first_steps.complete
            if timed or self._unread.due:
                steps += self._unread.read()
                self.show(progress, loss=steps[-1].loss)
            self.show(progress, lr=last.learning_rate, slices_per_s=slices / (last.seconds - started))
            if timed:
                took_s = self._context.stopwatch.elapsed_s - before_s
                self._time_step(took_s * self._mean_pixels / batch.labels.numel())  # views may differ in size
            before_s = self._context.stopwatch.elapsed_s
            if self._progress() >= 1.0:
                break
        return [*steps, *self._unread.read()], counts, slices

    def _step(self, batch: TrainingBatch) -> tuple[TakenStep, torch.Tensor]:
        """One optimiser step, and its batch's counts by class."""
        progress = self._progress()
        rate, half = self._schedule.rate(progress), progress < self._plan.training.half_resolution_fraction
        result = self._learner.step(batch, rate=rate, half_resolution=half)
        self.state.steps_taken += 1
        self.state.half_resolution_steps += half
        seconds = self._context.stopwatch.elapsed_s
        taken = TakenStep(self.state.steps_taken, seconds, rate, result.loss, sources=batch.sources, view=batch.view)
        self._unread.add(taken)
        return taken, result.counts

    def _time_step(self, seconds: float) -> None:
        """Choose how to compute by the first steps, then tell what fits into the run."""
        first = self._first_steps
        first.step_ended(seconds)
        self._apply_setting()
        if not first.complete:
            return
        self._measure_closing()
        outlook = forecast(
            self.budget,
            self._plan.training,
            step_s=first.step_s,
            closing_s=self.state.closing_s,
            elapsed_s=self._context.stopwatch.elapsed_s,
            steps_done=self.state.steps_taken,
            half_resolution_steps=self.state.half_resolution_steps,
        )
        batch = mean(view.batch_size for view in self._seen.views)
        rate, scoring = batch / first.step_s, after_the_run(self._watch.cases, self._watch.scoring_s)
        self._context.events.info(f"{self.title}: {rate:.3g} slices/s on {first}; {outlook}{scoring}")

    def _apply_setting(self) -> None:
        """Compute as the first steps say, and remember what they chose."""
        use_threads(self._first_steps.next.threads)
        self._learner.use_memory_format(self._first_steps.next.memory_format)
        if chosen := self._first_steps.chosen:
            self.state.threads, self.state.memory_format = chosen.threads, chosen.memory_format

    def _measure_closing(self) -> None:
        """Find out how long the end of an epoch takes, before there was one."""
        self._watch.measure()
        if not self.state.epochs and self._watch.cases:
            self.state.closing_s = self._watch.seconds + _STORING_S

    def _refuse_broken_weights(self, validation: ValidationResult) -> None:
        """Keep weights that became NaN or infinite since the last loss was seen from replacing a good model."""
        if not self._learner.all_finite or (self._data.validation and not math.isfinite(validation.loss)):
            raise broken_weights(epoch=len(self.state.epochs) + 1)

    def _update(self, result: EpochResult) -> bool:
        """Tell every rule about an epoch; says whether its weights become the model."""
        self._schedule.epoch_ended(result)
        self._stopping.epoch_ended(result)
        return self._best.epoch_ended(result)

    def _store(self, steps: Sequence[StepRecord], *, best: bool) -> None:
        context, plan, network = self._context, self._plan, self.storing.of(self._learner.network)
        optimiser, minutes = self.storing.of(self._learner.optimiser), context.stopwatch.elapsed_s / 60
        self.state.elapsed_s = context.stopwatch.elapsed_s
        state = self.state.model_copy(update={"epochs": list(self.state.epochs)})

        def store() -> None:
            if best:
                store_model(context.folder, network, plan=plan, state=state, minutes=minutes)
            write_history(context.folder / HISTORY_FILE, state.epochs)
            append_steps(context.folder / STEPS_FILE, steps)
            save_checkpoint(context.folder, state, network=network, optimiser=optimiser)

        self.storing.begin(store)
        context.on_epoch(self.state.epochs)
