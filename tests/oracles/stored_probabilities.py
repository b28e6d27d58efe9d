"""Probabilities of held-out cases as anybody with numpy reads them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_whole(path: Path) -> NDArray[Any]:
    """All blocks of a file, one after the other along the second axis: (K, S, ...)."""
    with np.load(path, allow_pickle=False) as blocks:
        return np.concatenate([blocks[name] for name in sorted(blocks.files)], axis=1)
