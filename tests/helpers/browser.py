"""A real browser without a window, driven over its own protocol: pages are opened, and links are clicked by a mouse."""

import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 60.0  # seconds, on a busy machine
PLACE = "(location.pathname.split('/').slice(-1)[0] + location.hash)"


class Browser:
    """One tab. Raises AssertionError where something does not come in time."""

    def __init__(self, socket: Any):
        self.socket, self.numbers = socket, itertools.count(1)
        self.command("Page.enable")

    def command(self, method: str, **values: Any) -> dict[str, Any]:
        """The protocol's answer to a command."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": values}))
        while True:
            answer = json.loads(self.socket.recv(timeout=PATIENCE))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def read(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = self.command("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def open(self, page: Path, place: str = "") -> float:
        """Load a page; milliseconds until it was there with all that it shows."""
        self.command("Page.navigate", url=page.resolve().as_uri() + place)
        self._until("location.protocol == 'file:' && document.readyState == 'complete'")
        return self.read("performance.getEntriesByType('navigation')[0].loadEventEnd")

    def click(self, selector: str, number: int = 0) -> str:
        """Press the mouse in the middle of an element; the place that the browser is at then: file#part."""
        find = f"document.querySelectorAll({json.dumps(selector)})[{number}]"
        assert self.read(f"!!{find}"), f"{self.place}: no {selector} {number}"
        self.read(f"{find}.scrollIntoView({{block: 'center'}})")
        box = self.read(f"(b => [b.x, b.y, b.width, b.height])({find}.getClientRects()[0])")
        mouse = {"x": box[0] + box[2] / 2, "y": box[1] + box[3] / 2, "button": "left", "clickCount": 1}
        before = self.place
        self.command("Input.dispatchMouseEvent", type="mousePressed", **mouse)
        with contextlib.suppress(AssertionError):  # the page may go before it has answered
            self.command("Input.dispatchMouseEvent", type="mouseReleased", **mouse)
        self._until(f"document.readyState == 'complete' && {PLACE} != {json.dumps(before)}")
        return self.place

    def resize(self, width: int, height: int = 900, dark: bool = False) -> None:
        """The screen of a phone or a desk."""
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                     mobile=width < 700)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    @property
    def place(self) -> str:
        """The page and the part of it."""
        return self.read(PLACE)

    def check_pages(self, folder: Path, width: int, dark: bool) -> None:
        """No page of the folder is wider than the screen, none of its texts runs, and each has the theme's paper."""
        self.resize(width, dark=dark)
        for path in sorted(folder.rglob("*.html")):
            self.open(path)
            assert self.read("document.documentElement.scrollWidth") <= width, path
            boxes = "[...document.querySelectorAll('.scroll')]"
            assert self.read(f"{boxes}.every(box => box.scrollWidth <= box.clientWidth)")
            assert self.read("document.title") != "ruled"
            paper = self.read("getComputedStyle(document.body).backgroundColor")
            assert paper == ("rgb(20, 23, 26)" if dark else "rgb(252, 252, 250)")

    def _until(self, script: str) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(AssertionError):  # a page that is about to go
                if self.read(script):
                    return
            time.sleep(0.02)
        raise AssertionError(f"{script}: not within {PATIENCE:g} s")


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own in `folder`."""
    from websockets.sync.client import connect

    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run"]
    command += [f"--user-data-dir={folder / 'profile'}", "about:blank"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with connect(_address(folder / "profile" / "DevToolsActivePort"), max_size=None, proxy=None) as socket:
            yield Browser(socket)
    finally:
        child.terminate()
        child.wait(timeout=PATIENCE)


def _address(port_file: Path) -> str:
    """Of the tab's socket, when the browser listens."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError, IndexError):
            port = int(port_file.read_text().splitlines()[0])
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE) as answer:
                tabs = json.load(answer)
            return next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        time.sleep(0.05)
    raise AssertionError("the browser does not listen")
