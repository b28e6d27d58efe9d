"""The forecast of `autoseg train` in lines, a table and data."""

import math
from collections.abc import Iterator
from typing import Any, Final

from autoseg.commands.train.forecast import Reached, RunForecast, TrainForecast
from autoseg.evaluation.statistics import defined
from autoseg.options.command import Table
from autoseg.wording import clock_time, counted, duration, listing

_LISTED: Final = 3
"""Finished runs that are named for comparison, the best first. Source: chosen."""

_WORTH_SAYING_GB: Final = 0.1
"""Less on the disk is not worth a word of its own. Source: chosen."""


def forecast_lines(forecast: TrainForecast) -> list[str]:
    """The forecast of all runs in a few lines."""
    runs = forecast.to_do
    if not runs:
        return ["nothing is left to do: what was asked for is finished; --continue trains it further, and --restart again"]
    return [*_subject(forecast), *_memory_and_disk(forecast), *_comparison(forecast), *_end(forecast)]


def forecast_table(forecast: TrainForecast) -> Table:
    """Each run of the forecast."""
    rows = [
        (
            run.id.title,
            run.status,
            _length(run),
            *_times(run),
            f"{run.step_gb:.2f}",
        )
        for run in forecast.runs
    ]
    return Table("Runs", ("run", "status", "length", "training", "scoring", "GB a step"), rows)


def forecast_document(forecast: TrainForecast) -> dict[str, Any]:
    """The forecast as data; null where something is not known."""
    return {
        "runs": [_run_document(run) for run in forecast.runs],
        "side_by_side": forecast.side_by_side,
        "executor": forecast.elsewhere,
        "cases_to_preprocess": forecast.missing_arrays,
        "disk_gb": round(forecast.disk_bytes / 1e9, 3),
        "free_gb": round(forecast.free_bytes / 1e9, 3),
        "seconds": _rounded(forecast.left_s),
        "done_at": None if forecast.left_s is None else round(forecast.made_at + forecast.left_s),
        "finished": [
            {
                "model": run.id.folder,
                "dice": defined(run.dice),
                "minutes": run.minutes,
                "epochs": run.epochs,
            }
            for run in forecast.reached
        ],
    }


def shortage(forecast: TrainForecast) -> str | None:
    """A warning where the disk will probably be too small."""
    if forecast.disk_bytes <= forecast.free_bytes:
        return None
    return (
        f"the disk has {_gb(forecast.free_bytes)} free, and about {_gb(forecast.disk_bytes)} will be needed: free some "
        "space, or train with --no-keep-probabilities, without which select cannot work"
    )


def _run_document(run: RunForecast) -> dict[str, Any]:
    left = run.left
    return {
        "model": run.id.folder,
        "status": run.status,
        "problem": None if run.problem is None else run.problem.as_dict(),
        "training_cases": run.training_cases,
        "held_out": run.held_out,
        "starts_from": None if run.origin is None else run.origin.model_dump(mode="json", exclude={"learnt_from"}),
        "epochs_done": run.epochs_done,
        "after_epochs": run.after_epochs,
        "preprocessing_counts": run.preprocessing_counts,
        "epochs": run.epochs,
        "minutes": run.minutes,
        "epochs_expected": _rounded(None if left is None else left.epochs),
        "training_s": _rounded(None if left is None else left.training_s),
        "scoring_s": _rounded(left.scoring_s if left is not None and _scoring_known(run) else None),
        "pace": None if run.pace is None else run.pace.like,
        "step_gb": run.step_gb,
        "disk_gb": round(run.disk_bytes / 1e9, 3),
    }


def _subject(forecast: TrainForecast) -> Iterator[str]:
    """What is trained, how long that takes, and how that is known."""
    runs = forecast.to_do
    if len(runs) == 1:
        run = runs[0]
        status = {
            "goes on": f" goes on after epoch {run.epochs_done};",
            "goes further": f" is trained further after epoch {run.epochs_done};",
            "to be scored": " is trained;",
        }
        yield (
            f"forecast for {run.id.title}:{status.get(run.status, '')} {counted(run.training_cases, 'case')} to learn from, "
            f"{run.held_out} held out"
        )
        if run.status != "to be scored":
            yield f"  {_length(run)}"
    else:
        others = {"done": "need nothing", "refused": "cannot be trained"}
        counts = [(sum(run.status == status for run in forecast.runs), words) for status, words in others.items()]
        named = ", ".join(f"{count} of {len(forecast.runs)} {words}" for count, words in counts if count)
        done = f" ({named})" if named else ""
        at_once = "one after another" if forecast.side_by_side == 1 else f"{forecast.side_by_side} at a time"
        yield f"forecast for {counted(len(runs), 'run')}, {at_once}{done}"
        yield f"  each: {', or '.join(dict.fromkeys(map(_length, runs)))}"
    for origin in dict.fromkeys(run.origin.in_words for run in runs if run.status == "new" and run.origin is not None):
        yield f"  starts from {origin}"
    if forecast.elsewhere is not None:
        yield f"  speed and memory of the workers are not known here (executor {forecast.elsewhere});"
        yield "  each run says what fits after its first ten steps"
    elif any(run.pace is None for run in runs):
        yield "  speed: known after the first ten steps; none was measured here before"
    else:
        yield f"  {', '.join(dict.fromkeys(run.pace.like for run in runs if run.pace is not None))}"


def _length(run: RunForecast) -> str:
    """Epochs that fit, or how long they may take."""
    if run.problem is not None:
        return str(run.problem.what)
    if run.status in {"done", "to be scored"}:
        return f"{counted(run.epochs_done, 'epoch')}, trained"
    clock = None if run.minutes is None else duration(run.minutes * 60)
    about = "up to" if run.preprocessing_counts else "about"
    if run.epochs is None:
        return f"{about} {run.left.epochs:.3g} epochs in {clock}" if run.left is not None else f"{clock}"
    if run.left is not None and run.left.cut_short:
        return f"{about} {run.left.epochs:.3g} of {counted(run.epochs, 'epoch')} in {clock}"
    return counted(run.epochs, f"{'more ' if run.after_epochs else ''}epoch") + (f", at most {clock}" if clock else "")


def _memory_and_disk(forecast: TrainForecast) -> Iterator[str]:
    step_gb = max(run.step_gb for run in forecast.to_do)
    disk = f"about {_gb(forecast.disk_bytes)} more, {_gb(forecast.free_bytes)} are free"
    yield f"  memory: about {step_gb:.2g} GB a step; disk: {disk}"
    if forecast.missing_arrays:
        yield f"  preprocessed first: {counted(forecast.missing_arrays, 'case')}, {_gb(forecast.arrays_bytes)} of that"
        for run in forecast.to_do:
            if run.preprocessing_counts and run.minutes is not None:
                yield f"  the time of that is taken off the {duration(run.minutes * 60)}; `autoseg preprocess`"
                yield "  beforehand leaves them to the training"


def _comparison(forecast: TrainForecast) -> Iterator[str]:
    """What finished runs came to."""
    if forecast.reached:
        yield "  finished runs of this plan, the best first:"
        yield from (f"    {_reached(run)}" for run in forecast.reached[:_LISTED])
        more = len(forecast.reached) - _LISTED
        if more > 0:
            yield f"    and {more} more"


def _reached(run: Reached) -> str:
    dice = "" if math.isnan(run.dice) else f"Dice {run.dice:.3f} after "
    return f"{run.id.title}: {dice}{duration(run.minutes * 60)} ({counted(run.epochs, 'epoch')})"


def _end(forecast: TrainForecast) -> Iterator[str]:
    left_s, runs = forecast.left_s, forecast.to_do
    if left_s is None:
        return
    beside = ["preprocessing"] if forecast.missing_arrays and not all(map(_preprocessing_known, runs)) else []
    beside += [] if all(map(_scoring_known, runs)) else ["scoring"]
    without = f" (without {listing(beside)})" if beside else ""
    at = clock_time(forecast.made_at + left_s, now=forecast.made_at)
    yield f"  done about {at}, in {duration(left_s)}{without}"


def _preprocessing_known(run: RunForecast) -> bool:
    """Whether a run ends when its minutes do, of which preprocessing takes a part."""
    return run.preprocessing_counts and (run.epochs is None or (run.left is not None and run.left.cut_short))


def _scoring_known(run: RunForecast) -> bool:
    return run.pace is not None and (run.pace.scoring_known or not run.held_out)


def _times(run: RunForecast) -> tuple[str, str]:
    """How long training and scoring take."""
    if run.status in {"done", "refused"}:
        return "", ""
    left = run.left
    training = "?" if left is None else duration(left.training_s)
    return training, duration(left.scoring_s) if left is not None and _scoring_known(run) else "?"


def _gb(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= _WORTH_SAYING_GB * 1e9 else f"{size_bytes / 1e6:.0f} MB"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
