"""Keep one member's token alive: ask the member for a fresh one at half its life and store it in the hub's Secret.

The new token comes back through the Secret's watch, as any other change of credentials does (`clusters`).
"""

import asyncio
import base64
import random
import time
from collections.abc import Callable

import orjson
import structlog

from federation.controllers.ports import Gate, HubPort
from federation.model.failures import Failure
from federation.model.federated import StoredObject
from federation.model.resources import SECRETS, ObjectName

RENEWED_IN_VAIN = 1800.0
"""Seconds before a token is renewed once more when the last renewal has changed nothing."""

log = structlog.get_logger()


class Renewal:
    """The renewal loop of one member."""

    def __init__(self, name: str, hub: HubPort) -> None:
        self._name = name
        self._hub = hub
        self._other_token = asyncio.Event()

    def changed(self) -> None:
        """Other credentials came: their half-life may be sooner."""
        self._other_token.set()

    async def run(self, gate: Gate, cluster: Callable[[], StoredObject | None]) -> None:
        """Renew until cancelled: an expired token cannot renew itself. `cluster` is the KubeFedCluster now."""
        renewed: tuple[float, float] | None = None
        while True:
            self._other_token.clear()
            lifetime = gate.token_lifetime
            if lifetime is None:
                await self._other_token.wait()
                continue
            issued, ends = lifetime
            due = issued + (ends - issued) / 2
            wait = due - time.time()
            if wait > 0:
                await self._sleep(min(wait, 3600.0))  # a clock may be set meanwhile
                continue
            if renewed == lifetime:
                log.warning("renewed token is not in use; does the Secret hold a kubeconfig, too?", cluster=self._name)
                await self._sleep(min(RENEWED_IN_VAIN, (ends - issued) / 8))
                renewed = None
                continue
            if not await self._renew(gate, cluster, int(ends - issued)):
                await self._sleep(30.0 + random.random() * 30.0)
                continue
            renewed = lifetime
            await self._sleep(5.0)  # the new token comes back through the Secret's watch

    async def _sleep(self, seconds: float) -> None:
        """Sleep, or less when another token comes."""
        try:
            async with asyncio.timeout(seconds):
                await self._other_token.wait()
        except TimeoutError:
            return

    async def _renew(self, gate: Gate, cluster: Callable[[], StoredObject | None], lifetime: int) -> bool:
        before = gate.token_lifetime
        token = await gate.renew_token(lifetime)
        stored = cluster()
        if gate.token_lifetime != before:
            return True  # somebody stored other credentials meanwhile: theirs are meant to hold
        if isinstance(token, Failure):
            log.warning("token not renewed", cluster=self._name, reason=token.message)
            return False
        return stored is not None and await self._store(stored, token)

    async def _store(self, cluster: StoredObject, token: str) -> bool:
        name = str((cluster.spec.get("secretRef") or {}).get("name", ""))
        body = {"data": {"token": base64.b64encode(token.encode()).decode()}}
        answer = await self._hub.merge(SECRETS, ObjectName(cluster.metadata.namespace, name), orjson.dumps(body))
        if isinstance(answer, Failure):
            log.warning("renewed token not stored", cluster=self._name, reason=answer.message)
            return False
        log.info("token renewed", cluster=self._name)
        return True
