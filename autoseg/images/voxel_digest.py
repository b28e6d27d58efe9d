"""Which scans are the same, whatever their files are: told by voxels, not by bytes."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoseg.images.geometry import Geometry


def voxel_digest(array: NDArray[Any], geometry: Geometry) -> str:
    """SHA-256 of voxels in the order of the patient's axes.

    Copies of a scan have one digest in whatever format, compression, number type or order of storage axes they lie. Spacing
    and origin take no part: a copy with another header shows a network the same.

    Args:
        array: voxels, (Z, Y, X) or (C, Z, Y, X), finite; of one number type wherever digests are compared.
        geometry: where they lie. A 2D image stays as it is.

    Returns:
        64 hexadecimal digits; equal where all voxels are, and only there.
    """
    channels = array.reshape(-1, *geometry.shape)
    if geometry.dimensions == 3:
        patient, signs = geometry.anatomical_axes(), geometry.axis_signs()
        order = [patient.index(axis) for axis in (2, 1, 0)]
        flips = (slice(None), *(slice(None, None, signs[axis]) for axis in order))
        channels = channels.transpose(0, *(1 + axis for axis in order))[flips]
    digest = hashlib.sha256(str((channels.shape, channels.dtype.name)).encode())
    for channel in channels:
        for piece in channel:
            digest.update(np.add(piece, 0, order="C"))  # the copy is of one slice only; -0.0 becomes 0.0
    return digest.hexdigest()
