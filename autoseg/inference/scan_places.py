"""Where the scans of a folder of results lie: named in its table as seen from there, so that both may be moved together."""

import os
from collections.abc import Sequence
from pathlib import Path

from autoseg.data.places import seen_from
from autoseg.inference.scans import Scan
from autoseg.storage.utf8 import is_utf8


def scan_cells(scan: Scan, folder: Path) -> tuple[str, ...]:
    """The files of a scan as the table of a folder of results names them.

    Args:
        scan: the scan; of a DICOM series the folder counts that holds all of its slices.
        folder: of the results.

    Returns:
        one per file; none where a name is not UTF-8, which no table holds.
    """
    paths: Sequence[Path] = scan.images
    if scan.series:
        paths = [Path(os.path.commonpath([path.absolute().parent for path in scan.images]))]
    named = tuple(seen_from(folder, path.absolute()) or str(path.absolute()) for path in paths)
    return named if all(map(is_utf8, named)) else ()


def scan_paths(cells: Sequence[str], folder: Path) -> tuple[Path, ...]:
    """The files that the table of a folder of results names, as absolute paths."""
    root = folder.resolve()
    return tuple(Path(os.path.normpath(root / cell)) for cell in cells)
