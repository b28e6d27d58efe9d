"""The loop: epochs of optimiser steps, each followed by a validation, a record and a checkpoint.

It knows no network and no data set by name; the plan says what to build, and the configuration how long. Several ranks run
it together: each learns from its part of every batch and looks at its part of the held-out cases. Rank 0 alone decides what
depends on time, and writes.
"""

import json
import math
import time
from contextlib import closing
from dataclasses import replace
from statistics import mean
from typing import Final

import torch

from autoseg.events import LEFT, Progress
from autoseg.planning.plan import Plan
from autoseg.storage.documents import parse
from autoseg.training.batches import TrainingBatch
from autoseg.training.checkpoint import Checkpoint, restore
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.epoch_files import EpochFiles
from autoseg.training.halving import mean_pixels, with_halved_batches
from autoseg.training.history import EpochRecord, StepRecord
from autoseg.training.learner import Learner
from autoseg.training.outlook import after_the_run, too_short
from autoseg.training.pace import Pace
from autoseg.training.progress_line import Standing
from autoseg.training.resume import begin_run, earlier_run
from autoseg.training.run_state import RunState
from autoseg.training.schedule import BestEpoch, EarlyStopping, EpochResult, build_schedule
from autoseg.training.source import open_batches
from autoseg.training.start import Start
from autoseg.training.stretches import section_of
from autoseg.training.unread import TakenStep, UnreadSteps, broken_weights
from autoseg.training.validation import ValidationResult, dice_of_classes, mean_of_defined
from autoseg.training.watch import Watch
from autoseg.wording import clock_time

_STORING_S: Final = 0.5
"""Time kept free for storing a first model. Source: ours; storing 2 million weights takes a third of it."""


def train(plan: Plan, config: TrainConfig, data: FoldData, *, context: RunContext, start: Start | None = None) -> RunState:
    """Train one network on one fold, or go on where an earlier call stopped; every rank of the context calls this.

    After every epoch the folder holds a checkpoint, a model, `history.csv` and `steps.csv`. Nothing is stored before every
    loss of the epoch was read, and found finite. A run of which no epoch is stored begins with the weights of `start`, where
    there is one, else with weights that are drawn.

    Returns:
        the finished run.

    Raises:
        UsageError: there are more ranks than images in a batch.
        WorkspaceError: the folder holds a run of another plan, configuration or data.
        TrainingError: the loss is not finite, or a loading process died.
    """
    run = _Run(plan, config, data, context=context, before=earlier_run(plan, config, data, context=context) or start)
    budget = run.pace.budget
    with (
        context.compute.repeatable(),
        context.events.track(run.title, total=budget.length, unit=budget.unit) as progress,
    ):
        run.warm_up()
        run.show(progress, **run.standing.fields)
        with closing(run.batches), closing(run.files):
            while not run.done:
                run.epoch(progress)
            run.files.end()
    run.finish()
    return run.state


class _Run:
    """One run in the making: learner, rules, and the state that a checkpoint stores."""

    def __init__(
        self, plan: Plan, config: TrainConfig, data: FoldData, *, context: RunContext, before: Checkpoint | Start | None
    ) -> None:
        checkpoint, start = (before, None) if isinstance(before, Checkpoint) else (None, before)
        self._plan, self._config, self._context = plan, config, context
        self._seen, shown = plan.of_view(config.view), data.of_view(config.view, planes=plan.planes)
        self.state = begin_run(plan, config, data, start=start) if checkpoint is None else checkpoint.state
        self.state.computed_on = context.computed_on
        self._training = section_of(plan.training, self.state)
        self.pace = Pace(plan, self.state, context=context)
        compute = replace(context.compute, layout=self.pace.first_steps.next.memory_format)
        torch.manual_seed(config.seed)
        self._learner = Learner(
            self._seen,
            architecture=config.architecture,
            compute=compute,
            not_recorded=self._tell_slower,
            ranks=context.ranks,
            weights=None if start is None else start.state,
        )
        factor = self.state.rate_factor * self.state.stretch.rate_factor
        self._schedule = build_schedule(self._training, rate_factor=factor)
        self._stopping = EarlyStopping(self._training.early_stopping_patience)
        self._best = BestEpoch(self._training.best_model)
        self.files = EpochFiles(plan, context=context, network=self._learner.network, optimiser=self._learner.optimiser)
        self._unread = UnreadSteps(self._seen.planes, self.state)
        self.batches = open_batches(
            self.state, shown.training, plan=self._seen, learner=self._learner, context=context, begun=self._begun
        )
        self._mean_pixels = mean_pixels(self._seen, halvings=self.state.halvings)
        self._watch = Watch(
            self._learner,
            [case for _, case in shown.validation],
            plan=with_halved_batches(self._seen, self.state.halvings),
            seed=config.seed,
            stopwatch=context.stopwatch,
            ranks=context.ranks,
        )
        self._shown, self.standing = 0.0, Standing(held_out=self._watch.judges)
        if self._watch.cases and not self._watch.judges:
            context.events.warn(f"{self.title}: no voxel of its held-out cases has a label; its training is watched instead")
        self.files.begin(self.state)
        if checkpoint is not None:
            self._go_on(checkpoint)
        elif start is not None:
            context.events.info(f"{self.title}: starting from {start.origin.in_words}")

    @property
    def title(self) -> str:
        """What the progress bar is called."""
        return self._config.model.title

    @property
    def _begun(self) -> bool:
        """Whether an epoch of what is trained now was stored."""
        return len(self.state.epochs) > self.state.stretch.after_epochs

    @property
    def done(self) -> bool:
        """Whether no further epoch is to come."""
        return self._begun and (self._stopping.reached or self.pace.progress() >= 1.0)

    def _tell_slower(self, reason: str) -> None:
        self._context.events.info(f"{self.title}: steps are slower than need be: they cannot be recorded ({reason})")

    def warm_up(self) -> None:
        """Find out how long a validation takes, for a run whose first epoch may already be its last."""
        self.pace.use_setting(self._learner)
        if self.pace.by_the_clock and not self._begun:
            self._watch.measure()  # the first pass also pays for what happens only once
            self._measure_closing()

    def show(self, progress: Progress, **fields: float | str) -> None:
        """Bring the progress bar to where the run is, and say how much time is left of it, its scoring included."""
        done, left_s = self.pace.done, self.pace.left_s(scoring_s=self._scoring_s)
        progress.advance(done - self._shown, **fields, **({} if left_s is None else {LEFT: left_s}))
        self._shown = done

    def epoch(self, progress: Progress) -> None:
        """One epoch: steps, validation, record, checkpoint, model."""
        number = len(self.state.epochs)
        started = self.pace.elapsed_s
        steps, counts, slices = self._steps(number, progress)
        self._learner.agree()
        trained_s = self.pace.elapsed_s - started
        validation = self._watch.look(self.title, events=self._context.events, tick=lambda: self.show(progress))
        self._refuse_broken_weights(validation)
        training_dice = dice_of_classes(counts)
        record = EpochRecord(
            epoch=number + 1,
            seconds=self.pace.elapsed_s,
            learning_rate=steps[-1].learning_rate,
            slices_per_s=slices / max(trained_s, 1e-9),
            training_loss=sum(step.loss for step in steps) / len(steps),
            training_dice=mean_of_defined(training_dice),
            validation_loss=validation.loss,
            validation_dice=validation.dice,
            class_dice=dict(zip(self._foreground, validation.class_dice, strict=True)),
            validation_slices=validation.slices,
        )
        if self._context.ranks.size > 1:  # it steers what follows
            record = parse(json.loads(self._context.ranks.from_first(record.model_dump_json())), EpochRecord)
        best = self._update(record)
        self.state.epochs.append(record)
        self.state.elapsed_s = self.pace.elapsed_s
        self.files.store(self.state, steps, best=best)
        self._context.on_epoch(self.state.epochs)
        self._context.tracker.epoch_ended(record, validation.samples)
        closing_s = self.pace.elapsed_s - started - trained_s + self.files.seconds
        self.state.closing_s = max(self.state.closing_s, closing_s)
        self.pace.epoch_ended(closing_s)
        losses = {"validation_loss": validation.loss} if self._watch.judges else {}
        self.show(progress, **self.standing.fields, **losses)

    def finish(self) -> None:
        """Mark run and model as finished, and say where it was too short."""
        self.state.finished = True
        self.files.finish(self.state)
        warning = too_short(self.state, self._training)
        if warning is not None:
            self._context.events.warn(f"{self.title} is probably far from converged: {warning}")

    def _go_on(self, checkpoint: Checkpoint) -> None:
        """Go back to where an earlier call stopped."""
        self.state.plan_digest = self._plan.digest  # one of 0.1 is rewritten
        self._context.stopwatch.before_s = self.state.elapsed_s
        restore(checkpoint, network=self._learner.network, optimiser=self._learner.optimiser)
        for record in self.state.epochs:  # the rules remember nothing but the epochs they have seen
            self._update(record)
        self._context.events.info(f"{self.title}: continuing after epoch {len(self.state.epochs)}")

    @property
    def _foreground(self) -> list[str]:
        return [label.name for label in self._plan.data.classes[1:]]

    def _steps(self, epoch: int, progress: Progress) -> tuple[list[StepRecord], torch.Tensor, int]:
        """The optimiser steps of one epoch, at least one; ends early when the run's time is up.

        Returns:
            the steps, counts of pixels by class, as `class_counts` gives them, and the number of slices learnt from.
        """
        counts, steps, slices = self._learner.no_counts(), list[StepRecord](), 0
        started = self.pace.elapsed_s
        before_s, reached = started, self.pace.progress()
        for batch in self.batches.epoch(epoch):
            last, counted = self._step(batch, progress=reached)
            counts += counted
            slices += len(batch.sources)
            timed = not self.pace.first_steps.complete
            if timed or self._unread.due:
                steps += self._unread.read()
                self.show(progress, loss=steps[-1].loss)
            self.show(progress, lr=last.learning_rate, slices_per_s=slices / (last.seconds - started))
            taken_s = self.pace.elapsed_s - before_s
            if timed:
                pixels = len(batch.sources) * math.prod(batch.labels.shape[1:])
                self._time_step(taken_s * self._mean_pixels / pixels)  # views may differ in size
            else:
                self.pace.later_step_ended(taken_s, half_resolution=self._is_half(reached))
            before_s, reached = self.pace.elapsed_s, self.pace.progress()
            if reached >= 1.0:
                break
        return [*steps, *self._unread.read()], counts, slices

    def _step(self, batch: TrainingBatch, *, progress: float) -> tuple[TakenStep, torch.Tensor]:
        """One optimiser step, and its batch's counts by class."""
        rate, half = self._schedule.rate(progress), self._is_half(progress)
        result = self._learner.step(batch, rate=rate, half_resolution=half)
        self.state.steps_taken += 1
        self.state.half_resolution_steps += half
        taken = TakenStep(
            self.state.steps_taken, self.pace.elapsed_s, rate, result.loss, sources=batch.sources, view=batch.view
        )
        self._unread.add(taken)
        return taken, result.counts

    def _is_half(self, progress: float) -> bool:
        """Whether a step at this fraction of the run shows slices at half resolution."""
        return progress < self._training.half_resolution_fraction

    @property
    def _scoring_s(self) -> float:
        """Time that the scoring of held-out cases takes, at least."""
        return max(self._watch.scoring_s, self._watch.cases * self._context.scored_case_s)

    def _time_step(self, seconds: float) -> None:
        """Choose how to compute by the first steps, then tell what fits into the run."""
        first = self.pace.first_steps
        self.pace.step_ended(seconds)
        self.pace.use_setting(self._learner)
        if not first.complete:
            return
        self._measure_closing()
        batch = mean(view.batch_size for view in self._seen.views)
        rate, scoring = batch / first.step_s, after_the_run(self._watch.cases, self._scoring_s)
        outlook, left_s = self.pace.outlook(scoring_s=self._scoring_s)
        now = time.time()
        done = f"; done about {clock_time(now + left_s, now=now)}"
        together = f" of each of {self._context.ranks.size} processes" if self._context.ranks.size > 1 else ""
        self._context.events.info(f"{self.title}: {rate:.3g} slices/s on {first}{together}; {outlook}{scoring}{done}")

    def _measure_closing(self) -> None:
        """Find out how long the end of an epoch takes, before there was one."""
        self._watch.measure()
        if not self._begun and self._watch.cases:
            self.state.closing_s = self._watch.seconds + _STORING_S

    def _refuse_broken_weights(self, validation: ValidationResult) -> None:
        """Keep weights that became NaN or infinite since the last loss was seen from replacing a good model."""
        if not self._learner.all_finite or (validation.slices and not math.isfinite(validation.loss)):
            raise broken_weights(self.state)

    def _update(self, record: EpochRecord) -> bool:
        """Tell every rule about an epoch; says whether its weights become the model."""
        result, competes = EpochResult.of(record), record.epoch > self.state.judged_alike_after
        self.standing.update(record, competes=competes)
        if record.epoch > self.state.stretch.after_epochs:
            self._schedule.epoch_ended(result)
            self._stopping.epoch_ended(result)
        return competes and self._best.epoch_ended(result)
