"""What files are called: which names are images, label maps and channels, and what may become a name."""

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from autoseg.errors import DatasetError
from autoseg.formats import IMAGE_SUFFIXES

LABEL_ENDING: Final = "_seg"
"""How the names of label maps end that lie beside scans, where nothing else is asked for."""

CHANNEL_ENDINGS: Final = "_0000, _0001, ..."
"""How the names of the channels of one scan end, for messages."""

FILE_NAMES: Final = "printable text of at most 200 bytes, with no slash, no colon and no leading dot or blank"
"""What a name needs to become the name of files and folders."""
_LABEL: Final = re.compile(r"(?:^|[_.-])(?:d?seg|segmentations?|masks?|labels?|labelmap|gt)$", re.IGNORECASE)
"""Ends of the names of label maps. Source: what BIDS (dseg, mask), 3D Slicer (.seg, -label), ACDC (gt) and people write."""

_CHANNEL: Final = re.compile(r"^(?P<id>.+)_(?P<number>\d{4})$")
_PREFIX: Final = re.compile(r"^(Dataset|Task)\d+_(?=.)")

_MOST_BYTES: Final = 200
"""File systems allow 255, and endings are added."""


def image_stem(path: Path) -> str | None:
    """The file's name without its image suffix, whatever its case; None where it is not an image by its name.

    Names are normalised: systems store the same letter composed or decomposed, and no eye tells them apart.
    """
    name = normalised(path.name)
    for suffix in IMAGE_SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return None


def stem_of_any(path: Path) -> str:
    """A name for whatever a file holds: without its image suffix, or else without the last of its endings."""
    return image_stem(path) or normalised(path.stem).lstrip(".") or normalised(path.name)


def case_and_channel(stem: str) -> tuple[str, int] | None:
    """The id and the number in the name `<id>_0001` of a channel, without suffix; None where it has no number."""
    match = _CHANNEL.match(stem)
    return None if match is None else (match["id"], int(match["number"]))


def channel_of(stem: str, channels: Sequence[str], *, any_case: bool = False) -> tuple[str, str] | None:
    """What stands before a channel at the end of a name, and the channel: `anna_T1` or `T1`; None: there is none.

    Of channels that both fit, as `w` and `T1w` would, the longer one counts.

    Args:
        stem: a file's name without its suffix.
        channels: what channels are called.
        any_case: whether `anna_t1` is a T1, too, unless another channel is called `t1`.
    """
    if any_case and len({channel.lower() for channel in channels}) < len(channels):
        any_case = False
    for channel in sorted(channels, key=len, reverse=True):
        before, end = stem[: -len(channel)], stem[-len(channel) :]
        alike = end == channel or (any_case and end.lower() == channel.lower())
        if alike and (not before or before[-1] in "_.-"):
            return before[:-1], channel
    return None


def without_first_channel(stem: str) -> str:
    """The id in the name of the first channel, `<id>_0000`, without suffix; other names as they are."""
    found = case_and_channel(stem)
    return stem if found is None or found[1] else found[0]


def channel_stem(case: str, channel: int) -> str:
    """The name of the file of one channel, without suffix: `<id>_0001`."""
    return f"{case}_{channel:04d}"


def normalised(name: str) -> str:
    """A name in Unicode's composed form (NFC), in which names are compared."""
    return unicodedata.normalize("NFC", name)


def is_label_stem(stem: str) -> bool:
    """Whether a name without suffix is that of a label map, such as `<id>_seg`, `<id>-label`, `<id>.seg` or `mask`."""
    return _LABEL.search(stem) is not None


def without_label_ending(stem: str) -> str:
    """The id in the name of a label map, `<id>_seg` or `<id>`; empty where the name says nothing but what it is."""
    return _LABEL.sub("", stem)


def named_file(path: Path) -> Path:
    """The file that is meant by a path which somebody wrote down.

    The voxels of a pair stand for their header, `.img` for `.hdr`; a name that is there in another normal form is that one.

    Args:
        path: may name nothing.

    Returns:
        the path of the file meant; the same path where there is none.
    """
    found = _in_any_form(path)
    if found.suffix.lower() == ".img":
        return next((header for suffix in (".hdr", ".HDR") if (header := found.with_suffix(suffix)).is_file()), found)
    return found


def _in_any_form(path: Path) -> Path:
    """A path as the disk spells it, where that differs in its normal form only."""
    if path.exists() or path.is_symlink() or path.parent == path:
        return path
    folder = _in_any_form(path.parent)
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    same = (entry for entry in entries if normalised(entry.name) == normalised(path.name))
    return next(same, folder / path.name)


def is_file_name(text: str) -> bool:
    """Whether a text may become the name of a file: one with a path in it would be written outside its folder."""
    fits = text.isprintable() and 0 < len(text.encode(errors="replace")) <= _MOST_BYTES
    return fits and not text.startswith((".", " ")) and not any(sign in text for sign in "/\\:")


def refuse_unusable(name: str, problem: str, *, where: Path | str | None = None, remedy: str) -> None:
    """Refuse a name that may not become that of a file or a folder.

    Args:
        name: the name.
        problem: what is wrong where it may not.
        where: what holds it.
        remedy: what to do then.

    Raises:
        DatasetError: it may not.
    """
    if not is_file_name(name):
        raise DatasetError(problem, where=where, expected=FILE_NAMES, found=repr(name), remedy=remedy)


def printable(name: str) -> str:
    r"""A file's name as it can be shown and stored: bytes that are not UTF-8 become escapes such as `\xff`."""
    return os.fsencode(name).decode(errors="backslashreplace")


def refuse_undecodable(name: str, *, where: Path) -> None:
    """Refuse a name that is not UTF-8: no table and no JSON document could hold it.

    Args:
        name: the name, which stands for what lies there.
        where: a file or folder that has it.

    Raises:
        DatasetError: it is not.
    """
    if printable(name) != name:
        raise DatasetError("the name is not UTF-8", where=printable(str(where)), remedy="Rename it.")


def dataset_name(root: Path, document: Mapping[str, Any]) -> str:
    """The name a description gives, else the folder's without a prefix such as `Task04_` or `Dataset001_`.

    Raises:
        DatasetError: the description's `name` is not text.
    """
    given = document.get("name", "")
    if not isinstance(given, str):
        raise DatasetError(
            "`name` is not text", where=root / "dataset.json", found=repr(given), remedy="Fix or remove this entry."
        )
    name = given if given.strip() else _PREFIX.sub("", root.name)
    # The name becomes a folder's.
    return re.sub(r"[^\w.-]+", "_", name.strip()).strip("._") or "dataset"
