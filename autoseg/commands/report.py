"""`autoseg report`: one page to look at, and the paper's tables and figures, from whatever was trained."""

from pathlib import Path

from autoseg.commands.choices import Choices
from autoseg.events import Events
from autoseg.reporting.report import ReportResult, write_report
from autoseg.runs.workspace import find_workspace

__all__ = ["ReportConfig", "ReportResult", "run"]


class ReportConfig(Choices):
    """What the user chose for the report.

    Attributes:
        workspace: the workspace; None: the only one under `runs/`.
        output: where page, tables and figures go; None: `report.html` and `report/` in the workspace.
    """

    workspace: Path | None = None
    output: Path | None = None


def run(config: ReportConfig, events: Events) -> ReportResult:
    """Write page, tables and figures.

    Raises:
        BundleError: models of one plan were trained on different data.
        WorkspaceError: a case that a model held out is not in the data set any more.
    """
    return write_report(find_workspace(config.workspace), config.output, events)
