"""Which scans a folder holds, for prediction."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from autoseg.catalogue import NotFinite
from autoseg.data.dicom import find_series, is_dicom, read_series
from autoseg.data.folders import LABEL_MAPS, NO_SCANS, PassedOver, files_below, is_hidden
from autoseg.data.ids import Place, identify
from autoseg.data.image import Image, read_image
from autoseg.data.naming import (
    CHANNEL_ENDINGS,
    case_and_channel,
    channel_stem,
    image_stem,
    is_label_stem,
    named_file,
    printable,
    refuse_undecodable,
    stem_of_any,
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
        passed_over: what is there besides and is not taken for scans.
    """

    scans: tuple[Scan, ...]
    failures: tuple[tuple[str, AutosegError], ...]
    passed_over: PassedOver


def find_scans(place: Path, *, channels: int, results: Path | None = None) -> FoundScans:
    """List the scans of a file or of a folder with everything below it, links followed.

    Names ending in `_0000`, `_0001`, ... up to the model's number of channels are the channels of one scan; other numbers
    belong to the name. Scans of the same name are called after the folders that tell them apart (`data.ids`). DICOM files
    are recognised by their content; every series in a folder is a scan, called after the folder; DICOM without an image,
    such as a report, is skipped. Label maps, recognised by their names or by their folders', and files of other names are
    passed over, which the result says; hidden files and folders are ignored. A file that is given itself is a scan
    whatever its name.

    Args:
        place: a scan, or a folder of scans.
        channels: how many channels the model reads.
        results: folder of label maps; where it lies within `place`, nothing in it is a scan.

    Raises:
        UsageError: there is no such place, a folder in it cannot be read, or nothing in it is an image by its name.
    """
    place = named_file(place)
    if not place.exists():
        raise UsageError("no such file or folder", where=place, remedy="Check the path to the scans.")
    passed = PassedOver(place)
    images: dict[tuple[Path, str], dict[Path, int | None]] = defaultdict(dict)
    dicom: dict[Path, list[Path]] = defaultdict(list)
    for path in _candidates(place, channels=channels, results=results, passed=passed):
        stem = image_stem(path)
        if stem is None and _holds_dicom(path):
            dicom[path.parent].append(path)
        elif path == place or (stem is not None and not is_label_stem(stem)):
            name, channel = _name_and_channel(stem_of_any(path), channels=channels)
            images[path.parent, name][path] = channel
        elif stem is not None:
            passed.add([path], reason=LABEL_MAPS)
        else:
            passed.add_unread(path)
    groups = [
        *((_folder_name(folder, place), partial(_series, paths=paths)) for folder, paths in dicom.items()),
        *((name, partial(_scan, found=found)) for name, found in _named(images, place)),
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
            found="; ".join(passed.sentences) or None,
            remedy="Check the path; a file that is named itself is a scan whatever its name.",
        )
    return _without_duplicates(scans, failures, passed)


def _named(
    images: Mapping[tuple[Path, str], Mapping[Path, int | None]], place: Path
) -> list[tuple[str, Mapping[Path, int | None]]]:
    """The files of each scan by its id: those of one name in one folder, or in several that hold a channel each."""
    folders: dict[str, list[Path]] = defaultdict(list)
    for folder, name in images:
        folders[name].append(folder)
    files: list[Mapping[Path, int | None]] = []
    places: list[Place] = []
    for name, parents in folders.items():
        together = {path: channel for parent in parents for path, channel in images[parent, name].items()}
        numbers = list(together.values())
        scattered = None not in numbers and len(set(numbers)) == len(numbers) > 1
        for found in [together] if scattered else [images[parent, name] for parent in parents]:
            parent = min(found).parent
            files.append(found)
            places.append(Place(parent.relative_to(place).parts if parent.is_relative_to(place) else (), name))
    return sorted(zip(identify(places), files, strict=True), key=lambda named: (named[0], min(named[1])))


def _without_duplicates(
    scans: Sequence[Scan], failures: Sequence[tuple[str, AutosegError]], passed: PassedOver
) -> FoundScans:
    """What was found, by id; scans that share one would replace each other's results, so all of them fail."""
    names = Counter(scan.id for scan in scans)
    repeated = [
        (printable(name), _same_name(name, [scan.images[0] for scan in scans if scan.id == name]))
        for name, count in names.items()
        if count > 1
    ]
    alone = sorted((scan for scan in scans if names[scan.id] == 1), key=lambda scan: scan.id)
    return FoundScans(tuple(alone), (*failures, *repeated), passed)


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


def _candidates(place: Path, *, channels: int, results: Path | None, passed: PassedOver) -> Iterable[Path]:
    try:
        if place.is_dir():
            skipped: list[Path] = []
            files = list(files_below(place, visited=set() if results is None else {results.resolve()}, skipped=skipped))
            passed.add(skipped, reason=NO_SCANS)
            return files
        name, channel = _name_and_channel(image_stem(place) or "", channels=channels)
        if channel is None or channels == 1:
            return [place]
        beside = ((path, image_stem(path)) for path in sorted(place.parent.iterdir()) if not is_hidden(path))
        named = ((path, _name_and_channel(stem, channels=channels)) for path, stem in beside if stem is not None)
        return [path for path, (other, number) in named if other == name and number is not None]
    except OSError as cause:
        raise UsageError(
            f"cannot be read ({cause.strerror})", where=cause.filename or place, remedy="Check its permissions."
        ) from None


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
