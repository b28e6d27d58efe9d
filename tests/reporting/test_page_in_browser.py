"""The page as its readers open it: in a real browser, against the arrays it was made from."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.browser import visit

from autoseg.data.dataset import LabelClass
from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.reporting.blocks import Block, Copyable, Facts, Judgement, Table, Text, Viewer, Warnings
from autoseg.reporting.class_tables import networks_table, subject_table
from autoseg.reporting.page import Page, Section, render
from autoseg.reporting.viewer import VolumeView, encode

pytestmark = pytest.mark.gate

HOSTILE = """"><img src=x onerror="document.title='owned'"></script><script>document.title='owned'</script><!--"""
SPACING_MM = (2.0, 1.0, 1.5)
SHAPE = (14, 20, 16)
CLASSES = [LabelClass(value=value, name=name) for value, name in enumerate(("background", "CSF", HOSTILE, "WM"))]
COLOURS = np.array([(0, 0x72, 0xB2), (0xD5, 0x5E, 0), (0, 0x9E, 0x73)])
"""Of the first three classes."""

PLANES = {"axial": 0, "coronal": 1, "sagittal": 2}


def scan() -> NDArray[np.float32]:
    """Intensities that differ in every slice of every plane, no background around them."""
    z, y, x = np.indices(SHAPE, dtype=np.float32)
    return 1 + 9 * z + 5 * y + 3 * x


def labels(seed: int) -> NDArray[np.uint8]:
    """Blocks of 2 voxels of any class, most of them in axial slice 6."""
    blocks = np.random.default_rng(seed).integers(0, 4, [length // 2 for length in SHAPE], dtype=np.uint8)
    blocks[3] = np.maximum(blocks[3], 1)
    return blocks.repeat(2, 0).repeat(2, 1).repeat(2, 2)


PREDICTION, REFERENCE = labels(1), labels(2)


def page_of(*blocks: Block) -> str:
    return render(Page(HOSTILE, HOSTILE, [Section("part", HOSTILE, HOSTILE, blocks)]))


def viewer(view: VolumeView) -> Viewer:
    return Viewer(HOSTILE, {HOSTILE: view}, shows="A scan.", judge="Look.")


def two_maps() -> VolumeView:
    return encode(scan(), {"prediction": PREDICTION, "reference": REFERENCE}, spacing_mm=SPACING_MM, classes=CLASSES)


def all_values() -> VolumeView:
    values = np.random.default_rng(3).permutation(4 * 256).reshape(4, 16, 16) % 256
    classes = [LabelClass(value=value, name=f"class {value}") for value in range(256)]
    return encode(values + 1.0, {"values": values}, spacing_mm=(1, 1, 1), classes=classes)


HELPERS = """
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const figures = [...document.querySelectorAll("figure.viewer")];
const ready = async () => {
  for (let tries = 0; tries < 100 && !figures.every((figure) => figure.dataset.ready); tries++) await sleep(50);
};
const input = (name, figure = figures[0]) => figure.querySelector(`input[name="${name}"]`);
const tick = (name, checked) => {
  if (input(name).checked !== checked) input(name).click();
};
const move = (name, value) => {
  input(name).value = value;
  input(name).dispatchEvent(new Event("input"));
};
// From a copy: the browser complains of a canvas that is both shown and read often.
const pixels = (canvas) => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
  copy.drawImage(canvas, 0, 0);
  return copy.getImageData(0, 0, canvas.width, canvas.height);
};
const canvases = (figure = figures[0]) => [...figure.querySelectorAll("canvas")];
// Colour at the middle of every voxel: rows of columns of red, green, blue.
const voxels = (canvas, rows, columns) => {
  const {data, width, height} = pixels(canvas);
  const at = (row, column) => {
    const place = Math.floor((row + 0.5) * height / rows) * width + Math.floor((column + 0.5) * width / columns);
    return [...data.slice(4 * place, 4 * place + 3)];
  };
  return Array.from({length: rows}, (_, row) => Array.from({length: columns}, (_, column) => at(row, column)));
};
const [Z, Y, X] = [14, 20, 16];
const seen = () => {
  const [axial, coronal, sagittal] = canvases();
  return {axial: voxels(axial, Y, X), coronal: voxels(coronal, Z, X), sagittal: voxels(sagittal, Z, Y)};
};
const places = () => ["axial", "coronal", "sagittal"].map((name) => Number(input(name).value));
"""

LOOK = (
    HELPERS
    + """
await ready();
const found = {ready: figures.map((figure) => figure.dataset.ready), first: places()};
found.sizes = canvases().map((canvas) => [canvas.width, canvas.height]);
found.sides = [...figures[0].querySelectorAll(".side")].map((letter) => letter.textContent);
found.kept = [...figures[0].querySelectorAll(".legend span")].map((entry) => entry.textContent);
tick("crosshair", false);
tick("show prediction", false);
tick("show reference", false);
found.bare = [];
for (const [axial, coronal, sagittal] of [[0, 0, 0], [5, 9, 3], [13, 19, 15]]) {
  move("axial", axial); move("coronal", coronal); move("sagittal", sagittal);
  found.bare.push(seen());
}
found.names = [...figures[0].querySelectorAll(".plane label span")].map((label) => label.textContent);
move("axial", 5); move("coronal", 9); move("sagittal", 3);
tick("show prediction", true);
move("opacity", 100);
found.filled = seen();
move("opacity", 0);
found.clear = seen();
tick("outline prediction", true);
found.outlined = seen();
const [axial] = canvases(), painted = pixels(axial).data;
found.edges = 0;
for (let place = 0; place < painted.length; place += 4) found.edges += Math.abs(painted[place] - painted[place + 2]) > 60;
tick("show prediction", false);
tick("differences", true);
found.differing = seen();
tick("differences", false);
tick("crosshair", true);
found.crossed = seen();
tick("crosshair", false);
const box = axial.getBoundingClientRect();
const scale = Math.min(box.width / axial.width, box.height / axial.height);
axial.dispatchEvent(new MouseEvent("click", {bubbles: true,
  clientX: box.left + (box.width - scale * axial.width) / 2 + scale * axial.width * 12.5 / X,
  clientY: box.top + (box.height - scale * axial.height) / 2 + scale * axial.height * 4.5 / Y}));
found.clicked = places();
found.after = seen();
found.flat = {canvases: canvases(figures[2]).length, letters: figures[2].querySelectorAll(".side").length,
  sliders: figures[2].querySelectorAll(".plane input").length};
const view = new View(figures[1]);
found.labels = [...await volume(view.data.overlays[0].labels, view.data.shape, view.data.columns)];
return found;
"""
)


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the viewers of one page show while their controls are moved."""
    flat = encode(scan()[:1], {"prediction": PREDICTION[:1]}, spacing_mm=SPACING_MM, classes=CLASSES)
    page = page_of(viewer(two_maps()), viewer(all_values()), viewer(flat))
    # So low a window leaves the scans out of sight: they must come by themselves.
    seen = visit(page, tmp_path_factory.mktemp("look"), script=LOOK, height=300)
    assert (seen.console, seen.requests) == ([], [])
    return seen.found


def expected_grey() -> NDArray[np.float64]:
    image = scan()
    low, high = np.quantile(image, (0.005, 0.995))
    return np.asarray(np.clip((image - low) / (high - low), 0, 1) * 255)


def cuts(volume: NDArray[Any], places: tuple[int, int, int]) -> dict[str, NDArray[Any]]:
    return {name: volume.take(places[axis], axis=axis) for name, axis in PLANES.items()}


def test_every_scan_comes_by_itself(looked: Any) -> None:
    assert looked["ready"] == ["true"] * 3


def test_the_first_slices_hold_the_most_labels(looked: Any) -> None:
    labelled = (PREDICTION > 0).astype(int) + (REFERENCE > 0)
    counts = [labelled.sum(axis=axes) for axes in ((1, 2), (0, 2), (0, 1))]
    assert looked["first"] == [int(count.argmax()) for count in counts]
    assert looked["first"][0] == 6


def test_proportions_are_true(looked: Any) -> None:
    z, y, x = (length * spacing for length, spacing in zip(SHAPE, SPACING_MM, strict=True))
    for (width, height), (columns_mm, rows_mm) in zip(looked["sizes"], [(x, y), (x, z), (y, z)], strict=True):
        assert width / height == pytest.approx(columns_mm / rows_mm, rel=0.03)


def test_patient_sides_are_named(looked: Any) -> None:
    assert looked["sides"] == ["R", "L", "R", "L", "A", "P"]


def test_sliders_show_the_slice_they_name(looked: Any) -> None:
    for places, shown in zip([(0, 0, 0), (5, 9, 3), (13, 19, 15)], looked["bare"], strict=True):
        for name, expected in cuts(expected_grey(), places).items():
            pixels = np.array(shown[name])
            assert (pixels == pixels[..., :1]).all()  # grey
            assert np.abs(pixels[..., 0] - expected).mean() < 3  # the next slice is 7 or more away
    assert looked["names"] == ["axial 14 / 14", "coronal 20 / 20", "sagittal 16 / 16"]


def test_classes_are_filled_with_their_colours(looked: Any) -> None:
    for name, expected in cuts(PREDICTION, (5, 9, 3)).items():
        pixels, mask = np.array(looked["filled"][name]), expected > 0
        np.testing.assert_array_equal(pixels[mask], COLOURS[expected[mask] - 1])
        np.testing.assert_array_equal(pixels[~mask], np.array(looked["bare"][1][name])[~mask])


def test_opacity_lets_the_scan_through(looked: Any) -> None:
    assert looked["clear"] == looked["bare"][1]
    assert looked["filled"] != looked["bare"][1]


def test_outlines_leave_the_inside_free(looked: Any) -> None:
    assert looked["outlined"] == looked["bare"][1]  # at the middle of every voxel
    assert looked["edges"] > 500


def test_differences_are_marked_where_they_are(looked: Any) -> None:
    for name, differ in cuts(PREDICTION != REFERENCE, (5, 9, 3)).items():
        red, _, blue = np.moveaxis(np.array(looked["differing"][name]), -1, 0)
        np.testing.assert_array_equal(red - blue > 60, differ)


def test_the_crosshair_marks_the_other_planes(looked: Any) -> None:
    changed = (np.array(looked["crossed"]["axial"]) != np.array(looked["bare"][1]["axial"])).any(axis=-1)
    expected = np.zeros(changed.shape, np.bool_)
    expected[9, :] = expected[:, 3] = True
    assert not (changed & ~expected).any()
    assert changed[expected].mean() > 0.9  # white stays white


def test_a_click_moves_the_other_planes(looked: Any) -> None:
    assert looked["clicked"] == [5, 4, 12]
    for name, expected in cuts(expected_grey(), (5, 4, 12)).items():
        assert np.abs(np.array(looked["after"][name])[..., 0] - expected).mean() < 3


def test_a_single_slice_has_one_plane_and_no_sides(looked: Any) -> None:
    assert looked["flat"] == {"canvases": 1, "letters": 0, "sliders": 0}


def test_every_label_value_arrives_exactly(looked: Any) -> None:
    values = np.random.default_rng(3).permutation(4 * 256).reshape(4, 16, 16) % 256
    np.testing.assert_array_equal(np.array(looked["labels"]).reshape(values.shape), values)


def test_names_of_classes_are_text(looked: Any) -> None:
    assert looked["kept"] == ["CSF", HOSTILE, "WM"]


READ = (
    HELPERS
    + """
await ready();
const found = {title: document.title, words: document.body.innerText, scripts: document.scripts.length,
  images: [...document.images].map((image) => image.src.slice(0, 5))};
const button = document.getElementById("theme"), ground = () => getComputedStyle(document.body).backgroundColor;
found.grounds = [];
for (let press = 0; press < 4; press++) { found.grounds.push([button.textContent, ground()]); button.click(); }
const tables = [...document.querySelectorAll("details.table")], open = () => tables.map((table) => table.open);
found.open = [open()];
for (const event of ["beforeprint", "afterprint"]) { window.dispatchEvent(new Event(event)); found.open.push(open()); }
const sources = [...document.querySelectorAll(".source")];
found.copied = sources.map((source) => plainText(source));
document.querySelectorAll("button.copy")[1].click();
found.selected = getSelection().toString();
// In the order of the tab key.
found.stops = [...document.querySelectorAll("a[href], button, input, summary, [tabindex='0']")]
  .filter((stop) => stop.tabIndex >= 0 && stop.getClientRects().length)
  .map((stop) => [stop.tagName, stop.type].filter(Boolean).join(":"));
found.named = [...document.querySelectorAll("input")].every((one) => one.labels.length || one.ariaLabel);
found.slider = [input("axial").ariaLabel, input("axial").getAttribute("aria-valuetext")];
found.code = getComputedStyle(document.querySelector("pre")).overflowX;
const style = (one) => { one.focus({focusVisible: true}); return getComputedStyle(one).outlineStyle; };
found.outlines = [button, input("axial"), input("show prediction")].map(style);
return found;
"""
)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A page with every kind of text, all of them evil."""
    seen = visit(whole_page(), tmp_path_factory.mktemp("read"), script=READ)
    assert (seen.console, seen.requests) == ([], [])
    return seen.found


def whole_page() -> str:
    long = "a" * 120
    return page_of(
        Judgement(
            HOSTILE, [("var(--class-0)", HOSTILE, long, long)], "poor", [(HOSTILE, HOSTILE, HOSTILE), (long, long, long)]
        ),
        Text([HOSTILE, long]),
        Table(HOSTILE, ["case", HOSTILE], [[HOSTILE, "1"], [long, long]]),
        Table(HOSTILE, ["case", *(f"column {index}" for index in range(30))], [[long, *["0.1234"] * 30]], folded=True),
        Facts([(HOSTILE, HOSTILE), (long, long)]),
        viewer(two_maps()),
        Copyable(f"autoseg train --workspace {long}\nautoseg report", "Commands", code=True),
        Copyable("We did.", "Methods", references=["First (2001).", "Second (2002)."]),
        Warnings([HOSTILE, long]),
    )


def test_evil_names_are_shown_and_do_nothing(read: Any) -> None:
    assert read["title"] == HOSTILE
    assert read["words"].count(HOSTILE) == 20  # wherever it was given, and in the list of sections and the legend
    assert read["scripts"] == 3  # the scan's data, the page's script, and the one that looks
    assert read["images"] == []


def test_colours_follow_the_system_or_the_reader(read: Any) -> None:
    light, dark = "rgb(245, 246, 248)", "rgb(20, 24, 29)"
    names = ["Colours: system", "Colours: light", "Colours: dark", "Colours: system"]
    assert read["grounds"] == [list(pair) for pair in zip(names, [light, light, dark, light], strict=True)]


def test_everything_is_open_on_paper(read: Any) -> None:
    assert read["open"] == [[True, False], [True, True], [True, False]]


def test_what_is_copied_is_plain_text(read: Any) -> None:
    assert read["copied"] == [
        f"autoseg train --workspace {'a' * 120}\nautoseg report",
        "We did.\n\n1. First (2001).\n2. Second (2002).",
    ]
    assert "We did." in read["selected"]


def test_all_can_be_done_with_the_keyboard(read: Any) -> None:
    assert read["named"]
    assert read["stops"][:2] == ["A", "BUTTON:button"]  # first of all the way to the content
    assert read["stops"].count("INPUT:range") == 4  # opacity and three planes
    assert read["stops"].count("INPUT:checkbox") == 6
    assert read["stops"].count("SUMMARY") == 2
    assert read["outlines"] == ["solid"] * 3
    assert read["slider"] == ["axial slice", "7 of 14"]
    assert read["code"] == "auto"  # long commands can be reached


def test_nothing_scrolls_sideways(tmp_path: Path) -> None:
    # Chromium's window is never narrower than 500 px, a frame in it is.
    frames = "".join(f"<iframe style='width:{width}px;height:900px;border:0'></iframe>" for width in (400, 999, 1400))
    page = json.dumps(whole_page()).replace("<", "\\u003c")
    script = f"""
    const found = [];
    for (const frame of document.querySelectorAll("iframe")) {{
      await new Promise((resolve) => {{ frame.onload = resolve; frame.srcdoc = {page}; }});
      const inner = frame.contentWindow, root = inner.document.documentElement;
      for (let tries = 0; tries < 100 && !inner.document.querySelector("figure.viewer").dataset.ready; tries++)
        await new Promise((resolve) => setTimeout(resolve, 50));
      found.push([inner.innerWidth, root.scrollWidth, inner.document.querySelector("nav details").open]);
    }}
    return found;
    """
    seen = visit(f"<html><body>{frames}</body></html>", tmp_path, script=script, width=1500)
    assert seen.found == [[400, 400, False], [999, 999, False], [1400, 1400, True]]
    assert seen.console == []


def test_the_dark_page_of_a_dark_system(tmp_path: Path) -> None:
    seen = visit(
        page_of(Text(["words"])), tmp_path, script="return getComputedStyle(document.body).backgroundColor;", dark=True
    )
    assert seen.found == "rgb(20, 24, 29)"


def test_a_page_that_asks_for_more_would_be_noticed(tmp_path: Path) -> None:
    honest = page_of(Text(["words"]))
    policy = re.compile("""<meta http-equiv="Content-Security-Policy"[^>]*>""")
    addresses = ["http://example.org/one.png", "https://fonts.googleapis.com/two.png"]
    pictures = "".join(f"<img src='{address}'>" for address in addresses)
    greedy = honest.replace("</main>", f"{pictures}<script>console.error('no')</script></main>")
    stopped = visit(greedy, tmp_path / "stopped")
    assert stopped.requests == []
    assert sum("Content Security Policy" in line for line in stopped.console) == 3
    free = visit(policy.sub("", greedy), tmp_path / "free")
    assert free.requests == addresses
    assert any("no" in line for line in free.console)


def test_five_metrics_with_their_intervals_fit_a_small_screen(tmp_path: Path) -> None:
    numbers = {"nsd": 0.95, "hausdorff95_mm": 12.5, "assd_mm": 1.25, "volume_ml": 300.0, "reference_volume_ml": 310.0}
    cases = [
        CaseMetrics(
            f"case {index}", (ClassMetrics(1, "GM", {"dice": 0.9 + index / 100, "hausdorff_mm": 20.0 + index, **numbers}),)
        )
        for index in range(6)
    ]
    tables = subject_table(cases, title="U-Net"), networks_table({"Attention U-Net": cases}, titles="fold 0")
    script = """
    const widths = [...document.querySelectorAll(".scroll")].map((each) => [each.scrollWidth, each.clientWidth]);
    const [name, ...cells] = document.querySelector("tbody tr").cells;
    const line = parseFloat(getComputedStyle(name).lineHeight);
    return [widths, cells.map((cell) => Math.round(cell.clientHeight / line))];
    """
    widths, lines = visit(page_of(*tables), tmp_path, script=script, width=1300).found
    assert [scrolled for scrolled, _ in widths] == [shown for _, shown in widths]
    assert lines == [2] * 5
