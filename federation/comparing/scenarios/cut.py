"""Claim 7: a cut link stops everything.

One member's link is cut, or the whole hub is gone. Meanwhile people in the member edit and delete copies, and, where
the hub is there, users change, add and delete objects. What is put right during the cut is counted, then the cut ends,
and the time is taken until the member holds all that the hub wants. What never arrives is lost. What was made anew
although nobody had deleted it, or written more often than anybody changed it, was done twice.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from federation.comparing.client import MERGE, Client, together
from federation.comparing.model import Settings, Step
from federation.comparing.observer import Observer
from federation.comparing.sampling import few, in_turn, on_a_site, samples
from federation.comparing.scenario import Ground, Measured
from federation.comparing.site import Member, Site

_KIND = "FederatedConfigMap"
ROUNDS = {"quick": 1, "full": 2}
_PATIENCE = 180.0
_OF_EACH = {"quick": 3, "full": 12}
"""Objects of each fate."""
_SECONDS = {"quick": 5.0, "full": 30.0}
"""How long the cut is."""
_SETTLED = 5.0
"""Seconds after everything agrees in which a second write would come."""

Wanted = Mapping[str, str | None]
Held = Mapping[str, tuple[str, str]]
"""uid and version, by name."""


class Cut:
    """One member's link, and the whole hub."""

    name = "cut"

    def steps(self, settings: Settings) -> Sequence[Step]:
        """A cut link and a hub that is gone, in each round, by each subject in turn."""
        return in_turn(self.name, few(on_a_site(settings), ROUNDS), [{"cut": cut} for cut in ("link", "hub")])

    def estimate(self, settings: Settings, step: Step) -> float:
        """As long as the cut, and what comes before and after."""
        return 40 + _SECONDS[settings.scale]

    async def run(self, ground: Ground, settings: Settings, step: Step) -> Measured:
        """One cut."""
        site = await ground.site()
        namespace = f"cut-{step.subject}-{step.round}-{step.at['cut']}"
        fates = Fates(settings.objects or _OF_EACH[settings.scale])
        members = site.of(step.subject)
        member = members[0]
        await site.federate(namespace, members)
        async with Observer([each.client for each in members], namespace) as observer:
            await together(_put(site, namespace, name, members, "1") for name in fates.before)
            await observer.until(dict.fromkeys(fates.before, "1"), within=_PATIENCE)
            before = await _held(member.client, namespace)
            async with History(member.client, namespace) as history:
                repaired, began = await _cut(site, step, namespace, fates, _SECONDS[settings.scale])
                try:
                    converged = await observer.until(fates.wanted, within=_PATIENCE) - began
                except TimeoutError:
                    converged = _PATIENCE
                await asyncio.sleep(_SETTLED)
                after = await _held(member.client, namespace)
                twice = history.twice(fates, before, after)
        lost = sum((after[name][1] if name in after else None) != version for name, version in fates.wanted.items())
        await site.clear(namespace)
        figures = {"repaired": repaired, "converged": converged, "lost": lost, "twice": twice}
        return samples(step, figures), ()


@dataclass(frozen=True, slots=True)
class Fates:
    """What happens to which objects during the cut, `each` of a kind."""

    each: int

    def of(self, fate: str) -> list[str]:
        """The names."""
        return [f"{fate}-{number}" for number in range(self.each)]

    @property
    def before(self) -> list[str]:
        """All that are there when the cut begins."""
        return [name for fate in ("edited", "removed", "changed", "dropped", "left") for name in self.of(fate)]

    @property
    def wanted(self) -> Wanted:
        """The version that each has at the end; None: it is gone."""
        versions = {"edited": "1", "removed": "1", "changed": "2", "dropped": None, "left": "1", "added": "1"}
        return {name: version for fate, version in versions.items() for name in self.of(fate)}

    def allowed(self) -> dict[str, int]:
        """How often each is written in the member when nothing is done twice, by whomever."""
        writes = {"edited": 2, "removed": 2, "changed": 1, "dropped": 1, "left": 0, "added": 1}
        return {name: count for fate, count in writes.items() for name in self.of(fate)}


async def _cut(site: Site, step: Step, namespace: str, fates: Fates, seconds: float) -> tuple[float, float]:
    """One cut from its begin to its end: the part of what people did in the member that was put back by then, and when
    the link, or the hub, was there again."""
    member, *_ = members = site.of(step.subject)
    ends = time.monotonic() + seconds
    hub = step.at["cut"] == "hub"
    await (site.lose_hub() if hub else member.link.cut())
    try:
        await _people(member.client, namespace, fates)
        if not hub:
            await _users(site, namespace, fates, members)
        await asyncio.sleep(max(0.0, ends - time.monotonic()))
        held = await _held(member.client, namespace)
    finally:
        began = await site.find_hub() if hub else time.perf_counter()
        await member.link.mend()
    if hub:
        await _users(site, namespace, fates, members)
    meddled = [*fates.of("edited"), *fates.of("removed")]
    return sum(name in held and held[name][1] == fates.wanted[name] for name in meddled) / len(meddled), began


async def _people(client: Client, namespace: str, fates: Fates) -> None:
    """What people do in the member."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    mine = {"data": {"version": "mine"}}
    await together(client.send("PATCH", f"{path}/{name}", mine, MERGE) for name in fates.of("edited"))
    await together(client.send("DELETE", f"{path}/{name}") for name in fates.of("removed"))


async def _users(site: Site, namespace: str, fates: Fates, members: list[Member]) -> None:
    """What users do at the hub."""
    await together(_put(site, namespace, name, members, "2") for name in fates.of("changed"))
    await together(_put(site, namespace, name, members, "1") for name in fates.of("added"))
    await together(site.delete(_KIND, namespace, name) for name in fates.of("dropped"))


async def _put(site: Site, namespace: str, name: str, members: list[Member], version: str) -> None:
    await site.put(_KIND, namespace, name, members, {"data": {"version": version}})


async def _held(client: Client, namespace: str) -> dict[str, tuple[str, str]]:
    """uid and version of every ConfigMap."""
    listed = await client.get(f"/api/v1/namespaces/{namespace}/configmaps")
    return {
        item["metadata"]["name"]: (item["metadata"]["uid"], (item.get("data") or {}).get("version", ""))
        for item in listed["items"]
    }


class History:
    """Counts what is written to the ConfigMaps of a namespace while it is entered."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._written: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        version = (await self._client.get(f"{self._path}?limit=1"))["metadata"]["resourceVersion"]
        self._following = asyncio.create_task(self._follow(version))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    async def _follow(self, version: str) -> None:
        async for _, item in self._client.watch(self._path, version):
            self._written[item["metadata"]["name"]] += 1

    def twice(self, fates: Fates, before: Held, after: Held) -> int:
        """Objects that were written too often, or that are others now and nobody had deleted them."""
        allowed = fates.allowed()
        often = {name for name, count in self._written.items() if count > allowed.get(name, count)}
        kept = set(before) - set(fates.of("removed")) - set(fates.of("dropped"))
        anew = {name for name in kept if name in after and after[name][0] != before[name][0]}
        return len(often | anew)
