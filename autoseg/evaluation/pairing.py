"""Which prediction belongs to which reference."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from autoseg.data.folders import SCANS, Kind, PassedOver, role_of
from autoseg.data.ids import Place, identify
from autoseg.data.naming import (
    LABEL_ENDING,
    image_stem,
    is_label_stem,
    named_file,
    refuse_undecodable,
    stem_of_any,
    without_label_ending,
)
from autoseg.errors import DatasetError, SystemFailureError, UsageError
from autoseg.evaluation.tables import METRICS_FILE, plot_file
from autoseg.formats import IMAGE_SUFFIXES
from autoseg.layouts import find_dataset
from autoseg.metrics.table import METRICS

IGNORED_FOLDERS: Final = frozenset({"probabilities", "uncertainty", "pictures", "dicom_seg", "evaluation"})
"""Sub-folders in which this tool keeps images that are no label maps."""


@dataclass(frozen=True)
class Pair:
    """Two label maps of one case.

    Attributes:
        id: what both files are called, without suffix and `_seg`: their name, or the folders that tell equal names apart.
        prediction: file to evaluate.
        reference: file to compare with.
    """

    id: str
    prediction: Path
    reference: Path


@dataclass(frozen=True)
class Pairing:
    """What belongs together, and what stays alone.

    Attributes:
        pairs: by id, sorted.
        without_reference: predictions that no reference belongs to.
        without_prediction: references that no prediction belongs to.
        passed_over: what is there besides and was not used.
        expected: ids of the references, with and without a prediction; where one file is asked for, its own alone.
    """

    pairs: tuple[Pair, ...]
    without_reference: tuple[Path, ...] = ()
    without_prediction: tuple[Path, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    expected: tuple[str, ...] = ()


def pair_files(predictions: Path, references: Path) -> Pairing:
    """Pair `<id>` with `<id>` or `<id>_seg`, however deep in their folders.

    Two files are a pair whatever their names. Files of the same name are called after the folders that tell them apart
    (`data.ids`). In folders, hidden files, the folders in `IGNORED_FOLDERS` and the plots beside a table of scores do not
    count; files that are no images by their name are skipped. Where references called `<id>_seg`, or in folders such as
    `labels`, lie among others, the others are taken for the scans themselves and skipped. A single file asks for itself
    only: the rest of the other side is not missed. Where the folder of references is a data set, its cases' label maps and
    ids count.

    Args:
        predictions: a file, or a folder that is searched with all its sub-folders.
        references: likewise.

    Raises:
        UsageError: a side does not exist or holds no image, or no two files belong together.
        DatasetError: an id occurs twice on one side.
        SystemFailureError: a folder may not be read.
    """
    predictions, references = named_file(predictions), named_file(references)
    passed = {place: PassedOver(place) for place in (predictions, references)}
    found, wanted = _label_files(predictions, passed[predictions]), _label_files(references, passed[references])
    by_prediction = _by_id(found, predictions)
    if predictions.is_file() and references.is_file():
        [(case, prediction)] = by_prediction.items()
        return Pairing(pairs=(Pair(case, prediction, references),), expected=(case,))
    by_reference = _of_data_set(references) or _by_id(_without_scans(wanted, passed[references]), references)
    common = sorted(by_prediction.keys() & by_reference.keys())
    if not common:
        raise UsageError(
            f"no file belongs to one of {references}",
            where=predictions,
            expected=f"names such as {min(by_reference)}, with or without {LABEL_ENDING}",
            found=f"names such as {min(by_prediction)}",
            remedy="Give the label maps of one case the same name on both sides.",
        )
    return Pairing(
        pairs=tuple(Pair(case, by_prediction[case], by_reference[case]) for case in common),
        without_reference=() if references.is_file() else _others(by_prediction, common),
        without_prediction=() if predictions.is_file() else _others(by_reference, common),
        passed_over=tuple(passed.values()),
        expected=tuple(common if predictions.is_file() else sorted(by_reference)),
    )


def has_label_maps(place: Path) -> bool:
    """Whether a place is, or holds at any depth, a file that may be a label map by its name."""
    return any(map(image_stem, [place] if place.is_file() else _walk(place)))


def _label_files(place: Path, passed: PassedOver) -> list[Path]:
    if not place.exists():
        raise UsageError("there is no such file or folder", where=place, remedy="Check its name.")
    if place.is_file():
        return [place]
    files = []
    for path in _walk(place):
        if image_stem(path):
            files.append(path)
        else:
            passed.add_unread(path)
    if not files:
        raise UsageError(
            "holds no label map",
            where=place,
            expected=f"names that end in one of {', '.join(IMAGE_SUFFIXES)}",
            found="; ".join(passed.sentences) or None,
            remedy="Name a label map or a folder of them.",
        )
    return files


def _others(by_id: Mapping[str, Path], common: Iterable[str]) -> tuple[Path, ...]:
    return tuple(by_id[case] for case in sorted(by_id.keys() - common))


def _walk(folder: Path) -> list[Path]:
    found: list[Path] = []
    for parent, children, names in os.walk(folder, onerror=_refuse):
        children[:] = [name for name in children if name not in IGNORED_FOLDERS and not name.startswith(".")]
        plots = {plot_file(Path(parent), metric).name for metric in METRICS} if METRICS_FILE in names else set()
        found += [Path(parent) / name for name in names if not name.startswith(".") and name not in plots]
    return sorted(found)


def _refuse(cause: OSError) -> NoReturn:
    raise SystemFailureError(
        f"cannot be read ({cause.strerror})", where=cause.filename, remedy="Check the folder and its permissions."
    ) from None


def _of_data_set(place: Path) -> dict[str, Path]:
    """The label maps of a data set by the ids that planning gives its cases; none where the folder is no data set."""
    if not place.is_dir():
        return {}
    try:
        dataset = find_dataset(place)
    except DatasetError:  # names and folders say what belongs together
        return {}
    return {case.id: case.label for case in dataset.cases if case.label is not None}


def _without_scans(references: Sequence[Path], passed: PassedOver) -> list[Path]:
    """The label maps among files that may be a whole data set: by their names, or by those of the folders they are in."""
    labels = [path for path in references if is_label_stem(stem_of_any(path))] or [
        path for path in references if "labels" in _kinds(path, passed.root)
    ]
    named = set(labels)
    others = [path for path in references if path not in named]
    if not labels or not all(is_label_stem(stem_of_any(path)) for path in labels):
        # A folder of label maps says nothing of what lies elsewhere, unless that is in a folder of scans.
        others = [path for path in others if labels and "images" in _kinds(path, passed.root)]
    passed.add(others, reason=SCANS)
    left_out = set(others)
    return [path for path in references if path not in left_out]


def _kinds(path: Path, root: Path) -> set[Kind | None]:
    return {role_of(name).kind for name in _folders(path, root)}


def _by_id(paths: Sequence[Path], root: Path) -> dict[str, Path]:
    places = [Place(_folders(path, root), without_label_ending(stem_of_any(path))) for path in paths]
    groups = defaultdict(list)
    for case, path in zip(identify(places), paths, strict=True):
        groups[case or stem_of_any(path)].append(path)
    for case, members in groups.items():
        refuse_undecodable(case, where=members[0])
        if len(members) > 1:
            raise DatasetError(
                f"{len(members)} files are called the case {case}",
                where=members[0],
                expected="one",
                found=", ".join(str(path) for path in members),
                remedy="Name the folder that holds only the label maps meant, or move the others away.",
            )
    return {case: members[0] for case, members in groups.items()}


def _folders(path: Path, root: Path) -> tuple[str, ...]:
    return () if path == root else path.parent.relative_to(root).parts
