"""Claim 6: what goes wrong in a member is invisible at the hub.

One trouble after another is made in one member, and what the hub has is read again and again until it says so: the
object's status, the condition of its cluster, the Events there. Then somebody who has only a kubeconfig of the hub
types commands, in the order in which one would, until one of them shows it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from federation.comparing import contract
from federation.comparing.client import MERGE
from federation.comparing.contract import Fault
from federation.comparing.fleet import HOST
from federation.comparing.model import Settings, Step
from federation.comparing.sampling import in_turn, once
from federation.comparing.scenario import Ground, Measured
from federation.comparing.site import Site
from federation.comparing.troubles import COLLECTED, TROUBLES, Place, Trouble
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import TYPE_CONFIGS, ObjectName
from federation.playground import access

LIMIT = {"quick": 15.0, "full": 50.0}
"""Seconds after which the hub does not show it."""
_LOOK = 0.25
_COMMANDS = 10.0
"""Seconds between two tries of all commands, while nothing else shows it."""


def chosen(settings: Settings) -> list[Trouble]:
    """The troubles of this run."""
    return [each for each in TROUBLES if each.quick or settings.scale != "quick"]


class Troubles:
    """One trouble after another in one member."""

    name = "trouble"

    def steps(self, settings: Settings) -> Sequence[Step]:
        """Once for each subject."""
        return in_turn(self.name, once(settings), [{}])

    def estimate(self, settings: Settings, step: Step) -> float:
        """Each has to be made and seen, and some are never seen."""
        return 15 * len(chosen(settings)) if settings.scale == "quick" else 60 * len(TROUBLES)

    async def run(self, ground: Ground, settings: Settings, step: Step) -> Measured:
        """A row for each trouble."""
        site = await ground.site()
        for name in COLLECTED:
            where = TYPE_CONFIGS.path(ObjectName(SYSTEM_NAMESPACE, name))
            await site.hub.send("PATCH", where, {"spec": {"statusCollection": "Enabled"}}, MERGE)
        eyes = Eyes(site)
        rows = []
        for number, trouble in enumerate(chosen(settings)):
            namespace = f"trouble-{step.subject}-{number}"
            place = Place(site, namespace, "shop", site.of(step.subject))
            await site.federate(namespace, place.members)
            await trouble.before(place)
            known = {where: text async for where, text in eyes.views(place, trouble)}
            undo = await trouble.begin(place)
            try:
                rows.append(await eyes.looks(place, trouble, known, LIMIT[settings.scale]))
            finally:
                await undo()
                await site.clear(namespace)
        return (), [contract.found(step, row) for row in rows]


class Eyes:
    """Somebody who looks, at the hub."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._kubeconfig = _of_the_hub(site)

    async def looks(self, place: Place, trouble: Trouble, known: Mapping[str, str], limit: float) -> Fault:
        """From the trouble's begin until the hub shows it, or the limit. `known` is what it said before."""
        began, typed = time.monotonic(), time.monotonic()
        where = says = ""
        while not says and time.monotonic() - began < limit:
            async for place_of, text in self.views(place, trouble):
                if says := trouble.told(_new(text, known.get(place_of, ""))):
                    where = place_of
                    break
            if not says and time.monotonic() - typed > _COMMANDS:
                where, says, _ = await self._types(place, trouble)
                typed = time.monotonic()
            await asyncio.sleep(_LOOK)
        seconds = time.monotonic() - began
        command, said, count = await self._types(place, trouble)
        shown = bool(says or said)
        return Fault(
            fault=trouble.name,
            shown=shown,
            where=where or command,
            seconds=round(seconds, 2) if shown else None,
            commands=count if said else None,
            says=(says or said)[:300],
        )

    async def views(self, place: Place, trouble: Trouble) -> AsyncIterator[tuple[str, str]]:
        """What the hub has about the object and the member, by where."""
        member, hub = place.member.name, self._site.hub
        code, found = await hub.ask("GET", self._site.path(trouble.kind, place.namespace, place.name))
        if code == 200:
            yield "status of the federated object", _about(orjson.loads(found).get("status") or {}, member)
        cluster = (await self._site.clusters())[member]
        yield "condition of the cluster", _conditions(cluster.get("status") or {})
        for namespace in (place.namespace, SYSTEM_NAMESPACE):
            events = (await hub.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"))["items"]
            ours = [each for each in events if (each.get("regarding") or {}).get("name") in (place.name, member)]
            yield (
                f"an Event in {'the system' if namespace == SYSTEM_NAMESPACE else 'its'} namespace",
                _lines({"reason": each.get("reason"), "note": each.get("note")} for each in ours),
            )

    async def _types(self, place: Place, trouble: Trouble) -> tuple[str, str, int]:
        """The first command that shows it, what it says, and how many had been typed with it; empty if none does."""
        about = (trouble.kind, place.name, "-n", place.namespace)
        commands = (
            ("status", *about),
            ("get", "clusters"),
            ("explain", *about),
            ("events", *about),
            ("logs", *about),
        )
        for number, command in enumerate(commands, 1):
            said = await self._site.person.looks(*command, kubeconfig=self._kubeconfig)
            if told := trouble.told(said.out + said.err):
                return f"fedctl {command[0]}", told, number
        return "", "", 0


def _of_the_hub(site: Site) -> Path:
    path = site.directory / "hub.kubeconfig"
    path.touch(mode=0o600)
    path.write_bytes(access.kubeconfig([site.playground.clusters[HOST]]))
    return path


def _about(status: Mapping[str, Any], member: str) -> str:
    """The member's line, and the object's conditions."""
    lines = [each for each in status.get("clusters") or () if each.get("name") == member]
    return f"{_lines(lines)}\n{_conditions(status)}"


def _conditions(status: Mapping[str, Any]) -> str:
    """A line each, without times, which change when nothing else does."""
    return "\n".join(
        f"{each['type']}={each['status']} {each.get('reason', '')}: {each.get('message', '')}"
        for each in status.get("conditions") or ()
    )


def _new(text: str, known: str) -> str:
    """The lines that were not there before."""
    before = set(known.splitlines())
    return "\n".join(line for line in text.splitlines() if line not in before)


def _lines(items: Sequence[Any] | Any) -> str:
    return "\n".join(json.dumps(each, sort_keys=True) for each in items)
