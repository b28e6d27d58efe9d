"""Which finished runs a command trains further, and whether it may."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from autoseg.data.splits import Fold
from autoseg.errors import AutosegError, WorkspaceError
from autoseg.model.identity import ModelId
from autoseg.preprocessing.keys import DataKeys
from autoseg.runs.scans import scan_digests
from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.training.config import TrainConfig
from autoseg.training.continuing import read_continued
from autoseg.training.fold_members import lost_cases, remedy_of_other_cases
from autoseg.training.resume import check_same_run
from autoseg.training.run_state import HELD_OUT_FOLDER, RECORD_FILE, RunState, read_progress, read_state, run_folder
from autoseg.wording import counted, some


@dataclass(frozen=True)
class _Trained:
    """A finished run.

    Attributes:
        state: of it, without its epochs.
        as_asked: whether its last stretch has the length that is asked for, on the data as they are now.
        scored: whether its held-out cases are scored, if there are any.
    """

    state: RunState
    as_asked: bool
    scored: bool

    @property
    def times(self) -> int:
        """How often it has been trained to the end of a command."""
        return self.state.trained_times - self.to_be_scored

    @property
    def to_be_scored(self) -> bool:
        """Whether the command that trained it further was interrupted in its scoring."""
        return self.state.trained_times > 1 and self.as_asked and not self.scored

    def wanted(self, least: int) -> int:
        """How often it has been trained when the command is done, of whose runs one has been trained least often."""
        done = self.to_be_scored or (self.as_asked and self.times > least)
        return self.state.trained_times + (0 if done else 1)


def with_times(session: Session, targets: Sequence[Target]) -> list[Target]:
    """Some runs, each with how often it has been trained when all of them have been trained further.

    A series is one continuation. Where it was interrupted, the same command trains further what it has not yet: the others
    are known by having been trained more often than one of the runs, last at this length and on these data. A run that was
    interrupted while it was scored is only scored.

    Args:
        session: what they share.
        targets: the runs; those that cannot be trained further say so when it is their turn.
    """
    found = {target.model: each for target in targets if (each := _trained(session, target)) is not None}
    least = min((each.times for each in found.values()), default=1)
    return [
        replace(target, trained_times=found[target.model].wanted(least) if target.model in found else 2)
        for target in targets
    ]


def _trained(session: Session, target: Target) -> _Trained | None:
    """A finished run; None where there is none, or none that can be read."""
    folder = session.workspace.model(target.model)
    with suppress(AutosegError):
        progress = read_progress(folder)
        if progress is None or not progress[0].finished:
            return None
        state, choices = progress[0], session.choices
        length = (state.choices.epochs, state.choices.minutes) == (choices.epochs, choices.minutes)
        same = state.keys.differing(session.store.keys) == () and state.members == target.members
        same = same and state.revision == session.revision
        record = run_folder(folder) / HELD_OUT_FOLDER / RECORD_FILE
        return _Trained(state, length and same, not state.members.validation or record.exists())
    return None


def continued_state(session: Session, target: Target) -> RunState | None:
    """What an earlier call left of a continuation that is to be trained; None where a finished run waits for it.

    Returns:
        the finished run, where it was trained further as often as is wanted; else the continuation under way.

    Raises:
        WorkspaceError: there is no finished run, it may not go on, or a continuation under way was begun differently.
    """
    folder = session.workspace.model(target.model)
    state = read_state(folder)
    if state is None or not state.finished:
        raise _not_finished(target.model, folder, begun=state is not None)
    if target.trained_times is not None and state.trained_times >= target.trained_times:
        return state
    under_way = read_continued(folder, state)
    if under_way is not None:
        check_same_run(
            under_way,
            plan=session.plan,
            config=config_of(session, target, state),
            keys=session.store.keys,
            members=target.members,
            folder=folder,
        )
        return under_way
    _check_goes_on(session, target, state, folder)
    _check_unseen(session, target, state)
    return None


def config_of(session: Session, target: Target, state: RunState) -> TrainConfig:
    """The choices for a stretch of a finished run; what that was started from, if it was, stays what it was."""
    return session.config(target).model_copy(update={"started_from": state.config.started_from})


def whats_new(state: RunState, *, members: Fold, keys: DataKeys) -> str:
    """What of the data a run has not learnt from, or not as it is now, such as `3 cases more, 1 changed`; empty: nothing."""
    before, now = {*state.members.training, *state.members.validation}, {*members.training, *members.validation}
    changed = state.keys.differing(keys)
    if changed is None:
        return "perhaps other data"
    found = [(counted(len(now - before), "case") + " more", now - before)]
    found += [(f"{len(before & now & {*changed})} changed", before & now & {*changed})]
    return ", ".join(words for words, cases in found if cases)


def _check_goes_on(session: Session, target: Target, state: RunState, folder: Path) -> None:
    if not session.plan.is_identified_by(state.plan_digest):
        raise WorkspaceError(
            "holds a run that was trained under another plan",
            where=folder,
            remedy="Bring plan.json back as it was to train it further, or begin it again with --restart alone.",
        )
    if lost := lost_cases(state.members, target.members):  # it may have learnt from a case that is held out now
        raise WorkspaceError(
            f"{target.model.title}: cases are missing on the side of the fold on which the run had them",
            where=session.workspace.splits_file,
            expected=", ".join(f"{some(cases)} ({side})" for side, cases in lost.items()),
            remedy=remedy_of_other_cases(state.members, target.members, labelled=session.cases),
        )


def _check_unseen(session: Session, target: Target, state: RunState) -> None:
    """Refuse held-out cases that are new, where the model that a run was started from had learnt from them."""
    learnt = () if state.origin is None else state.origin.learnt_from or ()
    new = [session.cases[case] for case in target.members.validation if case not in state.members.validation]
    if not learnt or not new:
        return
    scans = scan_digests(session.workspace, session.plan, new, keys=session.store.keys)
    if seen := [case for case, digest in scans.items() if digest in learnt]:
        raise WorkspaceError(
            f"{target.model.title}: the model that the run was started from had learnt from cases that are held out now, so "
            f"that its scores would be too good: {some(seen)}",
            where=session.workspace.splits_file,
            remedy="Have the fold learn from these cases, or begin it again from another model with --restart alone.",
        )


def _not_finished(model: ModelId, folder: Path, *, begun: bool) -> WorkspaceError:
    if begun:
        return WorkspaceError(
            f"{model.title} is not finished", where=folder, remedy="The same command without --continue goes on with it."
        )
    return WorkspaceError(
        f"{model.title}: there is no run to train further",
        where=folder,
        remedy="Train it first, without --continue. Of a model without its checkpoint a run can be started with --init.",
    )
