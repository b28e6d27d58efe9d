"""What several calls have trained of one run, each further than the one before."""

from pathlib import Path
from typing import Any

from autoseg.model.description import TrainedStretch
from autoseg.planning.sections import TrainingSection
from autoseg.training.config import TrainConfig
from autoseg.training.run_state import RunState, Stretch, read_state


def with_stretch(state: RunState, config: TrainConfig, **more: Any) -> RunState:
    """A finished run that is about to be trained further, otherwise as it is.

    Args:
        state: of the run.
        config: what the user chose for the stretch.
        more: other values of the stretch.
    """
    stretch = Stretch(
        config=config, after_epochs=len(state.epochs), after_steps=state.steps_taken, after_s=state.elapsed_s, **more
    )
    before = state.stretches or (Stretch(config=state.config, revision=state.revision),)
    return state.model_copy(update={"finished": False, "stretches": (*before, stretch)})


def read_further(model: Path) -> RunState:
    """A finished run as one that is about to be trained further.

    Raises:
        WorkspaceError: it cannot be parsed.
    """
    state = read_state(model)
    if state is None:
        msg = f"{model} holds no run"
        raise ValueError(msg)
    return with_stretch(state, state.config)


def section_of(section: TrainingSection, state: RunState) -> TrainingSection:
    """What a plan says about training, as it holds for what is trained now.

    A continuation sees slices at full resolution from its first step on: the run before it has seen them at half.
    """
    return section if state.trained_times == 1 else section.model_copy(update={"half_resolution_fraction": 0.0})


def trained_stretches(state: RunState, *, epochs: int, minutes: float) -> tuple[TrainedStretch, ...]:
    """What each call has trained of a run; nothing where one call trained all of it.

    Args:
        state: of the run.
        epochs: trained so far.
        minutes: trained so far.
    """
    ends = [(each.after_epochs, each.after_s / 60) for each in state.stretches[1:]] + [(epochs, minutes)]
    return tuple(
        TrainedStretch(
            first_epoch=each.after_epochs + 1,
            epochs=end - each.after_epochs,
            minutes=max(end_min - each.after_s / 60, 0.0),
            revision=each.revision,
        )
        for each, (end, end_min) in zip(state.stretches, ends, strict=False)
    )
