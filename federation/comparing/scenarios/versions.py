"""Claim 5: hub and members are tied to one version of a CRD.

A type of somebody's own is upgraded from v1 to v2, which has one field more, cluster by cluster, as people roll such
things out. After each step a user changes an object, with the new field from when the hub's type has it, and it is seen
whether the change arrives in both members. What a step breaks is broken until a later step's change arrives.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from federation.comparing import contract
from federation.comparing.client import APPLY, MERGE, Client
from federation.comparing.contract import Upgrade
from federation.comparing.fleet import HOST
from federation.comparing.model import Settings, Step
from federation.comparing.person import Side
from federation.comparing.sampling import in_turn, once
from federation.comparing.scenario import Ground, Measured
from federation.comparing.site import Member, Site

LIMIT = {"quick": 8.0, "full": 40.0}
"""Seconds within which a change arrives, or the step has broken something. A controller hears of an upgrade within
seconds, and what was refused is tried again at growing intervals."""
GROUP = "shop.example.com"
_LOOK = 0.2
_OLD, _BOTH, _NEW = ("v1",), ("v1", "v2"), ("v2",)


@dataclass(frozen=True, slots=True)
class Change:
    """One step: what is upgraded, and to which versions; and whether users have the new field from here on."""

    says: str
    cluster: str
    """"hub", "first" or "second" member, or "type" for the federated type."""
    serves: Sequence[str] = ()
    field: bool = False


CHANGES = (
    Change("the hub's CRD serves v2, too", "hub", _BOTH),
    Change("the first member serves v2, too", "first", _BOTH),
    Change("the first member serves v2 only, the second v1 only", "first", _NEW),
    Change("the federated type is made again from v2, and users set its new field", "type", _BOTH, field=True),
    Change("the second member serves v2, too", "second", _BOTH, field=True),
    Change("nobody serves v1 any more", "all", _NEW, field=True),
)


class Versions:
    """A rolling upgrade."""

    name = "versions"

    def steps(self, settings: Settings) -> Sequence[Step]:
        """Once for each subject."""
        return in_turn(self.name, once(settings), [{}])

    def estimate(self, settings: Settings, step: Step) -> float:
        """Steps that break something take all the time."""
        return 15 + 3 * LIMIT[settings.scale]

    async def run(self, ground: Ground, settings: Settings, step: Step) -> Measured:
        """A row for each step."""
        site = await ground.site()
        upgrade = Rolling(site, site.of(step.subject), step.subject, LIMIT[settings.scale])
        await upgrade.begin()
        try:
            rows = {number: await upgrade.step(number, change) for number, change in enumerate(CHANGES, 2)}
            return (), [contract.found(step, row) for row in upgrade.ended(rows)]
        finally:
            await upgrade.end()


class Rolling:
    """One upgrade of a CRD, which is named after the subject, at the hub and in the subject's members."""

    def __init__(self, site: Site, members: Sequence[Member], name: str, limit: float) -> None:
        self._site = site
        self._members = members
        self._singular = f"{name}widget"
        self._plural = f"{name}widgets"
        self._limit = limit
        self._namespace = f"versions-{name}"
        self._broken: dict[int, float] = {}
        """Steps that broke something, and since when."""
        self._mended: dict[int, float] = {}
        self._refused = ""

    async def begin(self) -> None:
        """v1 everywhere, and an object that both members have."""
        for client in self._clients():
            await self._serve(client, _OLD)
        await self._enable(_OLD)
        await self._site.federate(self._namespace, self._members)
        began = time.monotonic()
        while not await self._arrives(1, field=False):
            if time.monotonic() - began > 60.0:
                raise TimeoutError(f"before the upgrade an object does not arrive: {await self._says()}")

    async def step(self, number: int, change: Change) -> Upgrade:
        """Upgrade, let a user change the object, and see."""
        for client in self._of(change):
            await self._serve(client, change.serves)
        if change.cluster == "type":
            await self._enable(change.serves)
        began = time.monotonic()
        arrived = await self._arrives(number, field=change.field)
        if arrived:
            self._mended |= {each: time.monotonic() for each in self._broken if each not in self._mended}
        else:
            self._broken[number] = began
        return Upgrade(step=change.says, broke=not arrived, seconds=0.0, hub_says="" if arrived else await self._says())

    def ended(self, rows: Mapping[int, Upgrade]) -> list[Upgrade]:
        """The rows, by number, with the time in which what they broke was broken."""
        now = time.monotonic()
        return [
            replace(row, seconds=round(self._mended.get(number, now) - self._broken[number], 1)) if row.broke else row
            for number, row in rows.items()
        ]

    async def end(self) -> None:
        """Nothing of the type stays."""
        await self._site.hub.ask("DELETE", f"{self._federated}/shop")
        await self._site.person.looks("disable", f"{self._plural}.{GROUP}", "--delete-crd", f"--context={HOST}")
        await self._site.clear(self._namespace)
        for client in self._clients():
            await client.ask("DELETE", f"{_CRDS}/{self._plural}.{GROUP}")

    # --- what is done ----------------------------------------------------------------------------------------------

    def _clients(self) -> list[Client]:
        return [self._site.hub, *(each.client for each in self._members)]

    def _of(self, change: Change) -> list[Client]:
        """The clusters that are upgraded in a step."""
        if change.cluster == "all":
            return self._clients()
        first, second = (each.client for each in self._members)
        return {"hub": [self._site.hub], "first": [first], "second": [second]}.get(change.cluster, [])

    @property
    def _federated(self) -> str:
        return f"/apis/types.kubefed.io/v1beta1/namespaces/{self._namespace}/federated{self._plural}"

    async def _serve(self, client: Client, versions: Sequence[str]) -> None:
        """The CRD as of so many versions; waits until they, and no others, are served."""
        name = f"{self._plural}.{GROUP}"
        body = orjson.dumps(crd(self._singular, versions))
        code, _ = await client.ask("GET", f"{_CRDS}/{name}")
        if code == 200 and versions == _NEW:
            await self._migrate(client)
            await client.send("PATCH", f"{_CRDS}/{name}/status", {"status": {"storedVersions": ["v2"]}}, MERGE)
        await client.send("PATCH", f"{_CRDS}/{name}?fieldManager=admin&force=true", body, APPLY)

        async def served() -> bool:
            codes = [(await client.ask("GET", f"{self._path(each)}?limit=1"))[0] for each in _BOTH]
            return [code == 200 for code in codes] == [each in versions for each in _BOTH]

        await self._site.until(served, f"{client.name} serves {', '.join(versions)} of {name}")

    async def _migrate(self, client: Client) -> None:
        """Every object is stored as v2 when it is written: what is still stored as v1 could not be read any more."""
        for item in (await client.get(self._path("v2")))["items"]:
            path = f"{self._path('v2', item['metadata']['namespace'])}/{item['metadata']['name']}"
            await client.send("PATCH", path, {"metadata": {"annotations": {"stored-as": "v2"}}}, MERGE)

    def _path(self, version: str, namespace: str = "") -> str:
        return f"/apis/{GROUP}/{version}" + (f"/namespaces/{namespace}" if namespace else "") + f"/{self._plural}"

    async def _enable(self, versions: Sequence[str]) -> None:
        path = self._site.directory / f"{self._plural}.json"
        path.write_bytes(orjson.dumps(crd(self._singular, versions)))
        await self._site.person.types(Side.BOTH, "enable", "-f", str(path), f"--context={HOST}")

    async def _arrives(self, number: int, *, field: bool) -> bool:
        """A user gives the object this size; whether both members have it in time."""
        spec: dict[str, Any] = {"size": number} | ({"colour": f"c{number}"} if field else {})
        version = {"apiVersion": f"{GROUP}/v2"} if field else {}
        ends = time.monotonic() + self._limit
        while not await self._accepted({**version, "spec": spec}):
            if time.monotonic() > ends:
                return False
            await asyncio.sleep(_LOOK)
        while True:
            held = [await self._held(member.client) for member in self._members]
            if all(each == spec for each in held):
                return True
            if time.monotonic() > ends:
                return False
            await asyncio.sleep(_LOOK)

    async def _accepted(self, template: Mapping[str, Any]) -> bool:
        """Whether the hub takes it. The schema of a type that has just been made again is not there at once."""
        try:
            await self._site.put(
                f"Federated{self._singular.capitalize()}", self._namespace, "shop", self._members, template
            )
        except RuntimeError as error:
            self._refused = str(error)
            return False
        self._refused = ""
        return True

    async def _held(self, client: Client) -> Mapping[str, Any]:
        for version in _BOTH:
            code, found = await client.ask("GET", f"{self._path(version, self._namespace)}/shop")
            if code == 200:
                spec: Mapping[str, Any] = orjson.loads(found)["spec"]
                return spec
        return {}

    async def _says(self) -> str:
        """What the hub says of the members that do not have it, or why it has refused the change."""
        if self._refused:
            return self._refused[:400]
        stored = await self._site.hub.get(f"{self._federated}/shop")
        lines = (stored.get("status") or {}).get("clusters") or ()
        return "; ".join(
            f"{each['name']}: {each['status']}" + (f": {each['message']}" if each.get("message") else "")
            for each in lines
            if each.get("status")
        )[:400]


def crd(singular: str, versions: Sequence[str]) -> dict[str, Any]:
    """A type of these versions; those of v2 have a colour. They convert by changing apiVersion alone."""

    def version(name: str) -> dict[str, Any]:
        fields = {"size": {"type": "integer"}} | ({"colour": {"type": "string"}} if name == "v2" else {})
        spec = {"type": "object", "properties": fields}
        schema = {"type": "object", "properties": {"spec": spec}}
        stored = name == versions[-1]
        return {"name": name, "served": True, "storage": stored, "schema": {"openAPIV3Schema": schema}}

    kind, plural = singular.capitalize(), f"{singular}s"
    names = {"kind": kind, "plural": plural, "singular": singular, "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": "Namespaced",
            "versions": [version(each) for each in versions],
        },
    }


_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
