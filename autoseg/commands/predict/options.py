"""What `autoseg predict` is told."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from pathlib import Path

from autoseg import catalogue
from autoseg.jobs.work import ExecutorName
from autoseg.options.declaration import DeviceOption, Jobs, OptionalPath, Options, PathOption, argument, option
from autoseg.options.shared import DEVICE, EXECUTOR, MEMORY, MIRROR, MODEL, PRECISION, SCHEDULER, SLURM_SETTINGS, WORKSPACE


class PredictOptions(Options):
    """Segment scans with what was selected, else with everything trained: a label map per scan, and a table of volumes."""

    source: PathOption = argument("A scan, or a folder searched with all below it.", metavar="IN")
    target: PathOption = argument("Folder of label maps and predictions.csv.", metavar="OUT")
    _: KW_ONLY
    workspace: OptionalPath = option(WORKSPACE, default=None)
    model: str | Path | Sequence[str | Path] | None = option(MODEL, default=None)
    probabilities: bool = option("Also write the probability of every class.", default=False)
    uncertainty: bool = option("Also write how undecided the networks are, and predict the Dice.", default=False)
    pictures: bool = option("Also draw every label map over its scan, in three planes.", default=False)
    dicom_seg: bool = option(
        "Also write the label maps of DICOM series as DICOM segmentations, SEG (extra `dicom-seg`).", default=False
    )
    mirror: bool = option(MIRROR, default=True)
    not_finite: catalogue.NotFinite | None = option(
        "What to do with a scan with NaN or infinite voxels: refuse it, or take them for zero. Default: as planned.",
        default=None,
    )
    part: str | None = option(
        "Segment only this part of the scans, as in 2/8, and leave the others to other processes that fill the same folder; "
        "without it once more at the end, all are reported.",
        metavar="N/COUNT",
        default=None,
    )
    verify: bool = option(
        "Hash scans again, even those whose size, time of change and inode are as they were when hashed.", default=False
    )
    force: bool = option("Predict again what is already there, even if it was corrected by hand.", default=False)
    memory_gb: float | None = option(MEMORY, default=None)
    device: DeviceOption = option(DEVICE, default="auto")
    precision: catalogue.PrecisionChoice = option(PRECISION, default="auto")
    jobs: Jobs = option(
        "Parts of the scans that are segmented side by side, each by a process of its own; auto: on this machine none, on a "
        "cluster as many as there are workers for.",
        default="auto",
        least=1,
        most=1024,
    )
    executor: ExecutorName = option(EXECUTOR, default="local")
    scheduler: str | None = option(SCHEDULER, default=None)
    slurm_settings: OptionalPath = option(SLURM_SETTINGS, default=None)
