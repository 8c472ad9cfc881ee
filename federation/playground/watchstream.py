"""One watch through the fault proxy: whole lines at a time, until it ends or a fault hits it.

`faultproxy` makes one for every watch request, and applies to it the faults that are injected while it is open.
"""

import asyncio

import aiohttp
from aiohttp import web

from federation.playground import faults, wire
from federation.playground.faults import Fault
from federation.playground.requestinfo import RequestInfo

CUT_NOW = Fault(kind="cut")  # compared by identity: cut at once, not in the next event
_UNFINISHED = b'{"type":"MODIFIED","object":{"kind":"'


class OpenWatch:
    """A watch from its request on; `streaming` when the API server has answered (`changed` is set then)."""

    def __init__(self, info: RequestInfo, fault: Fault | None, changed: asyncio.Event) -> None:
        self.info = info
        self._changed = changed
        self.streaming = False
        self._fault: asyncio.Future[Fault] = asyncio.get_running_loop().create_future()
        self._cutting = False  # the next event's line is cut
        if fault is not None:
            self.apply(fault)

    def apply(self, fault: Fault) -> None:
        """Let a fault (cut, blackhole, expire, mute) hit this watch; only the first one counts."""
        if not self._fault.done():
            self._fault.set_result(fault)

    async def run(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Pass the API server's stream on to the client of `request`."""
        response = web.StreamResponse(status=answer.status, headers=wire.passed_on(answer.headers))
        await response.prepare(request)
        self.streaming = True
        self._changed.set()
        reading: asyncio.Task[bytes] | None = None
        rest = b""
        try:
            while True:
                reading = reading or asyncio.create_task(answer.content.readany())
                await asyncio.wait((reading, self._fault), return_when=asyncio.FIRST_COMPLETED)
                if self._fault.done() and await self._hit(request, response):
                    return response
                if not reading.done():
                    continue
                data, reading = reading.result(), None
                if not data:
                    return response
                lines, newline, rest = (rest + data).rpartition(b"\n")
                if newline and self._cutting:
                    first = lines.partition(b"\n")[0]
                    await response.write(first[: len(first) // 2])
                    wire.close(request)
                    return response
                if newline:
                    await response.write(lines + newline)
        except (aiohttp.ClientError, OSError):
            # The connection to the API server broke, so the client's is closed as well.
            wire.abort(request)
            return response
        finally:
            if reading is not None:
                reading.cancel()

    async def _hit(self, request: web.BaseRequest, response: web.StreamResponse) -> bool:
        """Carry out the fault; True if it ends the watch."""
        fault = self._fault.result()
        if fault is CUT_NOW:
            await response.write(_UNFINISHED)
            wire.close(request)
            return True
        match fault.kind:
            case "cut":
                self._cutting = True
                self._fault = asyncio.get_running_loop().create_future()
                return False
            case "expire":
                await response.write(faults.error_event())
                return True
            case _:
                await wire.forever()
                return True
