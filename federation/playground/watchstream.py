"""One watch that passes through the fault proxy: whole lines at a time, until it ends or meets its fate.

`faultproxy` opens one for every watch request, and strikes it with the faults that are injected while it is open.
"""

import asyncio

import aiohttp
from aiohttp import web

from federation.playground import faults, wire
from federation.playground.faults import Fault
from federation.playground.requestinfo import RequestInfo

CUT_NOW = Fault(kind="cut")  # by identity: not in the next event, but at once
_UNFINISHED = b'{"type":"MODIFIED","object":{"kind":"'


class OpenWatch:
    """A watch from the moment its request arrives; `streaming` (told by `news`) once the API server has answered."""

    def __init__(self, info: RequestInfo, fault: Fault | None, news: asyncio.Event) -> None:
        self.info = info
        self._news = news
        self.streaming = False
        self._fate: asyncio.Future[Fault] = asyncio.get_running_loop().create_future()
        self._doomed = False  # the next event's line is cut
        if fault is not None:
            self.strike(fault)

    def strike(self, fault: Fault) -> None:
        """Let a fault (cut, blackhole, expire, mute) happen to it; the first one counts."""
        if not self._fate.done():
            self._fate.set_result(fault)

    async def run(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Pass the API server's stream on to the client of `request`."""
        response = web.StreamResponse(status=answer.status, headers=wire.passed_on(answer.headers))
        await response.prepare(request)
        self.streaming = True
        self._news.set()
        reading: asyncio.Task[bytes] | None = None
        rest = b""
        try:
            while True:
                reading = reading or asyncio.create_task(answer.content.readany())
                await asyncio.wait((reading, self._fate), return_when=asyncio.FIRST_COMPLETED)
                if self._fate.done() and await self._meet(request, response):
                    return response
                if not reading.done():
                    continue
                data, reading = reading.result(), None
                if not data:
                    return response
                lines, newline, rest = (rest + data).rpartition(b"\n")
                if newline and self._doomed:
                    first = lines.partition(b"\n")[0]
                    await response.write(first[: len(first) // 2])
                    wire.close(request)
                    return response
                if newline:
                    await response.write(lines + newline)
        except (aiohttp.ClientError, OSError):
            # The API server has broken off, so the client's connection breaks as well.
            wire.abort(request)
            return response
        finally:
            if reading is not None:
                reading.cancel()

    async def _meet(self, request: web.BaseRequest, response: web.StreamResponse) -> bool:
        """Let the fate happen; True if that was the end."""
        fate = self._fate.result()
        if fate is CUT_NOW:
            await response.write(_UNFINISHED)
            wire.close(request)
            return True
        match fate.kind:
            case "cut":
                self._doomed = True
                self._fate = asyncio.get_running_loop().create_future()
                return False
            case "expire":
                await response.write(faults.error_event())
                return True
            case _:
                await wire.forever()
                return True
