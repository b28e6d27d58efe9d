import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from autoseg.reporting.canvas import Axes
from autoseg.reporting.figures import draw_bars, draw_curves

NAN = float("nan")
LETTERS = ("(a) Training Dice", "(b) Training loss", "(c) Validation Dice", "(d) Validation loss")


def history(epochs: int, **changes: float) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch,
            "learning_rate": 1e-3 / epoch,
            "training_loss": 1 / epoch,
            "training_dice": 1 - 1 / (epoch + 1),
            "validation_loss": 1.1 / epoch,
            "validation_dice": 0.9 - 0.5 / epoch,
            "validation_dice_GM": 0.95 - 0.5 / epoch,
            "validation_dice_CSF": 0.85 - 0.5 / epoch,
            **changes,
        }
        for epoch in range(1, epochs + 1)
    ]


def texts(path: Path) -> list[str]:
    """What a figure says: matplotlib writes every text of an SVG as a comment before its glyphs."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line[5:-4] for line in lines if line.startswith("<!-- ") and line.endswith(" -->")]


def curves(runs: Mapping[str, Sequence[Mapping[str, float]]], folder: Path) -> list[str]:
    draw_curves(runs, folder / "curves.svg")
    return texts(folder / "curves.svg")


def bars(tables: Mapping[str, Mapping[str, Sequence[float]]], folder: Path, *, label: str = "Dice") -> list[str]:
    draw_bars(tables, folder / "bars.svg", label=label)
    return texts(folder / "bars.svg")


def test_curves_fill_a_page_wide_picture(tmp_path: Path) -> None:
    draw_curves({"unet": history(20)}, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (1080, 780))


def test_curves_show_where_a_run_was_trained_further(tmp_path: Path) -> None:
    rows = [{**row, "stretch": 1.0 if row["epoch"] <= 3 else 2.0} for row in history(6)]
    drawn: list[float] = []
    with mock.patch.object(Axes, "axvline", lambda _, x, **__: drawn.append(x)):
        draw_curves({"unet": rows}, tmp_path / "further.png")
        draw_curves({"unet": history(6)}, tmp_path / "once.png")
    assert drawn == [3.5] * 4


def test_curves_name_panels_classes_and_learning_rate(tmp_path: Path) -> None:
    shown = curves({"unet": history(20)}, tmp_path)
    for text in (*LETTERS, "unet", "mean", "GM", "CSF", "Learning rate (dotted)", "Epoch"):
        assert text in shown


def test_several_runs_share_a_legend_and_show_no_classes(tmp_path: Path) -> None:
    shown = curves({"unet": history(20), "_sepres": history(10)}, tmp_path)
    assert {"unet", " _sepres"} <= set(shown)
    assert not {"GM", "CSF", "mean", "Learning rate (dotted)"} & set(shown)


def test_many_classes_are_drawn_as_one_group(tmp_path: Path) -> None:
    organs = {f"validation_dice_organ {number}": 0.5 for number in range(30)}
    shown = curves({"unet": history(3, **organs)}, tmp_path)
    assert "single classes" in shown
    assert "organ 0" not in shown


def test_a_run_without_validation_says_so(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("validation_loss", "validation_dice", "validation_dice_GM", "validation_dice_CSF"), NAN)
    assert curves({"unet": history(4, **nothing)}, tmp_path).count("nothing measured") == 2
    assert curves({"unet": []}, tmp_path).count("nothing measured") == 4
    assert curves({}, tmp_path).count("nothing measured") == 4


def test_one_epoch_is_visible(tmp_path: Path) -> None:
    runs = {"unet": history(1)}
    draw_curves(runs, tmp_path / "one.png")
    draw_curves({"unet": [{**runs["unet"][0], "validation_loss": NAN}]}, tmp_path / "less.png")
    one, less = (np.asarray(Image.open(tmp_path / name).convert("RGB"))[400:] for name in ("one.png", "less.png"))
    indigo = np.array([0x4B, 0x3F, 0x9E])
    # The lower right quarter: validation loss.
    assert (one[:, 560:] == indigo).all(axis=-1).sum() > 10
    assert not (less[:, 560:] == indigo).all(axis=-1).any()
    assert "1" in curves(runs, tmp_path)


def test_an_undefined_epoch_leaves_a_gap(tmp_path: Path) -> None:
    whole = history(9)
    broken = [{**row, "validation_loss": NAN} if row["epoch"] in {4, 6} else row for row in whole]
    paths = {}
    for name, rows in {"whole": whole, "broken": broken}.items():
        draw_curves({"unet": rows}, tmp_path / f"{name}.png")
        paths[name] = np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"))[450:680, 560:]
    assert (paths["broken"] < 128).sum() < (paths["whole"] < 128).sum()


def test_losses_that_span_orders_of_magnitude_get_a_logarithmic_axis(tmp_path: Path) -> None:
    rows = [{**row, "validation_loss": 200.0 if row["epoch"] == 2 else 0.3, "training_loss": 0.2} for row in history(9)]
    shown = curves({"unet": rows}, tmp_path)
    assert {"1", "10", "100"} <= set(shown)
    assert not {"1", "10", "100"} <= set(curves({"unet": history(9)}, tmp_path))


def test_other_data_give_another_picture(tmp_path: Path) -> None:
    contents = set()
    for number, rows in enumerate((history(5), history(6), history(5, validation_dice_GM=0.5))):
        draw_curves({"unet": rows}, tmp_path / f"{number}.png")
        contents.add((tmp_path / f"{number}.png").read_bytes())
    assert len(contents) == 3


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_equal_data_give_equal_bytes_whatever_the_users_settings(tmp_path: Path, suffix: str) -> None:
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    draw_curves({"unet": history(5)}, first)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": None}):
        draw_curves({"unet": history(5)}, second)
        assert mpl.rcParams["font.size"] == 30
    assert first.read_bytes() == second.read_bytes()


def test_files_hold_no_time_and_no_software(tmp_path: Path) -> None:
    draw_bars({"": {"GM": [0.9]}}, tmp_path / "bars.png", label="Dice")
    with Image.open(tmp_path / "bars.png") as picture:
        assert set(picture.info) <= {"dpi"}
    shown = "".join(bars({"": {"GM": [0.9]}}, tmp_path))
    assert "matplotlib" not in shown.lower()
    assert "<dc:date>" not in (tmp_path / "bars.svg").read_text(encoding="utf-8")


def test_drawing_loads_no_pyplot(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from autoseg.reporting import case_image, figures;"
        "figures.draw_curves({}, pathlib.Path(sys.argv[1])); print('matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "curves.png")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


def test_other_formats_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.png or \.svg files, not curves\.jpg"):
        draw_curves({"unet": history(2)}, tmp_path / "curves.jpg")
    assert not list(tmp_path.iterdir())


def test_bars_name_classes_sets_and_metric(tmp_path: Path) -> None:
    tables = {"U-Net": {"CSF": [10.0, 20.0], "GM": [7.0]}, "Sep-Res U-Net": {"CSF": [9.0], "WM": [8.0]}}
    shown = bars(tables, tmp_path, label="Hausdorff distance (mm)")
    assert {"CSF", "GM", "WM", "U-Net", "Sep-Res U-Net", "Hausdorff distance (mm)"} <= set(shown)
    assert not any("n/a" in text for text in shown)


def test_undefined_values_are_counted_under_their_bar(tmp_path: Path) -> None:
    shown = bars({"a": {"CSF": [0.9, NAN, math.inf], "GM": [NAN], "WM": [0.8]}}, tmp_path)
    assert "2 n/a" in shown
    assert "1 n/a" in shown
    assert "n/a: undefined, left out" in shown


def test_bars_of_nothing_say_so(tmp_path: Path) -> None:
    assert "nothing measured" in bars({"predictions": {}}, tmp_path)
    assert "nothing measured" in bars({}, tmp_path)


def test_the_mean_is_the_bars_height(tmp_path: Path) -> None:
    # The axis starts at 0, so the means 0.2 and 0.8 stand as 1 to 4; the fill is indigo at 35 % on white.
    draw_bars({"a": {"x": [0.1, 0.3], "y": [0.8]}}, tmp_path / "bars.png", label="Dice")
    pixels = np.asarray(Image.open(tmp_path / "bars.png").convert("RGB")).astype(int)
    filled = (np.abs(pixels - np.array([192, 188, 221])).max(axis=-1) <= 3).sum(axis=0)
    heights = filled[filled > 0]
    low, high = np.median(heights[: len(heights) // 2]), np.median(heights[len(heights) // 2 :])
    assert high / low == pytest.approx(4, rel=0.1)


def test_any_name_can_be_drawn(tmp_path: Path) -> None:
    names = ["", " ", "_", "$", "$x_{$", "\\frac", "<&>", "two\nlines"]
    bars({name: {name: [0.5, NAN]} for name in names}, tmp_path, label="$y_$")
    assert ET.parse(tmp_path / "bars.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own file
    for some in (names[:4], names[4:]):
        shown = curves({"$": history(2, **{f"validation_dice_{name}": 0.5 for name in some})}, tmp_path)
        assert {" _" if name == "_" else name for name in some} - {"", " ", "<&>", "two\nlines"} <= set(shown)
