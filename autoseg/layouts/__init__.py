"""How folders become a `Dataset`: recognised by names and text files alone, no voxel is read."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from autoseg.data.dataset import IGNORE, Case, Dataset, LabelClass, names_by_value, refuse_ignored_background
from autoseg.data.folders import UNUSED, PassedOver, all_files, some_files
from autoseg.data.naming import image_stem, refuse_undecodable, refuse_unusable
from autoseg.data.places import files_of
from autoseg.errors import DatasetError
from autoseg.events import Events
from autoseg.formats.dicom_files import may_be_image
from autoseg.images.segments import named_classes
from autoseg.layouts.beside import Beside
from autoseg.layouts.bids import Bids
from autoseg.layouts.cases_csv import CasesCsv
from autoseg.layouts.common import Choice, Layout, Mismatch, refuse_several
from autoseg.layouts.decathlon import Decathlon
from autoseg.layouts.folder_pair import FolderPair
from autoseg.layouts.ibsr18 import Ibsr18
from autoseg.layouts.nnunet_raw import NnunetRaw

LAYOUTS: Final[dict[str, Layout]] = {
    "cases_csv": CasesCsv(),
    "nnunet_raw": NnunetRaw(),
    "decathlon": Decathlon(),
    "bids": Bids(),
    "ibsr18": Ibsr18(),
    "folder_pair": FolderPair(),
    "beside": Beside(),
}
"""Every layout, in the order in which they are tried."""

NO_CHOICE: Final = Choice()


def find_dataset(root: Path, *, name: str | None = None, choice: Choice = NO_CHOICE) -> Dataset:
    """Recognise a folder of scans.

    Args:
        root: the folder.
        name: what to call the data set, without a path in it; None: by its own name or the folder's.
        choice: what to take where the folder holds more than one could mean.

    Returns:
        the data set, with absolute paths and its cases by rising id.

    Raises:
        DatasetError: no layout fits (says what each was missing), the one that fits has contradictions, something
            may not be read, or the name does not do as a folder's.
    """
    if name is not None:
        problem = "the name given to the data set does not do as a folder's name"
        refuse_unusable(name, problem, remedy="Give another name.")
    folder = root.absolute()
    try:
        _refuse_no_folder(folder)
        dataset = _with_ignored(_with_named_segments(_recognised(folder, choice)), choice.ignore)
        asked = {"asked_labels": choice.labels, "asked_channels": choice.channels, "asked_ignore": choice.ignore}
        dataset = dataset.model_copy(update=asked)
        _check(dataset)
    except OSError as cause:
        raise DatasetError(
            f"cannot be read ({cause.strerror})",
            where=cause.filename or folder,
            remedy="Check what is there and its permissions.",
        ) from None
    return dataset if name is None else dataset.model_copy(update={"name": name})


def layout_of(dataset: Dataset) -> Layout | type[Layout]:
    """What is known of a data set's layout; of one that is not in the table any more, what holds for most."""
    return LAYOUTS.get(dataset.layout, Layout)


def tell_found(dataset: Dataset, events: Events) -> None:
    """Say how a folder was understood: which files make a case, and what lies in it and is not used."""
    case = dataset.labelled[0]
    images = ", ".join(some_files([path], root=dataset.root) for path in case.images)
    label = "" if case.label is None else f" with {some_files([case.label], root=dataset.root)}"
    events.info(f"for example {case.id} of subject {case.subject}: {images} ({', '.join(dataset.channels)}){label}")
    _left_out(dataset).tell(events)
    if layout_of(dataset).description == "unread" and (dataset.root / "dataset.json").is_file():
        reading = [key for key, layout in LAYOUTS.items() if layout.description == "read"]
        reasons = "; ".join(_mismatches(dataset.root, reading, Choice(dataset.asked_labels, dataset.asked_channels)))
        events.warn(f"dataset.json is not used, nor what it says of classes and voxels without a label ({reasons})")


def _mismatches(folder: Path, keys: Iterable[str], choice: Choice) -> Iterator[str]:
    """Why layouts do not fit a folder."""
    for key in keys:
        try:
            LAYOUTS[key].read(folder, choice=choice)
        except Mismatch as mismatch:
            yield f"{key}: {mismatch}"


def _left_out(dataset: Dataset) -> PassedOver:
    used = {str(path) for case in dataset.cases for path in (*case.images, case.label) if path is not None}
    used |= {os.path.realpath(path) for path in used}
    passed = PassedOver(dataset.root)
    for path in all_files(dataset.root):
        if str(path) in used or os.path.realpath(path) in used or any(str(folder) in used for folder in path.parents):
            continue
        if image_stem(path) is None:
            passed.add_unread(path)
        else:
            passed.add([path], reason=UNUSED)
    return passed


def _refuse_no_folder(folder: Path) -> None:
    if not folder.exists():
        what = "a broken link" if folder.is_symlink() else "no such folder"
    elif not folder.is_dir():
        what = "a file, not the folder of a data set"
    elif next(folder.iterdir(), None) is None:
        what = "the folder is empty"
    else:
        return
    raise DatasetError(what, where=folder, remedy="Give the folder that holds the scans and their labels.")


def _recognised(folder: Path, choice: Choice) -> Dataset:
    missing = []
    for key, layout in LAYOUTS.items():
        try:
            return layout.read(folder, choice=choice)
        except Mismatch as mismatch:
            missing.append(f"{key}: {mismatch}")
    tried = "\n  ".join(missing)
    unread = PassedOver(folder)
    for path in all_files(folder):
        if image_stem(path) is None:
            unread.add_unread(path)
    raise DatasetError(
        f"no layout fits; tried\n  {tried}",
        where=folder,
        found="; ".join(unread.sentences) or None,
        remedy="Arrange the folder like one of these, or add a table cases.csv with the columns id, image and label.",
    )


def _with_named_segments(dataset: Dataset) -> Dataset:
    """The data set with the classes that 3D Slicer's segments are called by, where nothing else names them."""
    if dataset.classes is not None:
        return dataset
    named = named_classes([case.label for case in dataset.labelled if case.label is not None])
    if named is None:
        return dataset
    classes = tuple(LabelClass(value=value, name=name) for value, name in named.names.items() if name.casefold() != IGNORE)
    ignored = [value for value, name in named.names.items() if name.casefold() == IGNORE]
    return dataset.model_copy(update={"classes": classes, "ignore": next(iter(ignored), None)})


def _with_ignored(dataset: Dataset, asked: int | None) -> Dataset:
    """The data set with the value of voxels without a label that was asked for."""
    if asked is None or asked == dataset.ignore:
        return dataset
    refuse_ignored_background(asked)
    problem, expected = "", None
    if dataset.ignore is not None:
        problem, expected = "is another value than the data set calls `ignore`", str(dataset.ignore)
    elif dataset.classes is not None and asked in names_by_value(dataset.classes):
        problem = f"is the value of a class, {names_by_value(dataset.classes)[asked]}"
    if problem:
        raise DatasetError(
            problem,
            where=f"--ignore {asked}",
            expected=expected,
            remedy=f"Leave --ignore out, or correct what {dataset.root} declares.",
        )
    return dataset.model_copy(update={"ignore": asked})


def _check(dataset: Dataset) -> None:
    for case in dataset.cases:
        for path in files_of(case):
            below = path.relative_to(dataset.root) if path.is_relative_to(dataset.root) else path
            refuse_undecodable(str(below), where=path)
    _refuse_repeated(dataset.cases, root=dataset.root)
    broken = [
        str(path)
        for case in dataset.cases
        for path in (*case.images, case.label)
        if path is not None and not may_be_image(path)
    ]
    if broken:
        raise DatasetError(
            "files are missing, or are folders without DICOM slices or broken links",
            where=dataset.root,
            found=", ".join(broken),
            remedy="Restore them, or remove their cases.",
        )
    if not dataset.training:
        raise DatasetError(
            "no training case has a label",
            where=dataset.root,
            remedy="Put a label map beside every training scan; scans without labels go to `autoseg predict`.",
        )


def _refuse_repeated(cases: Sequence[Case], *, root: Path) -> None:
    by_id: dict[str, list[Path]] = {}
    for case in cases:
        by_id.setdefault(case.id, []).append(case.images[0])
    refuse_several(by_id, root=root)
