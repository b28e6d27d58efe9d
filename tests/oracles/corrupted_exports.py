"""Folders of several DICOM series of which one file is corrupted, and what must not become of the scans."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from oracles.decoded_dicom import ReadDicom
from oracles.dicom_exports import export

from autoseg.errors import AutosegError
from autoseg.images.dicom.scan import DicomScan, name_scans
from autoseg.images.dicom.series import find_series
from autoseg.images.image import read_series

_SLICES = 5


@dataclass(frozen=True)
class SearchCorrupted:
    """Searches a folder with one corrupted file, by number.

    Attributes:
        folder: where the files are.
        seed: of what is done to them.
    """

    folder: Path
    seed: int

    def prepare(self) -> None:
        """Write two series, one of them with two echoes, and find them."""
        assert self._outcome() == "accepted"

    def __call__(self, number: int) -> str:
        """Corrupt one file; says whether anything was refused."""
        generator = np.random.default_rng((self.seed, number))
        path = list(self._intact)[int(generator.integers(len(self._intact)))]
        path.write_bytes(ReadDicom(self.folder, self.seed).corrupt(self._intact[path], generator))
        try:
            return f"{self._outcome()} export"
        finally:
            path.write_bytes(self._intact[path])

    @cached_property
    def _intact(self) -> Mapping[Path, bytes]:
        volume = np.random.default_rng(0).integers(0, 4000, (_SLICES, 6, 7)).astype(np.int16)
        paths = export(self.folder / "one", volume)
        for echo in (1, 2):
            start = 1 + _SLICES * (echo - 1)
            paths += export(self.folder / "two", volume // echo, series="two", start=start, EchoNumbers=echo)
        return {path: path.read_bytes() for path in paths}

    def _outcome(self) -> str:
        found = find_series(self._intact)
        names = name_scans(found.scans, folder_name=lambda folder: folder.name)
        assert len(set(names)) == len(names), names
        told = {path for files in (*found.passed_over.values(), *(scan.files for scan in found.scans)) for path in files}
        said = " ".join(warning for scan in found.scans for warning in (*scan.warnings, str(scan.error)))
        assert all(path in told or path.name in said or "copies" in said for path in self._intact), said
        refused = [scan for scan in found.scans if not _is_read(scan)]
        parts = [scan for scan in found.scans if scan not in refused and len(scan.files) != _SLICES]
        assert not parts or refused or "may be missing" in said, parts
        return "refused" if refused else "accepted"


def _is_read(scan: DicomScan) -> bool:
    try:
        if scan.error is not None:
            raise scan.error
        read_series(scan.files)
    except AutosegError as refused:
        if not (refused.remedy and refused.where):
            raise
        return False
    return True
