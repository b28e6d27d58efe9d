"""Held-out cases read back: label maps and scores of any choice of networks, from their stored probabilities."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoseg.catalogue import Architecture
from autoseg.data.dataset import LabelClass, names_by_value
from autoseg.data.labels import encoding_of
from autoseg.errors import WorkspaceError
from autoseg.evaluation.cases import CaseMetrics, score_case
from autoseg.images.image import LabelMap, on_grid_of, read_labels
from autoseg.images.sources import read_geometry
from autoseg.inference import probabilities
from autoseg.inference.quality import ExpectedDice, by_class
from autoseg.inference.steps import Step, apply_steps
from autoseg.postprocessing.combinations import Networks
from autoseg.postprocessing.held_out.files import predict_again
from autoseg.preprocessing.footprint import Footprint, empty_labels, put_labels
from autoseg.storage import files
from autoseg.storage.arrays import map_array

_NUMBERS_AT_ONCE: Final = 1 << 26
"""Probabilities that are decoded at once, unless a single slice has more. Source: chosen; 256 MiB, twice those of IBSR18."""


@dataclass(frozen=True)
class HeldOutCase:
    """One held-out case.

    Attributes:
        id: the case.
        reference: file of its label map.
        footprint: from the slices of the stored probabilities back to the scan.
        probabilities: files of each network's probabilities, one for each of its seeds, (K, S, H, W), uint8.
        sha256: of each of these files, as they were written.
        classes: what the label values stand for, background first.
        scan: file of the scan, of its first channel.
    """

    id: str
    reference: Path
    footprint: Footprint
    probabilities: Mapping[Architecture, tuple[Path, ...]]
    sha256: Mapping[Path, str]
    classes: tuple[LabelClass, ...]
    scan: Path

    def read_reference(self) -> LabelMap:
        """The label map the case came with, on the grid of its scan; neither has changed since training."""
        labels = read_labels(self.reference, values=names_by_value(self.classes))
        return on_grid_of(labels, read_geometry(self.scan), where=self.reference, other=self.scan, compared=True)


def verify(case: HeldOutCase) -> None:
    """Compare a case's probabilities with their checksums.

    Raises:
        WorkspaceError: they are missing, or have changed since they were written.
    """
    for path, expected in case.sha256.items():
        found = files.sha256_file(path) if path.exists() else "no file"
        if found != expected:
            raise _unusable(path, expected=f"sha256 {expected}", found=found)


def label_map(case: HeldOutCase, networks: Sequence[Architecture]) -> NDArray[np.uint16]:
    """Label values that the networks together give the scan, (Z, Y, X).

    Raises:
        WorkspaceError: probabilities are missing or do not fit the case.
    """
    encoding = encoding_of(case.classes)
    labels = empty_labels(case.footprint, encoding)
    for first, part in mean_probabilities(case, networks):
        put_labels(labels, part, case.footprint, encoding, first=first)
    return labels


def score_choices(case: HeldOutCase, *, choices: Sequence[Networks]) -> tuple[CaseMetrics, ...]:
    """Scores of the case under several choices of networks, in their order."""
    reference = case.read_reference()
    return tuple(_score(case, label_map(case, networks), reference) for networks in choices)


def postprocessed(
    case: HeldOutCase, *, networks: Networks, steps: Sequence[Step], spacing_mm: tuple[float, float, float]
) -> NDArray[np.uint16]:
    """The label map of one choice of networks after postprocessing, (Z, Y, X)."""
    return apply_steps(label_map(case, networks), steps, spacing_mm=spacing_mm)


def expectations(case: HeldOutCase, *, networks: Networks) -> dict[str, float]:
    """By class name, the Dice that the networks expect of themselves, without background."""
    expected = ExpectedDice(encoding_of(case.classes))
    for _, part in mean_probabilities(case, networks):
        expected.add(part)
    return by_class([label.name for label in case.classes[1:]], expected.by_class())


def mean_probabilities(case: HeldOutCase, networks: Sequence[Architecture]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Average of the networks' probabilities, which is that of all its seeds for each, a few slices at a time.

    Yields:
        number of the first of n slices, and their probabilities, (K, n, H, W), float32, in [0, 1].

    Raises:
        ValueError: there are no networks.
        WorkspaceError: probabilities are missing or do not fit the case.
    """
    stored = [[_stored(case, path) for path in case.probabilities[network]] for network in networks]
    slices = case.footprint.kept[0]
    step = max(_NUMBERS_AT_ONCE * slices // max((one.size for arrays in stored for one in arrays), default=1), 1)
    for first in range(0, slices, step):
        yield first, probabilities.decode_mean([[one[:, first : first + step] for one in arrays] for arrays in stored])


def _score(case: HeldOutCase, prediction: NDArray[np.uint16], reference: LabelMap) -> CaseMetrics:
    return score_case(case.id, prediction, reference.array, classes=case.classes, spacing_mm=reference.geometry.spacing_mm)


def _stored(case: HeldOutCase, path: Path) -> NDArray[np.uint8]:
    expected = (len(case.classes), case.footprint.kept[0], *case.footprint.size_px)
    try:
        stored = map_array(path)
    except (OSError, ValueError) as cause:
        raise _unusable(path, expected="an array", found=f"a file that cannot be read ({cause})") from None
    if stored.dtype != np.uint8 or stored.shape != expected:
        raise _unusable(path, expected=f"uint8, {expected}", found=f"{stored.dtype}, {stored.shape}")
    return stored


def _unusable(path: Path, *, expected: str, found: str) -> WorkspaceError:
    return WorkspaceError(
        "not the probabilities of this held-out case",
        where=path,
        expected=expected,
        found=found,
        remedy=predict_again(path),
    )
