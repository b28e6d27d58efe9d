"""`autoseg report`: one page to look at, and the paper's tables and figures, from whatever was trained."""

from dataclasses import KW_ONLY
from typing import TYPE_CHECKING

from autoseg.events import Events
from autoseg.options.command import Command, Output, function
from autoseg.options.declaration import OptionalPath, Options, option
from autoseg.options.shared import DATA, VERIFY, WORKSPACE

if TYPE_CHECKING:
    from autoseg.reporting.report import ReportResult


class ReportOptions(Options):
    """Compare everything trained so far: tables (CSV, Markdown, LaTeX) and figures (PNG, SVG) for a paper."""

    workspace: OptionalPath = option(WORKSPACE, default=None)
    _: KW_ONLY
    data: OptionalPath = option(DATA, default=None)
    verify: bool = option(VERIFY, default=False)
    output: OptionalPath = option(
        "Folder of page, tables and figures; default: report.html and report/ in the workspace.",
        "--output",
        "-o",
        default=None,
        metavar="DIR",
    )


def run(options: ReportOptions, events: Events) -> "ReportResult":
    """Write the page, the tables and the figures.

    Raises:
        BundleError: models of one plan were trained on different data.
        WorkspaceError: a case that a model held out is not in the data set any more.
    """
    from autoseg.runs.workspace import find_workspace

    workspace = find_workspace(options.workspace, verify=options.verify)  # a wrong name is told before torch is loaded

    from autoseg.reporting.report import write_report
    from autoseg.runs.moved_data import with_data_in

    workspace = with_data_in(workspace, options.data, events)
    return write_report(workspace, options.output, events)


def describe(result: "ReportResult") -> Output:
    """Where page, tables and figures are."""
    names = [path.relative_to(result.folder) for path in result.written]
    lines = [f"{len(result.models)} model(s)", *(f"  {name}" for name in names), f"Wrote {result.folder}"]
    lines.append(f"Open {result.page} in a browser")
    document = {
        "page": str(result.page),
        "folder": str(result.folder),
        "models": [str(path) for path in result.models],
        "written": [str(path) for path in result.written],
    }
    return Output("\n".join(lines), document)


report = function(ReportOptions, run)
COMMAND = Command(ReportOptions, run, describe, example="autoseg report --workspace runs/IBSR18")
