"""The page under real keys: what they reach, sort, filter, show and copy, without a mouse."""

from collections.abc import Iterator

import numpy as np
import pytest
from oracles.browser_tab import Tab, tab_of

from autoseg.data.dataset import LabelClass
from autoseg.reporting.blocks import Copyable, Table, Viewer
from autoseg.reporting.page import Page, Section, render
from autoseg.reporting.viewer import VolumeView, encode

pytestmark = pytest.mark.gate

CASES = [f"case_{number}" for number in range(12)]
DICE = ["0.91", "0.55", "n/a", "0.80", "0.99", "0.70", "0.72", "0.73", "0.74", "0.75", "0.76", "0.77"]
COMMANDS = "autoseg plan data/\nautoseg report"


def view(seed: int) -> VolumeView:
    labels = np.random.default_rng(seed).integers(0, 2, (6, 8, 10), dtype=np.uint8)
    classes = [LabelClass(value=0, name="background"), LabelClass(value=1, name="GM")]
    maps = {"prediction": labels, "reference": np.roll(labels, 1)}
    return encode(labels + np.float32(1), maps, spacing_mm=(1, 1, 1), classes=classes)


def page() -> str:
    rows = [[case, dice] for case, dice in zip(CASES, DICE, strict=True)]
    blocks = [
        Table("Cases", ["case", "Dice"], rows, sortable=True, shown_in="scans", shown=frozenset({"case_1", "case_4"})),
        Viewer("Scans", {"case_1": view(1), "case_4": view(2)}, shows="A scan.", judge="Look.", id="scans"),
        Copyable(COMMANDS, "Commands", code=True),
    ]
    return render(Page("Report", "", [Section("part", "Part", "", blocks)]))


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with tab_of(page(), tmp_path_factory.mktemp("tab")) as opened:
        opened.wait_for("document.querySelector('figure.viewer').dataset.ready")
        yield opened
        assert opened.console == []


@pytest.fixture(autouse=True)
def from_the_top(tab: Tab) -> None:
    tab.evaluate("(document.activeElement.blur(), getSelection().removeAllRanges(), scrollTo(0, 0))")


FOCUS = "document.activeElement"


def cases_shown(tab: Tab) -> list[str]:
    found: list[str] = tab.evaluate(
        "[...document.querySelectorAll('tbody tr')].filter((row) => !row.hidden).map((row) => row.cells[0].textContent)"
    )
    return found


def test_the_first_key_leads_past_the_navigation(tab: Tab) -> None:
    tab.press("Tab")
    assert tab.evaluate(f"{FOCUS}.className") == "skip"
    tab.press("Enter")
    tab.wait_for(f"{FOCUS}.id === 'content'")


def test_colours_change_with_a_key(tab: Tab) -> None:
    tab.tab_to(f"{FOCUS}.id === 'theme'")
    grounds = []
    for key in ("Enter", " ", "Enter"):
        tab.press(key)
        grounds.append(tab.evaluate("[document.activeElement.textContent, document.documentElement.dataset.theme ?? '']"))
    assert grounds == [["Colours: light", "light"], ["Colours: dark", "dark"], ["Colours: system", ""]]


def test_a_column_is_sorted_by_its_heading(tab: Tab) -> None:
    head = "document.querySelectorAll('thead th')[1]"
    tab.tab_to(f"{FOCUS}.textContent === 'Dice'")
    assert tab.evaluate(f"{head}.ariaSort") == "none"
    tab.press("Enter")
    assert tab.evaluate(f"{head}.ariaSort") == "ascending"
    first = cases_shown(tab)
    assert (first[:2], first[-1]) == (["case_1", "case_5"], "case_2")
    tab.press(" ")
    assert tab.evaluate(f"{head}.ariaSort") == "descending"
    assert (cases_shown(tab)[:2], cases_shown(tab)[-1]) == (["case_4", "case_0"], "case_2")  # what is undefined stays last
    tab.press("Tab", shift=True)  # the heading before it
    tab.press("Enter")
    assert cases_shown(tab) == CASES  # case_10 comes after case_9
    assert tab.evaluate(f"{head}.ariaSort") == "none"


def test_rows_are_filtered_while_somebody_types(tab: Tab) -> None:
    tab.tab_to(f"{FOCUS}.name === 'filter'")
    tab.type("CASE_1")
    assert cases_shown(tab) == ["case_1", "case_10", "case_11"]
    assert tab.evaluate("document.querySelector('.count').textContent") == "3 of 12"
    tab.evaluate(f"{FOCUS}.select()")
    tab.type("0.99")
    assert cases_shown(tab) == ["case_4"]
    tab.evaluate(f"({FOCUS}.value = '', {FOCUS}.dispatchEvent(new Event('input')))")
    assert cases_shown(tab) == CASES


def test_a_case_of_the_table_is_looked_at(tab: Tab) -> None:
    chosen = "document.querySelector('select').selectedOptions[0].textContent"
    ready = "document.querySelector('figure.viewer').dataset.ready === 'true'"
    assert tab.evaluate(chosen) == "case_1"
    before = tab.evaluate("document.querySelector('canvas').toDataURL()")
    tab.tab_to(f"{FOCUS}.className === 'look' && {FOCUS}.textContent === 'case_4'")
    tab.press("Enter")
    tab.wait_for(ready)
    assert tab.evaluate(chosen) == "case_4"
    assert tab.evaluate(f"{FOCUS}.name") == "scan"  # the list of scans, so that the next key goes on from there
    assert tab.evaluate("document.querySelector('canvas').toDataURL()") != before
    tab.press("ArrowUp")
    tab.wait_for(f"{chosen} === 'case_1' && {ready}")
    assert tab.evaluate("document.querySelector('canvas').toDataURL()") == before


def test_slices_and_opacity_follow_the_arrows_and_stay_from_scan_to_scan(tab: Tab) -> None:
    picture = "document.querySelector('canvas').toDataURL()"
    ready = "document.querySelector('figure.viewer').dataset.ready === 'true'"
    before = tab.evaluate(picture)
    tab.tab_to(f"{FOCUS}.name === 'opacity'")
    tab.press("End")
    assert tab.evaluate(f"{FOCUS}.value") == "100"
    assert tab.evaluate(picture) != before
    tab.tab_to(f"{FOCUS}.name === 'axial'")
    name = "document.querySelector('.plane label span').textContent"
    tab.press("Home")
    assert tab.evaluate(name) == "axial 1 / 6"
    tab.press("ArrowRight", times=2)
    assert tab.evaluate(name) == "axial 3 / 6"
    tab.tab_to(f"{FOCUS}.name === 'scan'", back=True)
    tab.press("ArrowDown")
    tab.wait_for(f"document.querySelector('select').value === '1' && {ready}")
    assert tab.evaluate("document.querySelector('input[name=opacity]').value") == "100"
    tab.press("ArrowUp")
    tab.wait_for(f"document.querySelector('select').value === '0' && {ready}")


def test_commands_are_copied_and_can_be_pasted(tab: Tab) -> None:
    tab.tab_to(f"{FOCUS}.className === 'copy'")
    tab.press("Enter")
    assert tab.evaluate(f"{FOCUS}.textContent") == "Copied"
    tab.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'paper'}))")
    tab.evaluate("document.getElementById('paper').focus()")
    tab.press("v", command="paste")
    tab.wait_for("document.getElementById('paper').value")
    assert tab.evaluate("document.getElementById('paper').value") == COMMANDS
    tab.wait_for("document.querySelector('button.copy').textContent === 'Copy'")
    tab.evaluate("document.getElementById('paper').remove()")
