"""The report's page as its readers open it: whole, safe, and alive in a real browser."""

import csv
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from oracles.browser import visit

import autoseg
from autoseg.data.phantom import PhantomSettings, write_cohort
from autoseg.images.image import read_labels
from autoseg.runs.workspace import Workspace

HOSTILE = "<script>document.title='owned'<"
NAMES = (HOSTILE, '"><img src=x onerror=document.title=1>', "plain & simple", "four")


class Anatomy(HTMLParser):
    """Elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four scans with evil names; two networks, one with gates, on one of two folds; a selection."""
    folder = tmp_path_factory.mktemp("page")
    write_cohort(folder / "cohort", PhantomSettings(training=4, validation=0, test=0, shape=(40, 24, 40)))
    scans = sorted(path for path in (folder / "cohort").rglob("*.nii.gz") if not path.name.endswith("_seg.nii.gz"))
    data = folder / "data"
    data.mkdir()
    with (data / "cases.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "image", "label"])
        for name, scan in zip(NAMES, scans, strict=True):
            shutil.copy(scan, data / scan.name)
            shutil.copy(scan.with_name(scan.name.replace(".nii.gz", "_seg.nii.gz")), data / f"label_{scan.name}")
            table.writerow([name, scan.name, f"label_{scan.name}"])
    autoseg.plan(data, workspace=folder / "run", name="<b>bold< & co", folds=2)
    for architecture in ("unet", "attention"):
        autoseg.train(architecture, fold=0, workspace=folder / "run", epochs=2, precision="float32")  # type: ignore[arg-type]
    autoseg.select(folder / "run")
    autoseg.report(folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def page(workspace: Path) -> str:
    return (workspace / "report.html").read_text(encoding="utf-8")


def test_every_part_is_there(page: str) -> None:
    anatomy = Anatomy(page)
    sections = [attributes["id"] for attributes in anatomy.attributes("section")]
    assert sections == ["verdict", "scores", "learning", "cases", "attention", "selection", "data", "plan", "repeat"]
    links = {attributes.get("href") for attributes in anatomy.attributes("a")}
    assert {f"#{section}" for section in sections} <= links
    for words in ("Table 3", "Table 4", "Class balance", "Decisions", "unet + attention", "autoseg train --arch attention",
                  "with reference segmentations of", "cannot tell a difference", "scored to its end"):  # fmt: skip
        assert words in anatomy.words


def test_every_picture_says_what_it_shows_and_how_to_judge_it(page: str) -> None:
    anatomy = Anatomy(page)
    assert page.count("<b>Shows.</b>") == page.count("<b>Judge.</b>") == len(anatomy.attributes("figure"))
    assert all(attributes.get("alt") for attributes in anatomy.attributes("img"))


def test_nothing_comes_from_elsewhere(page: str) -> None:
    anatomy = Anatomy(page)
    for _, attributes in anatomy.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#"))
    assert "@import" not in page
    assert "url(" not in page
    (policy,) = [entry["content"] for entry in anatomy.attributes("meta") if entry.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "script-src 'sha256-" in policy


def test_names_from_outside_are_text_and_nothing_else(page: str) -> None:
    anatomy = Anatomy(page)
    for name in NAMES:
        assert name in anatomy.words
    assert "<b>bold< & co" in anatomy.words
    scripts = anatomy.attributes("script")
    assert [entry for entry in scripts if entry.get("type") != "application/json"] == [{}]  # the page's own
    assert not any("onerror" in attributes for _, attributes in anatomy.elements)


LOOK = """
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const figures = [...document.querySelectorAll("figure.viewer")];
for (const figure of figures) {
  figure.scrollIntoView();
  for (let tries = 0; tries < 100 && !figure.dataset.ready; tries++) await sleep(50);
}
const figure = figures[0], canvas = figure.querySelectorAll("canvas")[0];
const pixels = () => canvas.toDataURL();
const differs = (one, other) => one !== other;
const act = (input, change) => {
  change(input);
  input.dispatchEvent(new Event(input.type === "range" ? "input" : "change"));
};
const input = (name) => figure.querySelector(`input[name="${name}"]`);
const steps = {};
const before = pixels();
act(input("show prediction"), (box) => { box.checked = false; });
act(input("show reference"), (box) => { box.checked = false; });
const bare = pixels();
steps.overlays = differs(before, bare);
act(input("show reference"), (box) => { box.checked = true; });
steps.one = differs(bare, pixels());
act(input("outline reference"), (box) => { box.checked = false; });
const filled = pixels();
act(input("opacity"), (slider) => { slider.value = 100; });
steps.opacity = differs(filled, pixels());
act(input("show prediction"), (box) => { box.checked = true; });
const both = pixels();
act(input("differences"), (box) => { box.checked = true; });
steps.differences = differs(both, pixels());
act(input("differences"), (box) => { box.checked = false; });
const start = pixels();
act(input("axial"), (slider) => { slider.value = Number(slider.value) + 3; });
steps.slider = differs(start, pixels());
steps.label = figure.querySelector(".plane label span").textContent;
const coronal = input("coronal").value;
canvas.dispatchEvent(new MouseEvent("click", {bubbles: true, clientX: canvas.getBoundingClientRect().left + 5,
  clientY: canvas.getBoundingClientRect().top + 5}));
steps.click = input("coronal").value !== coronal;
const theme = document.getElementById("theme"), ground = () => getComputedStyle(document.body).backgroundColor;
const light = ground();
theme.click(); theme.click();
steps.theme = ground() !== light;
return {steps, ready: figures.map((entry) => entry.dataset.ready ?? entry.querySelector(".status").textContent),
  title: document.title, images: [...document.images].filter((image) => image.src.startsWith("data:")).length,
  overflow: document.documentElement.scrollWidth - window.innerWidth, width: window.innerWidth};
"""


@pytest.mark.gate
def test_sliders_move_and_overlays_switch(page: str, tmp_path: Path) -> None:
    seen = visit(page, tmp_path, script=LOOK)
    steps = seen.found["steps"]
    assert {name: done for name, done in steps.items() if name != "label"} == dict.fromkeys(
        ("overlays", "one", "opacity", "differences", "slider", "click", "theme"), True
    )
    assert steps["label"].startswith("axial ")
    assert set(seen.found["ready"]) == {"true"}
    assert seen.found["title"] == "<b>bold< & co: segmentation report"  # no name has changed it
    assert seen.found["overflow"] <= 0
    assert (seen.console, seen.requests) == ([], [])


@pytest.mark.gate
def test_a_phone_has_nothing_to_scroll_sideways(page: str, tmp_path: Path) -> None:
    # Chromium's window is never narrower than 500 px, a frame in it is.
    framed = "<html><body><iframe style='width:400px;height:900px;border:0'></iframe></body></html>"
    inner = json.dumps(page).replace("</", "<\\/").replace("<!--", "<\\u0021--")
    script = f"""
    const frame = document.querySelector("iframe");
    await new Promise((resolve) => {{ frame.onload = resolve; frame.srcdoc = {inner}; }});
    const root = frame.contentDocument.documentElement;
    return {{overflow: root.scrollWidth - frame.contentWindow.innerWidth, width: frame.contentWindow.innerWidth}};
    """
    found = visit(framed, tmp_path, script=script).found
    assert found["width"] == 400
    assert found["overflow"] <= 0


LABELS = """
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const result = [];
const figure = document.querySelector("figure.viewer");
for (const source of figure.querySelectorAll("script")) {
  const view = new View(figure, source);
  const {shape, columns, overlays} = view.data;
  const labels = await volume(overlays.find((entry) => entry.name === "reference").labels, shape, columns);
  const counts = [0, 0, 0, 0, 0];
  for (const value of labels) counts[Math.min(value, 4)]++;
  result.push({title: source.dataset.name, counts});
}
return result;
"""


@pytest.mark.gate
def test_every_label_arrives_exactly(page: str, workspace: Path, tmp_path: Path) -> None:
    dataset = {case.id: case for case in Workspace(workspace).dataset().labelled}
    seen = visit(page, tmp_path, script=LABELS).found
    assert len(seen) == 2
    for entry in seen:
        case = dataset[entry["title"]]
        assert case.label is not None
        reference = read_labels(case.label).array
        assert entry["counts"][1:] == [int((reference == value).sum()) for value in (1, 2, 3)] + [0]


def test_a_model_without_scores_is_named(workspace: Path, tmp_path: Path) -> None:
    shutil.copytree(workspace, tmp_path / "run", ignore=shutil.ignore_patterns("record.json", "selection*", "attention"))
    anatomy = Anatomy(autoseg.report(tmp_path / "run").page.read_text(encoding="utf-8"))
    assert "unet/fold_0 was trained, but its held-out cases were not scored" in anatomy.words
    assert "scores" not in [entry["id"] for entry in anatomy.attributes("section")]


def test_the_page_without_models_shows_the_data(workspace: Path, tmp_path: Path) -> None:
    shutil.copytree(workspace, tmp_path / "run", ignore=shutil.ignore_patterns("models", "selection*", "report*"))
    result = autoseg.report(tmp_path / "run")
    anatomy = Anatomy(result.page.read_text(encoding="utf-8"))
    assert [entry["id"] for entry in anatomy.attributes("section")] == ["verdict", "data", "plan", "repeat"]
    assert "Nothing is trained yet" in anatomy.words
