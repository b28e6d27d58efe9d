import base64
import hashlib
import json
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from autoseg.data.dataset import LabelClass
from autoseg.reporting.blocks import (
    Block,
    Copyable,
    Facts,
    Judgement,
    Pictures,
    Plot,
    Plots,
    Strip,
    Table,
    Text,
    Viewer,
    Warnings,
)
from autoseg.reporting.page import Page, Section, render
from autoseg.reporting.palette import CLASSES, NETWORKS
from autoseg.reporting.pictures import Picture
from autoseg.reporting.plots import Named, dots_plot
from autoseg.reporting.svg import Curve, curves_plot, swatch
from autoseg.reporting.viewer import encode

HOSTILE = """"><img src=x onerror=alert(1)></script><script>alert(1)</script><!-- {{ 7 * 7 }} ]]> ' & \u2028"""


class Reader(HTMLParser):
    """What a browser would find: elements with their attributes, the text of each kind of element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.comments = 0
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self._open[-1], data))

    def handle_comment(self, data: str) -> None:
        self.comments += 1

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def texts_of(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


def view(name: str = "prediction") -> Any:
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[1] = 1
    classes = [LabelClass(value=0, name="background"), LabelClass(value=1, name=name)]
    return encode(labels.astype(np.float32), {name: labels}, spacing_mm=(1, 1, 1), classes=classes)


def page_with(*blocks: Block) -> Reader:
    return Reader(render(Page("Report", "subtitle", [Section("part", "Part", "", blocks)])))


def everything(text: str) -> Page:
    """A page with the text wherever a text can be."""
    cells = [[text, text], [text, "1"]]
    dots = dots_plot({text: {text: Named([text], [0.5])}}, [text], metric="dice")
    curves = curves_plot([Curve(text, [(1, 0.5), (2, 0.6)], NETWORKS, 0)], label=text)
    plots = [Plot(text, dots), Plot(text, curves)]
    blocks = [
        Judgement(text, [("var(--class-0)", text, text, text)], "good", [(text, text, text)]),
        Text([text]),
        Table(text, [text, text], cells, frozenset({(0, 1)}), sortable=True, shown_in="scans", shown=frozenset({text})),
        Plots(plots, [(swatch(CLASSES, 0), text)], shows=text, judge=text, title=text),
        Pictures([Strip(text, [Picture(b"", (2, 1), text, text, sides=(text, text))])], [("#0072B2", text)], text, text),
        Viewer(text, {text: view(text)}, shows=text, judge=text, notes={text: text}, id="scans"),
        Facts([(text, text)]),
        Copyable(text, text, references=[text]),
        Copyable(text, text, code=True),
        Warnings([text]),
    ]
    return Page(text, text, [Section("part", text, text, blocks)], [(text, text)])


def test_text_from_outside_is_nothing_but_text() -> None:
    plain, hostile = Reader(render(everything("plain"))), Reader(render(everything(HOSTILE)))
    names = [(tag, sorted(attributes)) for tag, attributes in plain.elements]
    assert [(tag, sorted(attributes)) for tag, attributes in hostile.elements] == names
    assert hostile.comments == plain.comments == 0
    shown = [text for tag, text in plain.texts if "plain" in text and tag not in {"script", "text"}]
    assert len(shown) == 50  # each of the texts above, and those the page repeats: title and section
    found = [text for tag, text in hostile.texts if HOSTILE in text and tag not in {"script", "text"}]
    assert [text.replace(HOSTILE, "plain") for text in found] == shown  # labels in plots are cut, and whole in their titles
    quoted = [value for _, attributes in hostile.elements for value in attributes.values() if value and HOSTILE in value]
    assert quoted == [HOSTILE] * 6  # labels of table, curves and viewer, the scan's name and note, descriptions of pictures


def test_data_for_the_script_cannot_end_its_element() -> None:
    document = render(everything(HOSTILE))
    (data,) = (text for text in Reader(document).texts_of("script") if text.startswith("{"))
    assert not set(data) & set("<>&\u2028\u2029")
    assert json.loads(data)["classes"] == [{"name": HOSTILE, "colour": "#0072B2"}]


def test_only_the_pages_own_script_may_run_and_nothing_may_be_fetched() -> None:
    reader = Reader(render(everything("plain")))
    (policy,) = (entry["content"] for entry in reader.all("meta") if entry.get("http-equiv") == "Content-Security-Policy")
    own = next(text for text in reader.texts_of("script") if not text.startswith("{"))
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert policy is not None
    assert policy.split("; ") == [
        "default-src 'none'", "img-src data:", "style-src 'unsafe-inline'", f"script-src 'sha256-{digest}'",
        "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip


def test_addresses_lead_nowhere_but_into_the_page() -> None:
    document = render(everything("plain"))
    addresses = [
        value
        for _, attributes in Reader(document).elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "poster", "data", "cite", "formaction", "ping"}
    ]
    assert len(addresses) == 4  # skip link, icon, one section, one picture
    assert all(address is not None and address.startswith(("data:", "#")) for address in addresses)
    for fetching in ("url(", "@import", "http:", "https:", "ws://", "wss:", "fetch(", "XMLHttpRequest", "import("):
        assert fetching not in document


def test_sections_are_linked_in_order() -> None:
    reader = Reader(render(Page("Report", "", [Section(name, name, "", []) for name in ("data", "plan-b")])))
    assert [entry["id"] for entry in reader.all("section")] == ["data", "plan-b"]
    assert [entry["href"] for entry in reader.all("a")] == ["#content", "#data", "#plan-b"]


@pytest.mark.parametrize("name", ["", "Data", "a b", "a--b", 'a"b', "a\n"])
def test_a_sections_id_can_be_linked(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters and dashes, not"):
        Section(name, "Data", "", [])


def test_numbers_stand_to_the_right() -> None:
    table = Table(
        "T", ["case 1", "set", "Dice", "p"], [["IBSR_01", "train", "0.9", "n/a"], ["IBSR_02", "train", "n/a", "-"]]
    )
    assert table.numbers == {2}
    reader = page_with(table)
    assert [entry.get("class") for entry in reader.all("td")] == [None, "number", None] * 2
    assert [entry.get("class") for entry in reader.all("th")][:4] == [None, None, "number", None]


def test_sentences_with_digits_stand_to_the_left() -> None:
    assert Table("T", ["what", "why"], [["patch", "2 of 3"]], words=True).numbers == frozenset()


def test_the_best_cells_are_bold() -> None:
    reader = page_with(
        Table("T", ["case", "one", "two"], [["a", "0.1", "0.2"], ["b", "0.4", "0.3"]], frozenset({(0, 2), (1, 1)}))
    )
    assert reader.texts_of("strong") == ["0.2", "0.4"]
    assert reader.texts_of("td") == ["0.1", "0.3"]


@pytest.mark.parametrize("row", [["a"], ["a", "1", "2"]])
def test_a_ragged_table_is_a_mistake(row: list[str]) -> None:
    with pytest.raises(ValueError, match=rf"Scores: {len(row)} cells under 2 columns"):
        Table("Scores", ["case", "Dice"], [["a", "1"], row])


def test_long_tables_can_be_closed() -> None:
    table = Table("T", ["case"], [["a"]])
    folded = Table("T", ["case"], [["a"]], folded=True)
    tables = [entry for entry in page_with(table, folded).all("details") if entry.get("class") == "table"]
    assert ["open" in entry for entry in tables] == [True, False]


def test_pictures_are_part_of_the_page() -> None:
    content = bytes(range(256))
    block = Pictures([Strip("", [Picture(content, (2, 1), "a slice")])], [], shows="A slice.", judge="Look.")
    (image,) = page_with(block).all("img")
    head, _, data = str(image["src"]).partition(",")
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(data) == content
    assert image["alt"] == "a slice"


def test_no_warnings_are_worth_a_sentence() -> None:
    assert "Nothing to warn of." in page_with(Warnings([])).texts_of("p")
    reader = page_with(Warnings(["Beware."]))
    assert "Nothing to warn of." not in reader.texts_of("p")
    assert "Beware." in reader.texts_of("li")


def test_commands_in_a_warning_are_shown_as_such() -> None:
    reader = page_with(Warnings(["Run `autoseg select <again>` here."]))
    assert "autoseg select <again>" in reader.texts_of("code")
    assert not any("`" in text for text in reader.texts_of("li"))


def test_without_scripts_the_page_says_what_is_missing() -> None:
    words = " ".join(page_with(Viewer("Scan", {"a": view()}, shows="A scan.", judge="Look.")).texts_of("p"))
    assert "Without scripts the page shows everything but the scans" in words
    assert "The scan appears when scripts run." in words


def test_every_copy_button_knows_its_text() -> None:
    reader = page_with(Copyable("autoseg report", "Commands", code=True), Copyable("We did.", "Methods"))
    targets = [entry["data-from"] for entry in reader.all("button") if entry.get("class") == "copy"]
    sources = [entry["id"] for entry in reader.all("div") if "source" in (entry.get("class") or "")]
    assert targets == sources
    assert len(set(targets)) == 2


def test_equal_pages_are_equal_files() -> None:
    assert render(everything("plain")) == render(everything("plain"))
