"""Keep one member's token alive: ask the member for a fresh one at half its life and store it in the hub's Secret.

The new token comes back through the Secret's watch, as any other change of credentials does (`clusters`). When it is
due is reckoned on the monotonic clock from when the token was first seen. How old it was then, the member says, whose
clock issues and ends it; it is asked again every hour, for its clock may be set. Our own clock counts only where the
member does not say (before Kubernetes 1.28), and not where it cannot be right.
"""

import asyncio
import base64
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import orjson
import structlog

from federation.controllers.ports import Gate, HubPort
from federation.model.failures import Failure
from federation.model.federated import StoredObject
from federation.model.resources import SECRETS
from federation.runtime import metrics

RENEWED_IN_VAIN = 1800.0
"""Seconds before a token is renewed once more when the last renewal has changed nothing."""
LOOK = 3600.0
"""Seconds after which the member's clock is looked at again."""
SHORTEST = 60.0
"""Seconds between two renewals, whatever lifetime a token claims."""
SKEW = 300.0
"""Seconds by which a member's clock may be ahead of ours; a token from further in the future is of unknown age."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Seen:
    """One token: its lifetime (issued, ends), and when half of it is over (monotonic seconds).

    `offset` is by how much the member's clock was past the issue of a token that was fresh; None: it is not known.
    """

    lifetime: tuple[float, float]
    due: float
    offset: float | None = 0.0

    @classmethod
    def now(cls, lifetime: tuple[float, float], there: float | None, *, fresh: bool) -> "_Seen":
        """`there` is the member's time."""
        issued, ends = lifetime
        life = ends - issued
        age = 0.0 if fresh else (time.time() if there is None else there) - issued
        if age < -SKEW:
            age = life  # our clock, or the member's, is wrong: its age is unknown
        offset = 0.0 if not fresh else None if there is None else there - issued
        return cls(lifetime, time.monotonic() + max(0.0, life / 2 - max(0.0, age)), offset)

    def at(self, there: float | None) -> "_Seen":
        """The same, due now if the member's clock has come to half of its life."""
        issued, ends = self.lifetime
        past = there is not None and self.offset is not None and there - issued - self.offset >= (ends - issued) / 2
        return replace(self, due=min(self.due, time.monotonic())) if past else self


async def _clock(gate: Gate) -> float | None:
    there = await gate.clock()
    return None if isinstance(there, Failure) else there


def _show(name: str, lifetime: tuple[float, float] | None) -> None:
    """When the token began and ends, as metrics."""
    for metric, moment in zip((metrics.TOKEN_ISSUED, metrics.TOKEN_EXPIRY), lifetime or (None, None), strict=True):
        if moment is None:
            metric.forget(name)
        else:
            metric.labels(name).set(moment)


class Renewal:
    """The renewal loop of one member.

    `stored` is called with why the hub did not store a renewed token, and with None when it did.
    """

    def __init__(self, name: str, hub: HubPort, stored: Callable[[Failure | None], None]) -> None:
        self._name = name
        self._hub = hub
        self._stored = stored
        self._other_token = asyncio.Event()

    def changed(self) -> None:
        """Other credentials came: their half-life may be sooner."""
        self._other_token.set()

    async def run(self, gate: Gate, secret: Callable[[], StoredObject | None]) -> None:
        """Renew until cancelled: an expired token cannot renew itself. `secret` is the one the gate was made of."""
        seen: _Seen | None = None
        renewed: tuple[float, float] | None = None
        while True:
            self._other_token.clear()
            lifetime = gate.token_lifetime
            _show(self._name, lifetime)
            if lifetime is None:
                await self._other_token.wait()
                continue
            if seen is None or seen.lifetime != lifetime:
                seen = _Seen.now(lifetime, await _clock(gate), fresh=renewed is not None)
                if renewed is not None:
                    renewed = None
                    await asyncio.sleep(SHORTEST)  # a life of no length must not be a loop
            wait = seen.due - time.monotonic()
            if wait > 0:
                await self._sleep(min(wait, LOOK))
                seen = seen.at(await _clock(gate))
                continue
            life = lifetime[1] - lifetime[0]
            if not gate.renewable:
                log.warning(
                    "the token in the stored kubeconfig is not renewed here: store another before it ends",
                    cluster=self._name,
                    half_of_its_life_s=int(life / 2),
                )
                await self._sleep(max(SHORTEST, life / 8))
                continue
            if renewed == lifetime:
                log.warning("renewed token is not in use: its Secret was not read anew", cluster=self._name)
                await self._sleep(max(SHORTEST, min(RENEWED_IN_VAIN, life / 8)))
                renewed = None
                continue
            stored = await self._renew(gate, secret, int(life))
            if stored is False:
                await self._sleep(30.0 + random.random() * 30.0)
                continue
            renewed = lifetime if stored else None
            await self._sleep(5.0)  # the new token comes back through the Secret's watch

    async def _sleep(self, seconds: float) -> None:
        """Sleep, or less when another token comes."""
        try:
            async with asyncio.timeout(seconds):
                await self._other_token.wait()
        except TimeoutError:
            return

    async def _renew(self, gate: Gate, secret: Callable[[], StoredObject | None], lifetime: int) -> bool | None:
        """Whether a fresh token was stored; None: somebody stored other credentials, which count."""
        before, replaced = gate.token_lifetime, secret()
        token = await gate.renew_token(lifetime)
        if gate.token_lifetime != before:
            return None
        if isinstance(token, Failure):
            log.warning("token not renewed", cluster=self._name, reason=token.message)
            return False
        if replaced is None:
            log.warning("renewed token not stored: the Secret is another by now", cluster=self._name)
            return False
        return await self._store(replaced, token)

    async def _store(self, secret: StoredObject, token: str) -> bool:
        """Put it into the Secret as it was before: what somebody has stored since, or another Secret, is not ours."""
        same = {"uid": secret.metadata.uid, "resourceVersion": secret.metadata.resource_version}
        body = {"metadata": same, "data": {"token": base64.b64encode(token.encode()).decode()}}
        answer = await self._hub.merge(SECRETS, secret.where, orjson.dumps(body))
        self._stored(answer if isinstance(answer, Failure) else None)
        if isinstance(answer, Failure):
            log.warning("renewed token not stored", cluster=self._name, reason=answer.message)
            return False
        log.info("token renewed", cluster=self._name)
        return True
