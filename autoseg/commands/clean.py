"""`autoseg clean`: what a workspace no longer needs, and why, and away with it."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from autoseg.events import Events
from autoseg.options.command import Command, Output, Table, function
from autoseg.options.declaration import OptionalPath, Options, option
from autoseg.options.shared import DATA, VERIFY, WORKSPACE
from autoseg.results import Records
from autoseg.wording import counted

if TYPE_CHECKING:
    from autoseg.runs.workspace import Workspace
    from autoseg.storage.leftovers import Leftover


class CleanOptions(Options):
    """Remove what no plan or model of a workspace needs: old arrays, probabilities of models that are gone, temporary files.

    What a run that was interrupted goes on with stays, and so does whatever belongs to cases whose files are gone.
    """

    workspace: OptionalPath = option(WORKSPACE, default=None)
    _: KW_ONLY
    data: OptionalPath = option(DATA, default=None)
    verify: bool = option(VERIFY, default=False)
    dry_run: bool = option("Say what would be removed, and remove nothing.", default=False)
    other_plans: bool = option(
        "Remove models that were trained under another plan, and the arrays that they alone need, too.", default=False
    )


@dataclass(frozen=True, repr=False)
class CleanResult(Records):
    """What was removed, or would be.

    Attributes:
        workspace: from where.
        leftovers: what, each with the reason.
        dry_run: whether all of it is still there.
    """

    workspace: "Workspace"
    leftovers: "Sequence[Leftover]"
    dry_run: bool

    @property
    def bytes(self) -> int:
        """What all of it takes."""
        return sum(leftover.bytes for leftover in self.leftovers)

    def _in_short(self) -> str:
        freed = "would free" if self.dry_run else "freed"
        return f"{self.workspace.root}: {freed} {self.bytes / 1e9:.2f} GB"

    def _tables(self) -> Sequence[Table]:
        return describe(self).tables

    def _records(self) -> Sequence[Mapping[str, Any]]:
        """A row per leftover."""
        return [{"what": each.name, "bytes": each.bytes, "reason": each.reason} for each in self.leftovers]


def run(options: CleanOptions, events: Events) -> CleanResult:
    """Find what nothing needs, and remove it.

    Raises:
        BundleError: a model cannot be parsed, so that nobody can tell what it needs.
        WorkspaceError: another process works in the workspace.
    """
    from contextlib import nullcontext

    from autoseg.runs.found import workspace_folder

    folder = workspace_folder(options.workspace)  # a wrong name is told before the rest is loaded

    from autoseg.postprocessing.cleaning import find_leftovers, require_idle
    from autoseg.runs.moved_data import with_data_in
    from autoseg.runs.workspace import Workspace
    from autoseg.storage.locks import lock

    workspace = with_data_in(Workspace(folder, verify=options.verify), options.data, events)
    with nullcontext() if options.dry_run else lock(workspace.lock_file):
        if not options.dry_run:
            require_idle(workspace)
        leftovers = find_leftovers(workspace, with_other_plans=options.other_plans)
        if not options.dry_run:
            with events.track("cleaning", total=len(leftovers), unit="leftovers") as progress:
                for leftover in leftovers:
                    leftover.remove(within=workspace.root)
                    progress.advance()
    return CleanResult(workspace, leftovers, options.dry_run)


def describe(result: CleanResult) -> Output:
    """What was removed and why, and what that frees."""
    rows = [(leftover.name, f"{leftover.bytes / 1e6:.1f}", leftover.reason) for leftover in result.leftovers]
    tables = [Table(f"Not needed in {result.workspace.root}", ("what", "MB", "why"), rows)] if rows else []
    freed = f"{result.bytes / 1e9:.2f} GB in {counted(sum(len(leftover.paths) for leftover in result.leftovers), 'file')}"
    if not rows:
        text = f"Nothing in {result.workspace.root} is old"
    elif result.dry_run:
        text = f"Would free {freed}; nothing was removed. Without --dry-run it is"
    else:
        text = f"Freed {freed}"
    document = {
        "workspace": str(result.workspace.root),
        "dry_run": result.dry_run,
        "bytes": result.bytes,
        "leftovers": [
            {
                "name": leftover.name,
                "reason": leftover.reason,
                "bytes": leftover.bytes,
                "files": [str(path) for path in leftover.paths],
            }
            for leftover in result.leftovers
        ],
    }
    return Output(text, document, tables=tables)


clean = function(CleanOptions, run)
COMMAND = Command(CleanOptions, run, describe, example="autoseg clean --dry-run --workspace runs/IBSR18")
