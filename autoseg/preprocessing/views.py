"""Several views of one case: which of them are cut from the same stored volume, and how."""

from collections.abc import Sequence

from autoseg.planning.sections import View
from autoseg.planning.slicing import PLANE_AXES
from autoseg.preprocessing.footprint import Footprint, Triple

Cut = tuple[int, Triple]
"""Number of a stored volume, and which of its axes are those across, along rows and along columns of a view's slices."""


def volume_numbers(views: Sequence[View]) -> tuple[int, ...]:
    """Number of the stored volume that each view is cut from.

    A volume on the scan's own pixels shows every plane, so views that resample nothing share one; a view with a spacing of
    its own has a volume of its own.
    """
    numbers: list[int] = []
    shared: int | None = None
    for view in views:
        number = max(numbers, default=-1) + 1
        if view.spacing_mm is None:
            shared = number if shared is None else shared
            number = shared
        numbers.append(number)
    return tuple(numbers)


def stored_views(views: Sequence[View]) -> tuple[View, ...]:
    """For each stored volume the first view that is cut from it: the volume lies as this view's slices do."""
    numbers = volume_numbers(views)
    return tuple(views[numbers.index(number)] for number in range(max(numbers) + 1))


def cuts(views: Sequence[View]) -> tuple[Cut, ...]:
    """How each view is cut from the stored volumes."""
    stored, numbers = stored_views(views), volume_numbers(views)
    return tuple((number, axis_order(stored[number], view)) for number, view in zip(numbers, views, strict=True))


def axis_order(stored: View, wanted: View) -> Triple:
    """Which axes of slices in one plane are, in this order, those across, along rows and along columns of another plane."""
    if stored.plane is None or wanted.plane is None or stored.plane == wanted.plane:
        return 0, 1, 2
    there = PLANE_AXES[stored.plane]
    across, rows, columns = (there.index(axis) for axis in PLANE_AXES[wanted.plane])
    return across, rows, columns


def turned(footprint: Footprint, order: Triple) -> Footprint:
    """The way back from slices along other axes of the same volume, which is on the scan's own pixels.

    Args:
        footprint: of the volume, nothing of which is resampled.
        order: as of `axis_order`.

    Raises:
        ValueError: slices were resampled, so that their axes are not alike.
    """
    if order == (0, 1, 2):
        return footprint
    if footprint.resampled:
        msg = "resampled slices show one plane alone"
        raise ValueError(msg)
    kept = footprint.kept
    return footprint.model_copy(
        update={
            "axes": tuple(footprint.axes[axis] for axis in order),
            "flipped": tuple(footprint.flipped[axis] for axis in order),
            "start": tuple(footprint.start[axis] for axis in order),
            "stop": tuple(footprint.stop[axis] for axis in order),
            "spacing_mm": tuple(footprint.spacing_mm[axis] for axis in order),
            "size_px": (kept[order[1]], kept[order[2]]),
        }
    )
