"""Which scans a folder holds, for prediction."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from autoseg.catalogue import NotFinite
from autoseg.data.dicom import find_series, is_dicom, read_series
from autoseg.data.image import Image, read_image
from autoseg.data.naming import (
    CHANNEL_ENDINGS,
    case_and_channel,
    channel_stem,
    image_stem,
    is_label_stem,
    printable,
    refuse_undecodable,
)
from autoseg.errors import AutosegError, DatasetError, UsageError


@dataclass(frozen=True)
class Scan:
    """A scan to be segmented.

    Attributes:
        id: names its results.
        images: one file per channel, or a single file that may hold them all; of a DICOM series every slice.
        series: whether it is a DICOM series.
    """

    id: str
    images: tuple[Path, ...]
    series: bool = False

    def read(self, *, channels: int, not_finite: NotFinite = "refuse") -> Image:
        """Read it.

        Raises:
            ImageError: it is damaged or not what the model reads.
        """
        return read_series(self.images) if self.series else read_image(self.images, channels=channels, not_finite=not_finite)


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
    """List the scans of a file or of a folder with everything below it, links followed.

    Names ending in `_0000`, `_0001`, ... up to the model's number of channels are the channels of one scan; other numbers
    belong to the name. DICOM files are recognised by their content; every series in a folder is a scan, called after the
    folder; DICOM without an image, such as a report, is skipped. Label files (`_seg`), hidden files and what lies in
    hidden folders are ignored.

    Args:
        place: a scan, or a folder of scans.
        channels: how many channels the model reads.
        results: folder of label maps; where it lies within `place`, nothing in it is a scan.

    Raises:
        UsageError: there is no such place, a folder in it cannot be read, or nothing in it is an image by its name.
    """
    if not place.exists():
        raise UsageError("no such file or folder", where=place, remedy="Check the path to the scans.")
    by_name: dict[str, dict[Path, int | None]] = defaultdict(dict)
    dicom: dict[Path, list[Path]] = defaultdict(list)
    for path in _candidates(place, channels=channels, results=results):
        stem = image_stem(path)
        if path.name.startswith(".") or is_label_stem(stem or ""):
            continue
        if stem is not None:
            name, channel = _name_and_channel(stem, channels=channels)
            by_name[name][path] = channel
        elif _holds_dicom(path):
            dicom[path.parent].append(path)
    groups = [
        *((_folder_name(folder, place), partial(_series, paths=paths)) for folder, paths in dicom.items()),
        *((name, partial(_scan, found=found)) for name, found in sorted(by_name.items())),
    ]
    scans: list[Scan] = []
    failures: list[tuple[str, AutosegError]] = []
    for name, find in groups:
        try:
            scans += find(name, channels=channels)
        except AutosegError as error:
            failures.append((printable(name), error))
    if not (scans or failures):
        raise UsageError(
            "holds no scans",
            where=place,
            expected="images such as .nii.gz, .mha or .nrrd, or DICOM series",
            remedy="Check the path.",
        )
    return _without_duplicates(scans, failures)


def _without_duplicates(scans: list[Scan], failures: list[tuple[str, AutosegError]]) -> FoundScans:
    """What was found, by id; scans that share one would replace each other's results, so all of them fail."""
    names = Counter(scan.id for scan in scans)
    repeated = [
        (printable(name), _same_name(name, [scan.images[0] for scan in scans if scan.id == name]))
        for name, count in names.items()
        if count > 1
    ]
    alone = sorted((scan for scan in scans if names[scan.id] == 1), key=lambda scan: scan.id)
    return FoundScans(tuple(alone), (*failures, *repeated))


def _same_name(name: str, paths: Iterable[Path]) -> DatasetError:
    paths = list(paths)
    return DatasetError(
        f"several scans are called {name}",
        where=paths[0],
        found=", ".join(map(str, paths)),
        remedy="Rename or move all but one of them.",
    )


def _holds_dicom(path: Path) -> bool:
    """Whether a file without an image's name is DICOM; what cannot be read is none: such files are often no images."""
    try:
        return path.is_file() and is_dicom(path)
    except OSError:
        return False


def _folder_name(folder: Path, place: Path) -> str:
    """A name for what lies in a folder: its way down from the place that was given, because scanners name folders alike."""
    if folder == place or place.is_file():
        return folder.resolve().name
    return "_".join(folder.relative_to(place).parts)


def _series(name: str, *, paths: list[Path], channels: int) -> list[Scan]:
    """The DICOM series of one folder as scans; several are told apart by their numbers."""
    if channels != 1:
        raise DatasetError(
            "a DICOM series has one channel",
            where=paths[0].parent,
            expected=f"{channels} channels",
            remedy=f"Convert them to NIfTI, one file per channel, ending in {CHANNEL_ENDINGS} in the order of training.",
        )
    refuse_undecodable(paths[0].parent)
    found = find_series(paths)
    if len(found) == 1:
        return [Scan(name, found[0].files, series=True)]
    return [Scan(f"{name}_{series.number or index}", series.files, series=True) for index, series in enumerate(found)]


def _name_and_channel(stem: str, *, channels: int) -> tuple[str, int | None]:
    """A scan's id and the channel a file holds: `t_0001` is channel 1 of t for two channels, and scan t_0001 for one."""
    found = case_and_channel(stem)
    return (stem, None) if found is None or found[1] >= channels else found


def _candidates(place: Path, *, channels: int, results: Path | None) -> Iterable[Path]:
    try:
        if place.is_dir():
            return list(_files_below(place, visited=set() if results is None else {results.resolve()}))
        name, channel = _name_and_channel(image_stem(place) or "", channels=channels)
        if channel is None or channels == 1:
            return [place]
        beside = ((path, image_stem(path)) for path in sorted(place.parent.iterdir()))
        named = ((path, _name_and_channel(stem, channels=channels)) for path, stem in beside if stem is not None)
        return [path for path, (other, number) in named if other == name and number is not None]
    except OSError as cause:
        raise UsageError(
            f"cannot be read ({cause.strerror})", where=cause.filename or place, remedy="Check its permissions."
        ) from None


def _files_below(folder: Path, *, visited: set[Path]) -> Iterator[Path]:
    """What lies in a folder and in those below it that are neither hidden nor visited; links may lead in circles."""
    visited.add(folder.resolve())
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if not path.is_dir():
            yield path
        elif path.resolve() not in visited:
            yield from _files_below(path, visited=visited)


def _scan(name: str, *, found: Mapping[Path, int | None], channels: int) -> list[Scan]:
    """One scan from files of one name and the channels they hold; a file without number stands for a whole scan."""
    for path in found:
        refuse_undecodable(path)
        if not path.is_file():
            what = "a broken link" if path.is_symlink() else "not a file"
            raise DatasetError(what, where=path, remedy="Restore what it points to, or remove it.")
    by_channel = {channel: path for path, channel in found.items()}
    if len(by_channel) < len(found) or (None in by_channel and len(found) > 1):
        raise _same_name(name, found)
    paths = tuple(sorted(found, key=lambda path: found[path] or 0))
    if len({path.parent for path in paths}) > 1:
        raise DatasetError(
            f"the channels of scan {name} lie in different folders",
            found=", ".join(map(str, paths)),
            remedy="Move them into one folder, or rename them if they are different scans.",
        )
    if len(paths) > 1 and len(paths) < channels:
        raise DatasetError(
            f"scan {name} has other channels than the model",
            where=paths[0].parent,
            expected=", ".join(channel_stem(name, channel) for channel in range(channels)),
            found=", ".join(path.name for path in paths),
            remedy=f"Give one file per channel, ending in {CHANNEL_ENDINGS} in the order of training.",
        )
    return [Scan(name, paths)]  # a single file may hold all channels: reading it will tell
