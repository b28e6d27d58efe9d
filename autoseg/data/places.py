"""Where the files of a data set lie: named relative to its folder, so that it may be moved, alone or with a workspace."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from autoseg.data.dataset import Case, Dataset
from autoseg.storage.utf8 import is_utf8


def at(dataset: Dataset, root: Path) -> Dataset:
    """A data set as it lies in another folder.

    Args:
        dataset: the data set.
        root: the folder, absolute.

    Returns:
        the same cases; files that lay below the data set's folder lie likewise below the other one, and those that lay
        elsewhere stay where they are, as adopted label maps do.
    """
    return _changed(dataset, lambda below: root / below).model_copy(update={"root": root})


def as_stored(dataset: Dataset, workspace: Path) -> Dataset:
    """A data set as the document of a workspace names its files.

    Args:
        dataset: the data set, with absolute paths.
        workspace: the folder of the workspace.

    Returns:
        the same with files relative to the data set's folder where they lie below it, adopted label maps relative to the
        workspace, and the way to the data set from there.
    """
    root_from_workspace = way(workspace, dataset.root)
    stored = _changed(dataset, lambda below: below).model_copy(update={"root_from_workspace": root_from_workspace})
    roots = (workspace.absolute(), workspace.resolve())

    def relative(label: Path) -> Path:
        return next((label.relative_to(root) for root in roots if label.is_relative_to(root)), label)

    return _with_adopted(stored, relative)


def in_workspace(stored: Dataset, workspace: Path) -> Dataset:
    """A stored data set whose adopted label maps, which lie in the workspace, have absolute paths."""
    return _with_adopted(stored, lambda label: workspace.absolute() / label)


def located(stored: Dataset, workspace: Path) -> Dataset:
    """A stored data set where it lies now.

    Args:
        stored: as the document of a workspace has it.
        workspace: the folder of the workspace.

    Returns:
        the data set with absolute paths: as seen from the workspace, where its labelled cases are there; else where it was
        last found.
    """
    found = []
    for place in candidates(stored, workspace):
        found.append(place)
        if not absent(found[-1].labelled):
            return found[-1]
    return next((one for one in found if is_there(one.root)), found[-1])


def candidates(stored: Dataset, workspace: Path) -> Iterator[Dataset]:
    """A stored data set with absolute paths where it may lie: as seen from the workspace, then where it was last found."""
    stored = in_workspace(stored, workspace)
    if stored.root_from_workspace is not None:
        yield at(stored, Path(os.path.normpath(workspace.resolve() / stored.root_from_workspace)))
    yield at(stored, stored.root)


def absent(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Those of some cases whose files are not all there."""
    return tuple(case for case in cases if not all(map(is_there, files_of(case))))


def is_there(path: Path) -> bool:
    """Whether a path leads to something; one that may not be looked at does: reading it says why not."""
    try:
        path.stat()
    except OSError as cause:
        return cause.errno == errno.EACCES
    return True


def way(start: Path, end: Path) -> str | None:
    """The way from one folder to another, without links, since `..` leads out of where a link leads.

    Returns:
        the path of the second as seen from the first; None: there is none, or it is not UTF-8.
    """
    found = seen_from(start, end.resolve())
    return found if found is not None and is_utf8(found) else None


def seen_from(folder: Path, path: Path) -> str | None:
    """An absolute path as seen from a folder, whose links are followed; None: there is no way, as between drives."""
    try:
        return Path(os.path.relpath(path, folder.resolve())).as_posix()
    except ValueError:
        return None


def files_of(case: Case) -> tuple[Path, ...]:
    """The files of a case: its images, then its label map where there is one."""
    return case.images if case.label is None else (*case.images, case.label)


def _changed(dataset: Dataset, change: Callable[[Path], Path]) -> Dataset:
    """A data set with other paths, made from those relative to its folder; a path that leads elsewhere is absolute."""
    roots = (dataset.root, dataset.root.resolve())  # a table may name files where a link leads

    def changed(path: Path) -> Path:
        if dataset.root.is_absolute() and not path.is_absolute():  # as documents have it
            return change(path)
        return change(next((path.relative_to(root) for root in roots if path.is_relative_to(root)), path))

    def moved(case: Case) -> Case:
        label = case.label if case.label is None or case.adopted else changed(case.label)
        return case.model_copy(update={"images": tuple(map(changed, case.images)), "label": label})

    return dataset.model_copy(update={"cases": tuple(map(moved, dataset.cases))})


def _with_adopted(dataset: Dataset, change: Callable[[Path], Path]) -> Dataset:
    """A data set with other paths of adopted label maps."""
    if not any(case.adopted for case in dataset.cases):
        return dataset
    cases = (
        case.model_copy(update={"label": change(case.label)}) if case.adopted and case.label is not None else case
        for case in dataset.cases
    )
    return dataset.model_copy(update={"cases": tuple(cases)})
