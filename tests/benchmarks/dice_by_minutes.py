"""Dice on held-out cases against the minutes that a network was trained: a figure and a table, from runs of the commands.

    taskset -c 0 python tests/benchmarks/dice_by_minutes.py curves --data IBSR18/ --minutes 1,2,5,10,20,60 --fold 0,1

plans into `curves/<data>/<curve>/<minutes>/`, trains every network for every time, and writes `dice_by_minutes.csv` and
`.svg` into `curves/`. Runs that are finished are reused, interrupted ones go on. All that lies in the folder is drawn:
curves (`--curve`, `--plan`) may be measured one by one, and workspaces made elsewhere be linked beside them. Without
`--data` nothing is trained. On one core, and with nothing beside it: on a crowded core a minute is none.
"""

import argparse
import json
import math
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from autoseg.evaluation.tables import read_cases
from autoseg.reporting.canvas import dot_look, line_legend, line_look, new_figure
from autoseg.storage.tables import write_table

NAME = "dice_by_minutes"


class Key(NamedTuple):
    """Runs that make one point together."""

    data: str
    curve: str
    minutes: float


@dataclass(frozen=True)
class Point:
    """Means over held-out cases with their standard errors; a case counts with the mean over its classes and over seeds."""

    data: str
    curve: str
    minutes: float
    runs: int
    cases: int
    dice: float
    dice_se: float
    hausdorff_mm: float
    hausdorff_mm_se: float


def train(options: argparse.Namespace, data: Path) -> None:
    """Plan and train what is not there yet; the commands say what is wrong."""
    for minutes in options.minutes.split(","):
        workspace = options.folder / data.resolve().name / options.curve / minutes
        if not (workspace / "plan.json").exists():
            autoseg("plan", str(data), "--workspace", str(workspace), *shlex.split(options.plan))
        for fold in options.fold.split(","):
            for network in options.arch.split(","):
                run = ["--arch", network, "--fold", fold, "--minutes", minutes, "--seed", options.seed, "--jobs", "1"]
                autoseg("train", "--workspace", str(workspace), *run)


def autoseg(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "autoseg", *arguments, "--quiet"], check=True)


def scored_runs(folder: Path) -> Iterator[tuple[Key, Path]]:
    """Every run below the folder that was scored, with its table of held-out cases."""
    for workspace in sorted(folder.glob("*/*/*/")):
        tables = [*workspace.glob("models/*/fold_*/validation/metrics.csv")]
        tables += workspace.glob("models/*/fold_*/seed_*/validation/metrics.csv")
        for table in sorted(tables):
            config = json.loads((table.parent.parent / "checkpoint.json").read_text())["state"]["config"]
            if config["minutes"] is not None:
                curve = f"{workspace.parent.name}, {config['architecture']}"
                yield Key(workspace.parent.parent.name, curve, config["minutes"]), table


def measure(runs: Iterable[tuple[Key, Path]]) -> list[Point]:
    """Pool the runs of each point."""
    tables = defaultdict(list)
    for key, table in runs:
        tables[key].append(table)
    return [_point(key, tables[key]) for key in sorted(tables)]


def _point(key: Key, tables: Sequence[Path]) -> Point:
    scores: Mapping[str, list[tuple[float, float]]] = defaultdict(list)
    for table in tables:
        for case in read_cases(table):
            scores[case.id] += [(score.dice, score.hausdorff_mm) for score in case.classes]
    dice, dice_se, hausdorff, hausdorff_se = (
        number for i in (0, 1) for number in _describe([_describe([v[i] for v in values])[0] for values in scores.values()])
    )
    return Point(*key, len(tables), len(scores), dice, dice_se, hausdorff, hausdorff_se)


def _describe(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error, over what is defined."""
    defined = np.array([value for value in values if not math.isnan(value)])
    if defined.size < 2:
        return (float(defined[0]) if defined.size else math.nan), math.nan
    return round(float(defined.mean()), 5), round(float(defined.std(ddof=1)) / len(defined) ** 0.5, 5)


def draw(points: Sequence[Point], path: Path) -> None:
    """A panel for each data set, a line for each curve, bars of one standard error."""
    datasets, curves = (list(dict.fromkeys(getattr(point, what) for point in points)) for what in ("data", "curve"))
    looks: list[dict[str, Any]] = [line_look(index) | dot_look(index) for index in range(len(curves))]
    with new_figure(path, height_in=3.2) as figure:
        figure.set_layout_engine("constrained")
        for panel, data in zip(figure.subplots(1, len(datasets), squeeze=False).flat, datasets, strict=True):
            for curve, look in zip(curves, looks, strict=True):
                line = [point for point in points if (point.data, point.curve) == (data, curve)]
                minutes, dice, errors = ([getattr(p, what) for p in line] for what in ("minutes", "dice", "dice_se"))
                panel.errorbar(minutes, dice, yerr=errors, markersize=4, capsize=2, **look)
            ticks = sorted({point.minutes for point in points if point.data == data})
            panel.set_xscale("log")
            panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            panel.set_xticks([], minor=True)
            panel.set(title=data, xlabel="Minutes of training, per network and fold", ylabel="Dice")
        line_legend(figure, curves, looks, loc="outside lower center", ncols=2)


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where workspaces, table and figure lie")
    parser.add_argument("--data", type=Path, nargs="+", default=[], help="data sets to plan and train; none: only draw")
    parser.add_argument("--minutes", default="1,2,5,10,20,60", help="times, apart by commas (default: %(default)s)")
    parser.add_argument("--arch", default="unet", help="networks, apart by commas (default: %(default)s)")
    parser.add_argument("--fold", default="0", help="folds, apart by commas (default: %(default)s)")
    parser.add_argument("--seed", default="0", help="seeds, as `autoseg train` takes them (default: %(default)s)")
    parser.add_argument("--plan", default="", metavar="OPTIONS", help="for `autoseg plan`, as in --plan='--folds 3'")
    parser.add_argument("--curve", default="auto", help="what these runs are called (default: %(default)s)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_options(arguments)
    for data in options.data:
        train(options, data)
    points = measure(scored_runs(options.folder))
    if not points:
        sys.exit(f"{options.folder} holds no scored runs whose length was given in minutes")
    write_table(options.folder / f"{NAME}.csv", list(asdict(points[0])), map(asdict, points))
    draw(points, options.folder / f"{NAME}.svg")
    for point in points:
        print(
            f"{point.data}, {point.curve}, {point.minutes:g} min: Dice {point.dice:.4f} +- {point.dice_se:.4f}, "
            f"HD {point.hausdorff_mm:.2f} +- {point.hausdorff_mm_se:.2f} mm ({point.cases} cases, {point.runs} runs)"
        )


if __name__ == "__main__":
    main()
