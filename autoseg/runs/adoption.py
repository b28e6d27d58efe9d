"""Label maps of a folder of results that become part of a workspace's data: which they are, and whether they can."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.data.dataset import Case
from autoseg.errors import AutosegError, ProblemsError, UsageError
from autoseg.events import Events
from autoseg.formats.checksum import image_checksum
from autoseg.inference.review import ReviewedScan
from autoseg.planning.case_fingerprint import CaseFingerprint
from autoseg.planning.examination import examine
from autoseg.runs.adoption_checks import AdoptionRules, same_scans, unlabelled_scans
from autoseg.runs.adoption_scans import ScanFinder, scans_in
from autoseg.runs.revisions import RevisedCase
from autoseg.runs.source_checksums import SourceChecksums
from autoseg.runs.workspace import Workspace
from autoseg.wording import some


@dataclass(frozen=True)
class Adoptable:
    """A label map that may be adopted.

    Attributes:
        case: what it becomes in the data set; its label map is the file that the person left.
        before: the case as the data set has it; None: it has none of this name.
        measured: the case in numbers.
        scan_sha256: digest of the scan's files, as the table of predictions has it.
    """

    case: Case
    before: Case | None
    measured: CaseFingerprint
    scan_sha256: str

    @property
    def corrected(self) -> bool:
        """Whether it takes the place of a label map that the case has."""
        return self.before is not None and self.before.label is not None and self.before.subset != "test"


def is_adopted(scan: ReviewedScan, latest: Mapping[str, RevisedCase]) -> bool:
    """Whether a scan was adopted with the label map that lies in the folder now, or none that was changed lies there."""
    entry = latest.get(scan.case)
    if entry is None or scan.row is None or entry.scan_sha256 != scan.row.input_sha256:
        return False
    return not scan.corrections or [entry.source_sha256] == [image_checksum(path) for path in scan.corrections]


def chosen(
    scans: Sequence[ReviewedScan], latest: Mapping[str, RevisedCase], *, cases: Sequence[str], every: bool, folder: Path
) -> tuple[ReviewedScan, ...]:
    """The scans whose label maps are meant and were not adopted yet, by id.

    Args:
        scans: of the folder of results.
        latest: what was adopted last and is part of the data now, by case.
        cases: ids that were asked for, whether a person changed their label maps or not.
        every: whether all are meant; with neither, those that a person changed.
        folder: of the results, for messages.

    Raises:
        UsageError: the folder holds no such scan.
    """
    known = {scan.case: scan for scan in scans}
    if unknown := [case for case in cases if case not in known]:
        raise UsageError(
            f"holds no result of {', '.join(unknown)}",
            where=folder,
            expected=f"ids of its table, such as {min(known)}",
            remedy="`autoseg queue` lists them.",
        )
    meant = [known[case] for case in dict.fromkeys(cases)]
    if every:
        meant += [scan for scan in scans if scan.label_map is not None]
    elif not cases:
        meant = [scan for scan in scans if scan.corrections]
    once = {scan.case: scan for scan in meant if not is_adopted(scan, latest)}
    return tuple(once[case] for case in sorted(once))


def adoptable(
    scans: Sequence[ReviewedScan],
    workspace: Workspace,
    *,
    known: SourceChecksums,
    folder: Path,
    place: Path | None,
    subjects: Mapping[str, str],
    empty: bool,
    events: Events,
) -> tuple[Adoptable, ...]:
    """Check label maps against their scans, the plan and the data set; nothing is written.

    Args:
        scans: whose label maps are meant.
        workspace: whose data they are to join.
        known: checksums of its files.
        folder: of the results.
        place: of the scans; None: where the table of predictions says.
        subjects: whose scans new cases are, by case, where that is stated.
        empty: whether label maps without any foreground are taken.
        events: notified of progress, and of what the files give cause to warn of.

    Raises:
        ProblemsError: some cannot be adopted; names every problem of all.
        UsageError: there is no such place of scans, or a subject is stated of a case that is not new.
    """
    plan, dataset = workspace.plan(), workspace.dataset()
    finder = ScanFinder(dataset, plan, scans_in(place, plan, folder), known, subjects)
    before = {case.id: case for case in dataset.cases}
    finder.refuse_unknown({scan.case for scan in scans} - before.keys())
    problems: list[tuple[str, AutosegError]] = []
    cases: list[Case] = []
    for scan in scans:
        try:
            cases.append(finder.case_of(scan))
        except AutosegError as problem:
            problems.append((scan.case, problem))
    data = plan.data
    looked_at = dataset.model_copy(
        update={"cases": tuple(cases), "classes": data.classes, "ignore": data.ignore, "channels": data.channels}
    )
    not_finite = plan.preprocessing.not_finite
    examined = examine(cases, looked_at, not_finite=not_finite, jobs=1, events=events) if cases else []
    unlabelled = unlabelled_scans(dataset, known, events=events) if cases else {}
    rules = AdoptionRules(workspace, dataset, plan, unlabelled, empty=empty)
    for case, found in zip(cases, examined, strict=True):
        problems += [(case.id, problem) for problem in (*found.errors, *rules.problems(case, found))]
    problems += same_scans(examined)
    if problems:
        raise ProblemsError(problems, where=folder)
    if own := finder.without_subject(case for case in cases if case.id not in before):
        events.warn(
            f"nothing says whose scans these are, so each counts as a subject of its own, even where the data set has other "
            f"scans of the same patient: {some(own)}. --subject {own[0]}=SUBJECT says it"
        )
    if first := finder.stated_first():
        events.info(f"the data set has no other scans of {some(first)}, which --subject names")
    digests = {scan.case: scan.row.input_sha256 for scan in scans if scan.row is not None}
    return tuple(
        Adoptable(case, before.get(case.id), found.fingerprint, digests[case.id])
        for case, found in zip(cases, examined, strict=True)
        if found.fingerprint is not None
    )
