"""One joined member cluster, alive: whether it is there (`presence`), and what is reached of it (`access`).

Owned by `clusters`. The two know nothing of each other but what presence.Source says: presence is found out by a probe
with stored credentials here, and a cluster that is reached in another way has another source, and no access.
"""

from collections.abc import Awaitable, Callable

from federation.controllers.access import Access
from federation.controllers.fanout import Fanout, Wake
from federation.controllers.following import Retry
from federation.controllers.identities import Identities
from federation.controllers.ports import EventPoster, Gate, HubPort
from federation.controllers.presence import Presence
from federation.controllers.world import TypeState, World
from federation.core import health
from federation.model.federated import StoredObject
from federation.runtime.starting import Starting


class JoinedMember:
    """The live side of one KubeFedCluster (ports.Live); see Access for what it is made with."""

    def __init__(
        self,
        name: str,
        world: World,
        hub: HubPort,
        *,
        hub_uid: str,
        wake: Wake,
        fanout: Fanout,
        identities: Identities,
        retry: Retry,
        confirmed: Callable[[str], Awaitable[None]],
        secret: Callable[[str], StoredObject | None],
        events: EventPoster,
    ) -> None:
        self.name = name
        self.presence = Presence(name, world, hub, fanout=fanout, retry=retry, events=events)
        self.access = Access(
            name,
            world,
            hub,
            self.presence,
            hub_uid=hub_uid,
            wake=wake,
            fanout=fanout,
            identities=identities,
            retry=retry,
            confirmed=confirmed,
            secret=secret,
        )
        self._identities = identities

    @property
    def object(self) -> StoredObject | None:
        """Its KubeFedCluster."""
        return self.presence.object

    @property
    def gate(self) -> Gate | None:
        """The Gate to it; None while there are no credentials that can be used."""
        return self.access.gate

    # --- configuration, by clusters ------------------------------------------------------------------------------

    async def open(self, gate: Gate, starting: Starting) -> None:
        """Start with a new Gate; the first probe comes when it has its turn in `starting`, and nothing is written
        before it.
        """
        self.presence.begin(again=self.gate is not None)
        await self.access.close()
        self.access.open(gate, starting, was_ready=self.presence.health.was_ready)

    async def close(self) -> None:
        """End every loop and connection; what was observed of the member's objects is kept."""
        await self.access.close()

    async def refuse(self, message: str) -> None:
        """The stored configuration cannot be used: close, and remember why; `report` writes it to the status."""
        await self.close()
        self._identities.silent(self.name)
        self.presence.assess(health.malformed(message), self.access)

    async def report(self) -> None:
        """Write the KubeFedCluster's status. Raises ApiFailure where the hub refuses it, so that it is tried again."""
        await self.presence.report(self.access)

    def kick(self) -> None:
        """Credentials or rights may be new: probe and watch now."""
        self.access.kick()

    # --- types, by clusters --------------------------------------------------------------------------------------

    def enabled(self, state: TypeState) -> None:
        """A type was enabled: watch it, once it is known in which version."""
        self.access.enabled(state)

    def realign(self) -> None:
        """A type's statuses are to be collected, or not any more: watch it in that way."""
        self.access.realign()

    async def unfollow(self, type_name: str) -> None:
        """Stop watching a type."""
        await self.access.unfollow(type_name)

    # --- Live ----------------------------------------------------------------------------------------------------

    def relist(self, type_name: str) -> None:
        """A list of this type was wrong: list again."""
        self.access.relist(type_name)

    def went_back(self, evidence: str) -> None:
        """The cluster has shown that it is in a state of before: list everything again, and tell."""
        self.access.went_back(evidence)

    def tell(self, reason: str, message: str) -> None:
        """A warning as an event on the KubeFedCluster."""
        self.presence.tell(reason, message)
