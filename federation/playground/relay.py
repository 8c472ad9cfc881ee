"""A way to a cluster as a network has it: it passes every byte on, takes its time, can be cut, and can go silent.

Unlike the fault proxy (`faultproxy`) it looks at nothing, so that TLS, and with it a client's certificate, is between
the two ends. `python -m federation.playground.relay PORT SERVER-PORT` is one that is cut by ending the process.
"""

import asyncio
import contextlib
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_PIECE = 65536
_UNDER_WAY = 64
"""Pieces of one direction of one connection that are on their way at most; who sends more waits."""
_RESENT = 0.2
"""Seconds after which Linux sends a lost segment again at the earliest (TCP_RTO_MIN), beside the round trip."""


@dataclass(frozen=True, slots=True)
class Link:
    """How long bytes take. `round_trip` in seconds; `loss` is the part of the pieces that are lost at first.

    What is lost arrives when TCP has sent it again, and so does all that follows on its connection. A new connection
    takes a round trip before its first byte. Bandwidth is not limited.
    """

    round_trip: float = 0.0
    loss: float = 0.0

    def takes(self, chance: float) -> float:
        """Seconds of one piece, one way; `chance` is drawn evenly from 0 to 1."""
        return self.round_trip / 2 + (self.round_trip + _RESENT if chance < self.loss else 0.0)


LOOPBACK = Link()


class Relay:
    """From `port` to the server at port `server`. It lets through from `mend` on, until `cut`."""

    def __init__(self, port: int, server: int, link: Link = LOOPBACK, *, seed: int = 0) -> None:
        self._port = port
        self._there = server
        self.link = link
        """May be changed while bytes pass: it is that of each piece that comes from then on."""
        self._random = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self._speaks = asyncio.Event()
        self._speaks.set()

    @property
    def url(self) -> str:
        """Its address."""
        return f"https://127.0.0.1:{self._port}"

    async def mend(self) -> None:
        """Let through."""
        self._speaks.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def cut(self) -> None:
        """End what is open, and refuse what comes."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        await asyncio.sleep(0.05)  # what was aborted closes its sockets in the next turns of the loop

    def hang(self) -> None:
        """Pass nothing on from now: connections stay open, new ones are accepted, and nobody hears anything."""
        self._speaks.clear()

    def resume(self) -> None:
        """Pass on what has waited, and all that comes."""
        self._speaks.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)
        onward: asyncio.StreamWriter | None = None
        try:
            await asyncio.sleep(self.link.round_trip)
            there, onward = await asyncio.open_connection("127.0.0.1", self._there)
            async with asyncio.TaskGroup() as group:
                for way in ((reader, onward), (there, writer)):
                    group.create_task(self._pass(*way))
        except (asyncio.CancelledError, OSError):
            pass  # cut, or nobody listens there; the server's own callback would report it
        finally:
            for each in (writer, onward):
                if each is not None:
                    each.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, until its sender ends it; that takes its time, too."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY)
        taking = asyncio.create_task(self._take(reader, pieces))
        try:
            await self._give(pieces, writer)
        finally:
            taking.cancel()

    async def _take(self, reader: asyncio.StreamReader, pieces: asyncio.Queue[tuple[float, bytes]]) -> None:
        now = asyncio.get_running_loop().time
        content = b"begin"
        while content:
            try:
                content = await reader.read(_PIECE)
            except OSError:
                content = b""
            await pieces.put((now() + self.link.takes(self._random.random()), content))

    async def _give(self, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time
        with contextlib.suppress(OSError):
            while True:
                due, content = await pieces.get()
                await asyncio.sleep(due - now())
                await self._speaks.wait()
                if not content:
                    writer.write_eof()
                    return
                writer.write(content)
                await writer.drain()


async def _forever(port: int, server: int) -> None:
    await Relay(port, server).mend()
    await asyncio.Event().wait()


def main(arguments: Sequence[str]) -> None:
    """Let through until the process ends."""
    port, server = map(int, arguments)
    asyncio.run(_forever(port, server))


if __name__ == "__main__":
    main(sys.argv[1:])
