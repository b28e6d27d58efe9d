"""What a path of an image stands for: a file of volumes, or a folder or file of DICOM slices."""

from pathlib import Path

from autoseg.catalogue import NotFinite
from autoseg.errors import ImageError
from autoseg.formats.verification import is_lossy
from autoseg.images.dicom.place import is_dicom_place, read_place, read_place_geometry
from autoseg.images.geometry import Geometry
from autoseg.images.volumes import Admit, Volumes, read_volumes, read_volumes_geometry


def read_source(path: Path, *, not_finite: NotFinite = "refuse", admit: Admit | None = None) -> Volumes:
    """Verify an image and read it.

    Args:
        path: its file, or the folder with the slices of one scan.
        not_finite: what to do with voxels that are NaN or infinite.
        admit: asked before any voxel is read.

    Raises:
        ImageError: it is damaged, or holds no volumes.
    """
    if is_dicom_place(path):
        return read_place(path, admit=admit)
    return read_volumes(path, not_finite=not_finite, admit=admit)


def read_lossless(path: Path) -> Volumes:
    """Verify a label map and read it.

    Raises:
        ImageError: it is damaged, holds no volumes, or was stored with loss.
    """
    is_dicom = is_dicom_place(path)
    volumes = read_place(path) if is_dicom else read_volumes(path, as_labels=True)
    if volumes.lossy if is_dicom else is_lossy(path):
        raise ImageError(
            "a label map that is stored with loss, so that its values may have changed",
            where=path,
            expected="a format that keeps every value, such as .nii.gz or .png",
            remedy="Save it again from its source; what the loss has changed cannot be told.",
        )
    return volumes


def read_geometry(path: Path) -> Geometry:
    """Where the voxels of an image that was read before lie.

    Raises:
        ImageError: it is missing or damaged.
    """
    return read_place_geometry(path) if is_dicom_place(path) else read_volumes_geometry(path)
