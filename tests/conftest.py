"""What many tests share: a small synthetic cohort on disk and a plan small enough to train in seconds; and how they run.

Folders of tests run on every core, files named one by one in one process, where a debugger works; `-n` decides otherwise.
"""

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

# Before torch and numpy are loaded: several processes share the cores, and threads that wait for one would spin meanwhile.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
import torch
from filelock import FileLock
from hypothesis import settings

import autoseg
from autoseg.data.phantom import PhantomSettings, write_cohort
from autoseg.planning.plan import Plan, assemble

# A shell's background ignores Ctrl-C, and processes inherit that: those that tests interrupt would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run: a failure is the change's, and whoever looks into it sees it again.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("default")

SMALL = (40, 24, 40)
"""Shape (Z, Y, X) of the scans most tests use: large enough for every class, small enough for seconds."""


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Use every core where folders are tested, unless the command line says how many processes."""
    option = config.option
    if getattr(option, "numprocesses", 0) is not None or "PYTEST_XDIST_WORKER" in os.environ:
        return  # chosen, without pytest-xdist, or already one of several
    if option.usepdb or option.collectonly or getattr(option, "cov_source", None):
        return  # pytest-cov has to know the number of processes before this
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores > 1 and any(Path(name).is_dir() for name in config.args):
        option.numprocesses = cores
        if option.dist == "no":
            option.dist = (
                "worksteal"  # files stay together, so that what they share is made once, until one has nothing left
            )


@pytest.fixture(scope="session", autouse=True)
def _single_thread() -> None:
    """Networks of a few hundred weights are slower on several threads, above all on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _single_core() -> Iterator[None]:
    """What is called in this process sees one core: no processes for tiny scans, except where a test says how many."""
    with mock.patch("os.sched_getaffinity", return_value={0}, create=True):
        yield


def _shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is made once, by whichever of several processes needs it first; never to be changed."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(folder.with_name(f"{name}.lock")):
        if not folder.exists():
            draft = folder.with_name(f"{name}.draft")
            make(draft)
            draft.rename(folder)
    return folder


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four labelled training scans, two labelled validation scans and one test scan, in the IBSR18 layout."""

    def make(folder: Path) -> None:
        write_cohort(folder / "IBSR18", PhantomSettings(training=4, validation=2, test=1, shape=SMALL))

    return _shared(tmp_path_factory, "data", make) / "IBSR18"


@pytest.fixture(scope="session")
def trained(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohort's workspace after three epochs each of the U-Net on both of two folds and of the Sep-Res U-Net on one."""

    def make(folder: Path) -> None:
        autoseg.plan(cohort, workspace=folder, folds=2)
        autoseg.train("unet", fold="all", workspace=folder, epochs=3, precision="float32")
        autoseg.train("sepres", fold=0, workspace=folder, epochs=3, precision="float32")

    return _shared(tmp_path_factory, "trained", make)


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


SECTIONS: dict[str, dict[str, Any]] = {
    "inputs": {
        "name": "tiny", "recipe": "auto", "plane": "auto", "device": "cpu", "memory_gb": 1.0, "folds": None,
    },
    "data": {
        "channels": ["T1"],
        "classes": [{"value": 0, "name": "background"}, {"value": 2, "name": "disc"}],
    },
    "view": {
        "plane": "axial",
        "spacing_mm": None,
        "adjacent_slices": 0,
        "patch_px": [16, 12],
        "mirror_axes": ["columns"],
        "tta_axes": [],
        "batch_size": 4,
    },
    "preprocessing": {
        "crop": "none",
        "crop_margin_px": 0,
        "normalisation": [{"method": "none"}],
    },
    "network": {
        "features": [4, 8], "convolutions": 1, "expansion": 2.0, "skips": "concatenate",
        "deep_supervision": False,
    },
    "training": {
        "slices": {"rule": "all"},
        "steps_per_epoch": 3,
        "loss": "cross_entropy_dice",
        "class_weights": [1.0, 2.0],
        "optimiser": "adamw",
        "learning_rate": 1e-2,
        "weight_decay": 0.01,
        "grad_clip_norm": 12.0,
        "schedule": "cosine",
        "warmup_fraction": 0.1,
        "lr_patience": None,
        "early_stopping_patience": None,
        "best_model": "last",
        "epochs": 2,
        "minutes": None,
    },
    "augmentation": {
        "spatial_probability": 0.7,
        "rotation_deg": 15.0,
        "scale": [0.85, 1.18],
        "shift_fraction": 0.06,
        "intensity_probability": 0.5,
        "contrast": [0.75, 1.3],
        "brightness": [0.85, 1.15],
        "gamma": [0.8, 1.25],
        "noise_variance": 0.05,
        "blur_sigma_px": [0.5, 1.0],
    },
    "prediction": {"batch_size": 4},
    "evaluation": {"tolerances_mm": [1.0]},
}  # fmt: skip


def _plan(*, views: Sequence[dict[str, Any]] = ({},), **changes: dict[str, Any]) -> Plan:
    """The plan above, with sections and its view changed key by key, or views of it that differ in some keys."""
    sections = {name: {**section, **changes.get(name, {})} for name, section in SECTIONS.items()}
    view = sections.pop("view")
    return assemble({**sections, "views": [{**view, **own} for own in views], "folds": 2}, {})


@pytest.fixture(scope="session")
def make_plan() -> Callable[..., Plan]:
    """Makes plans for networks of a few hundred weights; sections, and its view or views, are changed key by key."""
    return _plan


@pytest.fixture
def tiny_plan() -> Plan:
    return _plan()
