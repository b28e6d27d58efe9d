"""What `autoseg plan` is told."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Literal

from autoseg import catalogue
from autoseg.jobs.work import ExecutorName
from autoseg.options.declaration import Jobs, OptionalDevice, OptionalPath, Options, PathOption, argument, option
from autoseg.options.shared import (
    CHANNELS,
    DEVICE,
    EXECUTOR,
    IGNORE,
    JOBS,
    LABELS,
    NOT_FINITE,
    PLANES,
    SCHEDULER,
    SLURM_SETTINGS,
)


class PlanOptions(Options):
    """Look at a data set, decide everything, say why, and write the workspace.

    Planned again in the same workspace, what was asked for before and is left out now holds; --forget starts from nothing.
    """

    dataset: PathOption = argument("Folder of the data set; its layout is recognised.")
    _: KW_ONLY
    workspace: OptionalPath = option(
        "Where to put everything; default: runs/<name>.", "--workspace", "-w", default=None, metavar="DIR"
    )
    labels: str | None = option(LABELS, default=None)
    channels: Sequence[str] = option(CHANNELS, default=())
    ignore: int | None = option(IGNORE, default=None)
    name: str | None = option("Name of the data set; default: its own or its folder's.", default=None)
    recipe: catalogue.Recipe | None = option(
        "auto, the default: what measured best; paper: the published method.", default=None
    )
    planes: str | Sequence[str] | None = option(PLANES, default=None)
    plane: catalogue.Plane | Literal["auto"] | None = option("One plane: the same as --planes with one.", default=None)
    folds: int | None = option("Folds of the cross-validation; default: 5 or fewer.", default=None, least=2, most=100_000)
    memory_gb: float | None = option(
        "GB one training step may take; default: 4 on a CPU, four fifths of the GPU found here, 8 on one that is not here.",
        "--memory",
        default=None,
        above=0,
        most=10_000,
    )
    minutes: float | None = option(
        "Length of runs: networks are sized for the work that fits. Default: by rule, with networks of the usual width.",
        in_python="A script that gives it without `speed` is guarded by `if __name__ == '__main__':`.",
        default=None,
        above=0,
        most=1_000_000,
    )
    speed: float | None = option(
        "For --minutes: thousand pixels that this machine learns from in a second. Default: as recorded, or measured.",
        default=None,
        above=0,
        most=1_000_000_000,
    )
    overrides: Sequence[str] = option(
        "Take this value, as in training.loss=dice, instead of what the rules choose; may be repeated.",
        "--set",
        default=(),
        metavar="KEY=VALUE",
    )
    force: bool = option(
        "Replace a plan or folds that were edited or cannot be read, or another data set's with what it has adopted.",
        default=False,
    )
    forget: bool = option(
        "Start from nothing: drop what was asked for before, and assign folds from scratch.", default=False
    )
    not_finite: catalogue.NotFinite | None = option(NOT_FINITE, default=None)
    device: OptionalDevice = option(
        "Kind of machine to plan for; auto, the default: this one.", default=None, metavar=DEVICE.metavar
    )
    jobs: Jobs = option(JOBS, default=1)
    executor: ExecutorName = option(EXECUTOR, default="local")
    scheduler: str | None = option(SCHEDULER, default=None)
    slurm_settings: OptionalPath = option(SLURM_SETTINGS, default=None)
