"""What `autoseg train` is told."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Literal

from autoseg import catalogue
from autoseg.jobs.work import ExecutorName
from autoseg.options.declaration import DeviceOption, Jobs, OptionalPath, Options, option
from autoseg.options.shared import (
    DATA,
    DEVICE,
    EXECUTOR,
    JOBS,
    PRECISION,
    SCHEDULER,
    SEED,
    SLURM_SETTINGS,
    VERIFY,
    WORKSPACE,
)


class TrainOptions(Options):
    """Train what the plan says, then predict and score the held-out cases. Interrupted? The same command goes on.

    With several networks, folds or seeds, training goes fold by fold, `jobs` runs at a time, each with its part of the
    cores and a device of its own while there are enough; with `auto`, one on each GPU, or one after another. A single run on
    several devices, as in `cuda:0,1`, shares each batch out over them, and so do processes that torchrun starts.
    """

    architecture: catalogue.Architecture | Literal["all"] = option(
        "Network, or all of them.", "--arch", "-a", default="unet"
    )
    _: KW_ONLY
    fold: int | str = option("A number, all, official or full.", "--fold", "-f", default=0, metavar="FOLD", least=0)
    workspace: OptionalPath = option(WORKSPACE, default=None)
    data: OptionalPath = option(DATA, default=None)
    verify: bool = option(VERIFY, default=False)
    minutes: float | None = option(
        "Wall-clock budget of each run; its schedule anneals to it. That of a single run counts from the start of the "
        "command, preprocessing included. Default: the plan's, without preprocessing.",
        default=None,
        above=0,
        most=1_000_000,
    )
    epochs: int | None = option("Length of each run in epochs. Default: the plan's.", default=None, least=1, most=1_000_000)
    init: OptionalPath = option(
        "A model to start from instead of random weights: an exported file, or the folder of a trained model. Other classes "
        "and channels may be learnt; the network has to be of the same kind and sizes.",
        default=None,
        metavar="MODEL",
    )
    further: bool = option(
        "Train finished runs further, for --minutes or --epochs more, at lower rates, and on the data as they are now. Each "
        "model stays in use until its continuation is finished. Interrupted? The same command goes on; once it is done, it "
        "trains a further stretch.",
        "--continue",
        default=False,
    )
    restart: bool = option(
        "Discard an earlier run in the same place; with --continue, an interrupted continuation alone.", default=False
    )
    dry_run: bool = option(
        "Say what would be trained, how long that takes and what it needs; do and write nothing.", default=False
    )
    seed: int | Sequence[int] = option(
        "Seed of all randomness. Several, as in 1,2,3, give a model each, which stand beside one another and are averaged.",
        default=0,
        metavar="N[,N...]",
        least=SEED.least,
        most=SEED.most,
    )
    device: DeviceOption = option(DEVICE, default="auto")
    precision: catalogue.PrecisionChoice = option(PRECISION, default="auto")
    workers: int | None = option(
        "Processes that prepare batches; default: by number of cores.", default=None, least=0, most=1024
    )
    threads: int | None = option(
        "Processor threads of each run; default: all, or one where the minutes count and one is faster.",
        default=None,
        least=1,
        most=1024,
    )
    memory_format: catalogue.MemoryFormatChoice = option(
        "Order of values in memory; auto: channels_last with bfloat16; else contiguous, or the faster one where the minutes "
        "count on a CPU.",
        default="auto",
    )
    track: catalogue.Tracker | None = option(
        "Also send every epoch to TensorBoard or Weights & Biases, offline unless WANDB_MODE is set.", default=None
    )
    keep_probabilities: bool = option(
        "Keep the probabilities of held-out cases, which select needs; without them, the same command predicts them later.",
        default=True,
    )
    jobs: Jobs = option(JOBS, default=1)
    on_preemption: Literal["end", "requeue"] = option(
        "What becomes of the SLURM job it runs in when that gets SIGTERM or SIGUSR1; requeue: the job begins again later, "
        "and goes on after the last epoch that was stored.",
        default="end",
    )
    executor: ExecutorName = option(EXECUTOR, default="local")
    scheduler: str | None = option(SCHEDULER, default=None)
    slurm_settings: OptionalPath = option(SLURM_SETTINGS, default=None)
