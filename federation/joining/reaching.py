"""The ways to the members of a host: by the user's own kubeconfig, or with the credentials that the host has stored."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from federation.joining import fleet, roles
from federation.joining.contexts import Contexts
from federation.joining.errors import Refused
from federation.joining.fleet import Member
from federation.kube.connection import Connection


@dataclass(frozen=True, slots=True)
class Way:
    """An open connection to a member. `own`: with the user's own rights there, not the controller's."""

    connection: Connection
    own: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """The ways to the host and, by it or by the user's kubeconfig, to its members."""

    contexts: Contexts
    host: Connection
    namespace: str

    async def member(self, member: Member, lent: AsyncExitStack) -> Connection:
        """A connection, open until `lent` is closed. Raises ApiFailure, Unusable."""
        connection = await self.own(member, lent)
        return connection if connection is not None else await self.stored(member, lent)

    async def own(self, member: Member, lent: AsyncExitStack) -> Connection | None:
        """The user's own connection, by a context of the kubeconfig; None where there is none. Raises likewise."""
        return await roles.member_connection(self.contexts, member, lent)

    async def stored(self, member: Member, lent: AsyncExitStack) -> Connection:
        """One with the controller's credentials, for whoever may read them at the host. Raises likewise."""
        connection = await roles.stored_connection(self.host, self.namespace, member)
        lent.push_async_callback(connection.close)
        return connection

    async def verified(self, member: Member, connection: Connection) -> None:
        """Raise Refused where another cluster answers than the one that was joined; ApiFailure where none does."""
        identity = await fleet.shown(connection, member)
        if member.uid and identity != member.uid:
            raise Refused(f"another cluster answers there: its identity is {identity}, {member.uid} was joined")

    async def way(self, member: Member, lent: AsyncExitStack, *, stored: bool, timeout: float) -> Way:
        """The way to a member, open until `lent` is closed: the user's own, else with the stored credentials.

        With `stored`, with those in any case. Raises ApiFailure, Unusable and Refused: where it leads to another
        cluster, or nothing answers within `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                own = None if stored else await self.own(member, lent)
                connection = own if own is not None else await self.stored(member, lent)
                await self.verified(member, connection)
        except TimeoutError:
            raise Refused(f"does not answer within {timeout:g} s") from None
        return Way(connection, own is not None)
