"""Tolerance of the normalised surface Dice where nobody chose one."""

from typing import Final

DEFAULT_TOLERANCE_MM: Final = 1.0
"""How far apart surfaces may be to count as equal.

Source: that of the hippocampus in the Medical Segmentation Decathlon (Antonelli et al. 2022) and of the BraTS challenges of
2023: a voxel of 1 mm."""
