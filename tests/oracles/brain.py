"""A scan of a whole head cut to the brain, in the numbers of a fingerprint: shape, spacing and volumes of its tissues."""

from typing import Any, Final

BRAIN: Final[dict[str, Any]] = {
    "shape": (256, 128, 256),
    "spacing_mm": (0.94, 1.5, 0.94),
    "nonzero_box": ((62, 201), (2, 119), (55, 200)),
    "label_box": ((61, 201), (1, 120), (56, 198)),
    "label_margin_px": 5,
    "class_voxels": {0: 7_344_000, 1: 14_700, 2: 672_000, 3: 357_000},
    "symmetry": (0.35, 0.38, 0.71),
}
