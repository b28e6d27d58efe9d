"""Which model each run starts from, and the weights that it starts with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from autoseg.errors import BundleError, UsageError
from autoseg.model.bundle import Bundle
from autoseg.model.description import BundleDocument, Origin
from autoseg.model.identity import ModelId
from autoseg.planning.plan import Plan
from autoseg.runs.targets import Target
from autoseg.training.adapting import Transfer, transfer
from autoseg.training.config import TrainConfig
from autoseg.training.start import RATE_FACTOR, Start, drawn_weights
from autoseg.wording import some

_MOST_CHARACTERS: Final = 200
"""Of a model's title, which holds the name of a data set, which a stranger may have chosen."""


@dataclass(frozen=True)
class StartingModel:
    """A trained network that a run may start from.

    Attributes:
        document: what it is.
        place: where it lies, as errors name it.
        read: gives it with its weights; another process can do so, too.
    """

    document: BundleDocument
    place: str
    read: Callable[[], Bundle]

    @property
    def title(self) -> str:
        """What users read, such as `unet, fold 0 of IBSR18`."""
        text = f"{self.document.id.title} of {self.document.plan.inputs.name}"[:_MOST_CHARACTERS]
        return "".join(character if character.isprintable() else " " for character in text)

    def check_fits(self, target: Target, plan: Plan) -> None:
        """Find out whether a run can start from it.

        Raises:
            UsageError: it is of another architecture or view, or differs in more than channels and classes.
        """
        model, own = target.model, self.document.id
        if own.architecture != model.architecture or own.view not in {model.view, None}:
            raise UsageError(
                "another network than the run's",
                where=self.place,
                expected=_network(model.architecture, model.view),
                found=_network(own.architecture, own.view),
                remedy="Choose it with --arch, or start from another model.",
            )
        self._transfer(plan, model)

    def origin(self, plan: Plan, model: ModelId) -> Origin:
        """What a run that starts from it records.

        Raises:
            UsageError: as of `check_fits`.
        """
        made, how = self.document.provenance, self._transfer(plan, model)
        return Origin(
            weights_sha256=self.document.weights_sha256,
            name=self.title,
            epochs=made.epochs,
            minutes=made.minutes,
            classes_kept=how.classes_kept,
            channels_kept=how.channels_kept,
            learnt_from=made.learnt_from,
        )

    def start(self, plan: Plan, config: TrainConfig) -> Start:
        """The weights that a run begins with.

        Args:
            plan: of the run.
            config: of the run; what is new in its network is drawn by its seed, as without a model to start from.

        Raises:
            BundleError: the model is damaged, or another one than it was when the command began.
            UsageError: as of `check_fits`.
        """
        bundle, document = self.read(), self.document
        if bundle.document.weights_sha256 != document.weights_sha256:
            raise BundleError(
                "has changed since the command began",
                where=self.place,
                expected=f"weights {document.weights_sha256[:12]}",
                found=bundle.document.weights_sha256[:12],
                remedy="Train again.",
            )
        drawn = drawn_weights(config.architecture, plan.of_view(config.view), seed=config.seed)
        adapted, origin = self._transfer(plan, config.model), self.origin(plan, config.model)
        factor = RATE_FACTOR if origin.classes_kept and origin.channels_kept else 1.0
        return Start(adapted(bundle.network.state_dict(), drawn), origin, factor)

    def _transfer(self, plan: Plan, model: ModelId) -> Transfer:
        return transfer(model.architecture, before=self.document.seen, plan=plan.of_view(model.view), where=self.place)


def choose_start(
    models: Sequence[StartingModel], target: Target, *, plan: Plan, scans: Mapping[str, str | None]
) -> StartingModel:
    """The model that a run starts from: the first that fits and had not learnt from the run's held-out cases.

    A model of the run's own view goes before one that sees all of its views, one of which it is known that it had not learnt
    from these cases before one of which that was not recorded.

    Args:
        models: to choose from, at least one.
        target: the run.
        plan: of the run.
        scans: digest of each held-out case; None: not known.

    Raises:
        UsageError: none fits, or each that does had learnt from held-out cases.
    """
    fitting, reasons = list[StartingModel](), list[UsageError]()
    for model in models:
        try:
            model.check_fits(target, plan)
        except UsageError as reason:
            reasons.append(reason)
        else:
            fitting.append(model)
    if not fitting:
        raise _none_fits(models, target, reasons)
    learnt = [learnt_cases(model, target, scans) for model in fitting]
    honest = [model for model, cases in zip(fitting, learnt, strict=True) if not cases]
    if not honest:
        raise _learnt(fitting[0], target, learnt[0] or ())
    return min(
        honest, key=lambda model: (learnt_cases(model, target, scans) is None, model.document.view != target.model.view)
    )


def learnt_cases(model: StartingModel, target: Target, scans: Mapping[str, str | None]) -> tuple[str, ...] | None:
    """The held-out cases of a run that a model, or what it was started from itself, had learnt from.

    Returns:
        None where that cannot be told: the model has not recorded it, or digests of these cases are missing.
    """
    seen, held_out = model.document.provenance.learnt_from, target.members.validation
    learnt = tuple(case for case in held_out if scans.get(case) in (seen or ()))
    unknown = seen is None or any(scans.get(case) is None for case in held_out)
    return None if unknown and held_out and not learnt else learnt


def _network(architecture: str, view: str | None) -> str:
    return architecture if view is None else f"{architecture} of {view} slices"


def _none_fits(models: Sequence[StartingModel], target: Target, reasons: Sequence[UsageError]) -> UsageError:
    """Why a run cannot start from any of several models: of the only one that could be meant its own reason."""
    same = [
        reason
        for model, reason in zip(models, reasons, strict=True)
        if model.document.architecture == target.model.architecture and model.document.view in {target.model.view, None}
    ]
    if same or len(models) == 1:
        return (same or reasons)[0]
    there = dict.fromkeys(_network(model.document.architecture, model.document.view) for model in models)
    return UsageError(
        f"{target.model.title}: none of the networks to start from is of its kind",
        expected=_network(target.model.architecture, target.model.view),
        found=", ".join(there),
        remedy="Choose one of these with --arch, or start from another model.",
    )


def _learnt(model: StartingModel, target: Target, cases: Sequence[str]) -> UsageError:
    return UsageError(
        f"{target.model.title}: the model to start from has learnt from cases that this run holds out, so that its scores "
        f"would be too good: {some(cases)}",
        where=model.place,
        remedy="Start from a model that has not seen them, train another fold, or --fold full, which holds nothing out.",
    )
