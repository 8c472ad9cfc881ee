"""A way to a cluster that can be cut: a port of 127.0.0.1 that passes every byte on, as a network's link does.

Unlike the fault proxy (`faultproxy`) it looks at nothing, so that TLS, and with it a client's certificate, is between
the two ends. `python -m federation.playground.relay PORT SERVER-PORT` is one that is cut by ending the process.
"""

import asyncio
import contextlib
import sys
from collections.abc import Sequence

_PIECE = 65536


class Relay:
    """From `port` to the server at port `server`. It lets through from `mend` on, until `cut`."""

    def __init__(self, port: int, server: int) -> None:
        self._port = port
        self._there = server
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Its address."""
        return f"https://127.0.0.1:{self._port}"

    async def mend(self) -> None:
        """Let through."""
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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)
        onward: asyncio.StreamWriter | None = None
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self._there)
            async with asyncio.TaskGroup() as group:
                ways = [group.create_task(self._pass(*each)) for each in ((reader, onward), (there, writer))]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
        except (asyncio.CancelledError, OSError):
            pass  # cut, or nobody listens there; the server's own callback would report it
        finally:
            for each in (writer, onward):
                if each is not None:
                    each.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while content := await reader.read(_PIECE):
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
