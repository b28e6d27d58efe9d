from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.reporting.attention import draw_attention


@pytest.mark.parametrize("levels", [1, 3, 4])
def test_the_slice_and_every_level_have_a_panel(tmp_path: Path, levels: int) -> None:
    maps = [np.full((-(-24 // 2**level), -(-16 // 2**level)), 0.5) for level in range(levels)]
    path = tmp_path / "attention.svg"
    draw_attention(np.zeros((24, 16)), maps, (1.0, 1.0), path, title="case")
    text = path.read_text(encoding="utf-8")
    assert text.count("<image") == 1 + levels + 1  # the slice, each map merged with its slice, the colour bar


def test_open_and_closed_gates_look_different(tmp_path: Path) -> None:
    colours = []
    for name, value in (("closed", 0.0), ("open", 1.0)):
        path = tmp_path / f"{name}.png"
        draw_attention(np.zeros((24, 24)), [np.full((24, 24), value)], (1.0, 1.0), path, title="case")
        pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
        height, width, _ = pixels.shape
        colours.append(pixels[height // 2, int(width * 0.6)])
    assert colours[1].sum() > colours[0].sum() + 150
