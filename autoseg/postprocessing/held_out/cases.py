"""Held-out cases read back: label maps and scores of any choice of networks and views, from their stored probabilities."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoseg.catalogue import Architecture
from autoseg.data.dataset import LabelClass, names_by_value
from autoseg.data.labels import encoding_of
from autoseg.evaluation.cases import CaseMetrics, score_case
from autoseg.images.image import LabelMap, on_grid_of, read_labels
from autoseg.images.sources import read_geometry
from autoseg.inference import probabilities
from autoseg.inference.quality import ExpectedDice, by_class
from autoseg.inference.shift import shift
from autoseg.inference.steps import Step, apply_steps
from autoseg.metrics.masks import labelled_part
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.held_out.arrays import KEPT_BYTES, StoredArrays, unusable
from autoseg.preprocessing.footprint import (
    Box,
    Footprint,
    empty_labels,
    kept_part,
    on_own_grid,
    oriented,
    own_box,
    own_grid,
    put_labels,
    shown_in,
)
from autoseg.preprocessing.resampling import resample_slices
from autoseg.storage import files

_NUMBERS_AT_ONCE: Final = 1 << 26
"""Probabilities that are decoded at once, unless a single slice has more. Source: chosen; 256 MiB, twice those of IBSR18."""


@dataclass(frozen=True)
class HeldOutCase:
    """One held-out case.

    Attributes:
        id: the case.
        reference: file of its label map.
        footprints: for each view, from the slices of the stored probabilities back to the scan.
        probabilities: files of each network's probabilities, (K, S, H, W), uint8: for each of its seeds one for each view.
        sha256: of each of these files, as they were written.
        classes: what the label values stand for, background first.
        scan: file of the scan, of its first channel.
        fold: of the models that held it out.
        tolerances_mm: of the normalised surface Dice, by label value.
        ignore: label value of voxels without a label; None: there are none.
    """

    id: str
    reference: Path
    footprints: tuple[Footprint, ...]
    probabilities: Mapping[Architecture, tuple[tuple[Path, ...], ...]]
    sha256: Mapping[Path, str]
    classes: tuple[LabelClass, ...]
    scan: Path
    fold: str
    tolerances_mm: Mapping[int, float] = field(default_factory=dict)
    ignore: int | None = None

    def grid(self, views: Sequence[int] | None = None) -> Footprint:
        """The way back from the slices that `mean_probabilities` gives for a choice of views, by their numbers; None: all.

        Those of one view are as they were stored; the mean of several is on the scan's own voxels.
        """
        chosen = self.footprints if views is None else [self.footprints[view] for view in views]
        return chosen[0] if len(chosen) == 1 else own_grid(chosen)

    def of_seeds(self, counts: Mapping[Architecture, int]) -> "HeldOutCase":
        """The same case as these networks held it out, with so many of their seeds, the first ones."""
        return replace(self, probabilities={name: self.probabilities[name][:count] for name, count in counts.items()})

    def read_reference(self) -> LabelMap:
        """The label map the case came with, on the grid of its scan; neither has changed since training."""
        labels = read_labels(self.reference, values=names_by_value(self.classes, ignore=self.ignore))
        return on_grid_of(labels, read_geometry(self.scan), where=self.reference, other=self.scan, compared=True)


def verify(case: HeldOutCase) -> None:
    """Compare a case's probabilities with their checksums.

    Raises:
        WorkspaceError: they are missing, or have changed since they were written.
    """
    for path, expected in case.sha256.items():
        found = files.sha256_file(path) if path.exists() else "no file"
        if found != expected:
            raise unusable(path, expected=f"sha256 {expected}", found=found)


def label_map(case: HeldOutCase, choice: Choice, *, arrays: StoredArrays | None = None) -> NDArray[np.uint16]:
    """Label values that a choice of networks and views together gives the scan, (Z, Y, X).

    Args:
        case: one held-out case.
        choice: whose probabilities, and how their mean is shifted.
        arrays: opens them, for several choices; None: for this one alone.

    Raises:
        WorkspaceError: probabilities are missing or do not fit the case.
    """
    encoding, grid = encoding_of(case.classes), case.grid(choice.views)
    labels = empty_labels(grid, encoding)
    for first, part in mean_probabilities(case, choice, arrays=arrays):
        put_labels(labels, part, grid, encoding, first=first)
    return labels


def score_choices(case: HeldOutCase, *, choices: Sequence[Choice]) -> tuple[CaseMetrics, ...]:
    """Scores of the case under several choices, in their order; its probabilities are read once where memory allows."""
    reference, arrays = case.read_reference(), StoredArrays(keep_bytes=KEPT_BYTES if len(choices) > 1 else 0)
    return tuple(_score(case, label_map(case, choice, arrays=arrays), reference) for choice in choices)


def score_postprocessed(case: HeldOutCase, *, choice: Choice, steps: Sequence[Step]) -> CaseMetrics:
    """Scores of the case under one choice after postprocessing."""
    reference = case.read_reference()
    labels = postprocessed(case, choice=choice, steps=steps, spacing_mm=reference.geometry.spacing_mm)
    return _score(case, labels, reference)


def postprocessed(
    case: HeldOutCase, *, choice: Choice, steps: Sequence[Step], spacing_mm: tuple[float, float, float]
) -> NDArray[np.uint16]:
    """The label map of one choice after postprocessing, (Z, Y, X)."""
    return apply_steps(label_map(case, choice), steps, spacing_mm=spacing_mm, classes=case.classes)


def expectations(case: HeldOutCase, *, choice: Choice) -> dict[str, float]:
    """By class name, the Dice that the networks expect of themselves on labelled voxels, without background."""
    expected = ExpectedDice(encoding_of(case.classes))
    labelled = None if case.ignore is None else labelled_part(case.read_reference().array, ignore=case.ignore)
    if labelled is None:
        for _, part in mean_probabilities(case, choice):
            expected.add(part)
    else:  # Dice is reached on these voxels, so it is expected of these
        grid = case.grid(choice.views)
        inside = kept_part(labelled, grid)
        for first, part in mean_probabilities(case, choice):
            for window, block in on_own_grid(part, grid, first=first):
                expected.add(block[:, inside[window]])
    return by_class([label.name for label in case.classes[1:]], expected.by_class())


def mean_probabilities(
    case: HeldOutCase, choice: Choice, *, arrays: StoredArrays | None = None
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Average of the networks' probabilities, which is that of all its seeds for each, and of views, a few slices at a time.

    Args:
        case: one held-out case.
        choice: whose probabilities, and how their mean is shifted.
        arrays: opens them, for several choices; None: for this one alone.

    Yields:
        number of the first of n slices of `case.grid(choice.views)`, and their probabilities, (K, n, H, W), float32, in
        [0, 1].

    Raises:
        ValueError: there are no networks.
        WorkspaceError: probabilities are missing or do not fit the case.
    """
    exclusive = encoding_of(case.classes).exclusive
    for first, part in _mean_probabilities(case, choice, arrays or StoredArrays()):
        shift(part, choice.log_shift, exclusive=exclusive)
        yield first, part


def _mean_probabilities(
    case: HeldOutCase, choice: Choice, arrays: StoredArrays
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    chosen = range(len(case.footprints)) if choice.views is None else choice.views
    stored = [_View(case, choice.networks, view, arrays) for view in chosen]
    grid = case.grid(choice.views)
    if len(stored) == 1:
        for window in _windows(slice(0, grid.kept[0]), numbers=stored[0].numbers, at_once=_NUMBERS_AT_ONCE):
            yield window.start, stored[0].mean(window)
        return
    numbers = len(case.classes) * grid.kept[1] * grid.kept[2]
    for window in _windows(slice(0, grid.kept[0]), numbers=numbers, at_once=_NUMBERS_AT_ONCE):
        box = own_box(grid, window)
        total = np.zeros((len(case.classes), *(side.stop - side.start for side in box)), dtype=np.float32)  # (K, z, y, x)
        for view in stored:
            view.add_to(total, box)
        total /= np.float32(len(stored))
        yield window.start, total


class _View:
    """What some networks gave a case through one of the views."""

    def __init__(self, case: HeldOutCase, networks: Sequence[Architecture], view: int, arrays: StoredArrays) -> None:
        self._footprint = case.footprints[view]
        shape = (len(case.classes), self._footprint.kept[0], *self._footprint.size_px)
        self.numbers = shape[0] * shape[2] * shape[3]
        self._arrays = [[arrays.open(seed[view], shape) for seed in case.probabilities[network]] for network in networks]

    def mean(self, window: slice, *, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.float32]:
        """The mean over the networks of some slices, (K, n, H, W), or of some of their rows and columns."""
        parts = [[one.part(window)[:, :, rows, columns] for one in arrays] for arrays in self._arrays]
        return probabilities.decode_mean(parts)

    def add_to(self, total: NDArray[np.float32], box: Box) -> None:
        """Add that mean to probabilities (K, z, y, x) in a box of the scan, along its own axes."""
        footprint = self._footprint
        slices, rows, columns = shown_in(footprint, box)
        turned = [oriented(channel, footprint.axes, footprint.flipped) for channel in total]  # each (n, h, w)
        for window in _windows(slices, numbers=self.numbers, at_once=_NUMBERS_AT_ONCE // 4):
            if footprint.resampled:
                part = resample_slices(self.mean(window), footprint.kept[1:], rows=rows, columns=columns)
            else:  # other windows show the others
                part = self.mean(window, rows=rows, columns=columns)
            for channel, values in zip(turned, part, strict=True):
                channel[window.start - slices.start : window.stop - slices.start] += values


def _windows(slices: slice, *, numbers: int, at_once: int) -> Iterator[slice]:
    """Some of the slices at a time, each of which has so many numbers."""
    step = max(at_once // numbers, 1)
    return (slice(first, min(first + step, slices.stop)) for first in range(slices.start, slices.stop, step))


def _score(case: HeldOutCase, prediction: NDArray[np.uint16], reference: LabelMap) -> CaseMetrics:
    return score_case(
        case.id,
        prediction,
        reference.array,
        classes=case.classes,
        spacing_mm=reference.geometry.spacing_mm,
        tolerances_mm=case.tolerances_mm,
        ignore=case.ignore,
    )
