"""A seeded mixture of what users, members' admins, networks and power cuts do to a federation, and what must be left.

`Chaos.run` draws one act after the other for some seconds; `heal` takes every fault back; `differences` compares what
the members hold with what the hub says, by an oracle that shares no code with the controller: it reads the hub's YAML
again and computes each member's objects from it.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from federation.model.errors import ApiFailure
from federation.model.marks import MANAGED_LABEL, SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, NAMESPACES
from federation.playground.faults import Fault, Injected
from tests.clusters.faulty import Faulty
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    Api,
    federated,
    ready,
)

MEMBERS = ("m1", "m2")
NAMES = tuple(f"o{number}" for number in range(12))
KEYS = ("a", "b", "c")
GROUP = "chaos"
"""The label of KubeFedClusters that selectors match."""


def _without_users(copy: dict[str, Any], expected: dict[str, dict[str, str]]) -> dict[str, str]:
    """The data of a copy, without keys that a user in the member owns and the hub does not have.

    Who changes a key there after the hub has left it out, and before that was pushed, owns it: it stays, as
    server-side apply has it.
    """
    entries = [each for each in copy["metadata"].get("managedFields") or () if each["manager"] == "tests"]
    users = {key.removeprefix("f:") for each in entries for key in each["fieldsV1"].get("f:data") or {}}
    wanted = expected.get(copy["metadata"]["name"], {})
    return {key: value for key, value in (copy.get("data") or {}).items() if key in wanted or key not in users}


class Chaos:
    """One run. `told` is what was done, for a failing run's message."""

    def __init__(self, faulty: Faulty, namespaces: tuple[str, ...], seed: int) -> None:
        self.reported: list[str] = []
        self._faulty = faulty
        self._namespaces = namespaces
        self._random = random.Random(seed)
        self._down: dict[str, str] = {}
        self._lies: list[Injected] = []
        self._acts: tuple[tuple[int, Callable[[], Awaitable[str]]], ...] = (
            (14, self._create),
            (12, self._update),
            (6, self._place),
            (4, self._override),
            (5, self._delete),
            (2, self._relabel_cluster),
            (2, self._place_namespace),
            (8, self._edit_copy),
            (3, self._delete_copy),
            (3, self._label_copy),
            (7, self._fault),
            (3, self._clear),
            (3, self._outage),
            (3, self._lie),
            (2, self._kill_controller),
        )

    # --- doing -----------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Namespaces that both members hold."""
        for namespace in self._namespaces:
            await self._faulty.federate(namespace)

    async def run(self, seconds: float) -> None:
        """Act after act."""
        weights = [weight for weight, _ in self._acts]
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            act = self._random.choices(self._acts, weights)[0][1]
            try:
                self.reported.append(await act())
            except ApiFailure as failure:
                self.reported.append(f"{act.__name__}: {failure.failure.kind.name}")
            await asyncio.sleep(self._random.random() * 0.25)

    async def heal(self) -> None:
        """No fault, no outage, nobody who says "keep away", and a controller."""
        for member in list(self._down):
            await self._up(member)
        for proxy in self._faulty.proxies:
            proxy.inject(Fault("refuse"))
            proxy.clear()
        for member in MEMBERS:
            for copy in await self._copies(member):
                if copy["metadata"]["labels"][MANAGED_LABEL] != "true":
                    await self._label(member, copy, None)
        if self._faulty.controller.process is None or self._faulty.controller.process.poll() is not None:
            await self._faulty.restart()

    # --- looking ---------------------------------------------------------------------------------------------------

    async def differences(self) -> list[str]:
        """Where members, or statuses at the hub, are not what they must be; [] when all is well."""
        found: list[str] = []
        for namespace in self._namespaces:
            objects = await self._faulty.host.items(FEDERATED_CONFIGMAPS, namespace)
            expected = await self._expected(namespace, objects)
            for member in MEMBERS:
                held = {
                    copy["metadata"]["name"]: _without_users(copy, expected[member])
                    for copy in await self._copies(member)
                    if copy["metadata"]["namespace"] == namespace
                    and copy["metadata"]["labels"][MANAGED_LABEL] == "true"
                }
                for name in sorted(held.keys() | expected[member].keys()):
                    if held.get(name) != expected[member].get(name):
                        wanted = expected[member].get(name)
                        found.append(f"{member} {namespace}/{name}: expected {wanted}, holds {held.get(name)}")
            for stored in objects:
                where = f"{namespace}/{stored['metadata']['name']}"
                if stored["metadata"].get("deletionTimestamp"):
                    found.append(f"{where}: still being deleted")
                elif not ready(stored):
                    found.append(f"{where}: not Ready: {(stored.get('status') or {}).get('conditions')}")
        return found

    async def _expected(self, namespace: str, objects: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, str]]]:
        groups = {
            cluster["metadata"]["name"]: (cluster["metadata"].get("labels") or {}).get(GROUP)
            for cluster in await self._faulty.host.items(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE)
        }
        around = await self._faulty.host.get(FEDERATED_NAMESPACES, namespace, namespace)
        within = {entry["name"] for entry in around["spec"]["placement"]["clusters"]} if around else set()
        expected: dict[str, dict[str, dict[str, str]]] = {member: {} for member in MEMBERS}
        for stored in objects:
            spec = stored["spec"]
            if "clusters" in spec["placement"]:
                selected = {entry["name"] for entry in spec["placement"]["clusters"]}
            else:
                wanted = spec["placement"]["clusterSelector"]["matchLabels"][GROUP]
                selected = {name for name, group in groups.items() if group == wanted}
            for member in selected & within & set(MEMBERS):
                data = dict(spec["template"]["data"])
                for override in spec.get("overrides") or ():
                    if override["clusterName"] == member:
                        for change in override["clusterOverrides"]:
                            data[change["path"].removeprefix("/data/")] = change["value"]
                expected[member][stored["metadata"]["name"]] = data
        return expected

    async def _copies(self, member: str) -> list[dict[str, Any]]:
        api = self._api(member)
        listed = await api.connection.read(CONFIGMAPS.collection(), params={"labelSelector": MANAGED_LABEL})
        return [copy for copy in listed["items"] if copy["metadata"]["namespace"] in self._namespaces]

    def _api(self, member: str) -> Api:
        return self._faulty.m1 if member == "m1" else self._faulty.m2

    # --- users at the hub ------------------------------------------------------------------------------------------

    def _draw(self) -> tuple[str, str]:
        return self._random.choice(self._namespaces), self._random.choice(NAMES)

    def _placement(self) -> dict[str, Any]:
        if self._random.random() < 0.3:
            return {"clusters": None, "clusterSelector": {"matchLabels": {GROUP: self._random.choice("xy")}}}
        chosen = self._random.choice((["m1", "m2"], ["m1", "m2"], ["m1"], ["m2"], []))
        return {"clusters": [{"name": name} for name in chosen], "clusterSelector": None}

    def _value(self) -> str:
        return f"{self._random.randrange(10**6)}"

    def _overrides(self) -> list[dict[str, Any]]:
        member, key = self._random.choice(MEMBERS), self._random.choice(KEYS)
        change = {"op": "add", "path": f"/data/{key}", "value": self._value()}
        return [{"clusterName": member, "clusterOverrides": [change]}] if self._random.random() < 0.7 else []

    async def _create(self) -> str:
        namespace, name = self._draw()
        data = {key: self._value() for key in self._random.sample(KEYS, 2)}
        placement = {key: value for key, value in self._placement().items() if value is not None}
        body = federated(
            FEDERATED_CONFIGMAPS, namespace, name, {"data": data}, placement=placement, overrides=self._overrides()
        )
        await self._faulty.host.create(FEDERATED_CONFIGMAPS, body, namespace)
        return f"create {namespace}/{name}"

    async def _patch(self, what: str, spec: dict[str, Any]) -> str:
        namespace, name = self._draw()
        await self._faulty.host.patch(FEDERATED_CONFIGMAPS, namespace, name, {"spec": spec})
        return f"{what} {namespace}/{name} {spec}"

    async def _update(self) -> str:
        key = self._random.choice(KEYS)
        value = self._value() if key == "a" or self._random.random() < 0.7 else None
        return await self._patch("update", {"template": {"data": {key: value}}})

    async def _place(self) -> str:
        return await self._patch("place", {"placement": self._placement()})

    async def _override(self) -> str:
        return await self._patch("override", {"overrides": self._overrides()})

    async def _delete(self) -> str:
        namespace, name = self._draw()
        await self._faulty.host.delete(FEDERATED_CONFIGMAPS, namespace, name)
        return f"delete {namespace}/{name}"

    async def _relabel_cluster(self) -> str:
        member, group = self._random.choice(MEMBERS), self._random.choice(("x", "y", None))
        body = {"metadata": {"labels": {GROUP: group}}}
        await self._faulty.host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, member, body)
        return f"label {member} {group}"

    async def _place_namespace(self) -> str:
        namespace = self._random.choice(self._namespaces)
        chosen = self._random.choice((["m1", "m2"], ["m1", "m2"], ["m1"], ["m2"]))
        body = {"spec": {"placement": {"clusters": [{"name": name} for name in chosen]}}}
        await self._faulty.host.patch(FEDERATED_NAMESPACES, namespace, namespace, body)
        return f"place namespace {namespace} {chosen}"

    # --- members' admins -------------------------------------------------------------------------------------------

    async def _draw_copy(self) -> tuple[str, dict[str, Any]] | None:
        standing = [member for member in MEMBERS if member not in self._down]
        if not standing:
            return None
        member = self._random.choice(standing)
        copies = await self._copies(member)
        return (member, self._random.choice(copies)) if copies else None

    async def _edit_copy(self) -> str:
        drawn = await self._draw_copy()
        if drawn is None or not drawn[1].get("data"):
            return "no copy to edit"
        member, copy = drawn
        where = copy["metadata"]
        key = self._random.choice(sorted(copy["data"]))
        value = self._random.choice((None, "mine"))
        await self._api(member).patch(CONFIGMAPS, where["namespace"], where["name"], {"data": {key: value}})
        return f"{member} edits {where['namespace']}/{where['name']} {key}={value}"

    async def _delete_copy(self) -> str:
        drawn = await self._draw_copy()
        if drawn is None:
            return "no copy to delete"
        member, copy = drawn
        await self._api(member).delete(CONFIGMAPS, copy["metadata"]["namespace"], copy["metadata"]["name"])
        return f"{member} deletes {copy['metadata']['namespace']}/{copy['metadata']['name']}"

    async def _label_copy(self) -> str:
        drawn = await self._draw_copy()
        if drawn is None:
            return "no copy to label"
        value = self._random.choice(("false", None, "true"))
        await self._label(*drawn, value)
        return f"{drawn[0]} labels {drawn[1]['metadata']['namespace']}/{drawn[1]['metadata']['name']} {value}"

    async def _label(self, member: str, copy: dict[str, Any], value: str | None) -> None:
        where = copy["metadata"]
        body = {"metadata": {"labels": {MANAGED_LABEL: value}}}
        await self._api(member).patch(CONFIGMAPS, where["namespace"], where["name"], body)

    # --- networks, power, processes --------------------------------------------------------------------------------

    async def _fault(self) -> str:
        proxy = self._random.choice(self._faulty.proxies)
        times = self._random.randrange(1, 6)
        fault = self._random.choice(
            (
                Fault("delay", seconds=self._random.random() * 1.5, times=times),
                Fault("cut", times=times),
                Fault("mute", verb="apply", times=1),
                Fault("status", code=500, times=times),
                Fault("status", code=503, times=times),
                Fault("status", code=429, retry_after=1, times=times),
                Fault("expire", verb="watch", times=times),
                Fault("blackhole", verb="watch", times=1),
            )
        )
        proxy.inject(fault)
        if self._random.random() < 0.5:
            proxy.cut_watches()
        return f"fault at {proxy.cluster.name}: {fault.kind} {fault.code or ''} x {times}"

    async def _lie(self) -> str:
        """The next list of a collection is empty, and its watch goes on from there as if that were true."""
        hub = [(self._faulty.to_host, self._faulty.host, each) for each in (FEDERATED_CONFIGMAPS, FEDERATED_NAMESPACES)]
        standing = [member for member in MEMBERS if member not in self._down]
        members = [(self._proxy(member), self._api(member), CONFIGMAPS) for member in standing]
        proxy, api, resource = self._random.choice([*hub, *members])
        head = await api.connection.read(resource.collection(), params={"limit": "1"})
        empty = {"kind": "List", "apiVersion": "v1", "items": []}
        body = orjson.dumps({**empty, "metadata": {"resourceVersion": head["metadata"]["resourceVersion"]}})
        lie = Fault("status", verb="list", resource=resource.qualified, code=200, body=body, times=1)
        self._lies.append(proxy.inject(lie))
        proxy.inject(Fault("expire", verb="watch", resource=resource.qualified, times=1))
        return f"{proxy.cluster.name} lists no {resource.qualified}"

    async def _clear(self) -> str:
        for proxy in self._faulty.proxies:
            proxy.clear()
        return "faults cleared"

    async def _outage(self) -> str:
        if self._down:
            member = next(iter(self._down))
            how = self._down[member]
            await self._up(member)
            return f"{member} is back ({how})"
        member = self._random.choice(MEMBERS)
        how = self._random.choice(("paused", "killed", "refusing"))
        self._down[member] = how
        if how == "paused":
            self._faulty.pause(member)
        elif how == "killed":
            await self._faulty.kill(member)
        else:
            self._proxy(member).inject(Fault("refuse"))
        return f"{member} {how}"

    async def _up(self, member: str) -> None:
        how = self._down.pop(member)
        if how == "paused":
            self._faulty.resume(member)
        elif how == "killed":
            await self._faulty.revive(member)
        else:
            self._proxy(member).clear()

    def _proxy(self, member: str) -> Any:
        return self._faulty.to_m1 if member == "m1" else self._faulty.to_m2

    async def _kill_controller(self) -> str:
        for lie in self._lies:
            lie.cleared = True  # what a start has never heard of it can hear of from a watch only
        await self._faulty.restart(wait=False)
        return "controller killed and started"


async def forget(faulty: Faulty, namespaces: tuple[str, ...]) -> None:
    """Cluster labels and namespaces of a run go."""
    for member in MEMBERS:
        await faulty.host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, member, {"metadata": {"labels": {GROUP: None}}})
    for namespace in namespaces:
        for api in (faulty.host, faulty.m1, faulty.m2):
            await api.delete(NAMESPACES, "", namespace)
