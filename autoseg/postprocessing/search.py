"""Which postprocessing of label maps helps, tried step by step on held-out cases."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import names_by_value
from autoseg.evaluation.cases import CaseMetrics, score_case
from autoseg.evaluation.statistics import sums_without_each
from autoseg.events import Events
from autoseg.inference.components import foreground_components
from autoseg.inference.steps import Step, StepType, apply_steps, class_mask, describe
from autoseg.jobs.work import Apply
from autoseg.metrics.masks import labelled_part
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.held_out import HeldOutCase
from autoseg.postprocessing.judging import step_helps
from autoseg.postprocessing.label_maps import CaseMaps, keep_step, store_maps
from autoseg.postprocessing.scoring import score_of
from autoseg.postprocessing.selection import TriedStep
from autoseg.storage import files

_SIZES: Final = 24
"""Volumes tried for the removal of small components, evenly spaced on a logarithmic scale between those of the smallest and
the largest component found. Source: ours; finer steps change no Dice on IBSR18."""


@dataclass(frozen=True)
class Postprocessing:
    """The postprocessing that helps.

    Attributes:
        steps: to be applied in this order.
        tried: every trial.
        scores: of every case, after the steps.
    """

    steps: tuple[Step, ...]
    tried: tuple[TriedStep, ...]
    scores: tuple[CaseMetrics, ...]


def find_postprocessing(
    cases: Sequence[HeldOutCase],
    *,
    choice: Choice,
    before: Sequence[CaseMetrics],
    folder: Path,
    apply: Apply,
    events: Events,
) -> Postprocessing:
    """Try every step on top of those kept so far; keep it where its class's scores improve and none gets worse (`judge`).

    A size found on the data is judged fairly: each case is processed with the size that was found on the others.

    Args:
        cases: held-out cases.
        choice: whose label maps are processed.
        before: the cases' scores without any postprocessing.
        folder: where label maps are kept meanwhile; all processes see it.
        apply: processes to work with.
        events: notified of progress.

    Source: nnU-Net (Isensee et al., Nature Methods 2021) tries steps like these; what counts as an improvement is ours.
    """
    values = [label.value for label in cases[0].classes[1:]]
    whole = max(len(label.label_values) for label in cases[0].classes[1:]) == len(names_by_value(cases[0].classes)) - 1
    labels: list[int | None] = list(values) if whole else [None, *values]
    with files.temporary_folder(folder / "search") as place:
        search = _Search(_stored(cases, choice, place, apply, events), tuple(before), apply)
        with events.track("trying postprocessing steps", total=3 * len(labels), unit="steps") as progress:
            for label in labels:
                if not search.attempt("largest_component", label):
                    search.attempt_sizes(label)
                progress.advance(2)
            for label in labels:
                search.attempt("fill_holes", label)
                progress.advance()
    return Postprocessing(steps=search.kept, tried=tuple(search.tried), scores=search.scores)


def _stored(cases: Sequence[HeldOutCase], choice: Choice, folder: Path, apply: Apply, events: Events) -> list[CaseMaps]:
    """Label maps of all cases before any step."""
    stored = []
    with events.track("computing label maps", total=len(cases), unit="cases") as progress:
        for maps in apply(partial(store_maps, choice=choice, folder=folder), cases):
            stored.append(maps)
            progress.advance()
    return stored


class _Search:
    """The steps kept so far, with the label maps after them, and trials on top of them."""

    def __init__(self, maps: Sequence[CaseMaps], scores: tuple[CaseMetrics, ...], apply: Apply) -> None:
        self._maps, self._apply = maps, apply
        self.scores, self._score = scores, score_of(scores)
        self.kept: tuple[Step, ...] = ()
        self.tried: list[TriedStep] = []

    def attempt(self, step_type: StepType, label: int | None) -> bool:
        """Try a step without a size."""
        step = Step(type=step_type, label=label)
        after = self._scores_with([step] * len(self._maps))
        return self._decide(step, after, final=after)

    def attempt_sizes(self, label: int | None) -> bool:
        """Try the removal of small components, with the volume that helps most, if any does."""
        tables = list(self._apply(partial(_components, label=label), self._maps))
        best = _best_size_ml(tables)
        if best is None:
            return False
        steps = [_removal(label, size_ml) for size_ml in _best_sizes_without_each(tables)]
        step = Step(type="drop_small", label=label, min_volume_ml=best)
        return self._decide(step, self._scores_with(steps), final=None)

    def _decide(self, step: Step, after: tuple[CaseMetrics, ...], *, final: tuple[CaseMetrics, ...] | None) -> bool:
        good, reason = step_helps(self.scores, after, value=step.label)
        score = self._score if after == self.scores else score_of(after)
        self.tried.append(
            TriedStep(
                step=step,
                phrase=describe(step, self._maps[0].case.classes),
                kept=good,
                reason=reason,
                before=self._score,
                after=score,
            )
        )
        if good:
            self.scores = self._scores_with([step] * len(self._maps)) if final is None else final
            self._score = score if final is not None else score_of(self.scores)
            self._keep(step)
        return good

    def _keep(self, step: Step) -> None:
        """Go on from the label maps after this step."""
        before, self._maps = self._maps, list(self._apply(partial(keep_step, step=step), self._maps))
        files.remove(maps.file for maps in before)
        self.kept = (*self.kept, step)

    def _scores_with(self, steps: Sequence[Step | None]) -> tuple[CaseMetrics, ...]:
        """Scores with a further step for each case; None: none."""
        trials = [_Trial(maps, step, score) for maps, step, score in zip(self._maps, steps, self.scores, strict=True)]
        return tuple(self._apply(_score_trial, trials))


@dataclass(frozen=True)
class _Trial:
    maps: CaseMaps
    step: Step | None
    before: CaseMetrics


def _score_trial(trial: _Trial) -> CaseMetrics:
    """Scores of a case after one more step; classes whose voxels stay the same are not scored again."""
    if trial.step is None:
        return trial.before
    case, spacing_mm, old = trial.maps.case, trial.maps.spacing_mm, trial.maps.labels()
    new = apply_steps(old, [trial.step], spacing_mm=spacing_mm, classes=case.classes)
    changed = old != new
    values = set(np.unique(np.concatenate([old[changed], new[changed]])).tolist())
    if not values:
        return trial.before
    rescored = score_case(
        case.id,
        new,
        trial.maps.reference(),
        classes=[label for label in case.classes if not values.isdisjoint(label.label_values)],
        spacing_mm=spacing_mm,
        tolerances_mm=case.tolerances_mm,
        ignore=case.ignore,
    )
    by_value = {scores.value: scores for scores in rescored.classes}
    return replace(trial.before, classes=tuple(by_value.get(scores.value, scores) for scores in trial.before.classes))


@dataclass(frozen=True)
class _Components:
    """The connected components of one class of one case, those of one volume together.

    Attributes:
        volumes_ml: of components, rising.
        voxels: labelled ones of all components at least as large as each.
        shared: of these voxels, those that the reference gives the same class.
        reference: voxels of the class in the reference.
    """

    volumes_ml: NDArray[np.float64]
    voxels: NDArray[np.int64]
    shared: NDArray[np.int64]
    reference: int

    def dice(self, min_volumes_ml: NDArray[np.float64]) -> NDArray[np.float64]:
        """Dice when components below each volume are gone; NaN where nothing is left and nothing was to be found."""
        first = np.searchsorted(self.volumes_ml, min_volumes_ml)
        sizes = np.append(self.voxels, 0)[first] + self.reference
        with np.errstate(invalid="ignore"):
            dice: NDArray[np.float64] = 2 * np.append(self.shared, 0)[first] / sizes
        return dice


def _components(maps: CaseMaps, *, label: int | None) -> _Components:
    case, reference = maps.case, maps.reference()
    sought = class_mask(reference, label, case.classes)
    components = foreground_components(class_mask(maps.labels(), label, case.classes))
    if case.ignore is not None:
        sought &= reference != case.ignore  # it is none of the foreground either
    labelled = labelled_part(reference, ignore=case.ignore)
    count = len(components.voxels) + 1
    shared = np.bincount(components.labels[sought], minlength=count)[1:]
    counted = components.voxels if labelled is None else np.bincount(components.labels[labelled], minlength=count)[1:]
    sizes, place = np.unique(components.voxels, return_inverse=True)
    together = (np.bincount(place, weights=each, minlength=len(sizes)) for each in (counted, shared))
    voxels, shared = (each[::-1].cumsum()[::-1].astype(np.int64) for each in together)
    return _Components(
        volumes_ml=sizes.astype(np.float64) * (math.prod(maps.spacing_mm) / 1000),
        voxels=voxels,
        shared=shared,
        reference=int(np.count_nonzero(sought)),
    )


def _best_size_ml(tables: Sequence[_Components]) -> float | None:
    """The volume below which components are best removed, by mean Dice; None where removing any loses or gains nothing."""
    sizes_ml = _sizes_ml(tables)
    if sizes_ml is None:
        return None
    dice, defined = _dice(tables, sizes_ml)
    return _best(sizes_ml, sums=dice.sum(axis=1), counts=defined.sum(axis=1))


def _best_sizes_without_each(tables: Sequence[_Components]) -> list[float | None]:
    """For each case the volume that is best for all others, in one pass over them."""
    sizes_ml = _sizes_ml(tables)
    if sizes_ml is None:
        return [None] * len(tables)
    dice, defined = _dice(tables, sizes_ml)
    sums, counts = sums_without_each(dice), sums_without_each(defined)
    best = [_best(sizes_ml, sums=sums[:, index], counts=counts[:, index]) for index in range(len(tables))]
    for index in _alone_at_an_end(tables):  # without it, others are tried
        best[index] = _best_size_ml([*tables[:index], *tables[index + 1 :]])
    return best


def _sizes_ml(tables: Sequence[_Components]) -> NDArray[np.float64] | None:
    """The volumes to try, (G,), the first one removing nothing; None where no component is smaller than another."""
    ends_ml = [table.volumes_ml[[0, -1]] for table in tables if table.volumes_ml.size]
    if not ends_ml or np.min(ends_ml) == np.max(ends_ml):
        return None
    return np.array([0.0, *np.geomspace(np.min(ends_ml), np.max(ends_ml), _SIZES)[1:]])


def _alone_at_an_end(tables: Sequence[_Components]) -> set[int]:
    """Numbers of the cases that alone have the smallest or the largest component: at most two."""
    ends_ml = np.array(
        [(table.volumes_ml[0], -table.volumes_ml[-1]) if table.volumes_ml.size else (math.inf, math.inf) for table in tables]
    )
    at_end = ends_ml == ends_ml.min(axis=0)  # (n, 2)
    return {int(column.argmax()) for column in at_end.T if np.count_nonzero(column) == 1}


def _dice(tables: Sequence[_Components], sizes_ml: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By volume and case, (G, n), the Dice, 0 where it is undefined, and 1 where it is defined."""
    dice = np.stack([table.dice(sizes_ml) for table in tables], axis=1)
    defined = ~np.isnan(dice)
    return np.where(defined, dice, 0.0), defined.astype(np.float64)


def _best(sizes_ml: NDArray[np.float64], *, sums: NDArray[np.float64], counts: NDArray[np.float64]) -> float | None:
    means = np.where(counts > 0, sums / np.maximum(counts, 1.0), -math.inf)
    best = int(means.argmax())  # the smallest of several
    return float(f"{sizes_ml[best]:.4g}") if best else None


def _removal(label: int | None, min_volume_ml: float | None) -> Step | None:
    return None if min_volume_ml is None else Step(type="drop_small", label=label, min_volume_ml=min_volume_ml)
