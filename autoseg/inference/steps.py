"""Postprocessing of label maps: what networks that look at one slice at a time leave behind."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from autoseg.data.dataset import LabelClass
from autoseg.data.labels import mask_of, value_around
from autoseg.images.label_values import LARGEST_LABEL
from autoseg.inference.components import background_components, foreground_components, neighbours_of

StepType = Literal["largest_component", "drop_small", "fill_holes"]
Spacing = tuple[float, float, float]


class Step(BaseModel):
    """One postprocessing step."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: StepType = Field(
        description="`largest_component`: only the largest connected component stays; `drop_small`: components under a "
        "volume go; `fill_holes`: enclosed background is filled"
    )
    label: Annotated[int, Field(ge=1, le=LARGEST_LABEL)] | None = Field(
        description="label value of the class it is for; null: all foreground taken together"
    )
    min_volume_ml: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="`drop_small`: the smallest volume that stays, in ml"
    )

    @model_validator(mode="after")
    def _size_where_it_is_needed(self) -> "Step":
        if (self.type == "drop_small") != (self.min_volume_ml is not None):
            msg = "`drop_small` needs min_volume_ml, the other steps must not have it"
            raise ValueError(msg)
        return self

    @property
    def decided(self) -> dict[str, Any]:
        """What it does, for digests: spelt as in the first format of selections, so that these stay as they are."""
        return {"kind": self.type, "label": self.label, "smallest_ml": self.min_volume_ml}


def apply_steps(
    labels: NDArray[np.uint16],
    steps: Sequence[Step],
    *,
    spacing_mm: Spacing,
    classes: Sequence[LabelClass],
    in_place: bool = False,
) -> NDArray[np.uint16]:
    """Apply postprocessing steps to a label map.

    A component that goes takes the value that most of the faces around it show (the lower of two equally frequent ones), so
    that an island of one tissue inside another becomes that other; components of all foreground together become background.

    A step on a region changes it and those inside it, and none around it. A component of it goes with all that is inside and
    takes the value of the region around it, or of the background. A hole is what the regions around it have there and it has
    all around; it takes the region's own value.

    Args:
        labels: label values, (Z, Y, X), uint16, 0 for background.
        steps: applied one after the other.
        spacing_mm: distance between voxel centres along (Z, Y, X).
        classes: of the label map, background first; of those that are no regions there need be none.
        in_place: change the label map itself, which saves the memory of a copy.

    Returns:
        the label map after the steps: a copy, unless changed in place.

    Raises:
        ValueError: the labels are not a volume.
    """
    if labels.ndim != 3:
        msg = f"a label map has the axes (Z, Y, X), not shape {labels.shape}"
        raise ValueError(msg)
    processed = labels if in_place else labels.copy()
    for step in steps:
        region = next((label for label in classes if label.value == step.label and label.order is not None), None)
        if step.type == "fill_holes":
            if region is None:
                _fill_holes(processed, step.label)
            else:
                _fill_holes_of_region(processed, region, around=value_around(region, classes))
        else:
            mask = class_mask(processed, step.label, classes)
            around = None if region is None else value_around(region, classes)
            _drop_components(processed, mask, step, voxel_ml=math.prod(spacing_mm) / 1000, around=around)
    return processed


def class_mask(labels: NDArray[np.uint16], label: int | None, classes: Sequence[LabelClass]) -> NDArray[np.bool_]:
    """Voxels of the class with a value, which is a region where `classes` say so; None: of all foreground."""
    if label is None:
        foreground: NDArray[np.bool_] = labels > 0
        return foreground
    known = next((each for each in classes if each.value == label), LabelClass(value=label, name=f"class {label}"))
    return mask_of(known, labels)


def describe(step: Step, classes: Sequence[LabelClass]) -> str:
    """A step in words, such as "GM: components under 0.05 ml removed"."""
    names = {label.value: label.name for label in classes}
    what = "all foreground" if step.label is None else names.get(step.label, f"label {step.label}")
    done = {
        "largest_component": "only the largest connected component kept",
        "drop_small": f"components under {step.min_volume_ml:g} ml removed" if step.min_volume_ml else "",
        "fill_holes": "holes filled",
    }
    return f"{what}: {done[step.type]}"


def _drop_components(
    labels: NDArray[np.uint16], mask: NDArray[np.bool_], step: Step, *, voxel_ml: float, around: int | None
) -> None:
    """Remove components of a mask; they take the value `around`, or None: that of most faces."""
    components = foreground_components(mask)
    if step.min_volume_ml is None:
        going = np.arange(1, len(components.voxels) + 1) != components.largest
    else:
        going = components.voxels * voxel_ml < step.min_volume_ml
    if not going.any():
        return
    going = np.concatenate([[False], going])
    if step.label is None or around is not None:
        values = np.full(len(going), around or 0, np.uint16)
    else:
        values = neighbours_of(components, labels).most
    _rewrite(labels, components.labels, going=going, values=values)


def _fill_holes(labels: NDArray[np.uint16], label: int | None) -> None:
    holes = background_components(labels == 0)
    around = neighbours_of(holes, labels)
    going = around.most > 0 if label is None else around.only & (around.most == label)
    going[_reaching_the_border(holes.labels)] = False
    _rewrite(labels, holes.labels, going=going, values=around.most)


def _fill_holes_of_region(labels: NDArray[np.uint16], region: LabelClass, *, around: int) -> None:
    holes = background_components(labels == around)
    alike = np.where(mask_of(region, labels), np.uint16(region.value), labels)  # those inside it are its own
    faces = neighbours_of(holes, alike)
    going = faces.only & (faces.most == region.value)
    going[_reaching_the_border(holes.labels)] = False
    _rewrite(labels, holes.labels, going=going, values=np.full(len(going), region.value, np.uint16))


def _rewrite(
    labels: NDArray[np.uint16], parts: NDArray[np.integer[Any]], *, going: NDArray[np.bool_], values: NDArray[np.uint16]
) -> None:
    """Give the voxels of some components other values, in place and slice by slice.

    Args:
        labels: label values, (Z, Y, X).
        parts: number of the component each voxel belongs to, of the same shape, 0 for none.
        going: of each number, whether its voxels change.
        values: of each number, the value they get.
    """
    for image, numbers in zip(labels, parts, strict=True):
        changing = going[numbers]
        image[changing] = values[numbers[changing]]


def _reaching_the_border(parts: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Numbers of the components at the edge of the volume; an axis of a single slice has none."""
    edges = [np.moveaxis(parts, axis, 0)[[0, -1]].ravel() for axis, length in enumerate(parts.shape) if length > 1]
    return np.unique(np.concatenate([*edges, np.zeros(0, parts.dtype)]))
