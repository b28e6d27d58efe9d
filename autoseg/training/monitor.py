"""Watching a run from outside: its figures and a few segmented slices, sent to TensorBoard or Weights & Biases.

Both packages are optional and imported only when asked for. They write their own files, into the model's folder; nothing
leaves the machine unless the user's own WANDB_MODE says so.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from autoseg import catalogue
from autoseg.catalogue.extras import missing_extra
from autoseg.data.display import COLOURS, grey_levels, rgb
from autoseg.errors import WorkspaceError
from autoseg.events import Events
from autoseg.storage.utf8 import utf8_path
from autoseg.training.history import EpochRecord
from autoseg.training.validation import SampleSlice

TENSORBOARD_FOLDER: Final = "tensorboard"
IMAGES_EVERY_S: Final = 30.0
"""Least time between two sets of images.

Source: ours; epochs of small data sets last a second, and four images of 256 x 768 pixels take up to 0.2 s of one core
and 1 MB of disk (measured on noise, which does not compress).
"""
OPACITY: Final = 0.6
"""Fraction of a class's colour in a fill, the rest being the scan. Source: ours; the anatomy stays visible."""

_UNLABELLED: Final = 0.4
"""Brightness of pixels without a label, which are neither a class nor background. Source: chosen."""


class Tracker(Protocol):
    """Somebody who is notified of every epoch."""

    def epoch_ended(self, record: EpochRecord, samples: Sequence[SampleSlice]) -> None:
        """Update with an epoch and some validation slices, of which there may be none."""

    def close(self) -> None:
        """Write what is left; nothing follows."""


class Untracked:
    """A tracker that nobody asked for."""

    def epoch_ended(self, record: EpochRecord, samples: Sequence[SampleSlice]) -> None:
        """Ignore the epoch."""

    def close(self) -> None:
        """Close nothing."""


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker learns of a run at its beginning.

    Attributes:
        folder: the model's folder.
        name: what the run is called.
        settings: what the run depends on, as plain data.
        cases: ids of the validation cases, in the order in which they are validated.
        epochs: how many epochs an earlier call trained; the run goes on after them.
    """

    folder: Path
    name: str
    settings: Mapping[str, Any]
    cases: Sequence[str]
    epochs: int = 0


@dataclass(frozen=True)
class TrackerKind:
    """One kind of tracker.

    Attributes:
        package: imports what it needs.
        begin: begins or continues a run; gets what was imported.
    """

    package: Callable[[], Any]
    begin: Callable[[Any, TrackedRun], Tracker]

    def installed(self) -> Any:
        """Import what it needs.

        Raises:
            UsageError: it is not installed, or broken.
        """
        try:
            return self.package()
        except ImportError as missing:
            raise missing_extra("tracking", "--track", found=str(missing)) from None


class _TensorBoard:
    """Event files under `<model folder>/tensorboard/`."""

    def __init__(self, package: Any, run: TrackedRun) -> None:
        self._cases = run.cases
        self._writer = package.SummaryWriter(run.folder / TENSORBOARD_FOLDER, purge_step=run.epochs + 1)

    def epoch_ended(self, record: EpochRecord, samples: Sequence[SampleSlice]) -> None:
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, record.epoch)
        for sample in samples:
            image = side_by_side(sample)
            self._writer.add_image(_title(sample, self._cases), image, record.epoch, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    """A run of Weights & Biases under `<model folder>/wandb/`."""

    def __init__(self, package: Any, run: TrackedRun) -> None:
        self._package, self._cases = package, run.cases
        mode = os.environ.get("WANDB_MODE", "offline")
        if mode == "offline":
            # Even then wandb would report its own use and errors to its makers; it offers no other switch.
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        self._run = package.init(
            mode=mode,
            dir=run.folder,
            project="autoseg",
            name=run.name,
            config=dict(run.settings),
            id=_earlier_id(run.folder),
            resume="allow",
            settings=package.Settings(silent=True, console="off"),  # stdout belongs to the command's result
        )

    def epoch_ended(self, record: EpochRecord, samples: Sequence[SampleSlice]) -> None:
        images = {_title(sample, self._cases): self._package.Image(side_by_side(sample)) for sample in samples}
        self._run.log({**scalars(record), **images}, step=record.epoch, commit=True)

    def close(self) -> None:
        self._run.finish()


def _import_tensorboard() -> Any:
    import torch.utils.tensorboard  # noqa: PLC0415 - an optional extra

    return torch.utils.tensorboard


def _import_wandb() -> Any:
    import wandb  # noqa: PLC0415 - an optional extra

    return wandb


TRACKERS: Final[dict[catalogue.Tracker, TrackerKind]] = {
    "tensorboard": TrackerKind(_import_tensorboard, _TensorBoard),
    "wandb": TrackerKind(_import_wandb, _Wandb),
}


class _Guarded:
    """A tracker whose failures never reach the training, and whose images are not too many."""

    def __init__(self, tracker: Tracker, *, name: str, events: Events, images_every_s: float) -> None:
        self._tracker: Tracker = tracker
        self._name, self._events = name, events
        self._images_every_s = images_every_s
        self._images_from_s = -math.inf

    def epoch_ended(self, record: EpochRecord, samples: Sequence[SampleSlice]) -> None:
        now_s = time.monotonic()
        due = now_s >= self._images_from_s
        try:
            self._tracker.epoch_ended(record, samples if due else ())
        except Exception as failure:  # noqa: BLE001 - a disk, a network, a package: whatever it is, training goes on
            self._give_up(failure)
        if due:
            self._images_from_s = now_s + self._images_every_s

    def close(self) -> None:
        try:
            self._tracker.close()
        except Exception as failure:  # noqa: BLE001 - as above
            self._give_up(failure)

    def _give_up(self, failure: Exception) -> None:
        broken, self._tracker = self._tracker, Untracked()
        self._events.warn(
            f"{self._name} failed and is no longer notified of this run; training goes on, and history.csv holds "
            f"every epoch ({type(failure).__name__}: {failure})"
        )
        with suppress(Exception):
            broken.close()


@contextmanager
def tracking(
    kind: catalogue.Tracker | None, run: TrackedRun, *, events: Events, images_every_s: float = IMAGES_EVERY_S
) -> Iterator[Tracker]:
    """Have a run tracked, and close the tracker however the run ends.

    A tracker that fails on the way is given up with a warning.

    Args:
        kind: a key of `TRACKERS`; None for no tracking.
        run: what the tracker is told at the beginning.
        events: where notes and warnings go.
        images_every_s: least time between two sets of images.

    Raises:
        UsageError: its package is missing.
        WorkspaceError: it cannot begin.
    """
    if kind is None:
        yield Untracked()
        return
    package = TRACKERS[kind].installed()
    with utf8_path(run.folder) as folder:
        try:
            begun = TRACKERS[kind].begin(package, replace(run, folder=folder))
        except Exception as failure:
            raise WorkspaceError(
                f"{kind} could not begin ({type(failure).__name__}: {failure})",
                where=run.folder,
                remedy="Fix this, or train without --track. For wandb: log in with `wandb login`, "
                "or unset WANDB_MODE to record offline.",
            ) from failure
        tracker = _Guarded(begun, name=kind, events=events, images_every_s=images_every_s)
        try:
            yield tracker
        finally:
            tracker.close()


def check_installed(kind: catalogue.Tracker | None) -> None:
    """Import a tracker's package, so that a missing one is noticed before the work begins.

    Raises:
        UsageError: it is not installed, or broken.
    """
    if kind is not None:
        TRACKERS[kind].installed()


def scalars(record: EpochRecord) -> dict[str, float]:
    """An epoch's figures under the names that trackers show, without those that are NaN because nothing was measured."""
    values = {
        "loss/training": record.training_loss,
        "loss/validation": record.validation_loss,
        "dice/training": record.training_dice,
        "dice/validation": record.validation_dice,
        **{f"dice/validation {name}": dice for name, dice in record.class_dice.items()},
        "learning_rate": record.learning_rate,
        "slices_per_s": record.slices_per_s,
    }
    return {name: value for name, value in values.items() if not math.isnan(value)}


def side_by_side(sample: SampleSlice) -> NDArray[np.uint8]:
    """A slice as an image: the scan, the prediction over it, the reference over it, dimmed where nothing is labelled.

    Returns:
        red, green and blue, (H, 3 W, 3), uint8.
    """
    grey = grey_levels(sample.image).astype(np.float64)
    scan = np.repeat(grey[..., np.newaxis], 3, axis=-1)  # (H, W, 3)
    labelled = (sample.reference >= 0)[..., np.newaxis]  # (H, W, 1)
    reference = np.where(labelled, _filled(scan, sample.reference), _UNLABELLED * scan)
    parts = (scan, _filled(scan, sample.prediction), reference)
    image: NDArray[np.uint8] = np.rint(np.concatenate(parts, axis=1)).astype(np.uint8)  # (H, 3 W, 3)
    return image


def _filled(scan: NDArray[np.floating[Any]], classes: NDArray[np.int16]) -> NDArray[np.floating[Any]]:
    colours = np.array([rgb(name) for name in COLOURS], dtype=np.float64)[(classes - 1) % len(COLOURS)]  # (H, W, 3)
    blended = (1.0 - OPACITY) * scan + OPACITY * colours
    return np.where(classes[..., np.newaxis] > 0, blended, scan)


def _title(sample: SampleSlice, cases: Sequence[str]) -> str:
    return f"slices/{cases[sample.case]}, slice {sample.index}"


def _earlier_id(folder: Path) -> str | None:
    """The id under which wandb began this run; None for a new run.

    It is the end of the names of wandb's own folders, `run-<time>-<id>` and `offline-run-<time>-<id>`.
    """
    names = sorted(path.name.removeprefix("offline-") for path in (folder / "wandb").glob("*run-*-*"))
    return names[-1].split("-", 2)[2] if names else None
