"""What a federation has used between two moments, and the figures that follow. Readings are taken at the processes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from federation.comparing import meter
from federation.comparing.client import Client
from federation.comparing.etcd import Etcd
from federation.comparing.meter import Counters, Requests

Figures = dict[str, float]
_ASKING = ("selfsubjectaccessreviews", "subjectaccessreviews", "selfsubjectrulesreviews", "tokenreviews")
"""POSTs that write nothing."""


@dataclass(frozen=True, slots=True)
class Federation:
    """What is measured: clients of the API servers, and the processes."""

    host: Client
    members: Sequence[Client]
    """One for each API server: simulated members share one."""
    names: Sequence[str]
    """Of the clusters that objects are placed in."""
    hub_pids: Sequence[int]
    controller_pids: Sequence[int]
    member_pids: Sequence[int]
    agent_pids: Sequence[int] = ()
    """None in push mode."""
    etcds: Sequence[Etcd] = ()
    """Empty where they cannot be asked: then what is stored is not counted."""
    agents: int = 0
    """How many agents there are: one process may be several."""
    simulated_etcd: str = ""
    """The URL of the etcd of simulated members."""
    own_watches: tuple[int, int] = (0, 0)
    """That the hub's and a member's API server have open by themselves."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at one moment; CPU in seconds."""

    at: float
    hub_cpu: float
    controller_cpu: float
    members_cpu: float
    agents_cpu: float
    hub: Counters
    members: Counters


async def read(of: Federation, *, begins: bool) -> Reading:
    """Now. What reading costs the API servers is kept out: it comes before CPU where a phase begins, and after it where
    one ends."""
    first = None if begins else _cpu(of)
    hub = await meter.counters(of.host)
    members = [await meter.counters(each) for each in of.members]
    at, hub_cpu, controller, members_cpu, agents = first or _cpu(of)
    return Reading(at, hub_cpu, controller, members_cpu, agents, hub, sum(members[1:], members[0]))


def _cpu(of: Federation) -> tuple[float, float, float, float, float]:
    return (
        time.perf_counter(),
        meter.cpu(of.hub_pids),
        meter.cpu(of.controller_pids),
        meter.cpu(of.member_pids),
        meter.cpu(of.agent_pids),
    )


@dataclass(frozen=True, slots=True)
class Rest:
    """CPU seconds per second of a federation in which nothing changes, and its requests per second."""

    hub: float = 0.0
    controller: float = 0.0
    members: float = 0.0
    agents: float = 0.0
    hub_requests: float = 0.0
    member_requests: float = 0.0


def rest(before: Reading, after: Reading) -> Rest:
    """From two readings between which nothing changed."""
    seconds = after.at - before.at
    return Rest(
        (after.hub_cpu - before.hub_cpu) / seconds,
        (after.controller_cpu - before.controller_cpu) / seconds,
        (after.members_cpu - before.members_cpu) / seconds,
        (after.agents_cpu - before.agents_cpu) / seconds,
        sum(asked(before.hub, after.hub).values()) / seconds,
        sum(asked(before.members, after.members).values()) / seconds,
    )


@dataclass(frozen=True, slots=True)
class Phase:
    """One kind of change: so many objects, in so many clusters, in how many seconds until the last member had it."""

    before: Reading
    after: Reading
    objects: int
    clusters: int
    done: float
    agents: bool = field(default=False)


def costs(phase: Phase, at_rest: Rest) -> Figures:
    """What it cost for each object or placement, without what the federation costs at rest.

    A user's request for each object is among the hub's CPU, requests and bytes, and not among its writes.
    """
    before, after, objects = phase.before, phase.after, phase.objects
    seconds, placements = after.at - before.at, phase.objects * phase.clusters
    hub, members = asked(before.hub, after.hub), asked(before.members, after.members)

    def over(used: float, resting: float, count: int, scale: float = 1.0) -> float:
        return max(0.0, used - resting * seconds) * scale / count

    hub_cpu = over(after.hub_cpu - before.hub_cpu, at_rest.hub, objects, 1e3)
    controller = over(after.controller_cpu - before.controller_cpu, at_rest.controller, objects, 1e3)
    found = {
        "hub_cpu": hub_cpu,
        "controller_cpu": controller,
        "members_cpu": over(after.members_cpu - before.members_cpu, at_rest.members, placements, 1e3),
        "hub_writes": max(0.0, written(hub) / objects - 1),
        "hub_requests": over(sum(hub.values()), at_rest.hub_requests, objects),
        "member_writes": written(members) / placements,
        "member_requests": over(sum(members.values()), at_rest.member_requests, placements),
        "hub_bytes": (after.hub.bytes - before.hub.bytes) / objects,
        "done": phase.done,
        "rate": objects / phase.done,
    }
    if phase.agents:
        found["agents_cpu"] = over(after.agents_cpu - before.agents_cpu, at_rest.agents, placements, 1e3)
    if hub_cpu + controller > 0:
        found["core_full"] = 1e3 / (hub_cpu + controller)
        found["controller_share"] = 100 * controller / (hub_cpu + controller)
    return found


def resting(of: Federation, at_rest: Rest, now: Counters, member: Counters) -> Figures:
    """What it costs to be there."""
    found = {
        "hub_cpu_rest": at_rest.hub * 1e3,
        "controller_cpu_rest": at_rest.controller * 1e3,
        "hub_requests_rest": at_rest.hub_requests,
        "hub_memory": sum(map(meter.resident, of.hub_pids)),
        "controller_memory": sum(map(meter.resident, of.controller_pids)),
        "hub_watches": float(now.watches - of.own_watches[0]),
        "member_watches": member.watches / len(of.names if len(of.members) == 1 else of.members) - of.own_watches[1],
    }
    if of.agents:
        found["agent_cpu_rest"] = at_rest.agents * 1e3 / of.agents
        found["agent_memory"] = fmean(map(meter.resident, of.agent_pids)) * len(of.agent_pids) / of.agents
    return found


def asked(before: Counters, after: Counters) -> Requests:
    """Requests between two readings, of resources alone: who reads metrics or asks for health does not count."""
    made = meter.between(before.requests, after.requests)
    return {name: count for name, count in made.items() if name.split(" ")[1:] and _resource(name)}


def written(made: Requests) -> int:
    """How many of them were writes."""
    return sum(
        count
        for name, count in made.items()
        if name.split(" ")[0] in meter.WRITES and not _resource(name).startswith(_ASKING)
    )


def _resource(name: str) -> str:
    return name.partition(" ")[2].partition("/")[0]
