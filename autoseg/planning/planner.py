"""Puts a plan together: asks every rule in turn and writes down which one decided what."""

from collections import defaultdict
from dataclasses import replace
from typing import Any, TypeVar

from pydantic_core import to_jsonable_python

from autoseg.catalogue import LOSSES, OPTIMISERS, Plane
from autoseg.data.dataset import Dataset
from autoseg.data.labels import encoding_of
from autoseg.errors import DatasetError, UsageError
from autoseg.planning import channel_rules, mirror_rules, rules, sizing, view_rules
from autoseg.planning.budget import base_features
from autoseg.planning.decided import Decision, decided_paths, in_every_view
from autoseg.planning.duplicates import fold_groups
from autoseg.planning.fingerprint import Fingerprint, found_classes
from autoseg.planning.memory import SMALLEST_BOTTLENECK_PX, step_bytes
from autoseg.planning.overrides import overridden
from autoseg.planning.plan import Plan, assemble
from autoseg.planning.recipes import CONSTANTS, PAPER_LEAVES_OPEN, Choice
from autoseg.planning.sections import Inputs
from autoseg.planning.slicing import Stack, stack_of

T = TypeVar("T")


def make_plan(dataset: Dataset, fingerprint: Fingerprint, inputs: Inputs) -> Plan:
    """Decide everything that the data dictates.

    Args:
        dataset: names channels and classes, and says which cases train.
        fingerprint: of the same data set.
        inputs: what the user asked for, and the machine to size for.

    Returns:
        A sealed plan; the same arguments give the same bytes.

    Raises:
        DatasetError: no training case, no class to learn, or fewer subjects than the folds asked for.
        UsageError: what was asked for does not fit the data.
    """
    _refuse_unlearnable(dataset, fingerprint)
    draft = _Draft(inputs)
    for path, choice in CONSTANTS[inputs.recipe].items():
        draft.settle(path, f"recipe_{inputs.recipe}", choice)
    _settle_data(draft, dataset, fingerprint)
    _settle_preprocessing(draft, dataset, fingerprint, inputs)
    _settle_views(draft, fingerprint, inputs)
    _settle_size(draft, dataset, fingerprint, inputs)
    _settle_training(draft, fingerprint, inputs)
    _settle_prediction(draft, inputs)
    draft.settle("evaluation.tolerances_mm", "tolerances", rules.tolerances(fingerprint, classes=draft["data.classes"]))
    plan = overridden(draft.finish(), inputs.overrides)
    rules.refuse_loss(plan.training.loss, plan.data.encoding, error=UsageError)
    return plan


class _Draft:
    """What is settled so far."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._choices: dict[str, Choice[Any]] = {}
        self._rules: dict[str, str] = {}
        self.planes: tuple[Plane | None, ...] = ()
        """Plane of each view."""

    def settle(self, path: str, rule: str, choice: Choice[T]) -> T:
        self._choices[path] = choice
        self._rules[path] = rule
        return choice.value

    def __getitem__(self, path: str) -> Any:
        return self._choices[path].value

    def finish(self) -> Plan:
        sections: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        decisions: dict[str, Decision] = {}
        for path in decided_paths(len(self.planes)):
            choice = self._choices[path]
            section, _, field = path.rpartition(".")
            sections[section][field] = choice.value
            ours = self._inputs.recipe == "paper" and in_every_view(path) in PAPER_LEAVES_OPEN
            decisions[path] = Decision(
                rule=self._rules[path],
                value=to_jsonable_python(choice.value),
                reason=f"Ours, as the paper leaves it open: {choice.reason}" if ours else choice.reason,
            )
        views = [sections.pop(f"views.{number}") for number in range(len(self.planes))]
        return assemble({"inputs": self._inputs, **sections.pop(""), "views": views, **sections}, decisions)


def _refuse_unlearnable(dataset: Dataset, fingerprint: Fingerprint) -> None:
    if not dataset.training:
        raise DatasetError(
            "no training scan has a label map",
            where=dataset.root,
            remedy="Put labelled scans into the training set; those of the validation set alone cannot be learnt from.",
        )
    if not any(fingerprint.voxels_of(label) for label in found_classes(dataset, fingerprint)[1:]):
        raise DatasetError(
            "all label maps are empty",
            where=dataset.root,
            expected="voxels of at least one class besides the background",
            remedy="Check that the label files are the right ones.",
        )


def _settle_data(draft: _Draft, dataset: Dataset, fingerprint: Fingerprint) -> None:
    channels = channel_rules.declared_channels(fingerprint, declared=dataset.channels, layout=dataset.layout)
    origin = "As declared by the data set" if dataset.classes is not None else "Every value found in the label maps"
    listing = ", ".join(str(value) for value in fingerprint.class_voxels)
    classes = Choice(
        found_classes(dataset, fingerprint), f"{origin}; values met in {len(fingerprint.cases)} label maps: {listing}."
    )
    draft.settle("data.channels", "declared_channels", channels)
    draft.settle("data.classes", "found_classes", classes)
    draft.settle("data.ignore", "ignored_value", rules.ignored_value(dataset.ignore, fingerprint))


def _settle_preprocessing(draft: _Draft, dataset: Dataset, fingerprint: Fingerprint, inputs: Inputs) -> None:
    crop = draft.settle("preprocessing.crop", "crop", rules.crop(fingerprint))
    draft.settle("preprocessing.crop_margin_px", "crop_margin", rules.crop_margin(fingerprint, crop=crop))
    steps = [
        channel_rules.normalisation(fingerprint, channel=index, name=name, recipe=inputs.recipe)
        for index, name in enumerate(dataset.channels)
    ]
    together = Choice(tuple(step.value for step in steps), " ".join(step.reason for step in steps))
    draft.settle("preprocessing.normalisation", "normalisation", together)
    asked = Choice(inputs.not_finite, "As asked with --not-finite; no voxel is changed without being asked.")
    draft.settle("preprocessing.not_finite", "asked_not_finite", asked)


def _settle_views(draft: _Draft, fingerprint: Fingerprint, inputs: Inputs) -> None:
    recipe = inputs.recipe
    planes = _planes(draft, fingerprint, inputs)
    draft.planes = tuple(choice.value for choice in planes)
    adjacent = view_rules.adjacent_slices(fingerprint, planes=draft.planes, recipe=recipe)
    for number, choice in enumerate(planes):
        view = f"views.{number}"
        plane = draft.settle(f"{view}.plane", "slice_planes", choice)
        spacing = view_rules.in_plane_spacing(fingerprint, plane=plane, recipe=recipe)
        draft.settle(f"{view}.spacing_mm", "in_plane_spacing", spacing)
        draft.settle(f"{view}.adjacent_slices", "adjacent_slices", adjacent)
        trained = mirror_rules.mirror_axes(fingerprint, plane=plane, recipe=recipe)
        draft.settle(f"{view}.mirror_axes", "mirror_axes", trained)
        draft.settle(f"{view}.tta_axes", "tta_axes", mirror_rules.tta_axes(trained.value, recipe=recipe))


def _planes(draft: _Draft, fingerprint: Fingerprint, inputs: Inputs) -> tuple[Choice[Plane | None], ...]:
    """Plane of each view; by rule, it is the finest one and all others that are nearly as good."""
    planes = view_rules.slice_planes(fingerprint, asked=inputs.asked_planes, recipe=inputs.recipe)
    first = planes[0]
    if inputs.asked_planes != "auto" or inputs.recipe == "paper" or first.value is None:
        return planes
    spacing = view_rules.in_plane_spacing(fingerprint, plane=first.value, recipe=inputs.recipe)
    stacks = _stacks(draft, fingerprint, plane=first.value, spacing_mm=spacing.value)
    levels = sizing.levels(list(stacks.values()), device=inputs.device)
    further, others = view_rules.further_planes(
        fingerprint,
        first=first.value,
        smallest_px=SMALLEST_BOTTLENECK_PX << (levels - 1),
        crop=draft["preprocessing.crop"],
        margin_px=draft["preprocessing.crop_margin_px"],
    )
    if others:
        first = replace(first, reason=f"{first.reason} Left out: {'; '.join(others)}.")
    return first, *further


def _settle_size(draft: _Draft, dataset: Dataset, fingerprint: Fingerprint, inputs: Inputs) -> None:
    stacks = [
        _stacks(draft, fingerprint, plane=plane, spacing_mm=draft[f"views.{number}.spacing_mm"])
        for number, plane in enumerate(draft.planes)
    ]
    first, *others = (list(each.values()) for each in stacks)
    folds = draft.settle("folds", "folds", _folds(dataset, fingerprint, inputs))
    base = None
    if inputs.minutes is not None and inputs.speed_kpx_s is not None:
        pixels = sum(sizing.training_pixels([each[case.id] for case in dataset.training], folds=folds) for each in stacks)
        base = base_features(pixels, minutes=inputs.minutes, speed_kpx_s=inputs.speed_kpx_s, device=inputs.device)
    features = draft.settle(
        "network.features", "features", sizing.features(first, others=others, device=inputs.device, base=base)
    )
    passes, shown = [], []
    for number, each in enumerate(stacks):
        step_px = _step_px(draft, inputs, adjacent_slices=draft[f"views.{number}.adjacent_slices"])
        patch = sizing.patch(
            list(each.values()),
            recipe=inputs.recipe,
            divisor=2 ** (len(features) - 1),
            device=inputs.device,
            step_px=step_px,
        )
        draft.settle(f"views.{number}.patch_px", "patch", patch)
        shown.append((list(each.values()), patch.value))
        slices = sizing.training_slices([each[case.id] for case in dataset.training], folds=folds)
        patches = slices * sizing.patches_per_slice(*shown[-1])
        batch = sizing.batch_size(patch.value, device=inputs.device, step_px=step_px, training_patches=patches)
        draft.settle(f"views.{number}.batch_size", "batch_size", batch)
        passes.append((patches, batch.value))
    recipe, device, minutes = inputs.recipe, inputs.device, inputs.minutes
    draft.settle("training.foreground_patches", "foreground_patches", sizing.foreground_patches(shown, recipe=recipe))
    steps = sizing.steps_per_epoch(passes, recipe=recipe, device=device)
    draft.settle("training.steps_per_epoch", "steps_per_epoch", steps)
    epochs = sizing.run_epochs(
        recipe=recipe, device=device, views=passes, steps_per_epoch=steps.value, minutes=inputs.minutes
    )
    draft.settle("training.epochs", "run_epochs", epochs)
    draft.settle("training.minutes", "run_minutes", sizing.run_minutes(recipe=recipe, device=device, asked=minutes))


def _step_px(draft: _Draft, inputs: Inputs, *, adjacent_slices: int) -> int:
    """Pixels of a batch for which there is memory, in any network of autoseg."""
    step = step_bytes(
        draft["network.features"],
        channels=len(draft["data.channels"]) * (2 * adjacent_slices + 1),
        classes=encoding_of(draft["data.classes"]).logits,
        convolutions=draft["network.convolutions"],
        expansion=draft["network.expansion"],
        stem=draft["network.stem"],
    )
    return step.pixels_within(inputs.memory_gb)


def _folds(dataset: Dataset, fingerprint: Fingerprint, inputs: Inputs) -> Choice[int]:
    groups = set(fold_groups(dataset, fingerprint.cases).values())
    choice = rules.folds(len(groups), asked=inputs.folds)
    if len(groups) < len({case.subject for case in dataset.training}):
        choice = replace(choice, reason=f"{choice.reason} Subjects that share a scan count as one.")
    return choice


def _stacks(
    draft: _Draft, fingerprint: Fingerprint, *, plane: Plane | None, spacing_mm: tuple[float, float] | None
) -> dict[str, Stack]:
    crop, margin_px = draft["preprocessing.crop"], draft["preprocessing.crop_margin_px"]
    return {
        case.id: stack_of(case, plane=plane, spacing_mm=spacing_mm, crop=crop, margin_px=margin_px)
        for case in fingerprint.cases
    }


def _settle_training(draft: _Draft, fingerprint: Fingerprint, inputs: Inputs) -> None:
    weights = rules.class_weights(fingerprint.class_voxels, classes=draft["data.classes"], recipe=inputs.recipe)
    draft.settle("training.class_weights", "class_weights", weights)
    asked = inputs.overrides.get("training.optimiser")
    # What is no optimiser is refused with all that was asked for.
    if asked in tuple(OPTIMISERS) and asked != draft["training.optimiser"]:
        draft.settle("training.learning_rate", "learning_rate", rules.learning_rate(asked))


def _settle_prediction(draft: _Draft, inputs: Inputs) -> None:
    draft.settle("prediction.batch_size", "prediction_batch", sizing.prediction_batch(device=inputs.device))
    asked = inputs.overrides.get("training.loss")
    # What is no loss is refused with all that was asked for.
    loss = asked if asked in tuple(LOSSES) else draft["training.loss"]
    draft.settle("prediction.prior_power", "prior_power", rules.prior_power(loss, recipe=inputs.recipe))
