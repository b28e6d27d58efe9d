"""The plan as version 0.1 wrote it, format 1: into format 2, and back for its digest.

What 0.1 stored names its plan by the digest of that format.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from autoseg.storage import files

_VIEW: Final = "views.0"
MOVED: Final = {
    "preprocessing.plane": f"{_VIEW}.plane",
    "preprocessing.spacing_mm": f"{_VIEW}.spacing_mm",
    "network.neighbours": f"{_VIEW}.adjacent_slices",
    "training.patch_px": f"{_VIEW}.patch_px",
    "training.batch_size": f"{_VIEW}.batch_size",
    "augmentation.mirror_axes": f"{_VIEW}.mirror_axes",
    "prediction.mirror_axes": f"{_VIEW}.tta_axes",
    "training.gradient_limit": "training.grad_clip_norm",
    "training.warmup": "training.warmup_fraction",
    "training.patience": "training.lr_patience",
    "training.stop_after": "training.early_stopping_patience",
    "augmentation.shift": "augmentation.shift_fraction",
    "augmentation.noise": "augmentation.noise_variance",
    "augmentation.blur_px": "augmentation.blur_sigma_px",
}
"""Where a value of format 1 stands in format 2."""

_IN_NORMALISATION: Final = {"deviation": "std", "limit": "clip"}
_IN_SLICES: Final = {"share": "fraction"}
_SLICE_RULES: Final = {"foreground_share": "foreground_fraction"}
_RULES: Final = {"neighbours": "adjacent_slices", "training_mirror": "mirror_axes", "prediction_mirror": "tta_axes"}

_OPTIONAL: Final[Mapping[str, Mapping[str, Any]]] = {
    "inputs": {"not_finite": "refuse"},
    "preprocessing": {"not_finite": "refuse"},
    "slices": {"label": None, "share": None},
    "normalisation": dict.fromkeys(("lower", "upper", "mean", "deviation", "limit")),
}
"""What had a default in format 1. Its digest was over all values, those included."""


def to_format_2(document: dict[str, Any]) -> dict[str, Any]:
    """A plan of format 1 in format 2; what cannot be one is left for validation to refuse."""
    view: dict[str, Any] = {}
    for old, new in MOVED.items():
        (section, key), (place, _, moved) = old.split("."), new.rpartition(".")
        if isinstance(document.get(section), dict):
            _move(document[section], key, view if place == _VIEW else document[section], moved)
    if view:
        _move({"views": [view]}, "views", document, "views")
    sections = document.get("preprocessing"), document.get("training")
    _rename_inside(*(section if isinstance(section, dict) else {} for section in sections))
    decisions = document.get("decisions")
    if isinstance(decisions, dict):
        document["decisions"] = {MOVED.get(path, path): _decision(path, why) for path, why in decisions.items()}
    return document


def digest_in_format_1(values: Any) -> str:
    """SHA-256 of a plan's values as version 0.1 computed it; no plan of 0.1 has it where a value cannot be one of format 1.

    Args:
        values: in format 2, without those that equal their defaults, reasons and version.
    """
    document = json.loads(json.dumps(values))  # a copy
    for later in ("overrides", "asked"):  # what they ask for is among the values
        document["inputs"].pop(later, None)
    view, *others = document.pop("views")
    for old, new in MOVED.items():
        (section, key), (place, _, moved) = old.split("."), new.rpartition(".")
        _move(view if place == _VIEW else document[section], moved, document[section], key)
    slices, steps = document["training"]["slices"], document["preprocessing"]["normalisation"]
    slices["rule"] = {new: old for old, new in _SLICE_RULES.items()}.get(slices["rule"], slices["rule"])
    for part, names in ((slices, _IN_SLICES), *((step, _IN_NORMALISATION) for step in steps)):
        for old, new in names.items():
            _move(part, new, part, old)
    for name in ("inputs", "preprocessing"):
        document[name] = {**_OPTIONAL[name], **document[name]}
    document["training"]["slices"] = {**_OPTIONAL["slices"], **slices}
    document["preprocessing"]["normalisation"] = [{**_OPTIONAL["normalisation"], **step} for step in steps]
    return files.sha256_json({"version": 1, **document, **({"views": [view, *others]} if view or others else {})})


def _move(source: dict[str, Any], key: str, target: dict[str, Any], name: str) -> None:
    if key in source and name not in target:
        target[name] = source.pop(key)


def _rename_inside(preprocessing: dict[str, Any], training: dict[str, Any]) -> None:
    """Give entries of lists and parts of values their present names."""
    steps = preprocessing.get("normalisation")
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict):
            for old, new in _IN_NORMALISATION.items():
                _move(step, old, step, new)
    slices = training.get("slices")
    if isinstance(slices, dict):
        for old, new in _IN_SLICES.items():
            _move(slices, old, slices, new)
        rule = slices.get("rule")
        if isinstance(rule, str):
            slices["rule"] = _SLICE_RULES.get(rule, rule)


def _decision(path: str, why: Any) -> Any:
    if not isinstance(why, dict):
        return why
    section, _, key = path.rpartition(".")
    value = {key: why.get("value")}
    _rename_inside(value if section == "preprocessing" else {}, value if section == "training" else {})
    rule = why.get("rule")
    renamed = {"rule": _RULES.get(rule, rule) if isinstance(rule, str) else rule, "value": value[key]}
    return {name: renamed.get(name, inner) for name, inner in why.items()}
