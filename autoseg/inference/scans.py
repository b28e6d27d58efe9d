"""Which scans a folder holds, for prediction."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.data.image import image_stem
from autoseg.errors import AutosegError, DatasetError, UsageError

_NUMBERED: Final = re.compile(r"^(?P<id>.+)_(?P<number>\d{4})$")
_LABEL_SUFFIX: Final = "_seg"


@dataclass(frozen=True)
class Scan:
    """A scan to be segmented: its id and one file per channel, or a single file that may hold them all."""

    id: str
    images: tuple[Path, ...]


@dataclass(frozen=True)
class FoundScans:
    """What a place holds.

    Attributes:
        scans: those that can be segmented, by id.
        failures: ids of the others, with what is wrong.
    """

    scans: tuple[Scan, ...]
    failures: tuple[tuple[str, AutosegError], ...]


def find_scans(place: Path, *, channels: int, results: Path | None = None) -> FoundScans:
    """List the scans of a file or of a folder with everything below it.

    Names ending in `_0000`, `_0001`, ... up to the model's number of channels are the channels of one scan; other numbers
    belong to the name. Label files (`_seg`) and hidden files are ignored.

    Args:
        place: a scan, or a folder of scans.
        channels: how many channels the model reads.
        results: folder of label maps; where it lies within `place`, nothing in it is a scan.

    Raises:
        UsageError: there is no such place, or nothing in it is an image by its name.
    """
    if not place.exists():
        raise UsageError("no such file or folder", where=place, remedy="Check the path to the scans.")
    by_channel: dict[str, dict[int, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in _candidates(place, channels=channels, results=results):
        stem = image_stem(path)
        if stem is None or stem.endswith(_LABEL_SUFFIX) or path.name.startswith("."):
            continue
        name, channel = _name_and_channel(stem, channels=channels)
        by_channel[name][channel].append(path)
    if not by_channel:
        raise UsageError(
            "holds no scans", where=place, expected="images such as .nii.gz, .mha or .nrrd", remedy="Check the path."
        )
    scans, failures = [], []
    for name, found in sorted(by_channel.items()):
        try:
            scans.append(_scan(name, found, channels=channels))
        except DatasetError as error:
            failures.append((name, error))
    return FoundScans(tuple(scans), tuple(failures))


def _name_and_channel(stem: str, *, channels: int) -> tuple[str, int]:
    """A scan's id and the channel a file holds: `t_0001` is channel 1 of t for two channels, and scan t_0001 for one."""
    match = _NUMBERED.match(stem)
    if match is None or int(match["number"]) >= channels:
        return stem, 0
    return match["id"], int(match["number"])


def _candidates(place: Path, *, channels: int, results: Path | None) -> Iterable[Path]:
    if place.is_dir():
        found = sorted(path for path in place.rglob("*") if path.is_file())
        if results is None or place.resolve() not in results.resolve().parents:
            return found
        return [path for path in found if results.resolve() not in path.resolve().parents]
    name, _ = _name_and_channel(image_stem(place) or "", channels=channels)
    beside = [path for path in sorted(place.parent.iterdir()) if path.is_file() and image_stem(path) is not None]
    siblings = [path for path in beside if _name_and_channel(image_stem(path) or "", channels=channels)[0] == name]
    return siblings if channels > 1 and len(siblings) > 1 else [place]


def _scan(name: str, found: dict[int, list[Path]], *, channels: int) -> Scan:
    twice = [str(path) for paths in found.values() if len(paths) > 1 for path in paths]
    if twice:
        raise DatasetError(f"two scans are called {name}", found=", ".join(twice), remedy="Rename or move one of them.")
    paths = tuple(found[channel][0] for channel in sorted(found))
    if len(paths) > 1 and sorted(found) != list(range(channels)):
        raise DatasetError(
            f"scan {name} has other channels than the model",
            where=paths[0].parent,
            expected=", ".join(f"{name}_{channel:04d}" for channel in range(channels)),
            found=", ".join(path.name for path in paths),
            remedy="Give one file per channel, ending in _0000, _0001, ... in the order of training.",
        )
    return Scan(name, paths)  # a single file may hold all channels: reading it will tell
