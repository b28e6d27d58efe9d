"""How folders become a `Dataset`: recognised by names and text files alone, no voxel is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from autoseg.data.dataset import Case, Dataset
from autoseg.data.layouts.cases_csv import CasesCsv
from autoseg.data.layouts.common import Layout, Mismatch
from autoseg.data.layouts.decathlon import Decathlon
from autoseg.data.layouts.ibsr18 import Ibsr18
from autoseg.data.layouts.nnunet_raw import NnunetRaw
from autoseg.errors import DatasetError

LAYOUTS: Final[dict[str, Layout]] = {
    "cases_csv": CasesCsv(),
    "nnunet_raw": NnunetRaw(),
    "decathlon": Decathlon(),
    "ibsr18": Ibsr18(),
}
"""Every layout, in the order in which they are tried."""


def find_dataset(root: Path, *, name: str | None = None) -> Dataset:
    """Understand a folder of scans.

    Args:
        root: the folder.
        name: what to call the data set; None: by its own name or the folder's.

    Returns:
        the data set, with absolute paths and its cases by rising id.

    Raises:
        DatasetError: no layout fits (says what each was missing), or the one that fits has contradictions.
    """
    folder = root.absolute()
    if not folder.is_dir():
        what = "is a file, not the folder of a data set" if folder.exists() else "no such folder"
        raise DatasetError(what, where=root, remedy="Give the folder that holds the scans and their labels.")
    missing = []
    for key, layout in LAYOUTS.items():
        try:
            dataset = layout.read(folder)
        except Mismatch as mismatch:
            missing.append(f"{key}: {mismatch}")
            continue
        _check(dataset)
        return dataset if name is None else dataset.model_copy(update={"name": name})
    tried = "\n  ".join(missing)
    raise DatasetError(
        f"no layout fits; tried\n  {tried}\n",
        where=root,
        remedy="Arrange the folder like one of these, or add a table cases.csv with the columns id, image and label.",
    )


def _check(dataset: Dataset) -> None:
    _refuse_repeated(dataset.cases, root=dataset.root)
    broken = [
        str(path) for case in dataset.cases for path in (*case.images, case.label) if path is not None and not path.exists()
    ]
    if broken:
        raise DatasetError(
            "files are missing or are broken links",
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
    seen: dict[str, Case] = {}
    for case in cases:
        other = seen.setdefault(case.id, case)
        if other is not case:
            raise DatasetError(
                f"two cases are called {case.id}",
                where=root,
                found=f"{other.images[0]} and {case.images[0]}",
                remedy="Rename or remove one of them.",
            )
