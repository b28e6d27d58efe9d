"""Which scans a folder holds, for prediction."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from autoseg.catalogue import NotFinite
from autoseg.data.dicom.series import DicomScan, find_series, name_scans
from autoseg.data.folders import LABEL_MAPS, NO_SCANS, PassedOver, files_below, is_hidden
from autoseg.data.ids import Place, identify
from autoseg.data.image import Image, read_image, read_series
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
from autoseg.formats.dicom_files import called_like, dicom_files, is_dicom


@dataclass(frozen=True)
class Scan:
    """A scan to be segmented.

    Attributes:
        id: names its results.
        images: one file per channel, or a single file that may hold them all; of a DICOM series every slice.
        series: whether it is a DICOM series.
        warnings: what the user should know of how it was put together.
    """

    id: str
    images: tuple[Path, ...]
    series: bool = False
    warnings: tuple[str, ...] = ()

    def read(self, *, channels: int, not_finite: NotFinite = "refuse") -> Image:
        """Read it.

        Raises:
            ImageError: it is damaged or not what the model reads.
        """
        if not self.series:
            return read_image(self.images, channels=channels, not_finite=not_finite)
        image = read_series(self.images)
        return replace(image, warnings=(*self.warnings, *image.warnings))


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
    are recognised by their content; the slices of one series are a scan, in whatever folders they lie, called after the
    folder that holds them all and by what tells it from others there (`data.dicom`); one of its files stands for it.
    Label maps, recognised by their names or by their folders', and files of other names are passed over, which the
    result says; hidden files and folders are ignored. A file that is given itself is a scan whatever its name.

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
    found = [*_candidates(place, channels=channels, results=results, passed=passed)]
    images, dicom = _sorted(found, place, channels=channels, passed=passed)
    groups: list[tuple[str, Callable[..., list[Scan]]]] = [
        *_series(dicom, place, passed=passed),
        *((name, partial(_scan, found=files)) for name, files in _named(images, place)),
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


_Files = dict[tuple[Path, str], dict[Path, int | None]]


def _sorted(paths: Sequence[Path], place: Path, *, channels: int, passed: PassedOver) -> tuple[_Files, list[Path]]:
    """Image files by folder and name, each with the channel it holds; and DICOM files, with those that should be."""
    images: _Files = defaultdict(dict)
    dicom: list[Path] = []
    others: list[Path] = []
    for path in paths:
        stem = image_stem(path)
        if stem is None and is_dicom(path):
            dicom.append(path)
        elif path == place or (stem is not None and not is_label_stem(stem)):
            name, channel = _name_and_channel(stem_of_any(path), channels=channels)
            images[path.parent, name][path] = channel
        elif stem is not None:
            passed.add([path], reason=LABEL_MAPS)
        else:
            others.append(path)
    damaged = called_like(dicom, others)
    for path in others:
        if path not in damaged:
            passed.add_unread(path)
    return images, [*dicom, *damaged]


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


def _series(paths: Sequence[Path], place: Path, *, passed: PassedOver) -> list[tuple[str, Callable[..., list[Scan]]]]:
    """The scans in DICOM files, each by its id with what makes it."""
    found = find_series(paths)
    for reason, files in found.passed_over.items():
        passed.add(files, reason=reason)
    names = name_scans(found.scans, folder_name=partial(_folder_name, place=place))
    return [(name, partial(_dicom_scan, found=scan)) for name, scan in zip(names, found.scans, strict=True)]


def _folder_name(folder: Path, place: Path) -> str:
    """A name for what lies in a folder: its way down from the place that was given, because scanners name folders alike."""
    if folder == place or place.is_file():
        folder = folder.resolve()
        return image_stem(folder) or folder.name
    way = folder.relative_to(place).parts
    return "_".join((*way[:-1], image_stem(folder) or way[-1]))


def _dicom_scan(name: str, *, found: DicomScan, channels: int) -> list[Scan]:
    """One scan of a DICOM series."""
    if found.error is not None:
        raise found.error
    if channels != 1:
        raise DatasetError(
            "a DICOM series has one channel",
            where=found.folder,
            expected=f"{channels} channels",
            remedy=f"Convert them to NIfTI, one file per channel, ending in {CHANNEL_ENDINGS} in the order of training.",
        )
    for path in found.files:
        refuse_undecodable(path)
    return [Scan(name, found.files, series=True, warnings=found.warnings)]


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
        if is_dicom(place):
            return dicom_files(place)
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
