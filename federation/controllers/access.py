"""What this controller reaches of one member with the credentials that are stored for it: its Gate, and its watches.

A cluster whose identity (kube-system's UID) is not the recorded one, or is another joined cluster's, is refused:
nothing is read from it and nothing written to it. Its probe is what shows that it is there (presence.Source).
"""

import functools
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from federation.controllers import servedversions, tokens
from federation.controllers.fanout import Fanout, Wake
from federation.controllers.following import Following, Retry
from federation.controllers.identities import Identities
from federation.controllers.ports import Gate, HubPort
from federation.controllers.presence import Presence
from federation.controllers.push import Pusher
from federation.controllers.world import Member, TypeState, World
from federation.core import health
from federation.model import marks
from federation.model.conditions import ClusterReason, HostRefusesReason
from federation.model.failures import Failure
from federation.model.federated import StoredObject
from federation.runtime.starting import Starting, Turn
from federation.runtime.tasks import Tasks

TOLD_AGAIN = 60.0
"""Seconds within which it is told once that the cluster was restored: each of its types shows that by itself. And a
type whose list was wrong is listed once: a server whose memory is not that of its store gives the same list again."""
FACTS_PERIOD = 600.0
"""Seconds between two readings of version, region and zones."""
FACTS_LATER = 60.0
"""Seconds in which a fleet that was ready before our start is asked for them."""

RESTORED = "ClusterRestored"

log = structlog.get_logger()


class Access:
    """That to one member. What it finds out is told to its `presence`, and shown by it.

    `identities` knows which cluster an identity belongs to. `retry(name, type, upgraded=...)` is called when one of its
    types can be watched again, or is defined otherwise. `confirmed(name)` is called when a probe has shown that this is
    the cluster that was joined. `secret(name)` is the one that is in use.
    """

    def __init__(
        self,
        name: str,
        world: World,
        hub: HubPort,
        presence: Presence,
        *,
        hub_uid: str,
        wake: Wake,
        fanout: Fanout,
        identities: Identities,
        retry: Retry,
        confirmed: Callable[[str], Awaitable[None]],
        secret: Callable[[str], StoredObject | None],
    ) -> None:
        self.gate: Gate | None = None
        self._name = name
        self._world = world
        self._presence = presence
        self._hub_uid = hub_uid
        self._identities = identities
        self._confirmed = confirmed
        self._secret = secret
        self._tasks = Tasks()
        self._discovery = servedversions.Discovery(name, world, fanout, functools.partial(retry, upgraded=True))
        self._following = Following(name, world, self, wake=wake, fanout=fanout, retry=retry)
        self._renewal = tokens.Renewal(name, hub, functools.partial(presence.host_refuses, HostRefusesReason.TOKEN))
        self._facts: dict[str, Any] = {}
        self._facts_at = -FACTS_PERIOD
        self._went_back_at = -TOLD_AGAIN
        self._relisted: dict[str, float] = {}
        self._verified = False
        self._turn: Turn | None = None

    @property
    def _member(self) -> Member:
        return self._world.members[self._name]

    # --- configuration -------------------------------------------------------------------------------------------

    def open(self, gate: Gate, starting: Starting, *, was_ready: bool) -> None:
        """Begin with a Gate; the first probe comes when it has its turn in `starting`. Nothing is written before it.

        `was_ready`: what the controller before us has read is good for a while, and there is more urgent work.
        """
        self.gate = gate
        self._discovery.begin()
        late = random.random() * FACTS_LATER if was_ready else 0.0
        self._facts_at = time.monotonic() - FACTS_PERIOD + late
        self._tasks.keep(lambda: self._probe(starting), f"probe:{self._name}")
        self._tasks.keep(lambda: self._renewal.run(gate, lambda: self._secret(self._name)), f"token:{self._name}")

    async def close(self) -> None:
        """End every loop and connection; what was observed of the member's objects is kept."""
        self._unverified()
        await self._tasks.cancel()
        self.listed()
        await self._following.close()
        if self.gate is not None:
            await self.gate.close()
            self.gate = None

    def kick(self) -> None:
        """Credentials or rights may be new: probe and watch now."""
        self._presence.host_refuses(HostRefusesReason.TOKEN, None)
        self._presence.request_look()
        self._renewal.changed()
        self._following.kick()

    def _unverified(self) -> None:
        """It is not known which cluster answers, if any: nothing is written."""
        self._verified = False
        self._member.carrier = self._member.port = None

    # --- watches -------------------------------------------------------------------------------------------------

    def enabled(self, state: TypeState) -> None:
        """A type was enabled: watch it, once it is known in which version."""
        if state.type.target.group:
            self._discovery.begin()
            self._presence.request_look()  # which reads the versions, then watches
        else:
            self._following.align()

    def realign(self) -> None:
        """A type's statuses are to be collected, or not any more: watch it in that way."""
        self._following.align()

    async def unfollow(self, type_name: str) -> None:
        """Stop watching a type."""
        await self._following.unfollow(type_name)

    @property
    def verified_gate(self) -> Gate | None:
        """The Gate to it; None while there is none, or while it is not known which cluster answers."""
        return self.gate if self._verified else None

    def missing(self, type_name: str) -> None:
        """A type is not served, or its definition has changed: probe now, and read in which versions it is served."""
        self._discovery.hint(type_name)
        self._presence.request_look()

    def listed(self) -> None:
        """Every type that is followed has been listed, or cannot be: the next member may be taken up."""
        if self._turn is not None:
            self._turn.end()
            self._turn = None

    def watch_changed(self, type_name: str, *, hint: bool) -> None:
        """The watch of a type fails, or works again: the next probe, which is now, reports it."""
        if hint:
            self._discovery.hint(type_name)
        self._presence.request_look()

    def relist(self, type_name: str) -> None:
        """A list of this type was wrong: list again, but not for each of the objects that it is wrong about."""
        now = time.monotonic()
        if now - self._relisted.get(type_name, -TOLD_AGAIN) >= TOLD_AGAIN:
            self._relisted[type_name] = now
            self._following.renew(type_name)

    def went_back(self, evidence: str) -> None:
        """It was restored from a backup, or has another store: everything there is listed again and compared."""
        if time.monotonic() - self._went_back_at < TOLD_AGAIN:
            return
        self._went_back_at = time.monotonic()
        log.warning("cluster restored", cluster=self._name, evidence=evidence)
        self._presence.tell(
            RESTORED,
            f"it has gone back in time ({evidence} do): it was restored from a backup, or has another store. "
            "Everything there is listed again, and put right where it is not as it should be",
        )
        self._following.renew()

    # --- presence.Source -----------------------------------------------------------------------------------------

    async def _probe(self, starting: Starting) -> None:
        self.listed()
        self._turn = await starting.begin()
        await self._presence.run(self)

    async def look(self) -> health.Probe | None:
        """Source: one authorised request, and what else is to be read of a cluster that is the right one."""
        assert self.gate is not None  # noqa: S101 - the loop lives exactly as long as its gate
        stored = self._presence.object
        noted = stored.metadata.annotations if stored is not None else {}
        recorded = noted.get(marks.IDENTITY_ANNOTATION, "")
        identity = await self.gate.identify(self._world.settings.health.timeout, recorded)
        if isinstance(identity, Failure):
            self._identities.silent(self._name)
            return None if identity.late else health.failed(identity)
        refusal = await self._check_identity(identity)
        if refusal is None:
            return None  # other clusters are to show their identity first
        if refusal:
            await self._distrust()
            return health.malformed(refusal)
        self._verified = True
        if self._member.port is not self.gate.writer:
            self._member.port, self._member.carrier = self.gate.writer, Pusher(self.gate.writer)
        await self._confirmed(self._name)
        now = time.monotonic()
        if now - self._facts_at >= FACTS_PERIOD or self._presence.health.ready is False:
            await self._read_facts()
        self._following.reassess(await self._discovery.look(self.gate))
        silent = self._following.silent(now)
        if silent:
            return health.Probe(
                ClusterReason.NOT_READY, f"answers, but its watches do not: {', '.join(sorted(silent))}"
            )
        return health.READY

    async def looked(self) -> None:
        """Source: what is enabled and what is followed are the same again."""
        self._following.align()
        if not self._verified:
            self.listed()  # it is not to be listed
        await self._following.ended()

    def back(self, *, away: bool) -> None:
        """Source."""
        if away:
            self._following.renew()  # its watches may have gone on, over another store
        self._following.kick()

    @property
    def facts(self) -> Mapping[str, Any]:
        """Source: version, region and zones."""
        return self._facts

    @property
    def news(self) -> object:
        """Source."""
        return self._facts_at, self._following.changes

    def with_conditions(self, conditions: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
        """Source: Synced."""
        return self._following.with_synced(conditions, now)

    async def _distrust(self) -> None:
        """This is not the cluster that was joined: forget what was observed, watch nothing and write nothing."""
        self._unverified()
        self._discovery.begin()  # what it serves is forgotten, too
        await self._following.forget()

    async def _check_identity(self, identity: str) -> str | None:
        """Why this cluster must not be touched; "" when it is the one that was joined, None while that is unknown."""
        stored = self._presence.object
        if stored is None:
            return "the KubeFedCluster is gone"
        recorded = stored.metadata.annotations.get(marks.IDENTITY_ANNOTATION)
        if recorded and recorded != identity:
            return (
                f"another cluster answers here: its identity is {identity}, {recorded} was joined. "
                f"If that is intended, unjoin {self._name} and join it again"
            )
        refusal = await self._identities.claim(self._name, identity)
        if refusal != "":
            return refusal
        is_host = identity == self._hub_uid
        if self._member.cluster.is_host != is_host:
            self._presence.update(replace(self._member.cluster, is_host=is_host))
        return ""

    async def _read_facts(self) -> None:
        assert self.gate is not None  # noqa: S101 - only looks call this
        version = await self.gate.version()
        if isinstance(version, str):
            if self._facts.get("kubernetesVersion", version) != version:
                self._discovery.hint()
            self._facts["kubernetesVersion"] = version
        topology = await self.gate.topology()
        if not isinstance(topology, Failure):
            self._facts["region"], self._facts["zones"] = topology[0], list(topology[1])
        self._facts_at = time.monotonic()
