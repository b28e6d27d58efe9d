"""Pages in a real browser without a window: what a script finds there, what the console says, and what is asked of the net.

Chromium alone is enough, no driver: the script that looks is added to a copy of the page, and its findings come back in the
document that Chromium prints.
"""

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=20000",
    "--enable-logging=stderr", "--v=0",
)  # fmt: skip
_OWN: Final = re.compile(r"https?://([a-z0-9-]+\.)*(google|googleapis|gvt1|gstatic)\.com[/:?]")
"""What Chromium asks for by itself, whatever the page."""


@dataclass(frozen=True)
class Visit:
    """What was seen.

    Attributes:
        found: what the script returned.
        console: lines the page wrote to the console, errors among them.
        requests: addresses that were asked for, without the page itself and its data.
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


def visit(page: str, folder: Path, *, script: str = "return null;", width: int = 1400, height: int = 12000) -> Visit:
    """Open a page and run a script in it.

    Args:
        page: the HTML document.
        folder: for the copy and what the browser leaves.
        script: body of an async function; what it returns, as JSON, is what was found.
        width: of the window, in px.
        height: of the window, in px: all of a long page is in sight.
    """
    looking = (
        "<script>(async () => { let found; try { found = {value: await (async () => {" + script + "})()}; }"
        " catch (failure) { found = {failure: String(failure)}; }"
        " const box = document.createElement('pre'); box.id = 'found'; box.textContent = JSON.stringify(found);"
        " document.body.append(box); })();</script>"
    )
    # The copy may also run the script that looks; the page itself may not.
    copy = re.sub(r"script-src '[^']*'", "script-src 'unsafe-inline'", page).replace("</body>", looking + "</body>")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "page.html").write_text(copy, encoding="utf-8")
    process = subprocess.run(
        [browser(), *_FLAGS, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={folder / 'net.json'}",
         f"--window-size={width},{height}", "--dump-dom", (folder / "page.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    answer = re.search(r'<pre id="found">(.*?)</pre>', process.stdout, flags=re.DOTALL)
    assert answer is not None, process.stderr
    found = json.loads(html.unescape(answer.group(1)))
    assert "failure" not in found, found
    console = [line for line in process.stderr.splitlines() if "CONSOLE" in line]
    return Visit(found.get("value"), console, _requests(folder / "net.json"))


def _requests(log: Path) -> list[str]:
    addresses = re.findall(r'"url":"([^"]+)"', log.read_text(encoding="utf-8", errors="replace"))
    asked = {address for address in addresses if not address.startswith(("file:", "data:", "chrome", "about:"))}
    return sorted(address for address in asked if not _OWN.match(address))
