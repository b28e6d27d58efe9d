"""What a workspace holds, and which workspace and which cases a command means."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from autoseg.data import places
from autoseg.data.dataset import DATASET, Dataset
from autoseg.data.splits import SPLITS, Fold, Splits, misfit
from autoseg.errors import UsageError, WorkspaceError
from autoseg.model.identity import ModelId
from autoseg.planning.duplicates import copies_apart
from autoseg.planning.fingerprint import FINGERPRINT, Fingerprint
from autoseg.planning.plan import Plan, read_plan
from autoseg.runs.found import DATASET_FILE, PLAN_FILE, unplanned, workspace_folder
from autoseg.runs.revisions import CHANGE, CHANGE_FILE, REVISIONS, REVISIONS_FILE, RevisedCase, Revisions
from autoseg.storage.documents import DocumentType
from autoseg.wording import counted, from_to

_Model = TypeVar("_Model", bound=BaseModel)
_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Workspace:
    """The folder of one data set's plan, arrays and models.

    Attributes:
        root: the folder.
        told: the data set, where a command was told that it lies elsewhere now; None: where it is found.
        verify: whether scans are hashed again though the file system says that they are unchanged.
    """

    root: Path
    told: Dataset | None = None
    verify: bool = False
    _parsed: dict[Path, tuple[_Stamp, Any]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def dataset_file(self) -> Path:
        """Which cases there are and where."""
        return self.root / DATASET_FILE

    @property
    def fingerprint_file(self) -> Path:
        """What the planner saw."""
        return self.root / "fingerprint.json"

    @property
    def plan_file(self) -> Path:
        """What the planner decided; meant to be read and edited."""
        return self.root / PLAN_FILE

    @property
    def splits_file(self) -> Path:
        """Which cases train and which validate in each fold."""
        return self.root / "splits.json"

    @property
    def checksums_file(self) -> Path:
        """Checksums of the scans and label maps, by which they are not hashed again while they are unchanged."""
        return self.root / "checksums.json"

    @property
    def revisions_file(self) -> Path:
        """Which label maps were adopted when."""
        return self.root / REVISIONS_FILE

    @property
    def adopted(self) -> Path:
        """Folder of the label maps that were adopted, a sub-folder for each revision."""
        return self.root / "adopted"

    @property
    def selection_file(self) -> Path:
        """Which models predict, and how their label maps are postprocessed; meant to be read and edited."""
        return self.root / "selection.json"

    @property
    def selected(self) -> Path:
        """Folder of the held-out cases' label maps as the selection makes them, and their scores."""
        return self.root / "selection"

    @property
    def lock_file(self) -> Path:
        """Held while the plan changes."""
        return self.root / ".lock"

    @property
    def preprocessed(self) -> Path:
        """Folder of the preprocessed arrays, one sub-folder per case."""
        return self.root / "preprocessed"

    @property
    def models(self) -> Path:
        """Folder of all models."""
        return self.root / "models"

    def model(self, model: ModelId) -> Path:
        """Folder of one network on one fold."""
        return self.models / model.folder

    def dataset(self) -> Dataset:
        """The cases as they were found when the plan was made, with their files where these lie now."""
        return self.told or places.located(self.stored_dataset(), self.root)

    def write_dataset(self, dataset: Dataset) -> None:
        """Store the cases, and where they lie."""
        DATASET.write(self.dataset_file, places.as_stored(dataset, self.root))

    def stored_dataset(self) -> Dataset:
        """The cases as they are stored: files below the data set's folder are relative to it."""
        dataset = self._document(DATASET, self.dataset_file)
        if not dataset.training:
            raise _unusable(self.dataset_file, "no training case has a label map")
        if len({case.id for case in dataset.cases}) < len(dataset.cases):
            raise _unusable(self.dataset_file, "several cases have one id")
        return dataset

    def fingerprint(self) -> Fingerprint:
        """What the planner saw."""
        return self._document(FINGERPRINT, self.fingerprint_file)

    def splits(self) -> Splits:
        """The folds, perhaps edited by hand."""
        splits = self.stored_splits()
        fault = misfit(splits, self.stored_dataset())
        if fault is None and splits.edited and self.fingerprint_file.exists():
            fault = copies_apart(splits, self.fingerprint().cases)
        if fault is not None:
            raise _unusable(self.splits_file, fault)
        return splits

    def stored_splits(self) -> Splits:
        """The folds, whether or not they fit the data set."""
        return self._document(SPLITS, self.splits_file)

    def revisions(self) -> Revisions:
        """Which label maps were adopted when."""
        if not self.revisions_file.exists() and not (self.root / CHANGE_FILE).exists():
            return Revisions()
        return self._document(REVISIONS, self.revisions_file)

    def adopted_cases(self) -> dict[str, RevisedCase]:
        """The label maps that were adopted last, by case, as far as they are part of the data set now.

        What was adopted for another data set is not.
        """
        if not (latest := self.revisions().latest()):
            return {}
        counted = {case.id: case.adopted.label_sha256 for case in self.stored_dataset().cases if case.adopted is not None}
        return {name: entry for name, entry in latest.items() if counted.get(name) == entry.label_sha256}

    def plan(self) -> Plan:
        """The plan, with whatever was edited by hand."""
        if not self.plan_file.exists():
            raise unplanned(self.root)
        return read_plan(self.plan_file)

    def _document(self, kind: DocumentType[_Model], path: Path) -> _Model:
        """A document, parsed once while its file is the same: that of 10,000 cases takes seconds."""
        if (changing := self.root / CHANGE_FILE).exists():
            try:
                changed: _Model = getattr(self._parsed_once(CHANGE, changing), path.stem)
            except WorkspaceError:
                if changing.exists():
                    raise
            else:
                return changed  # otherwise somebody has completed the change meanwhile
        return self._parsed_once(kind, path)

    def _parsed_once(self, kind: DocumentType[_Model], path: Path) -> _Model:
        stamp = _stamp(path)
        known = self._parsed.get(path)
        if known is not None and known[0] == stamp:
            model: _Model = known[1]
            return model
        model = kind.read(path)
        if stamp is not None:
            self._parsed[path] = stamp, model
        return model


def _stamp(path: Path) -> _Stamp | None:
    """By which a file that was replaced is told from the one before; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def find_workspace(chosen: Path | None, *, verify: bool = False) -> Workspace:
    """The workspace a command means: the chosen one, or the only one under `runs/`.

    Args:
        chosen: its folder; None: there is only one.
        verify: as of `Workspace`.

    Raises:
        WorkspaceError: there is none, or there are several and none was chosen; names those there are.
    """
    return Workspace(workspace_folder(chosen), verify=verify)


def fold_of(splits: Splits, dataset: Dataset, fold: str) -> Fold:
    """The training and validation cases of a fold.

    Args:
        splits: the stored folds.
        dataset: the cases.
        fold: a number, `official` or `full`.

    Raises:
        UsageError: there is no such number.
        WorkspaceError: the data set has no official split.
    """
    if fold == "full":
        return Fold(training=tuple(case.id for case in dataset.labelled), validation=())
    if fold == "official":
        if splits.official is None:
            raise WorkspaceError(
                "the data set has no labelled validation set, so there is no official split",
                where=dataset.root,
                remedy="Train a numbered fold, `all` or `full` instead.",
            )
        return splits.official
    if not splits.folds:
        raise UsageError(
            "there are too few labelled cases for a cross-validation",
            where=dataset.root,
            found=counted(len(dataset.training), "training case"),
            remedy="Train with --fold full, or add labelled cases.",
        )
    if fold not in {str(number) for number in range(len(splits.folds))}:  # not 00 either: it would be a model of its own
        raise UsageError(
            "no such fold",
            expected=f"{from_to(0, len(splits.folds) - 1, 'd')}, all, official or full",
            found=fold,
            remedy="Choose one of these with --fold.",
        )
    return splits.folds[int(fold)]


def _unusable(path: Path, what: str) -> WorkspaceError:
    return WorkspaceError(what, where=path, remedy="Correct it, or rewrite it with `autoseg plan DATASET --force`.")
