"""Arrays on disk, as plain .npy files: whole or not at all, and never a pickle."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import header_data_from_array_1_0, open_memmap, write_array_header_1_0
from numpy.typing import NDArray

from autoseg.storage import files


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Store an array of numbers in one step.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    contiguous = np.ascontiguousarray(array)
    with files.atomic_path(path) as temporary, temporary.open("wb") as stream:
        write_array_header_1_0(stream, header_data_from_array_1_0(contiguous))
        stream.write(contiguous.data)  # not numpy's own writing, which does not say why it fails


def map_array(path: Path) -> NDArray[Any]:
    """Map an array into memory, read-only.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no array of numbers, but for example an archive or a pickle.
    """
    array: NDArray[Any] = open_memmap(path, mode="r")
    return array
