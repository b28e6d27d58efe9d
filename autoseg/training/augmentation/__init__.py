"""Random changes of training slices: the only place that knows batchgenerators.

A pipeline takes and returns a whole batch as batchgenerators does, a dictionary of `data` (B, C, H, W) float32 and `seg`
(B, 1, H, W) int16. On the host (`pipeline`), mirroring and changes of intensity are batchgenerators' own, but for contrast
about the `foreground`; rotation, scaling and shifting (`spatial`) run on the whole batch in torch, because batchgenerators'
spatial transform takes 25 times as long (docs/explanation/decisions.md). On a device (`device`), all run in torch, on
the whole batch (`batched`).

What `autoseg.catalogue.AUGMENTATIONS` lists is built without arguments and then called in the same way, on the host: with
one image at a time where `training.seeding` of the plan is `image`, each with randomness of its own, and with the whole
batch where it is `batch`. It draws from the global generators of numpy and of Python, as batchgenerators does, and keeps
shapes, types and class indices.
"""

from autoseg.training.augmentation.pipeline import Augmentation, Batch, Randomness
from autoseg.training.augmentation.spatial import BatchSpatialTransform

__all__ = ["Augmentation", "Batch", "BatchSpatialTransform", "Randomness"]
