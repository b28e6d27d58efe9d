"""Opening the page: what is asked of the browser, and what is said where there is none."""

import sys
import webbrowser
from pathlib import Path
from typing import Any

import pytest
from oracles.watched_runs import Recorder

from autoseg.commands import report
from autoseg.reporting import report as reporting
from autoseg.reporting.report import ReportResult
from autoseg.reporting.verdict import Verdict
from autoseg.runs import found, moved_data

SENTENCE = "Good for GM and WM."


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReportResult:
    """What a report wrote, which none of these tests does."""
    written = ReportResult(tmp_path / "a page.html", tmp_path, (), (), Verdict(SENTENCE, ("Beware.",)))
    for module, name, value in (
        (found, "workspace_folder", lambda _: tmp_path),
        (moved_data, "with_data_in", lambda *_: None),
        (reporting, "write_report", lambda *_: written),
    ):
        monkeypatch.setattr(module, name, value)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    return written


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that the browser was asked for, which opens them."""
    addresses: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: not addresses.append(address))
    return addresses


def run(**options: Any) -> Recorder:
    events = Recorder()
    report.run(report.ReportOptions(**options), events)
    return events


def test_nothing_is_opened_unless_asked_for(
    result: ReportResult, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    assert run().warnings == []
    assert opened == []


@pytest.mark.parametrize("screen", ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"])
def test_the_page_is_opened_where_there_are_windows(
    result: ReportResult, opened: list[str], monkeypatch: pytest.MonkeyPatch, screen: str
) -> None:
    monkeypatch.setenv(screen, "something")
    assert run(open=True).warnings == []
    assert opened == [result.page.as_uri()]


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_other_systems_have_windows(
    result: ReportResult, opened: list[str], monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    run(open=True)
    assert opened == [result.page.as_uri()]


def test_a_console_is_not_given_to_a_browser_for_text(result: ReportResult, opened: list[str]) -> None:
    (warning,) = run(open=True).warnings
    assert warning == f"there is no browser to open here: open {result.page} in one yourself"
    assert opened == []


def test_a_browser_that_does_not_start_is_told(result: ReportResult, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> bool:
        raise webbrowser.Error

    monkeypatch.setenv("DISPLAY", ":0")
    for attempt in (fail, lambda _: False):
        monkeypatch.setattr(webbrowser, "open", attempt)
        assert len(run(open=True).warnings) == 1


def test_the_verdict_is_told_first(result: ReportResult) -> None:
    output = report.describe(result)
    assert output.text.startswith(SENTENCE)
    assert (output.document["verdict"], output.document["warnings"]) == (SENTENCE, ["Beware."])
