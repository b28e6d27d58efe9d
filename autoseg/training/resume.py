"""How a run begins, and whether it may go on where an earlier one stopped."""

from pathlib import Path
from typing import Final

from autoseg.data.splits import Fold
from autoseg.errors import WorkspaceError
from autoseg.events import Events
from autoseg.planning.plan import Plan
from autoseg.preprocessing.keys import DataKeys
from autoseg.training.checkpoint import Checkpoint, read_checkpoint, told_to_all
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.fold_members import remedy_of_other_cases
from autoseg.training.history import keep_steps
from autoseg.training.run_state import RunState
from autoseg.training.start import Start

_SHOWN: Final = 12
"""Characters of a digest."""

_NAMED: Final = {"started_from": "the model it was started from"}
"""Choices that are digests, and what they are of."""


def begin_run(plan: Plan, config: TrainConfig, data: FoldData, *, start: Start | None = None) -> RunState:
    """A run that has not taken a step.

    Raises:
        ValueError: it is to start from another model than the configuration says.
    """
    origin = None if start is None else start.origin
    if config.started_from not in {None, None if origin is None else origin.weights_sha256}:
        msg = f"the configuration names {config.started_from} to start from, and that is not what there is: {origin}"
        raise ValueError(msg)
    return RunState(
        plan_digest=plan.digest,
        data_key=data.keys.all_labelled,
        case_keys=data.keys.cases,
        members=data.members,
        config=config,
        scans=data.scans,
        revision=data.revision,
        adopted=data.adopted,
        origin=origin,
        rate_factor=1.0 if start is None else start.rate_factor,
    )


def begin_steps(path: Path, *, taken: int, events: Events) -> None:
    """Have a table of the steps that a run has taken, and no others, to which its next ones are added.

    Args:
        path: of the table.
        taken: steps that the run's checkpoint knows of; 0 for a new run.
        events: told where the table has fewer.
    """
    kept = keep_steps(path, most=taken)
    if kept < taken:
        events.warn(f"{path} has {kept} of the {taken} steps so far; the others are lost")


def earlier_run(plan: Plan, config: TrainConfig, data: FoldData, *, context: RunContext) -> Checkpoint | None:
    """What an earlier call left in the run's folder, read by rank 0 for all; None where there is nothing.

    Raises:
        BundleError: its tensors are missing or changed.
        WorkspaceError: it was begun differently, or cannot be parsed.
    """
    folder, ranks = context.folder, context.ranks
    checkpoint = read_checkpoint(folder) if ranks.is_first else None
    if checkpoint is not None:
        check_same_run(checkpoint.state, plan=plan, config=config, keys=data.keys, members=data.members, folder=folder)
    return checkpoint if ranks.size == 1 else told_to_all(checkpoint, ranks)


def check_same_run(state: RunState, *, plan: Plan, config: TrainConfig, keys: DataKeys, members: Fold, folder: Path) -> None:
    """Refuse to go on with a run that was begun differently.

    Raises:
        WorkspaceError: names every key that differs.
    """
    chosen = state.config if state.finished else state.choices
    differences = [
        f"{_NAMED.get(name, name)} ({_short(name, before)!r} before, {_short(name, now)!r} now)"
        for name, now in config.model_dump().items()
        if (before := getattr(chosen, name)) != now
    ]
    differences += ["plan.json"] if not plan.is_identified_by(state.plan_digest) else []
    differences += _changed_data(state.keys.differing(keys))
    differences += ["the cases of its fold (splits.json)"] if state.members != members else []
    if differences:
        raise WorkspaceError(
            f"holds a run that was begun differently: {', '.join(differences)}",
            where=folder,
            remedy=_remedy(state, members, keys, same_plan=plan.is_identified_by(state.plan_digest)),
        )


def _remedy(state: RunState, members: Fold, keys: DataKeys, *, same_plan: bool) -> str:
    """What to do about a run that was begun differently; under another plan it is not trained further either."""
    if same_plan and (state.finished or not state.stretches) and state.members != members:
        return remedy_of_other_cases(state.members, members, labelled=keys.cases, finished=state.finished)
    if state.finished:
        further = "train it further with --continue, on changed data, too, " if same_plan else ""
        return f"Repeat the earlier choices to use it as it is, {further}or add --restart to discard it and begin again."
    if state.stretches:
        return (
            "Repeat the earlier choices to go on with its continuation, or add --restart to --continue: it discards the "
            "continuation alone, and the finished model stays."
        )
    return "Repeat the earlier choices to continue it, or add --restart to discard it and begin again."


def _short(name: str, value: object) -> object:
    """A choice as errors show it: of a digest its beginning."""
    return value[:_SHOWN] if name in _NAMED and isinstance(value, str) else value


def _changed_data(cases: tuple[str, ...] | None) -> list[str]:
    if cases is None:
        return ["the training data"]
    return [f"the data of {', '.join(cases)}"] if cases else []
