"""`autoseg queue`: which scans of a folder of results need a person most, why, and which file to open."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autoseg.events import Events
from autoseg.options.command import Command, Output, Table, function
from autoseg.options.declaration import OptionalPath, Options, PathOption, argument, option
from autoseg.results import Records
from autoseg.wording import counted

if TYPE_CHECKING:
    from autoseg.inference.review import ReviewedScan

State = Literal["open", "corrected", "adopted"]
"""`corrected`: a person changed the label map, which is not adopted yet; `adopted`: it is part of the workspace's data."""


class QueueOptions(Options):
    """Say which scans that `predict` segmented need a person most, why, and which file to open; corrected ones come last."""

    results: PathOption = argument("Folder of label maps and predictions.csv.", metavar="RESULTS")
    _: KW_ONLY
    workspace: OptionalPath = option(
        "Folder of plan, arrays and models that may have adopted some; default: the only one under runs/, if there is one.",
        "--workspace",
        "-w",
        default=None,
        metavar="DIR",
    )
    top: int | None = option("List no more than this.", default=None, least=1, most=1_000_000)


@dataclass(frozen=True)
class QueuedScan:
    """A scan in the queue.

    Attributes:
        scan: what is known of it.
        state: whether a person has been there already.
    """

    scan: "ReviewedScan"
    state: State


@dataclass(frozen=True, repr=False)
class QueueResult(Records):
    """Scans, the neediest first.

    Attributes:
        folder: of the results.
        scans: those listed.
        total: how many scans the folder has.
        waiting: how many of them nobody has corrected or adopted.
        workspace: the one that was named; None: none was.
    """

    folder: Path
    scans: tuple[QueuedScan, ...]
    total: int
    waiting: int
    workspace: Path | None = None

    def _in_short(self) -> str:
        first = f", first {self.scans[0].scan.case}" if self.waiting and self.scans else ""
        return f"{self.folder}: {self.waiting} of {counted(self.total, 'scan')} left for a person{first}"

    def _tables(self) -> Sequence[Table]:
        return describe(self).tables

    def _records(self) -> Sequence[Mapping[str, Any]]:
        """A row per scan."""
        return [_record(queued) for queued in self.scans]


def run(options: QueueOptions, events: Events) -> QueueResult:
    """Put the scans of a folder of results in order.

    Raises:
        UsageError: it holds no results.
        WorkspaceError: its table is none, or there is no such workspace.
    """
    from autoseg.runs.found import found_workspaces, workspace_folder

    if options.workspace is not None:
        workspace_folder(options.workspace)  # a wrong name is told before the rest is loaded

    from autoseg.inference.review import review
    from autoseg.runs.adoption import is_adopted
    from autoseg.runs.workspace import find_workspace

    scans = review(options.results)
    latest = {}
    if options.workspace is not None or len(found_workspaces()) == 1:
        latest = find_workspace(options.workspace).adopted_cases()
    rows = [scan.row for scan in scans if scan.row is not None]
    if len({row.model_digest for row in rows}) > 1:
        events.warn("the label maps stem from several models or settings, whose estimates are not comparable")
    if rows and all(scan.estimated_dice is None for scan in scans):
        events.warn("the table, of an older version, does not say how good label maps are: only warnings order the scans")

    def state(scan: "ReviewedScan") -> State:
        if is_adopted(scan, latest):
            return "adopted"
        return "corrected" if scan.corrections else "open"

    queued = [QueuedScan(scan, state(scan)) for scan in scans]
    queued.sort(key=lambda each: ("open", "corrected", "adopted").index(each.state))
    waiting = sum(each.state == "open" for each in queued)
    return QueueResult(options.results, tuple(queued[: options.top]), len(queued), waiting, options.workspace)


def _record(queued: QueuedScan) -> dict[str, Any]:
    scan = queued.scan
    return {
        "case": scan.case,
        "state": queued.state,
        "estimated_dice": scan.estimated_dice,
        "reasons": "; ".join(scan.reasons),
        "label_map": None if scan.label_map is None else str(scan.label_map),
        "scan": [str(path) for path in scan.scan],
    }


def describe(result: QueueResult) -> Output:
    """The scans with what to open and why."""
    rows = [
        (
            queued.scan.case,
            queued.state,
            "; ".join(queued.scan.reasons),
            str(queued.scan.label_map or ""),
            ", ".join(map(str, queued.scan.scan)) or "not recorded",
        )
        for queued in result.scans
    ]
    table = Table(f"{result.folder}, the neediest first", ("case", "state", "why", "label map", "scan"), rows)
    left = f" ({result.total - len(result.scans)} more are not listed)" if len(result.scans) < result.total else ""
    lines = [f"{result.waiting} of {counted(result.total, 'scan')} left for a person{left}"]
    if any(queued.state == "corrected" for queued in result.scans):
        named = [] if result.workspace is None else ["--workspace", str(result.workspace)]
        lines.append(f"Next: {shlex.join(['autoseg', 'adopt', str(result.folder), *named])}")
    document = {
        "folder": str(result.folder),
        "total": result.total,
        "waiting": result.waiting,
        "scans": [{**_record(queued), "reasons": list(queued.scan.reasons)} for queued in result.scans],
    }
    return Output("\n".join(lines), document, [table])


queue = function(QueueOptions, run)
COMMAND = Command(QueueOptions, run, describe, example="autoseg queue results/ --top 5")
