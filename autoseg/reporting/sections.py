"""The page of the report: which facts, tables and pictures stand where. How they look is `reporting`'s."""

import statistics
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

import numpy as np

from autoseg.catalogue import NETWORKS
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.formatting import bounds, number, plan_value
from autoseg.evaluation.statistics import Interval, bootstrap
from autoseg.inference.steps import describe
from autoseg.model.bundle import read_document, software_versions
from autoseg.postprocessing import held_out
from autoseg.postprocessing.scoring import case_means
from autoseg.reporting.captions import figures
from autoseg.reporting.findings import Findings
from autoseg.reporting.methods import Study, methods_paragraph
from autoseg.reporting.page import Copyable, Facts, Page, Remarks, Section, Table, Text
from autoseg.reporting.score_sections import cases_section, scores_section, selection_section
from autoseg.training.checkpoint import read_state

_FEW_CASES: Final = 6
"""Fewer held-out cases than this are worth a warning. Source: no paired test on fewer can tell anything."""


def build_page(found: Findings) -> Page:
    """Put the report together."""
    name = found.plan.inputs.name
    return Page(
        title=f"{name}: segmentation report",
        subtitle=f"autoseg {version('autoseg')}, recipe {found.plan.inputs.recipe}, plan {found.plan.digest[:12]}",
        cards=_cards(found),
        sections=[
            section
            for section in (
                _data(found), _plan(found), _learning(found), scores_section(found), cases_section(found), _attention(found),
                selection_section(found), _warnings(found), _repeat(found),
            )
            if section.blocks
        ],
    )  # fmt: skip


def _cards(found: Findings) -> list[tuple[str, str, str]]:
    labelled = len(found.fingerprint.cases)
    cards = [
        (str(labelled), "labelled cases", f"{len(found.dataset.cases) - labelled} without labels"),
        (str(len(found.inventory.finished)), "trained models", ", ".join(found.models)),
    ]
    name, cases = found.best
    if cases:
        dice, distance = bootstrap(case_means(cases, "dice")), bootstrap(case_means(cases, "hausdorff_mm"))
        remark = f"{name}, {dice.cases} held-out case(s)"
        cards.append((number(dice.mean, 3), "mean Dice", _with_bounds(remark, dice, 3)))
        cards.append((f"{number(distance.mean, 1)} mm", "mean Hausdorff distance", _with_bounds(remark, distance, 1)))
    return cards


def _with_bounds(text: str, mean: Interval, digits: int) -> str:
    between = bounds(mean, digits)
    return f"{text}; 95 %: {between}" if between else text


def _data(found: Findings) -> Section:
    fingerprint, plan = found.fingerprint, found.plan
    names = {label.value: label.name for label in plan.data.classes}
    subsets = {case.id: case.subset for case in found.dataset.cases}
    foreground = [label for label in plan.data.classes if label.value]
    rows = []
    for case in fingerprint.cases:
        voxel_ml = float(np.prod(case.spacing_mm)) / 1000
        volumes = [f"{case.class_voxels.get(label.value, 0) * voxel_ml:.2f}" for label in foreground]
        shape, spacing = (" x ".join(f"{value:.4g}" for value in triple) for triple in (case.shape, case.spacing_mm))
        rows.append([case.id, subsets.get(case.id, "gone"), shape, spacing, *volumes])
    columns = ["case", "set", "voxels (Z, Y, X)", "spacing (mm)", *(f"{label.name} (ml)" for label in foreground)]
    total = sum(fingerprint.class_voxels.values())
    balance = [
        [names.get(value, str(value)), f"{count:,}", f"{count / total:.2%}", f"{weight:.3g}"]
        for (value, count), weight in zip(
            [(label.value, fingerprint.class_voxels.get(label.value, 0)) for label in plan.data.classes],
            plan.training.class_weights,
            strict=True,
        )
    ]
    return Section(
        "data",
        "The data",
        f"{len(fingerprint.cases)} labelled cases of {len(found.dataset.cases)}, read as {found.dataset.layout}.",
        [
            *figures(found, "figure_1_data"),
            Table("Labelled cases", columns, rows, folded=len(rows) > 12),
            Table("Class balance: how much of the scans each class fills, and its weight in the loss",
                  ["class", "voxels", "share", "weight"], balance),
        ],
    )  # fmt: skip


def _plan(found: Findings) -> Section:
    rows = [[path, plan_value(decision.value), decision.reason] for path, decision in found.plan.decisions.items()]
    edited = [Text(["This plan was edited by hand: some values are not those of the rules."])] if found.plan.edited else []
    return Section(
        "plan",
        "The plan",
        "Every decision the planner took from the data, with its evidence.",
        [*edited, Table("Decisions", ["what", "value", "why"], rows, words=True, folded=True)],
    )


def _learning(found: Findings) -> Section:
    rows = []
    for model in found.inventory.finished:
        made = read_document(model.folder).provenance
        state = read_state(model.folder)
        epochs = "" if state is None else str(len(state.epochs))
        minutes = "" if state is None else f"{state.elapsed_s / 60:.1f}"
        trained, held = len(made.training_cases), len(made.validation_cases)
        title = NETWORKS[model.architecture].title
        rows.append(
            [f"{title}, fold {model.fold}", epochs, minutes, str(trained), str(held), str(made.seed), made.precision]
        )
    columns = ["run", "epochs", "minutes", "trained on", "held out", "seed", "precision"]
    table = [Table("Runs", columns, rows)] if rows else []
    return Section("learning", "Learning", "How every run went.", [*table, *figures(found, "figure_3_curves")])


def _attention(found: Findings) -> Section:
    return Section("attention", "Attention", "Where the Attention U-Net looks.", figures(found, "attention"))


def _warnings(found: Findings) -> Section:
    lines = [f"Not used: {reason}." for reason in found.inventory.skipped]
    lines += [
        f"{model.folder} was trained, but its held-out cases were not scored to the end: repeat its train command."
        for model in found.inventory.finished
        if model.fold != "full" and not held_out.is_scored(model.folder)
    ]
    if not found.inventory.finished:
        lines.append("Nothing is trained yet.")
    _, cases = found.best
    if cases and len(cases) < _FEW_CASES:
        lines.append(f"All scores rest on {len(cases)} held-out case(s): the next data may well score differently.")
    if found.selection is not None:
        lines += [f"Not taking part in the selection: {line}." for line in found.selection.missing]
    for title, of_network in found.titled.items():
        undefined = [case.id for case in of_network if any(np.isnan(label.hausdorff_mm) for label in case.classes)]
        if undefined:
            lines.append(
                f"{title}: distances are undefined for some classes of {', '.join(undefined)}; means leave them out."
            )
    if cases:
        lines += _stragglers(cases)
    return Section("warnings", "Warnings", "What to know before believing the numbers.", [Remarks(lines)])


def _stragglers(cases: Sequence[CaseMetrics]) -> list[str]:
    """Cases far below the others, by Tukey's fence."""
    dice = {case.id: value for case, value in zip(cases, case_means(cases, "dice"), strict=True) if not np.isnan(value)}
    if len(dice) < _FEW_CASES:
        return []
    lower, _, upper = statistics.quantiles(dice.values(), n=4)
    fence = lower - 1.5 * (upper - lower)
    return [
        f"{case} scores far below the others (mean Dice {value:.3f}): look at it first."
        for case, value in dice.items()
        if value < fence
    ]


def _repeat(found: Findings) -> Section:
    versions = software_versions()
    states = [state for model in found.inventory.finished if (state := read_state(model.folder)) is not None]
    minutes, epochs = [state.elapsed_s / 60 for state in states], [len(state.epochs) for state in states]
    selection = found.selection
    study = Study(
        cases=len(found.fingerprint.cases),
        models={
            name: sorted(model.fold for model in found.inventory.finished if model.architecture == name)
            for name in NETWORKS
            if any(model.architecture == name for model in found.inventory.finished)
        },
        minutes=(min(minutes, default=0), max(minutes, default=0)),
        epochs=(min(epochs, default=0), max(epochs, default=0)),
        versions=versions,
        averaged=() if selection is None else selection.candidates[0].networks,
        cleaning=() if selection is None else [describe(step, found.plan.data.classes) for step in selection.postprocessing],
        compared=0 if selection is None else len(selection.compared_cases),
    )
    text, references = methods_paragraph(found.plan, study)
    return Section(
        "repeat",
        "To repeat and to cite",
        "Commands that give these results again, and a paragraph for a paper: check it, then paste it.",
        [
            Copyable("\n".join(_commands(found)), "Commands", code=True),
            Copyable(text, "Methods", references=references),
            Facts([*versions.items(), ("plan", found.plan.digest)]),
        ],
    )


def _commands(found: Findings) -> list[str]:
    inputs = found.plan.inputs
    options = [f"--recipe {inputs.recipe}", *([] if inputs.plane == "auto" else [f"--plane {inputs.plane}"])]
    options += [] if inputs.folds is None else [f"--folds {inputs.folds}"]
    lines = [f"autoseg plan {found.dataset.root.name}/ {' '.join(options)}"]
    for model in found.inventory.finished:
        state = read_state(model.folder)
        config = read_document(model.folder).provenance if state is None else state.config
        length = "" if state is None else _length(state.config.minutes, state.config.epochs)
        lines.append(f"autoseg train --arch {model.architecture} --fold {model.fold}{length} --seed {config.seed}")
    lines += [] if found.selection is None else ["autoseg select"]
    return [*lines, "autoseg report"]


def _length(minutes: float | None, epochs: int | None) -> str:
    if minutes is not None:
        return f" --minutes {minutes:g}"
    return "" if epochs is None else f" --epochs {epochs}"
