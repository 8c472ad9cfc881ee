"""Post events to the hub, and post them again until it has accepted them.

What an event reports is often nowhere else (why a copy went, what of a template is left out), so that a hub which is
away for a moment, or refuses events for a while, must not make it lost. Every event has its name before it is posted:
one that was stored though its answer was lost is met by its name, and not stored twice. When the controller ends, what
waits gets its last tries side by side (`finish`).
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import structlog

from federation.controllers.ports import HubPort
from federation.controllers.refusals import Refusals
from federation.model.failures import Failure, FailureKind
from federation.model.resources import EVENTS, Key
from federation.runtime import backoff
from federation.runtime.keyqueue import KeyQueue

MOST = 1024
"""Events that wait; beyond, the oldest are dropped."""
AGAIN = (1.0, 600.0)
"""Seconds before an event is posted once more: first and longest."""
AWAY = (0.5, 30.0)
"""The same before anything is posted again to a hub that does not answer."""
LAST_TRIES = 4
"""Events that are posted side by side when the controller ends."""
_SETTLED = {
    FailureKind.ALREADY_EXISTS,
    FailureKind.NAMESPACE_TERMINATING,
    FailureKind.NAMESPACE_MISSING,
    FailureKind.NOT_FOUND,
    FailureKind.INVALID,
    FailureKind.TOO_LARGE,
}
"""Answers after which another try is no use."""

Post = Callable[[Key, dict[str, Any]], None]
"""Poster.post."""

log = structlog.get_logger()


class Poster:
    """Posts events, in the background and in their order as far as the hub accepts them; `serve` is its worker."""

    def __init__(self, hub: HubPort) -> None:
        self._hub = hub
        self._queue: KeyQueue[str] = KeyQueue()
        self._waiting: OrderedDict[str, tuple[Key, dict[str, Any]]] = OrderedDict()
        self._refusals = Refusals()
        self._again: backoff.Backoff[str] = backoff.Backoff(base=AGAIN[0], cap=AGAIN[1])
        self._unanswered = 0

    def post(self, key: Key, event: dict[str, Any]) -> None:
        """Post an event about the object with this key."""
        name = str(event["metadata"]["name"])
        self._waiting[name] = key, event
        self._queue.add(name)
        while len(self._waiting) > MOST:
            dropped, (about, what) = self._waiting.popitem(last=False)
            self._again.forget(dropped)
            log.warning("event dropped", key=str(about), reason=what["reason"], message=what["message"])

    async def serve(self) -> None:
        """Post until cancelled."""
        while True:
            name = await self._queue.take()
            try:
                await self._post(name)
            finally:
                self._queue.done(name)

    async def finish(self, seconds: float) -> int:
        """Post what waits, now that `serve` has ended; how many the hub has not accepted by then, and are lost."""
        names = iter(list(self._waiting))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for _ in range(LAST_TRIES):
                    group.create_task(self._finish(names))
        if self._waiting:
            about = [f"{key}: {event['reason']}" for key, event in list(self._waiting.values())[:3]]
            log.warning("events lost", events=len(self._waiting), first=about)
        return len(self._waiting)

    async def _finish(self, names: Iterator[str]) -> None:
        for name in names:
            attempt = 0
            while (refused := await self._accepted(name)) is not None and refused.concerns == "member":
                await asyncio.sleep(max(backoff.delay(attempt, base=AWAY[0], cap=AWAY[1]), refused.retry_after or 0.0))
                attempt += 1

    async def _accepted(self, name: str) -> Failure | None:
        """Post an event; why it still waits, or None when it does not."""
        found = self._waiting.get(name)
        if found is None:
            return None
        key, event = found
        refused = await self._hub.create(EVENTS, event["metadata"]["namespace"], event)
        if refused is None or refused.kind in _SETTLED:
            self._waiting.pop(name, None)
            self._again.forget(name)
            self._unanswered = 0
            if refused is None or refused.kind is FailureKind.ALREADY_EXISTS:
                self._refusals.accepted(key, "event")
            else:
                log.debug("event not posted", key=str(key), reason=refused.message)
            return None
        log.debug("event not posted", key=str(key), reason=refused.message)
        self._refusals.record(key, "event", refused)
        return refused

    async def _post(self, name: str) -> None:
        refused = await self._accepted(name)
        if refused is None:
            return
        if refused.concerns != "member":
            self._queue.add_after(name, self._again.next(name))
            return
        wait = backoff.delay(self._unanswered, base=AWAY[0], cap=AWAY[1])
        self._unanswered += 1
        self._queue.add(name)
        await asyncio.sleep(max(wait, refused.retry_after or 0.0))
