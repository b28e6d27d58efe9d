"""A folder of label maps and what was asked for beside them: where everything goes, and writing it."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import LabelClass
from autoseg.images.image import Image, write_channels, write_labels
from autoseg.images.nifti_file import write_nifti_volumes
from autoseg.inference.dicom_seg import WriteSeg
from autoseg.inference.result_paths import extra_paths, label_map_path
from autoseg.inference.scans import Scan
from autoseg.inference.segmenter import Segmentation
from autoseg.inference.table import TABLE_FILE
from autoseg.storage import files


class DrawCase(Protocol):
    """Draws label maps over their scan; what draws lies above this package."""

    def __call__(
        self, path: Path, image: Image, overlays: Mapping[str, NDArray[np.integer[Any]]], /, *, classes: Sequence[LabelClass]
    ) -> None:
        """Draw into a file."""


@dataclass(frozen=True)
class Results:
    """What an output folder is to hold.

    Attributes:
        folder: where it is.
        probabilities: also the probability of every class.
        uncertainty: also how undecided the networks are, and the Dice that is probably reached.
        draw: draws every label map over its scan; None: no pictures.
        write_seg: writes label maps of DICOM series as DICOM segmentations, too; None: there are none.
        force: replace whatever is there.
    """

    folder: Path
    probabilities: bool = False
    uncertainty: bool = False
    draw: DrawCase | None = None
    write_seg: WriteSeg | None = None
    force: bool = False

    @property
    def table(self) -> Path:
        """The CSV file with a row per scan."""
        return self.folder / TABLE_FILE

    def label_map(self, case: str) -> Path:
        """Where the label map of a scan goes."""
        return label_map_path(self.folder, case)

    def extras(self, case: str) -> dict[str, Path]:
        """Where the files beside a label map go, by the names in `table.EXTRAS`; made only if asked for."""
        return extra_paths(self.folder, case)

    def dicom_seg(self, case: str) -> Path:
        """Where the DICOM segmentation of a scan goes."""
        return self.extras(case)["dicom_seg"]

    def wants_seg(self, scan: Scan) -> bool:
        """Whether a scan gets a DICOM segmentation, which can be made whenever its label map is there."""
        return self.write_seg is not None and scan.series

    def predicted_extras(self, case: str) -> dict[str, Path]:
        """Those that are asked for and can only be made while the scan is segmented."""
        asked = {"probabilities": self.probabilities, "uncertainty": self.uncertainty, "picture": self.draw is not None}
        return {name: path for name, path in self.extras(case).items() if asked.get(name, False)}


class FileDigests:
    """SHA-256 of files; each is read once, and again where it may have changed since (other size, time or inode)."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int, int], str]] = {}

    def of(self, path: Path) -> str:
        """The digest of a file.

        Raises:
            OSError: it cannot be read.
        """
        found = path.stat()
        state = (found.st_size, found.st_mtime_ns, found.st_ino)
        known = self._known.get(path)
        if known is None or known[0] != state:
            self._known[path] = known = (state, files.sha256_file(path))
        return known[1]


def write_outputs(case: str, image: Image, found: Segmentation, results: Results, *, classes: Sequence[LabelClass]) -> None:
    """Write the label map of a scan and what was asked for beside it; what was there before goes: another model found it.

    Whether that may go is asked before, by `inference.foreign`. DICOM segmentations are written by whoever has the digest of
    the label map.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    wanted = results.predicted_extras(case)
    files.remove(path for name, path in results.extras(case).items() if name not in wanted)
    write_labels(results.label_map(case), found.labels.array, found.labels.geometry)
    if found.probabilities is not None:
        write_channels(wanted["probabilities"], found.probabilities, found.labels.geometry)
    if found.spooled is not None:
        with closing(found.spooled) as spooled:
            write_nifti_volumes(wanted["probabilities"], spooled.volumes(), found.labels.geometry, number=len(classes))
    if found.entropy is not None:
        write_channels(wanted["uncertainty"], found.entropy[np.newaxis], found.labels.geometry)
    if results.draw is not None:
        results.draw(wanted["picture"], image, {"prediction": found.labels.array}, classes=classes)
