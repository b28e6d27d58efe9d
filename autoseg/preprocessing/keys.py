"""What preprocessed arrays depend on, as keys: one for each case, so that a changed case concerns nothing but itself.

Version 0.1 had one key over all labelled cases. It stays computable: arrays and runs of that version are known by it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from autoseg.catalogue import NORMALISATIONS
from autoseg.data.dataset import Case
from autoseg.errors import ImageError
from autoseg.formats.checksum import image_checksum
from autoseg.planning.plan import Plan
from autoseg.planning.sections import NormalisationStep, View
from autoseg.preprocessing.views import stored_views
from autoseg.storage import files

_VERSION: Final = 3
_VERSION_IN_0_1: Final = 2


class DataKeys(BaseModel):
    """Which arrays a run learns from and is judged on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: dict[str, str] = Field(default={}, description="key of each case, by id; empty for runs of version 0.1")
    all_labelled: str = Field(description="key over all labelled cases, as version 0.1 had it")

    def of(self, cases: Sequence[str]) -> "DataKeys":
        """The same for a few of the cases."""
        return DataKeys(cases={case: self.cases[case] for case in cases}, all_labelled=self.all_labelled)

    def differing(self, other: "DataKeys") -> tuple[str, ...] | None:
        """The cases that both have and whose arrays differ, sorted.

        Returns:
            None where the data differ and it cannot be told in which case, because one of the two is of version 0.1.
        """
        if self.cases and other.cases:
            return tuple(sorted(case for case, key in self.cases.items() if other.cases.get(case, key) != key))
        return () if self.all_labelled == other.all_labelled else None


def data_keys(plan: Plan, checksums: Mapping[str, str]) -> DataKeys:
    """The keys of all labelled cases.

    Args:
        plan: only what shapes arrays matters.
        checksums: `case_checksum` by case id.
    """
    return DataKeys(
        cases={case: case_key(plan, checksum) for case, checksum in checksums.items()},
        all_labelled=key_of_0_1(plan, checksums),
    )


def case_key(plan: Plan, checksum: str) -> str:
    """SHA-256 over everything that a case's arrays depend on.

    Args:
        plan: only what shapes arrays matters.
        checksum: `case_checksum` of the case.
    """
    keys = volume_keys(plan, checksum)
    return keys[0] if len(keys) == 1 else files.sha256_json(keys)


def volume_keys(plan: Plan, checksum: str) -> tuple[str, ...]:
    """The same for each of the case's volumes, which `stored_views` lists."""
    return tuple(
        files.sha256_json({"version": _VERSION, **_shaping(plan, view), "files": checksum})
        for view in stored_views(plan.views)
    )


def key_of_0_1(plan: Plan, checksums: Mapping[str, str]) -> str:
    """SHA-256 over everything that the arrays of all labelled cases depend on, as version 0.1 computed it."""
    shaping = _shaping(plan, plan.views[0])
    return files.sha256_json({"version": _VERSION_IN_0_1, **shaping, "cases": dict(sorted(checksums.items()))})


def case_checksum(case: Case, checksum: Callable[[Path], str] = image_checksum) -> str:
    """SHA-256 over the contents of a case's files; one that cannot be read counts as such: reading the case says so.

    Args:
        case: the case.
        checksum: that of a file; raises an ImageError where it cannot be read.
    """
    paths = [*case.images, *([case.label] if case.label else [])]
    return checksum_over([_checksum(path, checksum) for path in paths])


def checksum_over(checksums: Sequence[str | None]) -> str:
    """`case_checksum` of a case whose files have these, images first; None: that of a file that cannot be read."""
    return files.sha256_json(checksums)


def _checksum(path: Path, checksum: Callable[[Path], str]) -> str | None:
    try:
        return checksum(path)
    except ImageError:
        return None


def _shaping(plan: Plan, view: View) -> dict[str, Any]:
    """What of a plan shapes the arrays of one view, in the words of version 0.1, whatever the plan calls it.

    A setting that came later belongs here only where it is not neutral, so that keys stay as they were.
    """
    settings = plan.preprocessing
    return {
        "preprocessing": {
            "plane": view.plane,
            "spacing_mm": None if view.spacing_mm is None else list(view.spacing_mm),
            "crop": settings.crop,
            "crop_margin_px": settings.crop_margin_px,
            "not_finite": settings.not_finite,
            "normalisation": [_step(step) for step in settings.normalisation],
        },
        "values": [label.value for label in plan.data.classes],
        **_targets(plan),
    }


def _targets(plan: Plan) -> dict[str, Any]:
    """What else decides which target a label value becomes."""
    encoding = plan.data.encoding
    regions = {} if encoding.exclusive else {"regions": encoding.regions, "written": encoding.written}
    return regions if encoding.ignore is None else {**regions, "ignore": encoding.ignore}


def _step(step: NormalisationStep) -> dict[str, Any]:
    """What a step does, and by whose code where that is another package's, which may change from version to version."""
    package = NORMALISATIONS.package(step.method)
    return {
        "method": step.method,
        "lower": step.lower,
        "upper": step.upper,
        "mean": step.mean,
        "deviation": step.std,
        "limit": step.clip,
        **({} if step.background is None else {"background": step.background}),
        **({} if package is None else {"package": [package.name, package.version]}),
    }
