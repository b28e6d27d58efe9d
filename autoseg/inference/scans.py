"""Which scans a folder holds, for prediction."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.data.image import image_stem
from autoseg.errors import DatasetError, UsageError

_CHANNEL: Final = re.compile(r"^(?P<id>.+)_(?P<channel>\d{4})$")
_LABEL_SUFFIX: Final = "_seg"


@dataclass(frozen=True)
class Scan:
    """A scan to be segmented: its id and one file per channel."""

    id: str
    images: tuple[Path, ...]


def find_scans(place: Path, *, channels: int) -> tuple[Scan, ...]:
    """List the scans of a file or of a folder with everything below it.

    Names ending in `_0000`, `_0001`, ... are the channels of one scan; label files (`_seg`) and hidden files are ignored.

    Returns:
        scans by id.

    Raises:
        UsageError: there is no such place, or nothing in it is an image by its name.
        DatasetError: two scans have the same id, or a scan has another number of channels than the model.
    """
    if not place.exists():
        raise UsageError("no such file or folder", where=place, remedy="Check the path to the scans.")
    by_channel: dict[str, dict[int, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in _candidates(place):
        stem = image_stem(path)
        if stem is None or stem.endswith(_LABEL_SUFFIX) or path.name.startswith("."):
            continue
        match = _CHANNEL.match(stem)
        name, channel = (match["id"], int(match["channel"])) if match else (stem, 0)
        by_channel[name][channel].append(path)
    if not by_channel:
        raise UsageError(
            "holds no scans", where=place, expected="images such as .nii.gz, .mha or .nrrd", remedy="Check the path."
        )
    return tuple(_scan(name, found, channels=channels) for name, found in sorted(by_channel.items()))


def _candidates(place: Path) -> Iterable[Path]:
    if place.is_dir():
        return sorted(path for path in place.rglob("*") if path.is_file())
    match = _CHANNEL.match(image_stem(place) or "")
    if match is None:
        return [place]
    return sorted(path for path in place.parent.glob(f"{match['id']}_*") if _belongs(path, match["id"]))


def _belongs(path: Path, name: str) -> bool:
    match = _CHANNEL.match(image_stem(path) or "")
    return match is not None and match["id"] == name


def _scan(name: str, found: dict[int, list[Path]], *, channels: int) -> Scan:
    twice = [str(path) for paths in found.values() if len(paths) > 1 for path in paths]
    if twice:
        raise DatasetError(f"two scans are called {name}", found=", ".join(twice), remedy="Rename or move one of them.")
    paths = tuple(found[channel][0] for channel in sorted(found))
    if len(paths) not in {1, channels}:  # a single file may hold all channels; reading it will tell
        raise DatasetError(
            f"scan {name} has another number of channels than the model",
            where=paths[0].parent,
            expected=f"{channels} channel(s)",
            found=", ".join(path.name for path in paths),
            remedy="Give one file per channel, ending in _0000, _0001, ... in the order of training.",
        )
    return Scan(name, paths)
