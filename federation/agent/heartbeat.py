"""The agent's sign of life at its hub: the Lease `managed-cluster-lease` in its cluster's namespace there, renewed.

An agent that lives says nothing of its member: it looks at the member's API server, too, and a beat says what it finds
wrong there. What changes in that is told at once, as OCM's agents tell it in a condition.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import orjson
import structlog

from federation import __version__
from federation.kube.connection import MERGE_PATCH, Connection
from federation.model.failures import Failure, FailureKind
from federation.model.resources import LEASES, ObjectName
from federation.registration import heartbeats, names

PERIOD = float(names.LEASE_SECONDS)
"""Seconds between two beats; the hub waits for five."""
LOOK = 15.0
"""Seconds between two looks at the member's API server."""
FAILURES = 2
"""Looks in a row that fail before something is wrong."""
FACTS = 600.0
"""Seconds between two looks at the member's version."""

log = structlog.get_logger()


class Heartbeat:
    """Beats until cancelled. `hub` gives the connection to the hub that is in use now; the member tells its version."""

    def __init__(self, hub: Callable[[], Connection], member: Connection, cluster: str, agent: str) -> None:
        self._hub = hub
        self._member = member
        self._agent = agent
        self._where = ObjectName(cluster, names.LEASE)
        self._version = ""
        self._asked = -FACTS
        self._failing = ""
        self._trouble = ""
        self._failures = 0

    async def serve(self) -> None:
        """Beat, again and again; one that fails is tried again within a few seconds."""
        due = 0.0
        while True:
            told = self._trouble
            await self._look()
            if self._trouble != told or time.monotonic() >= due:
                failure = await self.beat()
                self._tell(failure.message if failure is not None else "")
                period = PERIOD if failure is None else PERIOD / 6
                due = time.monotonic() + period * (0.9 + random.random() / 10)
            await asyncio.sleep(max(0.0, min(LOOK, due - time.monotonic())))

    def _tell(self, failing: str) -> None:
        if failing and failing != self._failing:
            log.warning("the hub does not hear us", cluster=self._where.namespace, reason=failing)
        self._failing = failing

    async def _look(self) -> None:
        """Whether the member's API server answers, and takes requests. One that may not be asked that answers."""
        answer = await self._member.request("GET", "/readyz", deadline=LOOK / 2)
        trouble = ""
        if (
            isinstance(answer, Failure)
            and answer.kind.concerns == "member"
            and answer.kind is not FailureKind.THROTTLED
        ):
            trouble = answer.message or str(answer.kind)
        self._failures = self._failures + 1 if trouble else 0
        if bool(trouble) is bool(self._trouble) or 0 < self._failures < FAILURES:
            return
        self._trouble = trouble
        if trouble:
            log.warning("member not well", cluster=self._where.namespace, reason=trouble)
        else:
            log.info("member well again", cluster=self._where.namespace)

    async def beat(self) -> Failure | None:
        """One beat."""
        await self._read_version()
        noted = heartbeats.notes(__version__, self._version, self._trouble)
        spec = dict(heartbeats.spec(self._agent, time.time(), max(1, round(PERIOD))))
        body: dict[str, Any] = {"metadata": {"annotations": noted}, "spec": spec}
        hub, path = self._hub(), LEASES.path(self._where)
        answer = await hub.request("PATCH", path, body=orjson.dumps(body), content_type=MERGE_PATCH)
        if isinstance(answer, Failure) and answer.kind is FailureKind.NOT_FOUND:
            body["metadata"]["name"] = self._where.name
            answer = await hub.request("POST", LEASES.collection(self._where.namespace), body=orjson.dumps(body))
        return answer if isinstance(answer, Failure) else None

    async def _read_version(self) -> None:
        now = time.monotonic()
        if self._failures or (now - self._asked < FACTS and self._version):
            return
        answer = await self._member.request("GET", "/version")
        if isinstance(answer, Failure):
            return
        try:
            found = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            return
        version = found.get("gitVersion") if isinstance(found, dict) else None
        if isinstance(version, str):
            self._version, self._asked = version[:63], now
