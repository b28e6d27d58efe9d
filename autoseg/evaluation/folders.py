"""Folders of label maps scored, case by case, from their files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import IGNORE, LabelClass, names_by_value
from autoseg.errors import AutosegError, DatasetError, UsageError
from autoseg.evaluation.cases import CaseMetrics, Tolerances, score_case, with_all_classes
from autoseg.evaluation.judged_files import JudgedPair
from autoseg.evaluation.pairing import Pair, Pairing, pair_files
from autoseg.events import Events
from autoseg.formats.checksum import image_checksum
from autoseg.images.image import on_grid_of, read_labels
from autoseg.images.label_values import voxel_counts
from autoseg.images.segments import BACKGROUND, named_classes
from autoseg.jobs.pool import given_up, ordered_map
from autoseg.jobs.work import Jobs
from autoseg.metrics.masks import labelled_part
from autoseg.metrics.tolerance import DEFAULT_TOLERANCE_MM


@dataclass(frozen=True)
class Evaluation:
    """Folders compared.

    Attributes:
        cases: the cases that could be scored, by id.
        failures: ids of the others, with what is wrong with them.
        pairing: which files were compared, and which have no partner.
        partial: ids of the cases whose references have voxels without a label.
        judged: files of the cases that could be scored, as they were then.
    """

    cases: tuple[CaseMetrics, ...]
    failures: tuple[tuple[str, AutosegError], ...]
    pairing: Pairing
    partial: tuple[str, ...] = ()
    judged: tuple[JudgedPair, ...] = ()

    @property
    def unpaired(self) -> tuple[Path, ...]:
        """Files without a partner, predictions first."""
        return self.pairing.without_reference + self.pairing.without_prediction

    @property
    def references(self) -> int:
        """Of how many cases there are references to compare with, scored or not."""
        return len(self.pairing.expected)

    @property
    def problems(self) -> tuple[tuple[str, AutosegError], ...]:
        """What is wrong with cases that could not be scored, and with files without a partner."""
        remedy = "Give both files the same name, or <id> and <id>_seg, or move what should not be compared."
        alone = (
            (path.name, DatasetError("has no partner to compare with", where=path, remedy=remedy)) for path in self.unpaired
        )
        return (*self.failures, *alone)


def evaluate_folders(
    predictions: Path,
    references: Path,
    *,
    classes: Sequence[LabelClass] | None,
    tolerances_mm: Tolerances = DEFAULT_TOLERANCE_MM,
    ignore: int | None,
    events: Events,
    jobs: Jobs = 1,
) -> Evaluation:
    """Score all label maps of two folders that belong together, reading one case at a time.

    Args:
        predictions: a label map or a folder of them.
        references: likewise; see `pair_files` for what belongs together.
        classes: the classes that may occur, background included or not; None: every value found on either side,
            called `class N`, or those that the references name as segments.
        tolerances_mm: as of `score_case`.
        ignore: value of voxels without a label in the references; None: that of the segment `ignore`, if there is one.
        events: notified of progress, and warned about files.
        jobs: processes that work side by side, >= 1, or an executor. The result does not depend on it.

    Raises:
        UsageError: nothing to compare.
        DatasetError: an id occurs twice on one side.
        SystemFailureError: nothing could be done at all, as where processes cannot be started.
    """
    pairing = pair_files(predictions, references)
    for passed in pairing.passed_over:
        passed.tell(events)
    classes = classes or _segment_classes([pair.reference for pair in pairing.pairs])
    if classes is not None and ignore is None:
        ignore = next((label.value for label in classes if label.name.casefold() == IGNORE), None)
    known = None if classes is None else tuple(label for label in classes if label.value != ignore)
    compare = partial(_compare, classes=known, tolerances_mm=tolerances_mm, ignore=ignore)
    scored, failures, in_part, judged = [], [], [], []
    with (
        events.track("comparing", total=len(pairing.pairs), unit="cases") as progress,
        ordered_map(compare, pairing.pairs, jobs=jobs, on_death=given_up) as results,
    ):
        for pair, result in zip(pairing.pairs, results, strict=True):
            if isinstance(result, AutosegError):
                failures.append((pair.id, result))
            else:
                scored.append(result.metrics)
                judged.append(result.judged)
                in_part += [pair.id] if result.partial else []
                for note in result.notes:
                    events.warn(f"{pair.id}: {note}")
            progress.advance()
    return Evaluation(with_all_classes(scored, tolerances_mm), tuple(failures), pairing, tuple(in_part), tuple(judged))


def _segment_classes(references: Sequence[Path]) -> tuple[LabelClass, ...] | None:
    """The classes that 3D Slicer's segments are called by; None where references name none."""
    named = named_classes(references)
    if named is None:
        return None
    if not named.own:
        raise UsageError(
            "segments of one name have different label values, so that those of the predictions cannot be told",
            where=references[0].parent,
            found=", ".join(list(named.names.values())[1:]),
            remedy="Name the workspace that the predictions stem from with --workspace: classes are told by their names.",
        )
    return tuple(LabelClass(value=value, name=name) for value, name in named.names.items())


@dataclass(frozen=True)
class _Scored:
    metrics: CaseMetrics
    judged: JudgedPair
    notes: tuple[str, ...]
    partial: bool


def _compare(
    pair: Pair, *, classes: tuple[LabelClass, ...] | None, tolerances_mm: Tolerances, ignore: int | None
) -> _Scored | AutosegError:
    """Score one pair of files. An error is returned, not raised: the other cases go on."""
    allowed = None if classes is None else {0: BACKGROUND, **names_by_value(classes)}
    with_ignored = None if classes is None else {0: BACKGROUND, **names_by_value(classes, ignore=ignore)}
    try:
        # Before they are read: a file that is replaced meanwhile is another one than was judged.
        judged = JudgedPair(pair, image_checksum(pair.prediction), image_checksum(pair.reference))
        reference = read_labels(pair.reference, values=with_ignored)
        prediction = read_labels(pair.prediction, values=allowed)
        if reference.partial and not prediction.partial:
            reference = on_grid_of(reference, prediction.geometry, where=pair.reference, other=pair.prediction)
        prediction = on_grid_of(prediction, reference.geometry, where=pair.prediction, other=pair.reference)
    except AutosegError as error:
        return error
    metrics = score_case(
        pair.id,
        prediction.array,
        reference.array,
        classes=_present(prediction.array, reference.array, ignore=ignore) if classes is None else classes,
        spacing_mm=reference.geometry.spacing_mm,
        tolerances_mm=tolerances_mm,
        ignore=ignore,
    )
    named = ((pair.reference, reference.warnings), (pair.prediction, prediction.warnings))
    partial = labelled_part(reference.array, ignore=ignore) is not None
    return _Scored(metrics, judged, tuple(f"{path}: {note}" for path, notes in named for note in notes), partial)


def _present(*label_maps: NDArray[np.uint16], ignore: int | None) -> tuple[LabelClass, ...]:
    found = {int(value) for labels in label_maps for value in np.flatnonzero(voxel_counts(labels))}
    values = sorted(found - {ignore})
    return tuple(LabelClass(value=value, name=f"class {value}") for value in values)
