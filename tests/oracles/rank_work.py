"""What ranks do in tests; processes that are started import it."""

import torch

from autoseg.data.splits import Fold
from autoseg.events import Events
from autoseg.model.identity import ModelId
from autoseg.runs.run import working_on
from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.training.ranks import Ranks

TARGET = Target(ModelId("unet", "0"), Fold(training=("b",), validation=("a",)))


def fill_memory(session: Session, /, *, events: Events, started: float, ranks: Ranks) -> None:
    """One rank runs out of memory, while the others wait for its part of a sum."""
    with working_on(session, TARGET, events=events, ranks=ranks):
        ranks.barrier()
        if ranks.rank == 1:
            raise torch.OutOfMemoryError
        ranks.sum(torch.ones(1))


def say_where(session: Session, /, *, events: Events, started: float, ranks: Ranks) -> list[object]:
    """Which devices, cores and clock the ranks have."""
    events.info(f"rank {ranks.rank} talks")
    own = [ranks.rank, str(session.compute.device), len(session.computes), session.cores, torch.get_num_threads(), started]
    return ranks.gathered(own)


def of_target(session: Session, target: Target, /, *, events: Events, started: float, ranks: Ranks) -> list[object]:
    """The same of one of several runs."""
    return say_where(session, events=events, started=started, ranks=ranks)
