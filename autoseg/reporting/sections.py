"""The page of the report: which facts, tables and figures stand where."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version

import numpy as np

from autoseg.evaluation.formatting import bounds, number, plan_value, volume
from autoseg.evaluation.statistics import Interval, mean_interval
from autoseg.layouts.common import Choice
from autoseg.model.description import BUNDLE_FILE, software_versions
from autoseg.planning.asked import asked_in
from autoseg.planning.decided import explained
from autoseg.planning.labelled import labelled_part
from autoseg.planning.sections import Inputs
from autoseg.postprocessing.scoring import case_means
from autoseg.reporting.blocks import MOST_ROWS, Block, Copyable, Facts, Table, Text
from autoseg.reporting.case_sections import best_and_worst, cases_section
from autoseg.reporting.data import ReportData
from autoseg.reporting.figure_blocks import attention_blocks, calibration_blocks, cohort_blocks, training_blocks
from autoseg.reporting.materials import Materials
from autoseg.reporting.methods import methods_paragraph
from autoseg.reporting.page import Page, Section
from autoseg.reporting.score_sections import scores_section, selection_section, verdict_section
from autoseg.reporting.study import study_of
from autoseg.reporting.subject import subject_of
from autoseg.reporting.verdict import Verdict
from autoseg.training.config import TrainConfig
from autoseg.wording import counted, duration, listing


def build_page(materials: Materials, verdict: Verdict) -> Page:
    """Put the report together: the judgement first, what it rests on below, data and plan last.

    Args:
        materials: what it is about.
        verdict: on what was trained.
    """
    data = materials.data
    inputs = data.plan.inputs
    sections = (
        verdict_section(verdict, _cards(data)),
        scores_section(data, materials.networks, best_and_worst(data)),
        _learning(data, training_blocks(materials)),
        cases_section(data, materials),
        Section("attention", "Attention", "Where the Attention U-Net looks.", attention_blocks(materials)),
        selection_section(data, calibration_blocks(materials)),
        _data(data, cohort_blocks(materials)),
        _plan(data),
        _repeat(data),
    )
    return Page(
        title=f"{inputs.name}: segmentation report",
        subtitle=f"autoseg {version('autoseg')}, recipe {inputs.recipe}, plan {data.plan.digest[:12]}",
        sections=[section for section in sections if section.blocks],
        facts=_facts(data),
    )


def _facts(data: ReportData) -> list[tuple[str, str]]:
    """When and on what models were trained, and for how long."""
    if not data.runs:
        return []
    finished = max((run.model.folder / BUNDLE_FILE).stat().st_mtime for run in data.runs)
    facts = [("Trained until", datetime.fromtimestamp(finished).astimezone().strftime("%Y-%m-%d"))]
    seconds = [run.state.elapsed_s for run in data.runs if run.state is not None]
    if seconds:
        facts.append(("Training took", f"{duration(sum(seconds))} in {counted(len(seconds), 'run')}"))
    recorded = (run.provenance.hardware for run in data.runs)
    machines = list(dict.fromkeys(hardware.in_words for hardware in recorded if hardware is not None))
    return [*facts, ("Trained on", listing(machines))] if machines else facts


def _cards(data: ReportData) -> list[tuple[str, str, str]]:
    labelled = len(data.fingerprint.cases)
    cards = [
        (str(labelled), "labelled cases", f"{len(data.dataset.cases) - labelled} without labels"),
        (str(len(data.runs)), "trained models", ", ".join(network.name for network in data.main.models)),
    ]
    subject = subject_of(data)
    if subject.cases:
        dice, distance = (mean_interval(case_means(subject.cases, name), metric=name) for name in ("dice", "hausdorff_mm"))
        cards.append((number(dice.mean, 3), "mean Dice", _with_bounds(subject.name, dice, 3)))
        if distance.cases:
            said = _with_bounds(subject.name, distance, 1)
            cards.append((f"{number(distance.mean, 1)} mm", "mean Hausdorff distance", said))
    return cards


def _with_bounds(name: str, mean: Interval, digits: int) -> str:
    """Whose mean it is, over how many cases, which need not be the same for each metric, and its interval."""
    between = bounds(mean, digits)
    return f"{name}, {counted(mean.cases, 'held-out case')}" + (f"; 95 %: {between}" if between else "")


def _data(data: ReportData, pictures: Sequence[Block]) -> Section:
    fingerprint, plan = data.fingerprint, data.plan
    subsets = {case.id: case.subset for case in data.dataset.cases}
    foreground = [label for label in plan.data.classes if label.value]
    rows = []
    for case in fingerprint.cases[:MOST_ROWS]:
        voxel_ml = float(np.prod(case.spacing_mm)) / 1000
        in_part = "" if case.unlabelled is None else " in part"
        volumes = [f"{volume(case.voxels_of(label) * voxel_ml)}{in_part}" for label in foreground]
        shape, spacing = (" x ".join(f"{value:.4g}" for value in triple) for triple in (case.shape, case.spacing_mm))
        rows.append([case.id, subsets.get(case.id, "gone"), shape, spacing, *volumes])
    columns = ["case", "set", "voxels (Z, Y, X)", "spacing (mm)", *(f"{label.name} (ml)" for label in foreground)]
    more = f"; the first {len(rows)}, all are in fingerprint.json" if len(rows) < len(fingerprint.cases) else ""
    total = sum(fingerprint.class_voxels.values())
    balance = []
    for label, weight in zip(plan.data.classes, plan.training.class_weights, strict=True):
        count = fingerprint.voxels_of(label)
        balance.append([label.name, f"{count:,}", f"{count / total:.2%}", f"{weight:.3g}"])
    return Section(
        "data",
        "The data",
        f"{len(fingerprint.cases)} labelled cases of {len(data.dataset.cases)}, read as {data.dataset.layout}."
        + (f" {part}; the others count nowhere." if (part := labelled_part(fingerprint.cases)) else "")
        + _adopted(data),
        [
            *pictures,
            Table("Labelled cases" + more, columns, rows, folded=len(rows) > 12, sortable=True),
            Table("Class balance: how much of the scans each class fills, and its weight in the loss",
                  ["class", "voxels", "fraction", "weight"], balance),
        ],
    )  # fmt: skip


def _adopted(data: ReportData) -> str:
    """Label maps that were predicted first, and what that means for scores that are older."""
    adopted = [case.adopted for case in data.dataset.cases if case.adopted is not None]
    if not adopted:
        return ""
    revision = data.dataset.revision
    behind = sum(run.provenance.revision < revision for run in data.runs)
    text = f" Of {len(adopted)} the label map was predicted, and corrected or confirmed by a person (revision {revision})."
    if behind:
        text += f" {counted(behind, 'run')} preceded the last revision; the label maps of then are what they were scored on."
    return text


def _plan(data: ReportData) -> Section:
    rows = [[each.what, plan_value(each.value), each.reason] for each in explained(data.plan.decisions)]
    edited = [Text(["This plan was edited by hand: some values are not those of the rules."])] if data.plan.edited else []
    return Section(
        "plan",
        "The plan",
        "Every decision the planner took from the data, with its evidence.",
        [*edited, Table("Decisions", ["what", "value", "why"], rows, words=True, folded=True)],
    )


def _learning(data: ReportData, curves: Sequence[Block]) -> Section:
    rows = []
    for run in data.runs:
        made, state = run.provenance, run.state
        epochs = "" if state is None else str(len(state.epochs))
        minutes = "" if state is None else f"{state.elapsed_s / 60:.1f}"
        trained, held_out_cases = str(len(made.training_cases)), str(len(made.validation_cases))
        rows.append([run.title, epochs, minutes, trained, held_out_cases, str(made.seed), made.precision])
    columns = ["run", "epochs", "minutes", "trained on", "held out", "seed", "precision"]
    origins = [run.provenance.origin for run in data.runs]
    if any(origins):
        columns.append("started from")
        rows = [[*row, "" if origin is None else origin.in_words] for row, origin in zip(rows, origins, strict=True)]
    if any(run.provenance.stretches for run in data.runs):
        columns.append("trained further")
        rows = [[*row, run.provenance.stretches_in_words] for row, run in zip(rows, data.runs, strict=True)]
    if data.dataset.revision:
        columns.append("revision of the data")
        rows = [[*row, str(run.provenance.revision)] for row, run in zip(rows, data.runs, strict=True)]
    table: list[Block] = [Table("Runs", columns, rows)] if rows else []
    table += [Text(list(unknown))] if (unknown := dict.fromkeys(_unknown_origins(data))) else []
    return Section("learning", "Learning", "How every run went.", [*curves, *table])


def _unknown_origins(data: ReportData) -> Iterator[str]:
    """Where scores may be too good, because nobody knows what a model had learnt from that a run started from."""
    for run in data.runs:
        origin = run.provenance.origin
        if origin is not None and origin.learnt_from is None and run.provenance.validation_cases:
            yield (
                f"It is not recorded which scans {origin.name} had learnt from: if held-out cases were among them, the "
                "scores of what started from it are too good."
            )


def _repeat(data: ReportData) -> Section:
    text, references = methods_paragraph(data.plan, study_of(data))
    return Section(
        "repeat",
        "To repeat and to cite",
        "Commands that give these results again, and a paragraph for a paper: check it, then paste it. "
        "autoseg's sources have docs/CITATION.cff for reference managers.",
        [
            Copyable("\n".join(_commands(data)), "Commands", code=True),
            Copyable(text, "Methods", references=references),
            Facts([*software_versions().items(), ("plan", data.plan.digest)]),
        ],
    )


def _commands(data: ReportData) -> list[str]:
    folder, at = shlex.quote(f"{data.dataset.root.name}/"), f"--workspace {shlex.quote(f'runs/{data.workspace}')}"
    lines = [f"autoseg plan {folder} {' '.join([*reading_options(data), *planning_options(data.plan.inputs)])} {at}"]
    lines += _changes(data)
    for run in data.runs:
        made, state, origin = run.provenance, run.state, run.provenance.origin
        start = "" if origin is None else f" --init MODEL  # {origin.name}, weights {origin.weights_sha256[:12]}"
        command = f"autoseg train --arch {run.model.architecture} --fold {run.model.fold}"
        chosen = f"--seed {made.seed} --precision {made.precision}" if state is None else _choices(state.config)
        further = () if state is None else state.stretches[1:]
        own = [f"{command} {_choices(stretch.config)} --continue {at}" for stretch in further]
        lines.append("\n".join([f"{command} {chosen} {at}{start}", *own]))
    if data.selection is not None:
        lines.append(f"autoseg select{' --nested' if data.selection.nested is not None else ''} {at}")
        lines += [_put_back("selection.json", "it was edited by hand")] if data.selection.edited else []
    return [*dict.fromkeys(lines), f"autoseg report {at}"]  # the networks of several views are trained by one command


def _changes(data: ReportData) -> Iterator[str]:
    """What was done to a workspace between planning and training, as comments."""
    if data.plan.edited:
        yield _put_back("plan.json", "it was edited by hand")
    if adopted := sum(case.adopted is not None for case in data.dataset.cases):
        yield f"# adopt the {counted(adopted, 'label map')} of revision {data.dataset.revision}: autoseg adopt RESULTS"
    if data.splits.edited:
        yield _put_back("splits.json", "the folds were edited by hand")
    elif data.folds_grew:
        yield _put_back("splits.json", "cases joined or left these folds since they were assigned")


def _put_back(file: str, why: str) -> str:
    return f"# put this {file} in the place of the new one: {why}"


def _choices(config: TrainConfig) -> str:
    """Options of `autoseg train` that decide a run's result, besides the network and the fold."""
    asked = [] if config.minutes is None else [f"--minutes {config.minutes:g}"]
    asked += [] if config.epochs is None else [f"--epochs {config.epochs}"]
    asked += [f"--seed {config.seed}", f"--precision {config.precision}"]
    asked += [] if config.threads is None else [f"--threads {config.threads}"]
    return " ".join(asked if config.memory_format is None else [*asked, f"--memory-format {config.memory_format}"])


def reading_options(data: ReportData) -> list[str]:
    """Options of `autoseg plan` that tell what of the folder is read as what."""
    dataset = data.dataset
    return Choice(dataset.asked_labels, dataset.asked_channels, data.plan.data.ignore).options


def planning_options(inputs: Inputs) -> list[str]:
    """Options of `autoseg plan` that ask for what a plan was made from, besides those that depend on the machine."""
    asked = replace(asked_in(inputs), recipe=inputs.recipe, speed_kpx_s=inputs.speed_kpx_s, device=None, memory_gb=None)
    return asked.options
