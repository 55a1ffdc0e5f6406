"""Chromium through playwright, cut off from every network, with a report open from a file."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

import pytest

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--mute-audio",
)  # fmt: skip
AXE = "axe.min.js"


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a browser, or skip the test where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install 'sepkit[dev]'"
    )
    path = which("chromium")
    if not path:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    with playwright.sync_playwright() as api:
        browser = api.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Visit:
    """A page, what it asked the network for, and what it complained of."""

    def __init__(self, context: Any, path: Path) -> None:
        context.set_offline(True)
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    @property
    def position(self) -> float:
        """Seconds."""
        return float(self.page.get_attribute(".seek", "aria-valuenow"))

    def wait_for(self, happened: Callable[[], bool]) -> None:
        """Wait until something has happened. The page's policy lets nobody evaluate code in it again and again."""
        for _ in range(400):
            if happened():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError("it has not happened within 20 s")

    @property
    def plays(self) -> bool:
        return self.page.locator(".play").inner_text() == "Pause"

    def faults(self) -> list[str]:
        """Return the serious faults that axe finds."""
        self.page.evaluate(axe())
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        return [
            f"{fault['id']}: {node['html'][:200]}"
            for fault in found
            if fault["impact"] in {"serious", "critical"}
            for node in fault["nodes"]
        ]


def axe() -> str:
    """Return axe-core's code, from the file or folder that AXE_CORE names; skip the test where it names none."""
    named = os.environ.get("AXE_CORE")
    if not named:
        pytest.skip("AXE_CORE does not name axe-core: npm install axe-core, AXE_CORE=node_modules/axe-core")
    path = Path(named)
    return (path / AXE if path.is_dir() else path).read_text(encoding="utf-8")
