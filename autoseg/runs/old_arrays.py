"""Preprocessed arrays that no plan of a workspace makes of its data as they are, and models of other plans."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from autoseg.data import places
from autoseg.data.dataset import Case
from autoseg.errors import ImageError
from autoseg.model.description import BUNDLE_FILE, read_document
from autoseg.model.identity import folders_inside, model_folders
from autoseg.planning.plan import Plan
from autoseg.preprocessing.store import store_of
from autoseg.runs.moved_data import planned_checksums
from autoseg.runs.source_checksums import SourceChecksums
from autoseg.runs.workspace import Workspace
from autoseg.storage import files
from autoseg.storage.leftovers import Leftover

_ENDINGS: Final = (".image.npy", ".label.npy", ".json")
"""Of the names of a preprocessed case's files, the last written last."""

_KEY: Final = re.compile("[0-9a-f]{16}")
"""Name of files of arrays in the folder of their case; in version 0.1 of the folder, where files had that of their case."""

_OF_A_MODEL: Final = re.compile(
    r"(?:continued/)?(?:(?:bundle|checkpoint)\.json|(?:weights|checkpoint)-[0-9a-f]+\.safetensors|epochs\.jsonl"
    r"|(?:history|steps)\.csv|curves\.png|tensorboard/.+|\.restarted"
    r"|validation/(?:(?:record|shown|summary)\.json|metrics\.csv|[^/]+\.(?:nii\.gz|npy|npz)|pictures/[^/]+\.png))",
    re.DOTALL,
)
"""Files that training and scoring write into the folder of a model, as seen from there."""


@dataclass(frozen=True)
class OtherPlans:
    """What models of a workspace were trained under, beside its plan.

    Attributes:
        plans: by digest.
        folders: of the models.
    """

    plans: Mapping[str, Plan] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()


def other_plans(workspace: Workspace, plan: Plan) -> OtherPlans:
    """The models of other plans than the workspace's.

    Raises:
        BundleError: a model cannot be parsed, so that nobody can tell what it needs.
    """
    plans, folders = {}, []
    for folder in sorted(path for path in model_folders(workspace.models) if (path / BUNDLE_FILE).exists()):
        document = read_document(folder)
        if document.plan_digest != plan.digest:
            plans[document.plan_digest] = document.plan
            folders.append(folder)
    return OtherPlans(plans, tuple(folders))


def models_of(other: OtherPlans, workspace: Workspace) -> Iterator[Leftover]:
    """Each model of another plan, without those of the plan that lie inside its folder, and without files of others."""
    for folder in other.folders:
        inside = {*folders_inside(folder)}
        files_there = (path for path in folder.rglob("*") if path.is_file() and inside.isdisjoint(path.parents))
        paths = [path for path in files_there if _OF_A_MODEL.fullmatch(path.relative_to(folder).as_posix())]
        yield Leftover.of(
            str(folder.relative_to(workspace.root)),
            "trained under another plan than the workspace's: it takes part in nothing while that is so",
            paths,
        )


def old_arrays(workspace: Workspace, plans: Sequence[Plan]) -> Iterator[Leftover]:
    """Arrays that are not read any more: neither of these plans makes them of the labelled cases as these are now.

    What belongs to a case whose files are gone, or cannot be read, is left as it is: nobody could make it again.

    Args:
        workspace: where they lie.
        plans: the workspace's, and those of models whose arrays are to stay.
    """
    cases = _Cases.of(workspace)
    needed = {
        path
        for plan in plans
        for case, volumes in _files(workspace, plan, cases.now).items()
        if case in cases.now
        for path in volumes
    }
    as_planned = {path for plan in plans for paths in _files(workspace, plan, cases.planned).values() for path in paths}
    for folder in sorted(path for path in workspace.preprocessed.glob("*") if path.is_dir()):
        for stem, paths in sorted(_by_stem(folder).items()):
            if cases.untouchable & {folder.name, stem} or needed & set(paths):
                continue
            if not cases.known & {folder.name, stem}:
                reason = "the case is not among the labelled ones any more"
            elif as_planned & set(paths):
                reason = "the case's files have changed since the plan was made"
            else:
                reason = "made from other files than the case has now, or by other settings than any plan here has"
            yield Leftover.of(f"{workspace.preprocessed.name}/{folder.name}/{stem}.*", reason, paths)


@dataclass(frozen=True)
class _Cases:
    """The labelled cases of a workspace.

    Attributes:
        now: `case_checksum` of each, by id, as its files are; of those that are gone as they were planned.
        planned: the same of all when the plan was made.
        untouchable: ids of those whose files are gone or cannot be read.
    """

    now: Mapping[str, str]
    planned: Mapping[str, str]
    untouchable: frozenset[str]

    @property
    def known(self) -> frozenset[str]:
        """Ids of all."""
        return frozenset(self.now) | self.untouchable

    @classmethod
    def of(cls, workspace: Workspace) -> "_Cases":
        planned, labelled = planned_checksums(workspace.fingerprint()), workspace.dataset().labelled
        known, now = SourceChecksums(workspace.checksums_file, verify=workspace.verify), {}
        untouchable = {case.id for case in places.absent(labelled)}
        for case in labelled:
            try:
                now[case.id] = planned.get(case.id, "") if case.id in untouchable else _checksum(case, known)
            except ImageError:
                untouchable.add(case.id)
        return cls(now, planned, frozenset(untouchable))


def _checksum(case: Case, known: SourceChecksums) -> str:
    """As `case_checksum`, of files that can all be read."""
    return files.sha256_json([known.of(path) for path in places.files_of(case)])


def _files(workspace: Workspace, plan: Plan, checksums: Mapping[str, str]) -> dict[str, tuple[Path, ...]]:
    """The files of each case's arrays under a plan, whether they are there or not."""
    store = store_of(workspace.preprocessed, plan=plan, checksums=checksums)
    return {
        case: tuple(path for place in store.files_of(case) for path in (place.image, place.label, place.document))
        for case in checksums
    }


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    """The files of preprocessed cases in a folder, by how their names begin; documents of no array are nobody's here."""
    found = defaultdict(list)
    for path in sorted(folder.iterdir()):
        ending = next((ending for ending in _ENDINGS if path.name.endswith(ending)), None)
        if ending is not None and not path.name.startswith("."):
            found[path.name.removesuffix(ending)].append(path)
    of_0_1 = _KEY.fullmatch(folder.name) is not None
    return {
        stem: paths
        for stem, paths in found.items()
        if (of_0_1 or _KEY.fullmatch(stem)) and any(path.suffix != _ENDINGS[-1] for path in paths)
    }
