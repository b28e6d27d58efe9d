"""What a run learns from, and where it takes place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoseg.catalogue import Plane
from autoseg.data.splits import Fold
from autoseg.events import Events
from autoseg.model.compute import Compute
from autoseg.model.description import AdoptedLabels, ScanDigests
from autoseg.preprocessing.keys import DataKeys
from autoseg.preprocessing.stored import StoredCase
from autoseg.training.clock import Stopwatch
from autoseg.training.history import EpochRecord
from autoseg.training.monitor import Tracker, Untracked
from autoseg.training.ranks import ALONE, Ranks
from autoseg.training.run_state import BatchPlace


@dataclass(frozen=True)
class FoldData:
    """The preprocessed cases of one fold.

    Attributes:
        keys: of the preprocessed arrays, so that a run never continues on other data.
        training: case ids and arrays to learn from.
        validation: case ids and arrays to watch; may be empty.
        scans: digests of the training scans; None: not known.
        revision: of the data.
        adopted: which label maps of the training cases were adopted.
    """

    keys: DataKeys
    training: Sequence[tuple[str, StoredCase]]
    validation: Sequence[tuple[str, StoredCase]]
    scans: ScanDigests | None = None
    revision: int = 0
    adopted: AdoptedLabels = AdoptedLabels()  # noqa: RUF009 - it cannot be changed

    @property
    def members(self) -> Fold:
        """The case ids on both sides."""
        return Fold(training=tuple(case for case, _ in self.training), validation=tuple(case for case, _ in self.validation))

    def of_view(self, plane: Plane | None, *, planes: Sequence[Plane | None]) -> "FoldData":
        """What a network sees of them: the view of its plane alone, of all these; None: all of it."""
        if plane is None:
            return self
        view = planes.index(plane)
        return FoldData(
            keys=self.keys,
            training=[(name, case.through(view)) for name, case in self.training],
            validation=[(name, case.through(view)) for name, case in self.validation],
            scans=self.scans,
            revision=self.revision,
            adopted=self.adopted,
        )


@dataclass(frozen=True)
class RunContext:
    """Where a run takes place; but for `batches`, nothing here changes its result on one machine.

    Attributes:
        folder: the model's folder.
        compute: device and number format.
        workers: processes that prepare batches; 0: the training process does it itself.
        events: where progress goes.
        stopwatch: counts the seconds of the run.
        on_epoch: called with all epochs so far after each one.
        tracker: notified of each epoch, with a few of its validation slices.
        batches: where batches of a new run are made; None: where the device makes them fastest.
        ranks: the processes that train the network together.
        computed_on: digest of the machine and its hardware, as of `machine_digest`; None: not recorded.
        scored_case_s: how long scoring a held-out case took in earlier runs here, in seconds; 0: not known.
    """

    folder: Path
    compute: Compute
    workers: int
    events: Events
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    on_epoch: Callable[[Sequence[EpochRecord]], None] = lambda _: None
    tracker: Tracker = field(default_factory=Untracked)
    batches: BatchPlace | None = None
    ranks: Ranks = ALONE
    computed_on: str | None = None
    scored_case_s: float = 0.0
