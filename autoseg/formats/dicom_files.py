"""Which files are DICOM: known by their content, because most have no ending."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

from autoseg.formats.dicom_elements import DicomError, parse_dicom
from autoseg.formats.dicom_fields import Field

_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"
_ENDINGS: Final = (".dcm", ".dicom", ".ima")


def begins_like_dicom(content: bytes) -> bool:
    """Whether bytes are those of a DICOM file: the letters DICM after 128 bytes."""
    return content[_PREAMBLE_BYTES : _PREAMBLE_BYTES + len(_MAGIC)] == _MAGIC


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM; what cannot be read is none: such files are often no images."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return begins_like_dicom(stream.read(_PREAMBLE_BYTES + len(_MAGIC)))
    except OSError:
        return False


def may_be_image(path: Path) -> bool:
    """Whether a path may be that of an image: a file, or a folder in which, or below which, a DICOM file lies."""
    return path.is_file() or (path.is_dir() and any(is_dicom(file) for file in files_below(path)))


def dicom_files(place: Path) -> list[Path]:
    """The files that a path stands for, sorted: what is DICOM below a folder and what should be, or one file's series.

    Args:
        place: a folder, or a DICOM file, which stands for all of its series that lie in its folder.
    """
    if place.is_dir():
        files = list(files_below(place))
        dicom = [path for path in files if is_dicom(path)]
        return sorted([*dicom, *called_like(dicom, files)])
    series = _series_of(place)
    beside = (path for path in place.parent.iterdir() if path != place and series and is_dicom(path))
    return sorted([place, *(path for path in beside if _series_of(path) == series)])


def called_like(dicom: Collection[Path], files: Iterable[Path]) -> list[Path]:
    """Files beside DICOM files that are none, though they have names of the same form: emptied, cut off or overwritten.

    Args:
        dicom: DICOM files.
        files: others, the same ones perhaps among them.
    """
    forms: defaultdict[Path, set[str]] = defaultdict(set)
    for path in dicom:
        forms[path.parent].add(_form(path))
    known = set(dicom)
    return [path for path in files if path not in known and path.parent in forms and _is_called_so(path, forms[path.parent])]


def _is_called_so(path: Path, forms: Collection[str]) -> bool:
    return path.name.lower().endswith(_ENDINGS) or _form(path) in forms


def _form(path: Path) -> str:
    """A name with its numbers left out, however many follow each other."""
    return re.sub(r"[0-9]+(?:\.[0-9]+)*", "0", path.name)


def _series_of(path: Path) -> str:
    """The identifier of a file's series; empty where it has none or cannot be read."""
    try:
        header = parse_dicom(path.read_bytes())
    except DicomError as error:
        return error.fields.get(Field.SERIES_UID, "")
    except OSError:
        return ""
    return "" if header is None else header.fields.get(Field.SERIES_UID, "")


def files_below(folder: Path) -> Iterator[Path]:
    """Files that are not hidden, in a folder and below it; links to folders are not followed."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not path.is_symlink():
                yield from files_below(path)
        else:
            yield path
