"""What a command says when it is done: a few lines for people, and the same as data for `--json`."""

import json
import math
from typing import TYPE_CHECKING, Any

from autoseg.cli.command import Output
from autoseg.cli.console import Console

if TYPE_CHECKING:  # types only: loading the training stage here would load torch for every command
    from autoseg.evaluation.tables import MetricSummary, Summary
    from autoseg.pipeline.demo import DemoResult
    from autoseg.pipeline.evaluate import EvaluateResult
    from autoseg.pipeline.plan import PlanResult
    from autoseg.pipeline.predict import PredictResult
    from autoseg.pipeline.preprocess import PreprocessResult
    from autoseg.pipeline.report import ReportResult
    from autoseg.pipeline.train import TrainResult


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


def preprocess(result: "PreprocessResult") -> Output:
    """Where the arrays are."""
    text = f"{len(result.cases)} cases are preprocessed in {result.store.folder}"
    return text, {"folder": str(result.store.folder), "cases": [case.id for case in result.cases]}


def train(result: "TrainResult") -> Output:
    """Each model with its scores on the cases it has not seen."""
    lines, models = [], []
    for model in result.models:
        lines += [f"{model.architecture}, fold {model.fold}: {model.epochs} epochs in {model.minutes:.1f} min"]
        lines += [f"  wrote {model.folder}"]
        lines += [] if model.summary is None else _scores(model.summary)
        models.append(
            {
                "architecture": model.architecture,
                "fold": model.fold,
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
    lines = [
        f"{row.case}: " + ", ".join(f"{name} {volume:.2f} ml" for name, volume in row.volumes_ml.items())
        for row in result.rows
    ]
    if result.skipped:
        lines.append(f"{len(result.skipped)} scan(s) had been segmented before and were left as they are")
    lines.append(f"Wrote {result.table}")
    return "\n".join(lines), {
        "models": [str(path) for path in result.models],
        "table": str(result.table),
        "skipped": list(result.skipped),
        "cases": [{"case": row.case, "volumes_ml": dict(row.volumes_ml)} for row in result.rows],
    }


def evaluate(result: "EvaluateResult") -> Output:
    """The scores and the files that hold them all."""
    lines = [f"{len(result.evaluation.cases)} cases", *_scores(result.summary)]
    lines += [f"Wrote {path}" for path in result.written]
    return "\n".join(lines), {"summary": _document(result.summary), "written": [str(path) for path in result.written]}


def report(result: "ReportResult") -> Output:
    """Where tables and figures are."""
    names = [path.relative_to(result.folder) for path in result.written]
    lines = [f"{len(result.models)} model(s)", *(f"  {name}" for name in names), f"Wrote {result.folder}"]
    return "\n".join(lines), {
        "folder": str(result.folder),
        "models": [str(path) for path in result.models],
        "written": [str(path) for path in result.written],
    }


def demo(result: "DemoResult") -> Output:
    """All of it."""
    parts = {
        "plan": plan(result.planned),
        "train": train(result.trained),
        "predict": predict(result.predicted),
        "evaluate": evaluate(result.evaluated),
        "report": report(result.reported),
    }
    texts = [f"-- {name}\n{text.strip()}" for name, (text, _) in parts.items()]
    texts.append(f"\nLook around in {result.folder}/: the plan, learning curves, label maps, pictures, tables and plots.")
    return "\n".join(texts), {name: document for name, (_, document) in parts.items()}


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
