"""Which scans a folder holds, for prediction."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from autoseg.catalogue import NotFinite
from autoseg.data.folders import UNREAD, PassedOver
from autoseg.data.naming import (
    CHANNEL_ENDINGS,
    image_stem,
    named_file,
    printable,
    refuse_undecodable,
)
from autoseg.errors import AutosegError, DatasetError, UsageError
from autoseg.images.dicom.scan import DicomScan, name_scans
from autoseg.images.dicom.series import find_series
from autoseg.images.image import Image, read_image, read_series
from autoseg.images.volumes import Admit
from autoseg.inference.part import Part
from autoseg.inference.scan_files import RESULTS, SCANS_THEMSELVES, Channels, find_files

_ARCHIVES: Final = (".zip", ".7z", ".rar", ".tar", ".tar.gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst")
"""Endings of files that may hold scans, and are not read. Source: chosen; those that people send."""


@dataclass(frozen=True)
class Scan:
    """A scan to be segmented.

    Attributes:
        id: names its results.
        images: one file per channel, or a single file that may hold them all; of a DICOM series every slice.
        series: whether it is a DICOM series.
        warnings: what the user should know of how it was put together.
        missing: channels of the model that its files do not hold by their names, for a message; empty: none, or unknown.
    """

    id: str
    images: tuple[Path, ...]
    series: bool = False
    warnings: tuple[str, ...] = ()
    missing: str = ""

    def read(self, *, channels: int, not_finite: NotFinite = "refuse", admit: Admit | None = None) -> Image:
        """Read it.

        Args:
            channels: how many there must be.
            not_finite: what to do with voxels that are NaN or infinite.
            admit: asked before any voxel is read.

        Raises:
            ImageError: it is damaged or not what the model reads.
        """
        if not self.series:
            return read_image(self.images, channels=channels, not_finite=not_finite, missing=self.missing, admit=admit)
        image = read_series(self.images, admit=admit)
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

    def of(self, part: Part) -> "FoundScans":
        """Those of one part."""
        return replace(
            self,
            scans=tuple(scan for scan in self.scans if part.holds(scan.id)),
            failures=tuple(failure for failure in self.failures if part.holds(failure[0])),
        )


def find_scans(place: Path, *, channels: int, names: Sequence[str] = (), results: Path | None = None) -> FoundScans:
    """List the scans of a file or of a folder with everything below it, links followed.

    Names ending in `_0000`, `_0001`, ... up to the model's number of channels are the channels of one scan, and so are names
    ending in those of several channels, in capitals or not; other numbers belong to the name, and so do those of images in
    colour, which hold all channels. Scans of the same name are called after the folders that tell them apart (`data.ids`).
    In folders of BIDS (`anat`) images of the model's channels are scans, and no others. DICOM files are recognised by their
    content; the slices of one series are a scan, in whatever folders they lie, called after the folder that holds them all
    and by what tells it from others there (`data.dicom`); one of its files stands for it. Label maps, recognised by their
    names or by their folders', and files of other names are skipped, which the result says; hidden files and folders are
    ignored. A file that is given itself is a scan whatever its name.

    Args:
        place: a scan, or a folder of scans.
        channels: how many channels the model reads.
        names: what they are called.
        results: folder of label maps; where it lies within `place`, nothing in it is a scan. Where it is `place`, results of
            earlier calls are none.

    Raises:
        UsageError: there is no such place, a folder in it cannot be read, nothing in it is an image by its name, or it is
            a label map that `predict` made.
    """
    place = named_file(place)
    if not place.exists():
        raise UsageError("no such file or folder", where=place, remedy="Check the path to the scans.")
    passed = PassedOver(place)
    wanted = Channels(channels, tuple(names))
    files = find_files(place, wanted, results=results, passed=passed)
    groups: list[tuple[str, Callable[[str], Scan]]] = [
        *_series(files.dicom, place, channels=channels, passed=passed),
        *((name, partial(_scan, found=found, channels=wanted)) for name, found in files.images),
    ]
    scans: list[Scan] = []
    failures: list[tuple[str, AutosegError]] = []
    for name, find in groups:
        try:
            refuse_undecodable(name, where=place if place.is_file() else place / name)
            scans.append(find(name))
        except AutosegError as error:
            failures.append((printable(name), error))
    if not (scans or failures):
        raise UsageError(
            "holds no scans",
            where=place,
            expected="images such as .nii.gz, .mha or .nrrd, or DICOM series",
            found="; ".join(passed.sentences) or None,
            remedy=_remedy(passed),
        )
    return _without_duplicates(scans, failures, passed)


def _remedy(passed: PassedOver) -> str:
    """What to do where nothing is a scan."""
    if any(path.name.lower().endswith(_ARCHIVES) for path in passed.files.get(UNREAD, ())):
        return "Unpack archives first."
    if RESULTS in passed.files:
        return SCANS_THEMSELVES
    return "Check the path; a file that is named itself is a scan whatever its name."


def _without_duplicates(
    scans: Sequence[Scan], failures: Sequence[tuple[str, AutosegError]], passed: PassedOver
) -> FoundScans:
    """What was found, by id; scans that share one would replace each other's results, so all of them fail."""
    named: dict[str, list[Scan]] = defaultdict(list)
    for scan in scans:
        named[scan.id].append(scan)
    repeated = [
        (printable(name), _same_name(name, [path for scan in alike for path in scan.images[: 1 if scan.series else None]]))
        for name, alike in named.items()
        if len(alike) > 1
    ]
    alone = sorted((alike[0] for alike in named.values() if len(alike) == 1), key=lambda scan: scan.id)
    return FoundScans(tuple(alone), (*failures, *repeated), passed)


def _same_name(name: str, paths: Iterable[Path]) -> DatasetError:
    paths = list(paths)
    return DatasetError(
        f"several scans are called {name}",
        where=paths[0],
        found=", ".join(map(str, paths)),
        remedy="Rename or move all but one of them.",
    )


def _series(
    paths: Sequence[Path], place: Path, *, channels: int, passed: PassedOver
) -> list[tuple[str, Callable[[str], Scan]]]:
    """The scans in DICOM files, each by its id with what makes it."""
    found = find_series(paths)
    for reason, files in found.passed_over.items():
        passed.add(files, reason=reason)
    names = name_scans(found.scans, folder_name=partial(_folder_name, place=place))
    return [
        (name, partial(_dicom_scan, found=scan, channels=channels)) for name, scan in zip(names, found.scans, strict=True)
    ]


def _folder_name(folder: Path, place: Path) -> str:
    """A name for what lies in a folder: its way down from the place that was given, because scanners name folders alike."""
    if folder == place or place.is_file():
        folder = folder.resolve()
        return image_stem(folder) or folder.name
    way = folder.relative_to(place).parts
    return "_".join((*way[:-1], image_stem(folder) or way[-1]))


def _dicom_scan(name: str, *, found: DicomScan, channels: int) -> Scan:
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
    return Scan(name, found.files, series=True, warnings=found.warnings)


def _scan(name: str, *, found: Mapping[Path, int | None], channels: Channels) -> Scan:
    """One scan from files of one name and the channels they hold; a file without number stands for a whole scan."""
    for path in found:
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
    told = {number for number in found.values() if number is not None}
    missing = channels.missing(paths[0], told) if told else ""
    if len(paths) > 1 and missing:
        raise DatasetError(
            f"scan {name} lacks channels of the model",
            where=paths[0].parent,
            found=f"{', '.join(path.name for path in paths)}; missing: {missing}",
            remedy=f"Give one file per channel, named so, or ending in {CHANNEL_ENDINGS} in the order of training.",
        )
    return Scan(name, paths, missing=missing)  # a single file may hold all channels: reading it will tell
