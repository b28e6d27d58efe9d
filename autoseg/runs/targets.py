"""Which runs a command asks for, and where each of them takes place."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from autoseg.catalogue import Architecture
from autoseg.data.splits import Fold
from autoseg.errors import AutosegError
from autoseg.model.description import BUNDLE_FILE, read_document
from autoseg.model.identity import ModelId
from autoseg.planning.plan import Plan
from autoseg.runs.workspace import Workspace, fold_of
from autoseg.training.run_state import read_state

DEFAULT_SEED: Final = 0
"""The seed of a run for which none is chosen; its model lies in the fold's own folder."""


@dataclass(frozen=True)
class Target:
    """What one run trains.

    Attributes:
        model: what it is called, and where it lies.
        members: the cases it trains on, and those held out.
        seed: of all randomness.
        trained_times: how often a finished run has been trained when it has been trained further; None: it is not to be.
    """

    model: ModelId
    members: Fold
    seed: int = DEFAULT_SEED
    trained_times: int | None = None

    @property
    def further(self) -> bool:
        """Whether a finished run is to be trained further."""
        return self.trained_times is not None


def targets_of(
    workspace: Workspace, plan: Plan, networks: Sequence[Architecture], fold: str, *, seeds: Sequence[int]
) -> list[Target]:
    """The runs asked for, fold by fold, so that an interrupted series leaves networks that can be compared.

    Args:
        workspace: where they take place.
        plan: says whether each view has a network of its own.
        networks: to train on every fold.
        fold: a number, `all`, `official` or `full`.
        seeds: to train every network on every fold with.

    Raises:
        UsageError: there is no such fold.
        WorkspaceError: the data set has no official split.
    """
    dataset, splits = workspace.dataset(), workspace.splits()
    numbers = [str(number) for number in range(len(splits.folds))] if fold == "all" else [fold]
    if not numbers:
        fold_of(splits, dataset, "0")  # says why there are no folds
    return [
        Target(_with_seed(workspace, ModelId(name, number, view=view), seed), fold_of(splits, dataset, number), seed)
        for number in numbers
        for name in networks
        for seed in seeds
        for view in plan.network_views
    ]


def _with_seed(workspace: Workspace, own: ModelId, seed: int) -> ModelId:
    """What the model of a seed is called: where 0.1 put a run into the fold's own folder, whatever its seed, it stays."""
    there = seed_in(workspace.model(own))
    return own if seed == (DEFAULT_SEED if there is None else there) else replace(own, seed=seed)


def seed_in(folder: Path) -> int | None:
    """The seed of the run in a model's folder; None where there is none, or none that can be read."""
    with suppress(AutosegError):  # whoever goes on with it is told why it cannot be read
        if (state := read_state(folder)) is not None:
            return state.config.seed
    with suppress(AutosegError):
        if (folder / BUNDLE_FILE).exists():
            return read_document(folder).provenance.seed
    return None
