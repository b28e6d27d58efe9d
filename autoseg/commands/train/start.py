"""The model that the runs of `autoseg train --init` start from: chosen, checked and told before the first of them begins."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from autoseg.errors import UsageError
from autoseg.events import Events
from autoseg.exporting.starting import starting_models
from autoseg.model.identity import model_folders
from autoseg.runs.restarting import is_to_restart
from autoseg.runs.scans import scan_digests
from autoseg.runs.session import Session
from autoseg.runs.starts import choose_start, learnt_cases
from autoseg.runs.targets import Target
from autoseg.training.run_state import CHECKPOINT_FILE


def with_start(session: Session, targets: Sequence[Target], model: Path | None, *, events: Events) -> Session:
    """The session of runs that start from a model; nothing is read where there is none.

    Args:
        session: of the runs.
        targets: the runs.
        model: an exported file, or the folder of a trained model; None: they start from nothing.
        events: told where it is not known what a network to start from had learnt from.

    Raises:
        BundleError: not a model, damaged, or written by a newer autoseg.
        UsageError: a run has nothing to start from, or had to start from what learnt from its held-out cases.
    """
    if model is None:
        return session
    if any(target.further for target in targets):
        raise UsageError(
            "a run is either trained further or started from another model",
            expected="--continue or --init",
            found="both",
            remedy="Leave one of them out; what a run was started from, its continuation keeps.",
        )
    _refuse_own_place(session, targets, model)
    models = starting_models(model)
    held_out = {case for target in targets for case in target.members.validation}
    cases = [session.cases[case] for case in sorted(held_out)]
    scans = scan_digests(session.workspace, session.plan, cases, keys=session.store.keys)
    starts = {target.model: choose_start(models, target, plan=session.plan, scans=scans) for target in targets}
    begun = {target.model for target in targets if _is_begun(session, target)}
    for start in {start.place: start for model, start in starts.items() if model not in begun}.values():
        start.read()  # a damaged one is told now, and not when it is due
    session = replace(session, starts=starts)
    _warn_of_unknown(session, targets, scans, events)
    return session


def _is_begun(session: Session, target: Target) -> bool:
    """Whether a run goes on with what it has, and does not need the weights that it started from."""
    return not is_to_restart(session, target) and (session.workspace.model(target.model) / CHECKPOINT_FILE).exists()


def _refuse_own_place(session: Session, targets: Sequence[Target], model: Path) -> None:
    """Keep a run from replacing what it starts from."""
    places = {session.workspace.model(target.model).resolve(): target for target in targets}
    others = {folder.resolve() for folder in model_folders(session.workspace.models)} - places.keys()
    for folder in (model.resolve(), *model.resolve().parents):
        if folder in places:
            raise UsageError(
                f"{places[folder].model.title}: a run cannot start from what lies in its own place",
                where=model,
                remedy="Train it longer with --continue, or export it (`autoseg export`) and start from that file.",
            )
        if folder in others:  # one of another seed or view stays, though it lies inside
            return


def _warn_of_unknown(session: Session, targets: Sequence[Target], scans: Mapping[str, str | None], events: Events) -> None:
    """Say of which runs it cannot be told whether what they start from had learnt from their held-out cases."""
    unknown = defaultdict[str, list[str]](list)
    for target in targets:
        start = session.starts[target.model]
        if learnt_cases(start, target, scans) is None:
            unknown[start.title].append(target.model.title)
    for start_title, titles in unknown.items():
        events.warn(
            f"it is not recorded which scans {start_title} had learnt from. If held-out cases were among them, the scores "
            f"of what starts from it are too good: {'; '.join(titles)}"
        )
