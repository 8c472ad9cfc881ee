"""Read CPU and memory of processes from /proc, and API servers' requests from /metrics. Linux only."""

import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from federation.comparing.client import Client

_TICKS = os.sysconf("SC_CLK_TCK")
_REQUEST = re.compile(r"^apiserver_request_total\{([^}]*)\} (\S+)$", re.MULTILINE)
_SENT = re.compile(r"^apiserver_(?:response|watch_events)_sizes_sum(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
_WATCHES = re.compile(r'^apiserver_longrunning_requests\{[^}]*verb="WATCH"[^}]*\} (\S+)$', re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_NOT_OURS = {"leases", "apiservices", "endpointslices", "ipaddresses", "servicecidrs", "flowschemas"}
"""Resources that API servers write by themselves."""
WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE")

Requests = Mapping[str, int]
"""`VERB resource.group[/subresource]` with a count."""


def cpu(pids: Iterable[int]) -> float:
    """CPU seconds, user and system, that these processes have used since they began."""
    total = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def resident(pid: int) -> float:
    """Resident memory in MB (10^6 bytes)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True, slots=True)
class Counters:
    """What an API server says of itself."""

    requests: Counter[str]
    bytes: int
    """Sent in answers and in events of watches."""
    watches: int
    """That are open, its own included."""

    def __add__(self, other: "Counters") -> "Counters":
        return Counters(self.requests + other.requests, self.bytes + other.bytes, self.watches + other.watches)


async def requests(client: Client) -> Counter[str]:
    """Every request that an API server has answered, by verb and resource."""
    return _requests((await client.send("GET", "/metrics")).decode())


async def counters(client: Client) -> Counters:
    """Now; one read of its metrics, which costs an API server some 20 ms of CPU."""
    text = (await client.send("GET", "/metrics")).decode()
    sent = sum(float(value) for value in _SENT.findall(text))
    return Counters(_requests(text), int(sent), int(sum(float(value) for value in _WATCHES.findall(text))))


def _requests(text: str) -> Counter[str]:
    counted: Counter[str] = Counter()
    for labels, value in _REQUEST.findall(text):
        own = dict(_LABEL.findall(labels))
        resource = ".".join(filter(None, (own["resource"], own["group"])))
        if resource.partition(".")[0] in _NOT_OURS:
            continue
        name = f"{own['verb']} {resource}" + (f"/{own['subresource']}" if own["subresource"] else "")
        counted[name] += int(float(value))
    return counted


def writes(made: Requests, resources: Sequence[str]) -> int:
    """How many of these requests were writes to one of the resources (`configmaps`, `events.`) or its subresources."""
    return sum(
        count
        for name, count in made.items()
        if name.split(" ")[0] in WRITES and name.split(" ")[1].startswith(tuple(resources))
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at one moment."""

    at: float
    controller_cpu: float
    host_cpu: float
    members_cpu: float
    host_requests: Counter[str]
    member_requests: Counter[str]
    agents_cpu: tuple[float, ...] = ()
    """Of each process of agents, in pull mode."""


@dataclass(frozen=True, slots=True)
class Meter:
    """Reads the controller, the host, the members, and in pull mode their agents."""

    controller: int
    host: tuple[Client, int]
    members: Sequence[tuple[Client, int]]
    agents: Sequence[int] = ()

    async def read(self) -> Reading:
        """Now."""
        member_requests: Counter[str] = Counter()
        for client, _ in self.members:
            member_requests += await requests(client)
        host_requests = await requests(self.host[0])
        return Reading(
            time.perf_counter(),
            cpu([self.controller]),
            cpu([self.host[1]]),
            cpu(pid for _, pid in self.members),
            host_requests,
            member_requests,
            tuple(cpu([pid]) for pid in self.agents),
        )


def between(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    """The difference of two readings, the most frequent first."""
    return {name: count - before[name] for name, count in after.most_common() if count > before[name]}
