"""Whether two files describe the same voxels of the same patient."""

from pathlib import Path

from autoseg.errors import ImageError
from autoseg.images.geometry import Geometry


def check_same_grid(image: Geometry, label: Geometry, *, where: Path, other: Path) -> tuple[str, ...]:
    """Require two files to describe the same voxels of the same patient.

    Args:
        image: geometry of `other`, the file that sets the grid.
        label: geometry of `where`, the file that must follow it.
        where: file named first in the error.
        other: file it is compared with.

    Returns:
        a warning where they agree only by an orientation that is not the one read, or where a stated spacing goes unused.

    Raises:
        ImageError: shape, spacing, origin or direction differ by more than `Geometry.difference` tolerates, whichever
            orientation of either file is followed. Where one is a picture that states no spacing, only the shape counts.
    """
    if not (image.spacing_stated and label.spacing_stated) and image.shape == label.shape:
        dropped = label.spacing_stated and label.spacing_mm[1:] != image.spacing_mm[1:]
        return (f"the spacing it states is not used, because {other.name} states none: a pixel counts as 1 mm",) * dropped
    if not (difference := label.difference(image)):
        return ()
    if (agreeing := label.agreeing_statements(image)) is not None:
        own, others = agreeing
        agreed = f"its {own} agrees with the {others} of the file it belongs to"
        return (f"as read, it lies elsewhere, but {agreed}: it is used voxel by voxel",)
    raise ImageError(f"not on the grid of {other}: {difference}", where=where, remedy=_same_grid_remedy(image, label))


def _same_grid_remedy(image: Geometry, label: Geometry) -> str:
    # Resampling moves labels to other voxels where only a header was wrong, which is likely where the shapes are equal, and
    # where the tool that resamples follows another orientation than the one that was meant.
    if label.shape == image.shape:
        return (
            "Look at both in a viewer: where they fit voxel by voxel, only a header is wrong, so copy it from the other "
            "file; else make one of them again on the grid of the other."
        )
    if label.contradictory or image.contradictory:
        return "Make one of them again on the grid of the other: a header states two orientations that contradict."
    return "Resample one onto the grid of the other, label maps by the nearest neighbour."
