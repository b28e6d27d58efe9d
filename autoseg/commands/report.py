"""`autoseg report`: one page to look at, and the paper's tables and figures, from whatever was trained."""

from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.events import Events
from autoseg.options.command import Command, Output, function
from autoseg.options.declaration import OptionalPath, Options, option
from autoseg.options.shared import DATA, VERIFY, WORKSPACE
from autoseg.wording import counted

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
    open: bool = option("Open the page in the browser.", default=False)


def run(options: ReportOptions, events: Events) -> "ReportResult":
    """Write the page, the tables and the figures.

    Raises:
        BundleError: models of one plan were trained on different data.
        WorkspaceError: a case that a model held out is not in the data set any more.
    """
    from autoseg.runs.found import workspace_folder

    folder = workspace_folder(options.workspace)  # a wrong name is told before the rest is loaded

    from autoseg.reporting.report import write_report
    from autoseg.runs.moved_data import with_data_in
    from autoseg.runs.workspace import Workspace

    workspace = with_data_in(Workspace(folder, verify=options.verify), options.data, events)
    result = write_report(workspace, options.output, events)
    if options.open and not _opened(result.page):
        events.warn(f"there is no browser to open here: open {result.page} in one yourself")
    return result


def _opened(page: Path) -> bool:
    """Show a page in the browser; False where there is none with windows: others would take over the terminal."""
    import webbrowser

    from autoseg.jobs.machine import shows_windows

    try:
        return shows_windows() and webbrowser.open(page.resolve().as_uri())
    except webbrowser.Error:
        return False


def describe(result: "ReportResult") -> Output:
    """Where page, tables and figures are."""
    names = [path.relative_to(result.folder) for path in result.written]
    judged = result.verdict.scores_of
    lines = [
        result.verdict.sentence,
        *([f"Scores are of {judged}"] if judged else []),
        counted(len(result.models), "model"),
        *(f"  {name}" for name in names),
    ]
    lines.append(f"Wrote {result.folder}")
    lines.append(f"Open {result.page} in a browser")
    document = {
        "verdict": result.verdict.sentence,
        "scores_of": judged or None,
        "warnings": list(result.verdict.warnings),
        "page": str(result.page),
        "folder": str(result.folder),
        "models": [str(path) for path in result.models],
        "written": [str(path) for path in result.written],
    }
    return Output("\n".join(lines), document)


report = function(ReportOptions, run)
COMMAND = Command(ReportOptions, run, describe, example="autoseg report --workspace runs/IBSR18")
