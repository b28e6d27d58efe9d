"""Which prediction belongs to which reference."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from autoseg.data.naming import LABEL_ENDING, image_stem, is_label_stem, without_label_ending
from autoseg.errors import DatasetError, SystemFailureError, UsageError
from autoseg.formats import IMAGE_SUFFIXES

IGNORED_FOLDERS: Final = frozenset({"probabilities", "uncertainty", "pictures", "evaluation"})
"""Sub-folders in which this tool keeps images that are no label maps."""


@dataclass(frozen=True)
class Pair:
    """Two label maps of one case.

    Attributes:
        id: the name that both files share, without suffix and `_seg`.
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
    """

    pairs: tuple[Pair, ...]
    without_reference: tuple[Path, ...] = ()
    without_prediction: tuple[Path, ...] = ()


def pair_files(predictions: Path, references: Path) -> Pairing:
    """Pair `<id>` with `<id>` or `<id>_seg`, however deep in their folders.

    Two files are a pair whatever their names. In folders, hidden files, files that are no images by their name, and the
    folders in `IGNORED_FOLDERS` do not count. Where references called `<id>_seg` lie among others, the others are taken
    for the scans themselves and ignored. A single file asks for itself only: the rest of the other side is not missed.

    Args:
        predictions: a file, or a folder that is searched with all its sub-folders.
        references: likewise.

    Raises:
        UsageError: a side does not exist or holds no image, or no two files belong together.
        DatasetError: an id occurs twice on one side.
        SystemFailureError: a folder may not be read.
    """
    found, wanted = _label_files(predictions), _without_scans(_label_files(references))
    if predictions.is_file() and references.is_file():
        return Pairing(pairs=(Pair(_case_id(predictions), predictions, references),))
    by_prediction, by_reference = _by_id(found), _by_id(wanted)
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
    )


def _label_files(place: Path) -> list[Path]:
    if not place.exists():
        raise UsageError("there is no such file or folder", where=place, remedy="Check its name.")
    files = _walk(place) if place.is_dir() else [place] if image_stem(place) else []
    if not files:
        raise UsageError(
            "no label map" if place.is_file() else "holds no label map",
            where=place,
            expected=f"names that end in one of {', '.join(IMAGE_SUFFIXES)}",
            remedy="Name a label map or a folder of them.",
        )
    return files


def _others(by_id: Mapping[str, Path], common: Iterable[str]) -> tuple[Path, ...]:
    return tuple(by_id[case] for case in sorted(by_id.keys() - common))


def _walk(folder: Path) -> list[Path]:
    found = []
    for parent, children, names in os.walk(folder, onerror=_refuse):
        children[:] = [name for name in children if name not in IGNORED_FOLDERS and not name.startswith(".")]
        candidates = [Path(parent) / name for name in names if not name.startswith(".")]
        found += [path for path in candidates if image_stem(path)]
    return sorted(found)


def _refuse(cause: OSError) -> NoReturn:
    raise SystemFailureError(
        f"cannot be read ({cause.strerror})", where=cause.filename, remedy="Check the folder and its permissions."
    ) from None


def _without_scans(references: list[Path]) -> list[Path]:
    labels = [path for path in references if is_label_stem(_stem(path))]
    return labels or references


def _by_id(paths: Iterable[Path]) -> dict[str, Path]:
    groups = defaultdict(list)
    for path in paths:
        groups[_case_id(path)].append(path)
    for case, members in groups.items():
        if len(members) > 1:
            raise DatasetError(
                f"{len(members)} files are called the case {case}",
                where=members[0],
                expected="one",
                found=", ".join(str(path) for path in members),
                remedy="Name the folder that holds only the label maps meant, or move the others away.",
            )
    return {case: members[0] for case, members in groups.items()}


def _case_id(path: Path) -> str:
    return without_label_ending(_stem(path))


def _stem(path: Path) -> str:
    stem = image_stem(path)
    assert stem is not None, "only files with an image suffix get here"  # noqa: S101 - the impossible
    return stem
