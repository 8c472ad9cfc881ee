"""The agent's sign of life at its hub: the Lease `managed-cluster-lease` in its cluster's namespace there, renewed."""

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

    async def serve(self) -> None:
        """Beat, again and again; one that fails is tried again within a few seconds."""
        while True:
            failure = await self.beat()
            told = failure.message if failure is not None else ""
            if told and told != self._failing:
                log.warning("the hub does not hear us", cluster=self._where.namespace, reason=told)
            self._failing = told
            period = PERIOD if failure is None else PERIOD / 6
            await asyncio.sleep(period * (0.9 + random.random() / 10))

    async def beat(self) -> Failure | None:
        """One beat."""
        await self._read_version()
        noted = {heartbeats.AGENT_VERSION_ANNOTATION: __version__}
        if self._version:
            noted[heartbeats.VERSION_ANNOTATION] = self._version
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
        if now - self._asked < FACTS and self._version:
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
