"""The checksum by which an image is recognised as unchanged."""

from pathlib import Path

from autoseg import formats
from autoseg.errors import ImageError
from autoseg.formats.dicom_files import dicom_files
from autoseg.formats.sidecar import sidecar
from autoseg.storage import files


def image_checksum(path: Path) -> str:
    """SHA-256 over all that an image is stored in.

    A file that is only a header (.mhd, .nhdr, .hdr) stays the same when its voxels change, so the file that holds them
    counts too; one that is missing counts as such: reading the image says so. Files of a series that a header lists one
    by one are not followed. So does the document beside a picture that states its spacing. A folder of a
    DICOM series is what its slices are, whatever they are called.

    Args:
        path: the image's file, or the folder of a series.

    Returns:
        64 hexadecimal digits; for an image in a single file those of the file itself.

    Raises:
        ImageError: a file is missing or cannot be read.
    """
    try:
        if path.is_dir():
            return files.sha256_json(sorted(files.sha256_file(file) for file in dicom_files(path)))
        own = files.sha256_file(path)
        other = _other_file(path)
        if other is None:
            return own
        return files.sha256_json([own, files.sha256_file(other) if other.is_file() else None])
    except FileNotFoundError:
        raise ImageError("the file does not exist", where=path, remedy="Check the path.") from None
    except OSError as cause:
        raise ImageError(
            f"cannot be read ({cause.strerror or cause})", where=path, remedy="Check the file, its permissions and its disk."
        ) from None


def _other_file(path: Path) -> Path | None:
    """The other file that holds the voxels, or states the spacing of a picture, where there is one."""
    with path.open("rb") as stream:
        content = stream.read(formats.HEADER_BYTES)
    found = formats.find_format(content)
    try:
        if found is not None and found.describe is not None:
            return sidecar(path)
        header = formats.parse(content, path)
    except ImageError:  # damaged: reading the image says so
        return None
    return None if header is None or header.data_file is None else path.parent / header.data_file
