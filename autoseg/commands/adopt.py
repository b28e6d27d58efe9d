"""`autoseg adopt`: label maps that a person corrected become training data."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from autoseg.events import Events
from autoseg.options.command import Command, Output, Table, function
from autoseg.options.declaration import OptionalPath, Options, PathOption, argument, option
from autoseg.options.shared import DATA, VERIFY, WORKSPACE
from autoseg.results import Records
from autoseg.wording import counted

if TYPE_CHECKING:
    from autoseg.runs.revisions import Revision
    from autoseg.runs.workspace import Workspace


class AdoptOptions(Options):
    """Check label maps that a person corrected after `predict`, and make them training data: all of them, or none."""

    results: PathOption = argument("Folder of label maps and predictions.csv.", metavar="RESULTS")
    _: KW_ONLY
    workspace: OptionalPath = option(WORKSPACE, default=None)
    cases: Sequence[str] = option(
        "Adopt the label map of this scan, changed or found right as it is; may be repeated. Default: all changed ones.",
        "--case",
        default=(),
        metavar="ID",
    )
    every: bool = option("Adopt all label maps, those that nobody changed, too.", "--all", default=False)
    by: str | None = option("Who corrected them, for revisions.json in the workspace; no model holds it.", default=None)
    empty: bool = option("Take label maps without any foreground, of scans that show none of the classes.", default=False)
    scans: OptionalPath = option(
        "Folder that holds the scans, where they were moved or predictions.csv does not say where they lie.",
        default=None,
        metavar="DIR",
    )
    subjects: Sequence[str] = option(
        "Whose scan a new case is, as in day3=p1: it is held out with the other scans of this subject; may be repeated.",
        "--subject",
        default=(),
        metavar="CASE=SUBJECT",
    )
    data: OptionalPath = option(DATA, default=None)
    verify: bool = option(VERIFY, default=False)
    dry_run: bool = option("Check everything and say what would change, and change nothing.", default=False)


@dataclass(frozen=True, repr=False)
class AdoptResult(Records):
    """What was adopted, or would be.

    Attributes:
        workspace: whose data it joins.
        revision: of the data; None: nothing was new.
        dry_run: whether all of it is as it was.
        behind: finished models that have not learnt from it.
    """

    workspace: "Workspace"
    revision: "Revision | None"
    dry_run: bool
    behind: tuple[str, ...] = ()

    def _in_short(self) -> str:
        if self.revision is None:
            return f"{self.workspace.root}: nothing new"
        return f"{self.workspace.root}: revision {self.revision.number}, {counted(len(self.revision.cases), 'label map')}"

    def _tables(self) -> Sequence[Table]:
        return describe(self).tables

    def _records(self) -> Sequence[Mapping[str, Any]]:
        """A row per label map."""
        cases = () if self.revision is None else self.revision.cases
        return [{"case": case.case, "corrected": case.corrected, "fold": case.fold} for case in cases]


def run(options: AdoptOptions, events: Events) -> AdoptResult:
    """Check label maps, and make them training data.

    Raises:
        ProblemsError: some cannot be adopted; nothing has changed then.
        UsageError: the folder holds no results, or none of a case that was named, or a subject is stated of no new case.
        WorkspaceError: another command changes the workspace.
    """
    from autoseg.errors import UsageError
    from autoseg.runs.found import workspace_folder

    if options.every and options.cases:
        raise UsageError("all label maps are asked for, and single ones", remedy="Leave out --all or --case.")
    folder = workspace_folder(options.workspace)  # a wrong name is told before the rest is loaded

    from autoseg.inference.review import review
    from autoseg.runs.adopting import adopt, plan_change
    from autoseg.runs.adoption import adoptable, chosen
    from autoseg.runs.adoption_scans import stated_subjects
    from autoseg.runs.moved_data import with_data_in
    from autoseg.runs.revisions import complete_change
    from autoseg.runs.source_checksums import SourceChecksums
    from autoseg.runs.workspace import Workspace
    from autoseg.storage.locks import lock

    subjects = stated_subjects(options.subjects)
    workspace = with_data_in(Workspace(folder, verify=options.verify), options.data, events, remember=not options.dry_run)
    with nullcontext() if options.dry_run else lock(workspace.lock_file, events=events):
        if not options.dry_run:
            complete_change(workspace.root)
        scans = chosen(
            review(options.results),
            workspace.adopted_cases(),
            cases=options.cases,
            every=options.every,
            folder=options.results,
        )
        if not scans:
            return AdoptResult(workspace, None, options.dry_run)
        known = SourceChecksums(workspace.checksums_file, verify=workspace.verify)
        found = adoptable(
            scans,
            workspace,
            known=known,
            folder=options.results,
            place=options.scans,
            subjects=subjects,
            empty=options.empty,
            events=events,
        )
        if options.dry_run:
            revision = plan_change(found, workspace, by=options.by).revision
        else:
            revision = adopt(found, workspace, by=options.by)
            known.store()
    return AdoptResult(workspace, revision, options.dry_run, _behind(workspace, revision.number))


def _behind(workspace: "Workspace", revision: int) -> tuple[str, ...]:
    from autoseg.runs.inventory import take_inventory

    finished = take_inventory(workspace, workspace.plan()).finished
    return tuple(model.id.folder for model in finished if model.revision < revision)


def describe(result: AdoptResult) -> Output:
    """What each label map became, and what to do next."""
    revision, root = result.revision, result.workspace.root
    document: dict[str, Any] = {"workspace": str(root), "dry_run": result.dry_run, "revision": None, "cases": []}
    document["behind"] = list(result.behind)
    if revision is None:
        return Output("Nothing new: no label map was changed since it was predicted, or adopted before", document)
    rows = [
        (
            case.case,
            "corrected" if case.corrected else "new",
            "none" if case.fold is None else str(case.fold),
        )
        for case in revision.cases
    ]
    table = Table(f"Revision {revision.number} of the data in {root}", ("case", "label map", "held out by fold"), rows)
    corrected = sum(case.corrected for case in revision.cases)
    would = "Would adopt" if result.dry_run else "Adopted"
    lines = [f"{would} {counted(len(rows), 'label map')}: {len(rows) - corrected} new, {corrected} corrected"]
    if result.dry_run:
        lines.append("Nothing was changed. Without --dry-run it is")
    elif result.behind:
        lines.append(f"{counted(len(result.behind), 'model')} so far without them: {', '.join(result.behind)}")
    document |= {"revision": revision.number, "cases": [case.model_dump(mode="json") for case in revision.cases]}
    return Output("\n".join(lines), document, [table])


adopt = function(AdoptOptions, run)
COMMAND = Command(AdoptOptions, run, describe, example="autoseg adopt results/ --workspace runs/IBSR18")
