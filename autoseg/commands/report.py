"""`autoseg report`: one page to look at, and the paper's tables and figures, from whatever was trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.catalogue import NETWORKS, Architecture
from autoseg.commands.choices import Choices
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.comparison import ComparedMetric, compare
from autoseg.evaluation.tables import METRICS_FILE, read_cases
from autoseg.events import Events
from autoseg.planning.plan import Plan
from autoseg.postprocessing import held_out
from autoseg.postprocessing.selection import Selection, read_selection
from autoseg.reporting import case_figures
from autoseg.reporting.findings import Findings
from autoseg.reporting.page import render
from autoseg.reporting.sections import build_page
from autoseg.reporting.tables import to_csv, to_latex, to_markdown
from autoseg.runs.inventory import FinishedModel, refuse_mixed_data, take_inventory
from autoseg.runs.workspace import Workspace, find_workspace
from autoseg.storage import files

PAGE: Final = "report.html"
TABLES: Final = "tables"
FIGURES: Final = "figures"
_TABLES: Final[Mapping[str, ComparedMetric]] = {"table_3_dice": "dice", "table_4_hausdorff": "hausdorff_mm"}
"""Name of a table's files to its metric; numbered as in the paper."""


class ReportConfig(Choices):
    """What the user chose for the report.

    Attributes:
        workspace: the workspace; None: the only one under `runs/`.
        output: where page, tables and figures go; None: `report.html` and `report/` in the workspace.
    """

    workspace: Path | None = None
    output: Path | None = None


@dataclass(frozen=True)
class ReportResult:
    """What was written.

    Attributes:
        page: the page; it needs none of the other files.
        folder: where tables and figures are.
        written: these files, in the order of the paper.
        models: folders of the models that went into it.
    """

    page: Path
    folder: Path
    written: tuple[Path, ...]
    models: tuple[Path, ...]


@dataclass(frozen=True)
class ScoredModels:
    """Models whose held-out scores belong together.

    Attributes:
        suffix: of the files made from them.
        cases: what their cases are, in words.
        models: by network, one per fold.
        scores: by network, of every case held out.
    """

    suffix: str
    cases: str
    models: Mapping[Architecture, tuple[FinishedModel, ...]]
    scores: Mapping[Architecture, tuple[CaseMetrics, ...]]


def run(config: ReportConfig, events: Events) -> ReportResult:
    """Write tables 3 and 4 and figures 1 to 4 of the paper, and the attention maps where there are any.

    Raises:
        BundleError: models of one plan were trained on different data.
        WorkspaceError: a case that a model held out is not in the data set any more.
    """
    workspace = find_workspace(config.workspace)
    plan = workspace.plan()
    folder = config.output or workspace.root / "report"
    page = (config.output or workspace.root) / PAGE
    inventory = take_inventory(workspace, plan)
    for reason in inventory.skipped:
        events.info(f"left out: {reason}")
    if inventory.finished:
        refuse_mixed_data(inventory.finished)
    else:
        events.info("nothing is trained yet: the report shows the data only")
    selection = _current_selection(workspace, plan, events)
    groups = [group for group in (_cross_validation(inventory.finished), _official(inventory.finished)) if group.scores]
    written = [path for group in groups for path in _write_tables(group, folder / TABLES)]
    written += _draw_all(workspace, plan, groups, inventory.finished, folder / FIGURES, events)
    written += [] if selection is None else case_figures.draw_calibration(selection.quality, folder / FIGURES)
    _drop_stale(folder, written)
    first = groups[0] if groups else ScoredModels("", "", {}, {})
    selected = workspace.selected
    found = Findings(
        dataset=workspace.dataset(),
        fingerprint=workspace.fingerprint(),
        plan=plan,
        inventory=inventory,
        scores=first.scores,
        models=first.models,
        cases=first.cases,
        selection=selection,
        selected=() if selection is None else read_cases(selected / METRICS_FILE),
        label_maps=selected,
        figures=written,
    )
    events.info("writing the page")
    files.write_text(page, render(build_page(found)))
    return ReportResult(page, folder, tuple(written), tuple(model.folder for model in inventory.finished))


def _current_selection(workspace: Workspace, plan: Plan, events: Events) -> Selection | None:
    """The selection, unless it was made under another plan."""
    if not workspace.selection_file.exists():
        return None
    selection = read_selection(workspace.selection_file)
    if selection.plan_digest == plan.digest:
        return selection
    events.warn("the selection was made under another plan and is left out: run `autoseg select` again")
    return None


def _drop_stale(folder: Path, written: list[Path]) -> None:
    """Remove what an earlier report made of models that are no more: it would be taken for a part of this one."""
    for pattern in (f"{TABLES}/table_*", f"{FIGURES}/figure_*", f"{FIGURES}/attention_*", f"{FIGURES}/calibration.*"):
        for path in set(folder.glob(pattern)) - set(written):
            with files.explain_os_errors(path):
                path.unlink()


def _cross_validation(models: tuple[FinishedModel, ...]) -> ScoredModels:
    chosen = tuple(model for model in models if model.fold.isdigit())
    return _group(chosen, suffix="", cases="held-out cases of the cross-validation")


def _official(models: tuple[FinishedModel, ...]) -> ScoredModels:
    chosen = tuple(model for model in models if model.fold == "official")
    return _group(chosen, suffix="_official", cases="the data set's own validation cases")


def _group(models: tuple[FinishedModel, ...], *, suffix: str, cases: str) -> ScoredModels:
    """Models by network, in the order of the table of architectures, with the scores of those that were scored."""
    by_network: dict[Architecture, tuple[FinishedModel, ...]] = {}
    scores: dict[Architecture, tuple[CaseMetrics, ...]] = {}
    for name in NETWORKS:
        scored = tuple(model for model in models if model.architecture == name and held_out.is_scored(model.folder))
        if scored:
            by_network[name] = scored
            scores[name] = tuple(case for model in scored for case in held_out.read_scores(model.folder))
    return ScoredModels(suffix, cases, by_network, scores)


def _write_tables(group: ScoredModels, folder: Path) -> list[Path]:
    titled = {NETWORKS[name].title: cases for name, cases in group.scores.items()}
    written = []
    for name, metric in _TABLES.items():
        comparison = compare(titled, metric=metric)
        stem = f"{name}{group.suffix}"
        texts = {
            "csv": to_csv(comparison),
            "md": to_markdown(comparison, cases=group.cases),
            "tex": to_latex(comparison, cases=group.cases, label=stem.replace("_", "-")),
        }
        for kind, text in texts.items():
            path = folder / f"{stem}.{kind}"
            files.write_text(path, text)
            written.append(path)
    return written


def _draw_all(
    workspace: Workspace,
    plan: Plan,
    groups: list[ScoredModels],
    finished: tuple[FinishedModel, ...],
    folder: Path,
    events: Events,
) -> list[Path]:
    dataset = workspace.dataset()
    written = case_figures.draw_data(dataset, plan, folder, events=events)
    for group in groups:
        written += case_figures.draw_scores(group.scores, folder, suffix=group.suffix)
    written += case_figures.draw_learning(finished, folder)
    for group in groups:
        written += case_figures.draw_example(group.models, group.scores, dataset, plan, folder, suffix=group.suffix)
        written += case_figures.draw_gates(group.models, dataset, folder)
    return written
