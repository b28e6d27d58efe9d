"""`autoseg select`: from the cross-validation to one model: which networks, which postprocessing, and how good it is."""

from dataclasses import dataclass
from pathlib import Path

from autoseg.commands.choices import Choices, Processes
from autoseg.events import Events
from autoseg.postprocessing.inputs import gather_inputs
from autoseg.postprocessing.selecting import make_selection
from autoseg.postprocessing.selection import Selection, write_selection
from autoseg.runs.workspace import find_workspace
from autoseg.storage.locks import lock


class SelectConfig(Choices):
    """What the user chose for the selection.

    Attributes:
        workspace: the workspace; None: the only one under `runs/`.
        jobs: processes that score cases.
    """

    workspace: Path | None = None
    jobs: Processes = 1


@dataclass(frozen=True)
class SelectResult:
    """What was decided.

    Attributes:
        file: the selection, to be read and edited.
        selection: the same as an object.
        folder: label maps of the held-out cases as the selection makes them, and their scores.
    """

    file: Path
    selection: Selection
    folder: Path


def run(config: SelectConfig, events: Events) -> SelectResult:
    """Choose networks and postprocessing from what the cross-validation held out, and write it all down.

    Raises:
        BundleError: no fold was trained to its end, or models stem from different data.
        WorkspaceError: stored probabilities are damaged, or another process works on the plan.
    """
    workspace = find_workspace(config.workspace)
    with lock(workspace.lock_file):
        selection = make_selection(gather_inputs(workspace, events), workspace.selected, jobs=config.jobs, events=events)
        write_selection(selection, workspace.selection_file)
    return SelectResult(workspace.selection_file, selection, workspace.selected)
