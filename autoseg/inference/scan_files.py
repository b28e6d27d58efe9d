"""Which files make a scan, by their names and folders: for prediction."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.data.bids import group_scans, parse_name
from autoseg.data.folders import LABEL_MAPS, NO_SCANS, OTHER_KINDS, PassedOver, files_below, is_hidden
from autoseg.data.ids import Place, identify
from autoseg.data.naming import (
    case_and_channel,
    channel_of,
    channel_stem,
    image_stem,
    is_label_stem,
    stem_of_any,
    without_first_channel,
)
from autoseg.errors import UsageError, WorkspaceError
from autoseg.evaluation.tables import METRICS_FILE, plot_file
from autoseg.formats.dicom_files import called_like, dicom_files, is_dicom
from autoseg.images.colours import holds_colours
from autoseg.inference.folder_table import read_folder
from autoseg.inference.part_files import all_parts
from autoseg.inference.result_paths import extra_paths, label_map_path
from autoseg.inference.unentered import read_unentered
from autoseg.metrics.table import METRICS

RESULTS: Final = "results of an earlier call"
"""Why a file beside a table of predictions that names it is no scan."""
SCANS_THEMSELVES: Final = "Name the scans themselves, or the folder that holds them."

Numbered = Mapping[Path, int | None]
"""Files of one scan with the channel each holds; None: its name does not say."""


@dataclass(frozen=True)
class Channels:
    """The channels that a model reads.

    Attributes:
        count: how many.
        names: what they are called; none: unknown.
    """

    count: int
    names: tuple[str, ...]

    def of_file(self, path: Path) -> tuple[str, int | None]:
        """A scan's name and the channel a file holds; None: all of them, or its name does not say.

        Pictures in colour hold all: `t_0000` is t, as in nnU-Net's data sets, and `t_0001` another one.
        """
        stem = stem_of_any(path)
        if self.count > 1 and holds_colours(path):
            return without_first_channel(stem), None
        return self.split(stem)

    def split(self, stem: str) -> tuple[str, int | None]:
        """A scan's name and the channel a file holds.

        For two channels `t_0001` is channel 1 of t, and so are `t_FLAIR` and `t_flair` where that is its name; for one it is
        scan t_0001.
        """
        found = case_and_channel(stem)
        if found is not None and found[1] < self.count:
            return found
        named = channel_of(stem, self.names, any_case=True) if self.count > 1 else None
        return (stem, None) if named is None else (named[0], self.names.index(named[1]))

    def missing(self, path: Path, found: Collection[int]) -> str:
        """The channels that are not among those found, each with what its file beside that of another would be called.

        Example:
            >>> Channels(3, ("T1", "T2", "FLAIR")).missing(Path("anna_T1.nii.gz"), {0})
            'T2 (anna_T2 or anna_0001), FLAIR (anna_FLAIR or anna_0002)'
        """
        scan, _ = self.split(stem_of_any(path))
        lacking = [number for number in range(self.count) if number not in found]
        if not self.names:
            return ", ".join(channel_stem(scan, number) for number in lacking)
        names = [(number, self.names[number]) for number in lacking]
        if not scan:  # the folder tells whose it is
            return ", ".join(name for _, name in names)
        return ", ".join(f"{name} ({scan}_{name} or {channel_stem(scan, number)})" for number, name in names)


@dataclass(frozen=True)
class ScanFiles:
    """The files of a place.

    Attributes:
        images: the files of each scan by its id.
        dicom: DICOM files, with those that should be.
    """

    images: tuple[tuple[str, Numbered], ...]
    dicom: tuple[Path, ...]


def find_files(place: Path, channels: Channels, *, results: Path | None, passed: PassedOver) -> ScanFiles:
    """Sort the files of a place into scans.

    Args:
        place: a scan, or a folder of scans.
        channels: of the model.
        results: a folder in which nothing is a scan.
        passed: gets what is none.

    Raises:
        UsageError: a folder cannot be read, or a file that is named itself is a result of `predict`.
    """
    images, dicom = _sorted(_candidates(place, channels, results=results, passed=passed), place, channels, passed=passed)
    bids = _bids_scans(images, channels, passed=passed)
    return ScanFiles((*bids, *_named(images, place)), tuple(dicom))


_Files = dict[tuple[Path, str], dict[Path, int | None]]


def _sorted(paths: Iterable[Path], place: Path, channels: Channels, *, passed: PassedOver) -> tuple[_Files, list[Path]]:
    """Image files by folder and name, each with the channel it holds; and DICOM files, with those that should be."""
    images: _Files = defaultdict(dict)
    dicom: list[Path] = []
    others: list[Path] = []
    for path in paths:
        stem = image_stem(path)
        if stem is None and is_dicom(path):
            dicom.append(path)
        elif path == place or (stem is not None and not is_label_stem(stem)):
            name, channel = channels.of_file(path)
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


def _bids_scans(images: _Files, channels: Channels, *, passed: PassedOver) -> list[tuple[str, Numbered]]:
    """Take the files of BIDS out of the images: those of the model's channels are scans, others are skipped."""
    found = {path: key for key, files in images.items() for path in files if path.parent.name == "anat"}
    names = {path: name for path in found if (name := parse_name(stem_of_any(path))) is not None}
    wanted = [path for path, name in names.items() if any(map(name.shows, channels.names))]
    if not wanted:
        return []
    for path in names:
        images.pop(found[path], None)
    chosen = set(wanted)
    passed.add([path for path in names if path not in chosen], reason=OTHER_KINDS)
    return [
        (scan.id, {path: channels.names.index(channel) for channel, path in scan.images.items()})
        for scan in group_scans(wanted, channels=channels.names)
    ]


def _named(images: Mapping[tuple[Path, str], Numbered], place: Path) -> list[tuple[str, Numbered]]:
    """The files of each scan by its id: those of one name in one folder, or in several that hold a channel each."""
    folders: dict[str, list[Path]] = defaultdict(list)
    for folder, name in images:
        folders[name].append(folder)
    files: list[Numbered] = []
    places: list[Place] = []
    for name, parents in folders.items():
        together = {path: channel for parent in parents for path, channel in images[parent, name].items()}
        numbers = list(together.values())
        scattered = None not in numbers and len(set(numbers)) == len(numbers) > 1
        for found in [together] if scattered else [images[parent, name] for parent in parents]:
            parent = min(found).parent
            files.append(found)
            places.append(Place.below(place.parent if place.is_file() else place, parent, name))
    return sorted(zip(identify(places), files, strict=True), key=lambda named: (named[0], min(named[1])))


def _results_in(folder: Path) -> Collection[Path]:
    """What `predict` wrote, or may have begun to write, into a folder that holds the scans, too."""
    try:
        begun = [case for files in all_parts(folder) for case in read_unentered(files.note).cases]
        cases = {*read_folder(folder, classes=()).rows, *begun}
    except WorkspaceError:  # a table of somebody else
        return ()
    return {path for case in cases for path in (label_map_path(folder, case), *extra_paths(folder, case).values())}


def _plots_among(files: Iterable[Path]) -> set[Path]:
    """What `evaluate` draws beside its tables."""
    return {plot_file(path.parent, metric) for path in files if path.name == METRICS_FILE for metric in METRICS}


def _candidates(place: Path, channels: Channels, *, results: Path | None, passed: PassedOver) -> Iterable[Path]:
    try:
        if place.is_dir():
            skipped: list[Path] = []
            files = list(files_below(place, visited=set() if results is None else {results.resolve()}, skipped=skipped))
            passed.add(skipped, reason=NO_SCANS)
            own = {*_results_in(place), *_plots_among(files)}
            passed.add([path for path in files if path in own], reason=RESULTS)
            return [path for path in files if path not in own]
        if place in _results_in(place.parent):
            raise UsageError("is what `predict` made of a scan, and none", where=place, remedy=SCANS_THEMSELVES)
        if is_dicom(place):
            return dicom_files(place)
        name, channel = channels.of_file(place)
        if channel is None or channels.count == 1:
            return [place]
        beside = ((path, image_stem(path)) for path in sorted(place.parent.iterdir()) if not is_hidden(path))
        named = ((path, channels.split(stem)) for path, stem in beside if stem is not None)
        return [path for path, (other, number) in named if other == name and number is not None]
    except OSError as cause:
        raise UsageError(
            f"cannot be read ({cause.strerror})", where=cause.filename or place, remedy="Check its permissions."
        ) from None
