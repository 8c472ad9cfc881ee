"""A real browser for tests: headless Chromium, spoken to by its DevTools protocol over a web socket on 127.0.0.1.

A machine may lack it: then `find` says None and a test skips. Debian and Ubuntu: apt install chromium.
"""

import asyncio
import base64
import contextlib
import itertools
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-address=127.0.0.1",
    "--remote-debugging-port=0",
)
_PATIENCE = 60
"""Seconds for any answer: a busy machine is no finding."""


def find() -> str | None:
    """The program; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass(slots=True)
class Tab:
    """One page of it."""

    socket: aiohttp.ClientWebSocketResponse
    requested: list[str] = field(default_factory=list)
    """Addresses that the page asked for."""
    complaints: list[str] = field(default_factory=list)
    """Of the browser about the page."""
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def ask(self, method: str, **arguments: Any) -> Any:
        """A command's result; AssertionError with what the browser says against it."""
        number = next(self._numbers)
        await self.socket.send_json({"id": number, "method": method, "params": arguments})
        return (await self._until(lambda message: message.get("id") == number))["result"]

    async def show(self, page: Path, *, width: int, dark: bool) -> None:
        """Load a page in a window of that width, in light or dark."""
        await self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.ask(f"{domain}.enable")
        await self.ask("Page.navigate", url=page.as_uri())
        await self._until(lambda message: message.get("method") == "Page.loadEventFired")

    async def value(self, expression: str) -> Any:
        """Of JavaScript that the test brings along."""
        found = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def picture(self, *, whole: bool = True) -> bytes:
        """A PNG of the page."""
        found = await self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(found["data"])

    async def _until(self, wanted: Any) -> Any:
        async with asyncio.timeout(_PATIENCE):
            while True:
                message = await self.socket.receive_json()
                assert "error" not in message, message
                self._note(message)
                if wanted(message):
                    return message

    def _note(self, message: Any) -> None:
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(message["params"]["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(message["params"]["exceptionDetails"]))


@contextlib.asynccontextmanager
async def tab(program: str, folder: Path) -> AsyncIterator[Tab]:
    """A browser with one page, ended at the end; `folder` is for its own files."""
    process = await asyncio.create_subprocess_exec(
        program,
        *_FLAGS,
        f"--user-data-dir={folder}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await _port(folder / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
                address = (await answer.json())["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                yield Tab(socket)
                with contextlib.suppress(TimeoutError, TypeError, AssertionError):
                    await Tab(socket).ask("Browser.close")
    finally:
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _port(file: Path) -> int:
    async with asyncio.timeout(_PATIENCE):
        while True:
            lines = file.read_text().splitlines() if file.exists() else []  # noqa: ASYNC240 (a few bytes)
            if lines:
                return int(lines[0])
            await asyncio.sleep(0.05)
