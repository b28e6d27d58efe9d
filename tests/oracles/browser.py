"""Pages in a real browser without a window: what a script finds there, what the console says, and what is asked of the net.

Chromium alone is enough, no driver: the script that looks is added to a copy of the page, and its findings come back in the
document that Chromium prints.
"""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=20000",
    "--enable-logging=stderr", "--v=0", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
_OWN: Final = "not an origin"
"""Who asks in Chromium's log, where it asks something for itself and not for a page."""


@dataclass(frozen=True)
class Visit:
    """What was seen.

    Attributes:
        found: what the script returned.
        console: lines the page wrote to the console, errors among them.
        requests: addresses the page asked for, without those of files and data; none of them was reached.
    """

    found: Any
    console: list[str]
    requests: list[str]


def browser() -> str:
    """The browser; the test is skipped where there is none."""
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium to look at pages with")


def visit(
    page: str, folder: Path, *, script: str = "return null;", width: int = 1400, height: int = 12000, dark: bool = False
) -> Visit:
    """Open a page and run a script in it.

    Args:
        page: the HTML document.
        folder: for the copy and what the browser leaves.
        script: body of an async function; what it returns, as JSON, is what was found.
        width: of the window, in px, at least 500.
        height: of the window, in px: all of a long page is in sight.
        dark: whether the system prefers dark colours.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "page.html").write_text(_with_script(page, script), encoding="utf-8", newline="\n")
    process = subprocess.run(
        [browser(), *_FLAGS, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={folder / 'net.json'}",
         *(["--blink-settings=preferredColorScheme=0"] if dark else []), f"--window-size={width},{height}", "--dump-dom",
         (folder / "page.html").as_uri()],
        capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    answer = re.search(r'<pre id="found">(.*?)</pre>', process.stdout, flags=re.DOTALL)
    assert answer is not None, process.stderr
    found = json.loads(html.unescape(answer.group(1)))
    assert "failure" not in found, found
    console = [line for line in process.stderr.splitlines() if "CONSOLE" in line]
    return Visit(found.get("value"), console, _requests(folder / "net.json"))


def _with_script(page: str, script: str) -> str:
    """The page with a script at its end that its policy allows, beside those it allows already, and no other."""
    looking = (
        "(async () => { let found; try { found = {value: await (async () => {" + script + "})()}; }"
        " catch (failure) { found = {failure: String(failure)}; }"
        " const box = document.createElement('pre'); box.id = 'found'; box.textContent = JSON.stringify(found);"
        " document.body.append(box); })();"
    )
    digest = base64.b64encode(hashlib.sha256(looking.encode()).digest()).decode()
    allowed = page.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    head, end, tail = allowed.rpartition("</body>")
    return f"{head}<script>{looking}</script>{end}{tail}"


def _requests(log: Path) -> list[str]:
    document = json.loads(log.read_text(encoding="utf-8", errors="replace"))
    start = document["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [event.get("params", {}) for event in document["events"] if event["type"] == start]
    return sorted(
        {
            entry["url"]
            for entry in asked
            if entry.get("initiator") != _OWN and not entry.get("url", "data:").startswith(("file:", "data:"))
        }
    )
