"""A federation made as people make one, whose links can be cut: for what is looked at, and not for what CPU is.

Every real cluster has its controller manager, so that garbage is collected, Deployments have Pods and the hub signs
certificates; nothing runs a Pod. Between the hub and each member there is one link (playground.relay): the controller's
to the member in push mode, the agent's to the hub in pull mode. Members join by `fedctl join`, or register by `fedctl
token create`, `register` and `accept`; each agent is a process with the rights of its own account in the member.
"""

import asyncio
import dataclasses
import shlex
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from federation.comparing import agents
from federation.comparing.agents import Agent
from federation.comparing.client import APPLY, Client
from federation.comparing.fleet import FEDERATED, HOST, TYPES, Fleet
from federation.comparing.model import Subject
from federation.comparing.person import Person, Side
from federation.joining import agents as agents_in_members
from federation.joining import setup, tokens
from federation.joining.contexts import Contexts
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName
from federation.playground import access, processes
from federation.playground.clusters import Playground
from federation.playground.relay import Relay

FEDERATED_VERSION = "types.kubefed.io/v1beta1"
ACCOUNT = "work-agent"
"""The agent's service account, as `fedctl register` makes it."""
PATIENCE = 120.0
"""Seconds for what must come true."""
_LOOK = 0.1


@dataclass(slots=True)
class Member:
    """One member: its client, and its link."""

    name: str
    client: Client
    link: Relay
    pulls: bool = False
    agent: Agent | None = None


class Site:
    """Use as an async context manager; leaving it ends every process and removes the files.

    `push` and `pull` are the members of each mode, `waiting` clusters that are no members yet; `types` are enabled,
    `settings` are fields of the KubeFedConfig's spec.
    """

    def __init__(
        self,
        report: Callable[[str], None],
        *,
        push: Sequence[str] = ("m1", "m2"),
        pull: Sequence[str] = ("e1", "e2"),
        waiting: Sequence[str] = (),
        types: Sequence[str] = TYPES,
        settings: Mapping[str, Any] = setup.NOTHING_HELD,
    ) -> None:
        self._fleet = Fleet(report, prefix="federation-compare-", types=types, settings=settings)
        self._push, self._pull, self._waiting = tuple(push), tuple(pull), tuple(waiting)
        self._types = tuple(types)
        self._settings = settings
        self._stack = AsyncExitStack()
        self.members: dict[str, Member] = {}

    async def __aenter__(self) -> Self:
        self._stack.enter_context(self._fleet)
        self._stack.push_async_callback(self._end)
        try:
            await self._bring_up()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _bring_up(self) -> None:
        names = (*self._push, *self._pull, *self._waiting)
        every = (HOST, *names)
        self._fleet.playground = await asyncio.to_thread(
            Playground.up,
            self._fleet.directory / "playground",
            every,
            controller_manager=every,
            report=self._fleet.report,
        )
        await setup.everything(str(self.playground.kubeconfig), HOST, (), self._types, settings=self._settings)
        self.person = Person(self.playground.kubeconfig)
        self.hub = await self._stack.enter_async_context(Client(self._fleet.cluster(HOST)))
        for name in names:
            client = await self._stack.enter_async_context(Client(self._fleet.cluster(name)))
            self.members[name] = Member(name, client, Relay(processes.free_port(set()), 0))
        await asyncio.to_thread(self._fleet.start_controller)
        await self.join(*self._push)
        await self.register(*self._pull)
        await self.ready(*self._push, *self._pull)

    async def _end(self) -> None:
        for member in self.members.values():
            await self.stop_agent(member.name)
            await member.link.cut()

    def of(self, subject: str) -> list[Member]:
        """The members that are in the mode of a subject."""
        pulls = subject != Subject.PUSH
        return [each for each in self.members.values() if each.pulls is pulls]

    # --- the clusters ----------------------------------------------------------------------------------------------

    @property
    def playground(self) -> Playground:
        """The control planes."""
        return self._fleet.playground

    @property
    def directory(self) -> Path:
        """For files of the site; removed with it."""
        return self._fleet.directory

    def _port(self, cluster: str) -> int:
        return int(self._fleet.cluster(cluster).url.rpartition(":")[2])

    async def _linked(self, name: str, server: str) -> Relay:
        """The member's link, from now on to the API server of `server`."""
        member = self.members[name]
        await member.link.cut()
        member.link = Relay(processes.free_port(set()), self._port(server))
        await member.link.mend()
        return member.link

    async def join(self, *names: str) -> None:
        """Push: one command for all of them, by somebody who is admin of the hub and of the members."""
        for name in names:
            link = await self._linked(name, name)
            await self.person.types(
                Side.BOTH,
                *("join", name, f"--cluster-context={name}", f"--host-cluster-context={HOST}"),
                f"--api-endpoint={link.url}",
                carries=[f"token of the hub's account in {name}, to the hub"],
            )

    async def register(self, *names: str, start: bool = True) -> None:
        """Pull: a token at the hub, with which the members register, an agent in each, and a word at the hub."""
        for name in names:
            link = await self._linked(name, HOST)
            made = await self.person.types(Side.HUB, "token", "create", f"--context={HOST}", f"--hub={link.url}")
            command = shlex.split(made.out.replace("NAME", name))[1:]
            token = command[command.index("--token") + 1]
            carried = [f"token that may ask, to {name}"]
            await self.person.types(Side.MEMBER, *command, f"--context={name}", carries=carried, secret=token)
            self.members[name].pulls = True
            if start:
                await self.start_agent(name)
            await self.until(partial(self._asks, name), f"{name} asks to be a member")
            await self.person.types(Side.HUB, "accept", name, f"--context={HOST}")

    async def _asks(self, name: str) -> bool:
        said = await self.person.looks("get", "registrations", name, f"--context={HOST}")
        return "Waits" in said.out

    async def start_agent(self, name: str) -> None:
        """As a Pod in the member would run it: with its own account's rights there."""
        member = self.members[name]
        async with Contexts(str(self.playground.kubeconfig)) as contexts:
            granted = await tokens.request(await contexts.open(name), ObjectName(agents_in_members.NAMESPACE, ACCOUNT))
        config = self.directory / f"{name}.agent.kubeconfig"
        config.touch(mode=0o600)
        config.write_bytes(access.kubeconfig([dataclasses.replace(self._fleet.cluster(name), token=granted.token)]))
        member.agent = agents.start(self.directory, name, f"--kubeconfig={config}")
        await asyncio.to_thread(member.agent.wait, "livez")

    async def stop_agent(self, name: str) -> None:
        """As its Pod's end."""
        member = self.members[name]
        if member.agent is not None:
            await asyncio.to_thread(member.agent.stop)
            member.agent = None

    async def lose_hub(self) -> None:
        """The host cluster is gone, with its controller: SIGKILL to both."""
        await asyncio.to_thread(self._fleet.kill_controller)
        await asyncio.to_thread(self.playground.kill, HOST)

    async def find_hub(self) -> float:
        """It is there again, and its controller is started; the time when its API server answered (perf_counter)."""
        await asyncio.to_thread(self.playground.restart, HOST)
        answers = time.perf_counter()
        await asyncio.to_thread(self._fleet.start_controller)
        return answers

    async def ready(self, *names: str) -> None:
        """Wait until these are Ready at the hub."""

        async def are() -> bool:
            found = await self.clusters()
            return all(condition(found.get(name, {}), "Ready") == "True" for name in names)

        await self.until(are, f"Ready: {', '.join(names)}")

    async def clusters(self) -> dict[str, dict[str, Any]]:
        """The KubeFedClusters, by name."""
        listed = await self.hub.get(KUBEFED_CLUSTERS.collection(SYSTEM_NAMESPACE))
        return {item["metadata"]["name"]: item for item in listed["items"]}

    # --- what users do ---------------------------------------------------------------------------------------------

    async def federate(self, namespace: str, members: Sequence[Member]) -> None:
        """A namespace that these members get."""
        await self.hub.send("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        await self.put("FederatedNamespace", namespace, namespace, members, {})
        for each in members:
            await self.until(
                partial(_has, each.client, f"/api/v1/namespaces/{namespace}"), f"{namespace} in {each.name}"
            )

    async def put(
        self, kind: str, namespace: str, name: str, members: Sequence[Member], template: Mapping[str, Any]
    ) -> None:
        """A federated object of a kind, new or as it is to be from now on."""
        body = {
            "apiVersion": FEDERATED_VERSION,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"template": template, "placement": {"clusters": [{"name": each.name} for each in members]}},
        }
        await self.hub.send("PATCH", f"{self.path(kind, namespace, name)}?fieldManager=user&force=true", body, APPLY)

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete a federated object."""
        await self.hub.send("DELETE", self.path(kind, namespace, name))

    async def clear(self, namespace: str) -> None:
        """Delete a namespace at the hub, with all that is federated there; it goes from the members after that."""
        for kind in ("federatedconfigmaps", "federatednamespaces"):
            await self.hub.send("DELETE", f"{FEDERATED}/{namespace}/{kind}")
        await self.hub.send("DELETE", f"/api/v1/namespaces/{namespace}")

    def path(self, kind: str, namespace: str, name: str) -> str:
        """Of a federated object at the hub."""
        return f"{FEDERATED}/{namespace}/{kind.lower()}s/{name}"

    async def until(self, true: Callable[[], Awaitable[bool]], what: str, within: float = PATIENCE) -> float:
        """Wait for it; the time when it was seen (perf_counter). Raises TimeoutError that says what did not come."""
        ends = time.monotonic() + within
        while not await true():
            if time.monotonic() > ends:
                raise TimeoutError(f"not within {within:g} s: {what}")
            await asyncio.sleep(_LOOK)
        return time.perf_counter()


def condition(item: Mapping[str, Any], kind: str) -> str:
    """The status of one condition; empty where there is none."""
    found = (item.get("status") or {}).get("conditions") or ()
    return next((str(each["status"]) for each in found if each["type"] == kind), "")


async def _has(client: Client, path: str) -> bool:
    return (await client.ask("GET", path))[0] == 200
