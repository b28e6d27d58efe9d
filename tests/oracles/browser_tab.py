"""A tab of a real browser under the fingers of a test: keys are pressed as a keyboard presses them, and the page answers.

Chromium is spoken to through a pipe in its own protocol (DevTools), no driver between. Time is the real one: whoever waits
asks for a condition.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from oracles.browser import browser

_FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
    "--window-size=1400,1000",
)  # fmt: skip
_KEYS: Final = {
    "Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " "), "End": (35, ""), "Home": (36, ""),
    "ArrowLeft": (37, ""), "ArrowRight": (39, ""), "ArrowDown": (40, ""), "ArrowUp": (38, ""),
}  # fmt: skip
_CTRL, _SHIFT = 2, 8
_PATIENCE_S: Final = 60


class Tab:
    """A page in a browser.

    Args:
        commands: where commands are written to.
        answers: where answers and events are read from.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._number, self._rest = 0, b""
        self._session: str | None = None
        self.console: list[str] = []

    def open(self, address: str) -> None:
        """Open a page and wait until it is loaded."""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._ask(f"{domain}.enable")
        self._ask("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, as JSON."""
        answer = self._ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until a condition in JavaScript holds."""
        until = time.monotonic() + _PATIENCE_S
        while not self.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < until, f"never: {condition}"
            time.sleep(0.02)

    def press(self, key: str, *, times: int = 1, shift: bool = False, command: str = "") -> None:
        """Press and release a key.

        Args:
            key: its name, or a letter.
            times: how often.
            shift: whether Shift is held.
            command: what the key does while Ctrl is held, such as `paste`.
        """
        code, text = _KEYS[key] if key in _KEYS else (ord(key.upper()) if key.isalnum() else 0, key)
        held = (_SHIFT if shift else 0) | (_CTRL if command else 0)
        what = {"key": key, "code": key if len(key) > 1 else "", "windowsVirtualKeyCode": code, "modifiers": held}
        for _ in range(times):
            typed = {"text": text} if text and not command else {"commands": [command]} if command else {}
            self._ask("Input.dispatchKeyEvent", type="keyDown" if typed else "rawKeyDown", **what, **typed)
            self._ask("Input.dispatchKeyEvent", type="keyUp", **what)

    def type(self, text: str) -> None:
        """Press the keys of a text one after the other."""
        for letter in text:
            self.press(letter)

    def tab_to(self, condition: str, *, back: bool = False) -> None:
        """Press Tab, or Shift and Tab, until a condition on the focused element, `document.activeElement`, holds."""
        for _ in range(400):
            if self.evaluate(f"Boolean({condition})"):
                return
            self.press("Tab", shift=back)
        msg = f"the Tab key never comes to: {condition}"
        raise AssertionError(msg)

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}:
            self.console.append(json.dumps(event["params"]))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = os.read(self._answers, 1 << 16)
            assert read, "the browser has ended"
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def tab_of(page: str, folder: Path) -> Iterator[Tab]:
    """Open a page in a browser of its own, which ends with the block; the test is skipped where there is none.

    Args:
        page: the HTML document.
        folder: for the page and what the browser leaves.
    """
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8", newline="\n")
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    words = [browser(), *_FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    # Chromium reads commands from file 3 and writes answers to file 4.
    shell = ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", *words]
    with subprocess.Popen(shell, pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL) as process:
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            tab = Tab(ours_out, ours_in)
            tab.open(path.as_uri())
            yield tab
        finally:
            process.kill()
            os.close(ours_in)
            os.close(ours_out)
