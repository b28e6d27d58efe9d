"""Which runs of `autoseg train` are done, and what it would do: nothing that trains is loaded."""

from collections.abc import Sequence

from autoseg.commands.train.forecast import TrainForecast, forecast_of
from autoseg.commands.train.forecast_text import shortage
from autoseg.commands.train.options import TrainOptions
from autoseg.commands.train.result import TrainedModel
from autoseg.commands.train.start import with_start
from autoseg.errors import AutosegError
from autoseg.events import Events
from autoseg.jobs.executors import check_choices
from autoseg.model.compute import choose_computes
from autoseg.postprocessing.held_out.files import is_done
from autoseg.runs.earlier import earlier_state
from autoseg.runs.moved_data import with_data_in
from autoseg.runs.preparing import prepare
from autoseg.runs.removed_data import require_files
from autoseg.runs.restarting import is_to_restart
from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.runs.workspace import Workspace, find_workspace


def dry_run(options: TrainOptions, events: Events) -> tuple[Workspace, tuple[TrainedModel, ...], TrainForecast]:
    """What a training would do: nothing is written, no lock is taken, no worker is asked.

    Raises:
        AutosegError: none of the runs can be done.
    """
    check_choices(options)
    found = find_workspace(options.workspace, verify=options.verify)
    workspace = with_data_in(found, options.data, events, remember=False)
    here = options.executor == "local"
    computes = choose_computes(options.device, options.precision) if here else ()
    prepared = prepare(workspace, options, computes=computes, events=events, remember=False)
    session = with_start(prepared.session, prepared.targets, options.init, events=events)
    which_are_done(session, prepared.targets)
    elsewhere = None if here else options.executor
    forecast = forecast_of(session, prepared.targets, side_by_side=prepared.jobs, elsewhere=elsewhere)
    refused = [(run.id.title, run.problem) for run in forecast.runs if run.problem is not None]
    if len(refused) == len(forecast.runs):
        raise refused[0][1]
    for title, problem in refused:
        events.warn(f"{title}: {problem}")
    if (warning := shortage(forecast)) is not None:
        events.warn(warning)
    return workspace, (), forecast


def which_are_done(session: Session, targets: Sequence[Target]) -> list[bool]:
    """Which runs end at once; scans that the others will be scored on have to be there.

    Raises:
        DatasetError: some are not.
    """
    done = [already_done(session, target) for target in targets]
    to_score = {
        case for target, finished in zip(targets, done, strict=True) if not finished for case in target.members.validation
    }
    require_files([session.cases[case] for case in sorted(to_score)], session.workspace)
    return done


def already_done(session: Session, target: Target) -> bool:
    """Whether a run ends at once: it is finished and scored, or may not go on."""
    if is_to_restart(session, target) or not session.computes:  # a worker finds out, which knows the device
        return False
    folder, keep = session.workspace.model(target.model), session.choices.keep_probabilities
    try:
        state = earlier_state(session, target)
        scored = not target.members.validation or is_done(folder, keep=keep)
    except AutosegError:
        return True
    return state is not None and state.finished and scored
