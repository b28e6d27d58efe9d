"""Options that several commands have, in the same words."""

from typing import Final

from autoseg.options.declaration import Declaration

WORKSPACE: Final = Declaration(
    "Folder of plan, arrays and models; default: the only one under runs/.", ("--workspace", "-w"), metavar="DIR"
)
DATA: Final = Declaration(
    "Folder that holds the data set now, where it was moved; the workspace remembers it.", ("--data",), metavar="DIR"
)
VERIFY: Final = Declaration(
    "Hash scans and label maps again, even those whose size, time of change and inode are as they were when hashed."
)
JOBS: Final = Declaration(
    "Processes that work side by side; auto: one per core, at most 8. On a cluster: tasks, or jobs of SLURM, at a time.",
    in_python="A script that asks for more than one is guarded by `if __name__ == '__main__':`.",
    least=1,
    most=1024,
    console_default="auto",
)
EXECUTOR: Final = Declaration(
    "Where the work is done: here, by the workers of a Dask scheduler, or by jobs of SLURM (extra `cluster`)."
)
SCHEDULER: Final = Declaration(
    "Address of the scheduler, for the executor dask, as in tcp://10.0.0.1:8786.", metavar="ADDRESS"
)
SLURM_SETTINGS: Final = Declaration(
    "Settings of SLURM, for the executor slurm. Default: ~/.config/autoseg/slurm.toml or /etc/autoseg/slurm.toml.",
    metavar="FILE",
)
DEVICE: Final = Declaration(
    "Where networks run, such as cuda:1, or cuda:0,1 for two GPUs; auto: on graphics cards where there are any.",
    metavar="auto|cpu|cuda|mps|cuda:N[,N...]",
)
PRECISION: Final = Declaration("Number format of convolutions; auto: bfloat16 where the hardware is made for it.")
LABELS: Final = Declaration(
    "Which files are the label maps, where several could be: a name or a path below DATASET, with * for what differs.",
    metavar="PATTERN",
)
CHANNELS: Final = Declaration(
    "End of the names of one channel's images, where several could be, as in T1w; may be repeated.",
    ("--channel",),
    metavar="NAME",
)
IGNORE: Final = Declaration(
    "Value of voxels in label maps that nobody labelled: they count in no loss and no score. Default: the value that the "
    "data set calls `ignore`, if there is one.",
    ("--ignore",),
    metavar="VALUE",
    least=0,
    most=65_535,
)
PLANES: Final = Declaration(
    "Planes of the slices, one view each, as in coronal,axial; all: those the data have; auto: by rule.",
    metavar="auto|all|PLANE[,PLANE...]",
)
SEED: Final = Declaration("Seed of all randomness.", least=0, most=2**64 - 1)
MODEL: Final = Declaration(
    "An exported model to use instead of a workspace; may be repeated: the networks of all are averaged.",
    ("--model", "-m"),
    metavar="FILE",
)
MEMORY: Final = Declaration(
    "GB that segmenting a scan may take, the program included; a larger one is segmented part by part. Default: 4.",
    ("--memory",),
    above=0,
    most=10_000,
)
TOLERANCE: Final = Declaration(
    "Tolerance of the normalised surface Dice in mm, for all classes. Default: of each class as the plan says; without a "
    "workspace 1.",
    ("--tolerance",),
    metavar="MM",
    above=0,
    most=1000,
)
MIRROR: Final = Declaration("Average over the flips that the plan names (test-time augmentation, TTA).")
NOT_FINITE: Final = Declaration("A scan with NaN or infinite voxels is refused, or these are taken for 0, with a warning.")
