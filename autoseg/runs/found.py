"""Which workspace a command means, found by folders alone: a wrong name is told before anything else is loaded."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from autoseg.errors import UsageError, WorkspaceError

RUNS: Final = Path("runs")
PLAN_FILE: Final = "plan.json"
DATASET_FILE: Final = "dataset.json"
_KEPT: Final = frozenset({"models", "preprocessed", "selection", "adopted", "report"})
"""Folders of a workspace that hold what commands make."""
PLAN_FIRST: Final = "Run `autoseg plan DATASET` first."


def workspace_folder(chosen: Path | None) -> Path:
    """The folder of the workspace a command means: the chosen one, or the only one under `runs/`.

    Args:
        chosen: its folder; None: there is only one.

    Raises:
        WorkspaceError: there is none, or there are several and none was chosen; names those there are.
    """
    found = found_workspaces()
    if chosen is not None:
        if not chosen.is_dir():
            raise _unknown(chosen, found)
        if not (chosen / PLAN_FILE).exists():
            raise unplanned(chosen)
        return chosen
    if not found:
        raise WorkspaceError(f"no workspace under {RUNS}/", remedy=f"{PLAN_FIRST} Or name one with --workspace.")
    if len(found) > 1:
        listing = ", ".join(map(str, found))
        raise WorkspaceError("several workspaces", where=RUNS, found=listing, remedy="Choose one with --workspace DIR.")
    return found[0]


def refuse_results_in(folder: Path) -> None:
    """Refuse to write results among the files of a workspace.

    Raises:
        UsageError: the folder is one.
    """
    if all((folder / name).is_file() for name in (PLAN_FILE, DATASET_FILE)):
        remedy = f"Name another folder, such as {folder / 'results'}."
        raise UsageError("a workspace, not a folder for results", where=folder, remedy=remedy)


def refuse_scans_in(place: Path) -> None:
    """Refuse to take what a workspace holds, label maps, plots and arrays, for scans.

    Raises:
        UsageError: the place is a workspace, or lies among what one keeps.
    """
    place = place.resolve()
    kept = [parent for parent in place.parents if place.relative_to(parent).parts[0] in _KEPT]
    for folder in (place, *kept):
        if all((folder / name).is_file() for name in (PLAN_FILE, DATASET_FILE)):
            found = "a workspace" if folder == place else f"part of the workspace {folder}"
            raise UsageError(f"{found}, not scans", where=place, remedy="Name the scans, or the folder that holds them.")


def found_workspaces() -> list[Path]:
    """The workspaces under `runs/`, by name."""
    return sorted(path.parent for path in RUNS.glob(f"*/{PLAN_FILE}"))


def unplanned(folder: Path) -> WorkspaceError:
    """What is said of a folder without a plan."""
    return WorkspaceError("there is no plan", where=folder, remedy=PLAN_FIRST)


def _unknown(chosen: Path, found: Sequence[Path]) -> WorkspaceError:
    """Why a folder is no workspace, with the name that was probably meant, or those that there are."""
    names = {path.name: path for path in found}
    similar = get_close_matches(chosen.name, names, n=1)
    remedy = PLAN_FIRST
    if similar:
        remedy = f"Did you mean {names[similar[0]]}?"
    elif found:
        remedy = "Choose one of these, or run `autoseg plan DATASET` for a new one."
    listing = ", ".join(map(str, found)) if found else None
    return WorkspaceError("no such workspace", where=chosen, found=listing, remedy=remedy)
