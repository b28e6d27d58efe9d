"""What a command says when it is done: a few lines for people, and the same as data for `--json`."""

import json
import math
from typing import TYPE_CHECKING, Any

from autoseg.cli.command import Output
from autoseg.cli.console import Console

if TYPE_CHECKING:  # types only: loading the training stage here would load torch for every command
    from autoseg.commands.check import CheckResult
    from autoseg.commands.demo import DemoResult
    from autoseg.commands.evaluate import EvaluateResult
    from autoseg.commands.export import ExportResult
    from autoseg.commands.plan import PlanResult
    from autoseg.commands.predict import PredictResult
    from autoseg.commands.preprocess import PreprocessResult
    from autoseg.commands.report import ReportResult
    from autoseg.commands.select import SelectResult
    from autoseg.commands.train import TrainResult
    from autoseg.evaluation.tables import MetricSummary, Summary
    from autoseg.exporting.card import InfoResult
    from autoseg.postprocessing.selection import Candidate, Estimate, TriedStep


def plan(result: "PlanResult", *, console: Console | None = None) -> Output:
    """The workspace; the decisions themselves as a table on a console."""
    if console is not None:
        rows = [(path, _shown(decision.value), decision.reason) for path, decision in result.plan.decisions.items()]
        console.table(f"Plan for {result.plan.inputs.name}", ("what", "value", "why"), rows)
    text = (
        f"\nWrote {result.workspace.plan_file}, which you may edit.\n"
        f"Next: autoseg train --arch unet --fold 0 --workspace {result.workspace.root}"
    )
    return text, {
        "workspace": str(result.workspace.root),
        "digest": result.plan.digest,
        "plan": result.plan.model_dump(mode="json"),
    }


def check(result: "CheckResult", *, console: Console | None = None) -> Output:
    """That nothing is wrong, and what there is; the cases as a table on a console."""
    dataset, fingerprint = result.dataset, result.fingerprint
    if console is not None:
        rows = [
            (
                case.id,
                " x ".join(str(length) for length in case.shape),
                " x ".join(f"{spacing:.4g}" for spacing in case.spacing_mm),
                ", ".join(str(value) for value, count in case.class_voxels.items() if count),
            )
            for case in fingerprint.cases
        ]
        console.table(f"{dataset.name}, labelled cases", ("case", "voxels (Z, Y, X)", "spacing (mm)", "labels"), rows)
    unlabelled = len(dataset.cases) - len(fingerprint.cases)
    classes = ", ".join(f"{label.value} {label.name}" for label in result.classes)
    text = (
        f"{dataset.name} ({dataset.layout} layout) can be trained: {len(fingerprint.cases)} labelled case(s), {unlabelled} "
        f"without labels, {result.folds} fold(s)\nclasses: {classes}\nNext: autoseg plan {dataset.root}"
    )
    return text, {
        "name": dataset.name,
        "layout": dataset.layout,
        "problems": [],
        "labelled": [case.id for case in fingerprint.cases],
        "unlabelled": unlabelled,
        "classes": {label.value: label.name for label in result.classes},
        "folds": result.folds,
    }


def preprocess(result: "PreprocessResult") -> Output:
    """Where the arrays are."""
    text = f"{len(result.cases)} cases are preprocessed in {result.store.folder}"
    return text, {"folder": str(result.store.folder), "cases": [case.id for case in result.cases]}


def train(result: "TrainResult") -> Output:
    """Each model with its scores on the cases it has not seen."""
    lines, models = [], []
    for model in result.models:
        lines += [f"{model.id.title}: {model.epochs} epochs in {model.minutes:.1f} min"]
        lines += [f"  wrote {model.folder}"]
        lines += [] if model.summary is None else _scores(model.summary)
        models.append(
            {
                "architecture": model.id.architecture,
                "fold": model.id.fold,
                "folder": str(model.folder),
                "epochs": model.epochs,
                "minutes": model.minutes,
                "trained_now": model.trained_now,
                "scores": None if model.summary is None else _document(model.summary),
            }
        )
    return "\n".join(lines), {"workspace": str(result.workspace.root), "models": models}


def predict(result: "PredictResult") -> Output:
    """The scans with their volumes."""
    lines = []
    for row in result.rows:
        volumes = ", ".join(f"{name} {volume:.2f} ml" for name, volume in row.volumes_ml.items())
        predicted = ", ".join(f"{name} {dice:.2f}" for name, dice in row.predicted_dice.items())
        lines.append(f"{row.case}: {volumes}" + (f"; probable Dice: {predicted}" if predicted else ""))
        lines += [f"  doubtful: {row.warnings}"] if row.warnings else []
    if result.skipped:
        lines.append(f"{len(result.skipped)} scan(s) had been segmented before and were left as they are")
    lines.append(f"Wrote {result.table}")
    return "\n".join(lines), {
        "models": list(result.models),
        "table": str(result.table),
        "skipped": list(result.skipped),
        "cases": [
            {
                "case": row.case,
                "volumes_ml": dict(row.volumes_ml),
                "predicted_dice": dict(row.predicted_dice),
                "warnings": row.warnings,
            }
            for row in result.rows
        ],
    }


def evaluate(result: "EvaluateResult") -> Output:
    """The scores and the files that hold them all."""
    lines = [f"{len(result.evaluation.cases)} cases", *_scores(result.summary)]
    lines += [f"Wrote {path}" for path in result.written]
    return "\n".join(lines), {"summary": _document(result.summary), "written": [str(path) for path in result.written]}


def select(result: "SelectResult", *, console: Console | None = None) -> Output:
    """The decision with its reasons; candidates and clean-up steps as tables on a console."""
    selection = result.selection
    if console is not None:
        console.table(
            f"Networks on {len(selection.compared_cases)} held-out case(s)",
            ("networks", "Dice (95 % interval)", "HD (mm)", "difference in Dice", "p"),
            [_candidate(candidate) for candidate in selection.candidates],
        )
        trials = [_trial(trial) for trial in selection.tried]
        console.table("Clean-up steps tried", ("step", "Dice", "HD (mm)", "verdict"), trials)
    models = ", ".join(model.id.folder for model in selection.models)
    lines = [f"Averaging {len(selection.models)} model(s): {models}"]
    lines += [f"  {reason}" for reason in selection.reasons]
    lines += [f"  missing: {line}" for line in selection.missing]
    lines += [f"Wrote {result.file}, which you may edit, and the held-out label maps in {result.folder}"]
    files = {"file": str(result.file), "folder": str(result.folder)}
    return "\n".join(lines), {**files, "selection": selection.model_dump(mode="json")}


def report(result: "ReportResult") -> Output:
    """Where tables and figures are."""
    names = [path.relative_to(result.folder) for path in result.written]
    lines = [f"{len(result.models)} model(s)", *(f"  {name}" for name in names), f"Wrote {result.folder}"]
    lines.append(f"Open {result.page} in a browser")
    return "\n".join(lines), {
        "page": str(result.page),
        "folder": str(result.folder),
        "models": [str(path) for path in result.models],
        "written": [str(path) for path in result.written],
    }


def export(result: "ExportResult") -> Output:
    """What went into the file."""
    description = result.description
    lines = [
        f"{len(description.bundles)} network(s): {', '.join(name.removeprefix('models/') for name in description.bundles)}",
        *(
            f"  {model.path}: probabilities differ from torch by at most {model.largest_difference:.1e}; "
            f"slices in multiples of {model.multiple_px} px, from {model.smallest_px}"
            for model in result.onnx
        ),
        f"Wrote {description.path} ({result.bytes / 1e6:.1f} MB)",
        f"Elsewhere: autoseg predict IN OUT --model {description.path.name}",
    ]
    return "\n".join(lines), {
        "file": str(description.path),
        "bytes": result.bytes,
        "models": list(description.bundles),
        "onnx": [
            {
                "file": str(model.path),
                "largest_difference": model.largest_difference,
                "multiple_px": model.multiple_px,
                "smallest_px": model.smallest_px,
            }
            for model in result.onnx
        ],
    }


def info(result: "InfoResult") -> Output:
    """What a person needs to know before using the model."""
    from autoseg.exporting.card import describe  # noqa: PLC0415 - see above

    return describe(result)


def demo(result: "DemoResult") -> Output:
    """All of it."""
    parts = {
        "plan": plan(result.planned),
        "train": train(result.trained),
        "select": select(result.selected),
        "predict": predict(result.predicted),
        "evaluate": evaluate(result.evaluated),
        "report": report(result.reported),
        "export": export(result.exported),
    }
    texts = [f"-- {name}\n{text.strip()}" for name, (text, _) in parts.items()]
    texts.append(f"\nOpen {result.reported.page} in a browser, and look around in {result.folder}/.")
    return "\n".join(texts), {name: document for name, (_, document) in parts.items()}


def _candidate(candidate: "Candidate") -> tuple[str, ...]:
    dice, distance, difference = candidate.score.dice, candidate.score.hausdorff_mm, candidate.difference
    return (
        " + ".join(candidate.networks),
        _interval(dice, 4),
        _number(distance.mean, 2),
        "best" if difference is None else _number(difference.mean, 4),
        "" if candidate.p is None else f"{candidate.p:.3f}",
    )


def _trial(trial: "TriedStep") -> tuple[str, ...]:
    before, after = trial.before, trial.after
    verdict = "kept" if trial.kept else "not kept"
    gains = _gain(before.dice, after.dice, 4), _gain(before.hausdorff_mm, after.hausdorff_mm, 2)
    return trial.phrase, *gains, f"{verdict}: {trial.reason}"


def _interval(estimate: "Estimate", digits: int) -> str:
    bounds = "" if estimate.low is None else f" ({_number(estimate.low, digits)} to {_number(estimate.high, digits)})"
    return _number(estimate.mean, digits) + bounds


def _gain(before: "Estimate", after: "Estimate", digits: int) -> str:
    if before.mean is None or after.mean is None:
        return "n/a"
    return f"{after.mean - before.mean:+.{digits}f}"


def _number(value: float | None, digits: int) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"


def _scores(summary: "Summary") -> list[str]:
    lines = []
    for label in summary.classes:
        dice, distance = label.metrics["dice"], label.metrics["hausdorff_mm"]
        undefined = f" ({dice.undefined} undefined)" if dice.undefined else ""
        lines.append(
            f"  {label.name}: Dice {_spread(dice, '.3f')}{undefined}, Hausdorff distance {_spread(distance, '.1f')} mm"
        )
    return [*lines, f"  mean: Dice {summary.mean['dice']:.3f}, {summary.mean['hausdorff_mm']:.1f} mm"]


def _spread(metric: "MetricSummary", form: str) -> str:
    """Mean and standard deviation, where there are enough cases for one."""
    return f"{metric.mean:{form}}" if math.isnan(metric.sd) else f"{metric.mean:{form}} +- {metric.sd:{form}}"


def _document(summary: "Summary") -> dict[str, Any]:
    from autoseg.evaluation.tables import summary_document  # noqa: PLC0415 - see above

    return summary_document(summary)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
