"""The model that a run leaves behind: the weights of an epoch, with where they come from."""

from pathlib import Path

from autoseg.model.bundle import HasState, save_bundle
from autoseg.model.description import Hardware, Provenance, software_versions
from autoseg.planning.plan import Plan
from autoseg.training.run_state import RunState
from autoseg.training.stretches import trained_stretches


def store_model(
    folder: Path,
    network: HasState,
    *,
    plan: Plan,
    state: RunState,
    epochs: int,
    minutes: float,
    hardware: Hardware,
) -> None:
    """Store a network as the model of its run.

    Args:
        folder: the model's folder.
        network: as it is now.
        plan: what it was made from.
        state: of the run.
        epochs: trained so far, this one included.
        minutes: trained so far.
        hardware: what it is trained on.
    """
    save_bundle(
        folder,
        network,
        model=state.config.model,
        plan=plan,
        provenance=Provenance(
            versions=software_versions(),
            seed=state.config.seed,
            precision=state.choices.precision,
            training_cases=tuple(state.members.training),
            validation_cases=tuple(state.members.validation),
            epochs=epochs,
            minutes=minutes,
            hardware=hardware,
            scans=state.scans,
            revision=state.revision,
            adopted_sha256=state.adopted.new_sha256,
            corrected_sha256=state.adopted.corrected_sha256,
            origin=state.origin,
            stretches=trained_stretches(state, epochs=epochs, minutes=minutes),
        ),
    )
