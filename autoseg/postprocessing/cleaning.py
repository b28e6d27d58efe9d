"""What a workspace no longer needs."""

from collections.abc import Collection, Iterator
from pathlib import Path

from autoseg.model.description import BUNDLE_FILE, read_document
from autoseg.model.identity import model_folders
from autoseg.postprocessing.held_out.superseded import superseded
from autoseg.runs.old_arrays import OtherPlans, models_of, old_arrays, other_plans
from autoseg.runs.workspace import Workspace
from autoseg.storage.leftovers import Leftover
from autoseg.storage.locks import lock
from autoseg.storage.temporary import abandoned_below
from autoseg.training.run_state import CHECKPOINT_FILE, CONTINUED_FOLDER


def require_idle(workspace: Workspace) -> None:
    """Require that nobody trains in a workspace: a run reads its arrays as long as it takes.

    Raises:
        WorkspaceError: somebody does; names the process.
    """
    for folder in model_folders(workspace.models):
        if (folder / ".lock").exists():
            with lock(folder / ".lock"):
                pass


def find_leftovers(workspace: Workspace, *, with_other_plans: bool) -> tuple[Leftover, ...]:
    """Everything that no plan and no model of a workspace needs.

    Args:
        workspace: where to look.
        with_other_plans: whether models of other plans than the workspace's are not needed either.

    Raises:
        BundleError: a model cannot be parsed, so that nobody can tell what it needs.
    """
    plan = workspace.plan()
    other = other_plans(workspace, plan)
    kept = OtherPlans() if with_other_plans else other
    removed = other if with_other_plans else OtherPlans()
    found = [*old_arrays(workspace, [plan, *kept.plans.values()]), *models_of(removed, workspace)]
    named = {path for leftover in found for path in leftover.paths}
    found += _superseded(workspace, removed)
    found += _broken_off(workspace)
    found += _abandoned(workspace, named)
    return tuple(found)


def _abandoned(workspace: Workspace, named: Collection[Path]) -> Iterator[Leftover]:
    """Temporary files and folders of killed processes, but for files that are named already."""
    reason = "left by a process that was killed while it wrote"
    for path in abandoned_below(workspace.root):
        name = str(path.relative_to(workspace.root))
        if not path.is_dir():
            yield from [] if path in named else [Leftover.of(name, reason, [path])]
        elif inside := sorted(inner for inner in path.rglob("*") if not inner.is_dir()):  # an empty one takes nothing
            yield Leftover.of(f"{name}/*", reason, inside)


def _broken_off(workspace: Workspace) -> Iterator[Leftover]:
    """Continuations without a checkpoint to go on with; one under way is somebody's work."""
    for folder in sorted(path / CONTINUED_FOLDER for path in model_folders(workspace.models)):
        if folder.is_dir() and not (folder / CHECKPOINT_FILE).exists():
            reason = "left of a run that was to be trained further, or was and has taken its place"
            paths = sorted(path for path in folder.rglob("*") if path.is_file())
            yield Leftover.of(str(folder.relative_to(workspace.root)), reason, paths)


def _superseded(workspace: Workspace, removed: OtherPlans) -> Iterator[Leftover]:
    for folder in sorted(path for path in model_folders(workspace.models) if (path / BUNDLE_FILE).exists()):
        if folder not in removed.folders:
            for reason, paths in superseded(folder, read_document(folder)):
                place = paths[0].parent.relative_to(workspace.root)
                yield Leftover.of(f"{place}/{paths[0].name if len(paths) == 1 else '*' + paths[0].suffix}", reason, paths)
