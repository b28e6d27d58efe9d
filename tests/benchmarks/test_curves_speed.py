"""How long the training curves of a thousand epochs take to redraw."""

import time
from pathlib import Path

import pytest

from autoseg.reporting.figures import draw_curves

VALUES = ("learning_rate", "training_loss", "training_dice", "validation_loss", "validation_dice", "validation_dice_GM")


@pytest.mark.benchmark
def test_curves_of_a_thousand_epochs(tmp_path: Path) -> None:
    rows = [{"epoch": float(epoch), **dict.fromkeys(VALUES, 1 / epoch)} for epoch in range(1, 1001)]
    draw_curves({"unet": rows}, tmp_path / "curves.png")  # loads fonts
    start = time.perf_counter()
    draw_curves({"unet": rows}, tmp_path / "curves.png")
    print(f"curves of 1000 epochs: {time.perf_counter() - start:.2f} s")
