"""A membership whose credentials come from its own registration: `fedctl agent run` without a kubeconfig for the hub.

It waits for its first certificate, then runs as any other; the certificate is renewed, and the hub hears its heartbeat.
"""

import asyncio
from collections.abc import Callable

import structlog

from federation.agent.heartbeat import Heartbeat
from federation.agent.membership import Identity, Membership
from federation.agent.registering import AGENT, Registration
from federation.kube.connection import Connection
from federation.kube.endpoint import Endpoint
from federation.runtime.tasks import Tasks

log = structlog.get_logger()


class Registered:
    """`run` until cancelled. `begun` is called with the membership, once there is one.

    `label` names the hub in metrics of requests; "": by the cluster, where a process has several.
    """

    def __init__(
        self, member: Endpoint, namespace: str, agent_id: str, label: str, begun: Callable[[Membership], None]
    ) -> None:
        self._endpoint = member
        self._namespace = namespace
        self._agent_id = agent_id
        self._label = label
        self._begun = begun
        self._member = Connection("member", member, agent=f"{AGENT}-registration", few=1)
        self._registration = Registration(self._member, namespace)
        self._membership: Membership | None = None
        self._hub: Connection | None = None

    @property
    def problem(self) -> str:
        """Why there is no membership yet, or will be none; "" where all is well."""
        return self._registration.problem

    async def run(self) -> None:
        """Register, then carry the membership."""
        tasks = Tasks()
        try:
            endpoint = await self._registration.first()
            held = self._registration.held
            log.info("registered", cluster=held.cluster, agent=held.agent, hub=endpoint.server)
            self._label = self._label or f"hub/{held.cluster}"
            if self._membership is None:
                who = Identity(held.cluster, self._namespace, self._agent_id)
                self._membership = Membership(who, endpoint, self._endpoint, label=self._label)
                self._begun(self._membership)
            await self._follow(endpoint)
            heartbeat = Heartbeat(self._present, self._member, held.cluster, held.agent)
            tasks.keep(lambda: self._registration.serve(self._follow), f"registration:{held.cluster}")
            tasks.keep(heartbeat.serve, f"heartbeat:{held.cluster}")
            tasks.keep(self._membership.run, f"membership:{held.cluster}")
            await asyncio.Event().wait()
        finally:
            await tasks.cancel()

    async def close(self) -> None:
        """End its connections; the membership's are its own."""
        await self._member.close()
        if self._hub is not None:
            await self._hub.close()

    def _present(self) -> Connection:
        assert self._hub is not None  # noqa: S101 - the heartbeat begins after the first certificate
        return self._hub

    async def _follow(self, endpoint: Endpoint) -> None:
        before, self._hub = self._hub, Connection(self._label, endpoint, agent=f"{AGENT}-heartbeat", few=1)
        if before is not None:
            await before.close()
        if self._membership is not None:
            await self._membership.follow(endpoint)
