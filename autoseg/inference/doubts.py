"""What makes the segmentation of a scan doubtful before it is made."""

from autoseg.formats.remarks import doubts
from autoseg.images.image import Image
from autoseg.wording import listing


def doubts_about(image: Image) -> tuple[str, ...]:
    """What its files leave open or contradict, and channels that show nothing."""
    return (*doubts(image.warnings), *_constant(image))


def _constant(image: Image) -> tuple[str, ...]:
    numbers = [str(number) for number, channel in enumerate(image.array, start=1) if channel.min() == channel.max()]
    if not numbers:
        return ()
    where = "" if len(numbers) == len(image.array) else f" of channel {listing(numbers)}, of {len(image.array)},"
    return (f"every voxel{where} has the same value; the segmentation means nothing",)
