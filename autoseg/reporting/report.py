"""The report: one page to look at, and the paper's tables and figures, from whatever was trained."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.errors import UsageError
from autoseg.events import Events
from autoseg.postprocessing import held_out
from autoseg.preprocessing.keys import data_keys
from autoseg.reporting import paper_figures, tables
from autoseg.reporting.data import ReportData, ScoredModels, gather
from autoseg.reporting.materials import Materials
from autoseg.reporting.page import render
from autoseg.reporting.sections import build_page
from autoseg.reporting.subject import described, in_one
from autoseg.reporting.verdict import Verdict, verdict
from autoseg.results import Result
from autoseg.runs.inventory import refuse_changed_data
from autoseg.runs.removed_data import require_files
from autoseg.runs.source_checksums import case_checksums
from autoseg.runs.workspace import Workspace
from autoseg.storage import files
from autoseg.wording import counted

PAGE: Final = "report.html"
_FOLDER: Final = "report"
_TABLES: Final = "tables"
_FIGURES: Final = "figures"
_LIST: Final = "report.sha256"
"""Digests of what a report wrote, in the format of `sha256sum`."""

_MADE_BY: Final = b"autoseg"
"""What every page says."""


@dataclass(frozen=True, repr=False)
class ReportResult(Result):
    """What was written.

    Attributes:
        page: the page; it needs none of the other files.
        folder: where tables and figures are.
        written: these files, in the order of the paper.
        models: folders of the models that went into it.
        verdict: the judgement at the top of the page.
    """

    page: Path
    folder: Path
    written: tuple[Path, ...]
    models: tuple[Path, ...]
    verdict: Verdict

    def _in_short(self) -> str:
        return f"{counted(len(self.models), 'model')}; {self.page}"


def write_report(workspace: Workspace, output: Path | None, events: Events) -> ReportResult:
    """Write the page, tables 3 and 4 and figures 1 to 4 of the paper, and the attention maps where there are any.

    Args:
        workspace: what to report on.
        output: where all of it goes; None: `report.html` and `report/` in the workspace.
        events: notified of everything.

    Raises:
        BundleError: models of one plan were trained on different data, or the data have changed since.
        DatasetError: labelled cases are not there any more.
        UsageError: a page of another origin lies where this one goes.
        WorkspaceError: a case that a model held out is not in the data set any more, or its label map or scores were
            changed since.
    """
    folder = output or workspace.root / _FOLDER
    page = (output or workspace.root) / PAGE
    _refuse_page_of_others(page)
    for place in (page.parent, folder):
        files.require_writable(place)
    data = gather(workspace, events)
    require_files(data.dataset.labelled, workspace)
    _refuse_outdated_scores(data, workspace)
    written = [path for group in data.groups for path in _write_tables(data, group, folder / _TABLES)]
    materials = Materials(data, events)
    written += paper_figures.write_figures(materials, folder / _FIGURES)
    _drop_stale(folder, keep=written)
    _write_list(folder, written)
    events.info("writing the page")
    judged = verdict(data)
    files.write_text(page, render(build_page(materials, judged)))
    return ReportResult(page, folder, tuple(written), tuple(run.model.folder for run in data.runs), judged)


def _write_tables(data: ReportData, group: ScoredModels, folder: Path) -> list[Path]:
    cases = f"{group.cases}; {in_one(described(data, group))}"
    return tables.write_tables(data.compared(group), folder, suffix=group.suffix, cases=cases)


def _refuse_page_of_others(page: Path) -> None:
    """Require that nothing or an earlier report lies where the page goes: each says what made it."""
    with files.explain_os_errors(page):
        if page.exists() and _MADE_BY not in page.read_bytes():
            raise UsageError(
                "the report would replace a page that autoseg did not write",
                where=page,
                remedy="Choose another folder with --output, or move the page away.",
            )


def _refuse_outdated_scores(data: ReportData, workspace: Workspace) -> None:
    """Require models, scores and label maps to be those of the data as they are now: the report shows them side by side."""
    models = [run.model for run in data.runs]
    if models:
        keys = data_keys(data.plan, case_checksums(workspace.checksums_file, data.dataset.labelled, verify=workspace.verify))
        refuse_changed_data(models, keys, workspace=workspace)
    for model in models:
        if held_out.is_scored(model.folder):
            held_out.verify_scored(model.folder)
    if data.selection is not None:
        held_out.verify_shown(data.label_maps, remedy="Run `autoseg select` to make it again.")


def _drop_stale(folder: Path, *, keep: Collection[Path]) -> None:
    """Remove what an earlier report made of models that are no more: it would be taken for a part of this one.

    The folder may be anybody's: what no list names, or was changed since, stays.
    """
    earlier = folder / _LIST
    lines = earlier.read_text(encoding="utf-8", errors="replace").split("\n") if earlier.is_file() else []
    stale = {folder / line.partition("  ")[2]: line for line in lines}
    for path in stale.keys() - set(keep):
        if path.parent in {folder / _TABLES, folder / _FIGURES} and path.is_file() and _line(path, folder) == stale[path]:
            files.remove([path])


def _write_list(folder: Path, written: Collection[Path]) -> None:
    files.write_text(folder / _LIST, "".join(f"{_line(path, folder)}\n" for path in written))


def _line(path: Path, folder: Path) -> str:
    return f"{files.sha256_file(path)}  {path.relative_to(folder).as_posix()}"
