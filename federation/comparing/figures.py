"""Every figure that a scenario may measure: its unit, what it is, where it is read, and which way is better.

The names are those of model.Sample.figure. A figure that is not here cannot be measured, so that a report can say of
each what it is.
"""

from dataclasses import dataclass
from enum import StrEnum


class Read(StrEnum):
    """Where a figure is read."""

    PROCESS = "the process's accounting (/proc)"
    METRICS = "the API server's own metrics"
    ETCD = "the keys and values in etcd"
    CLIENT = "a client that watches the members"
    COUNT = "counted by the scenario"
    FINDINGS = "counted in what the scenario found (see contract)"


@dataclass(frozen=True, slots=True)
class Figure:
    """One of them."""

    name: str
    unit: str
    what: str
    read: Read
    less_is_better: bool = True
    sums: tuple[str, ...] = ()
    """The figures of which it is the sum, round by round. No scenario measures such a one."""

    @property
    def varies(self) -> bool:
        """Whether clocks or the system's accounting tell it: such a one differs where nothing changed."""
        return self.read in (Read.PROCESS, Read.CLIENT) or self.unit in ("s", "ms")

    @property
    def portable(self) -> bool:
        """Whether another machine would give the same, so that it is compared across machines as it is."""
        return not self.varies


_ALL = (
    # What a change costs. `phase` of the place: create, update, delete.
    Figure("hub_cpu", "ms/object", "CPU of the hub's API server", Read.PROCESS),
    Figure("controller_cpu", "ms/object", "CPU of the hub's controller", Read.PROCESS),
    Figure(
        "hub_side_cpu",
        "ms/object",
        "CPU of the hub's API server and controller together",
        Read.PROCESS,
        sums=("hub_cpu", "controller_cpu"),
    ),
    Figure("agents_cpu", "ms/placement", "CPU of all agents, per object and cluster", Read.PROCESS),
    Figure("members_cpu", "ms/placement", "CPU of the members' API servers", Read.PROCESS),
    Figure("hub_writes", "writes/object", "writes at the hub that are not the user's own", Read.METRICS),
    Figure("hub_requests", "requests/object", "all requests that the hub's API server answered", Read.METRICS),
    Figure("member_writes", "writes/placement", "writes in the members", Read.METRICS),
    Figure(
        "member_requests", "requests/placement", "all requests that the members' API servers answered", Read.METRICS
    ),
    Figure("hub_bytes", "bytes/object", "what the hub's API server sent in answers", Read.METRICS),
    Figure("latency", "ms", "from a user's write at the hub until the last member holds it", Read.CLIENT),
    Figure("member_latency", "ms", "from a user's write at the hub until one member holds it", Read.CLIENT),
    Figure("done", "s", "from the first of many writes until the last member holds the last of them", Read.CLIENT),
    # What it costs to be there. `phase` of the place: rest.
    Figure("hub_cpu_rest", "ms/s", "CPU of the hub's API server, nothing changes", Read.PROCESS),
    Figure("controller_cpu_rest", "ms/s", "CPU of the hub's controller, nothing changes", Read.PROCESS),
    Figure(
        "hub_side_cpu_rest",
        "ms/s",
        "CPU of the hub's API server and controller together, nothing changes",
        Read.PROCESS,
        sums=("hub_cpu_rest", "controller_cpu_rest"),
    ),
    Figure("agent_cpu_rest", "ms/s", "CPU of one agent, nothing changes", Read.PROCESS),
    Figure("hub_requests_rest", "requests/s", "requests at the hub, nothing changes", Read.METRICS),
    Figure("hub_memory", "MB", "resident memory of the hub's API server", Read.PROCESS),
    Figure("controller_memory", "MB", "resident memory of the hub's controller", Read.PROCESS),
    Figure(
        "hub_side_memory",
        "MB",
        "resident memory of the hub's API server and controller together",
        Read.PROCESS,
        sums=("hub_memory", "controller_memory"),
    ),
    Figure("agent_memory", "MB", "resident memory of one agent", Read.PROCESS),
    Figure("hub_watches", "watches", "open watches at the hub's API server", Read.METRICS),
    Figure("member_watches", "watches", "open watches at one member's API server", Read.METRICS),
    Figure("hub_keys", "keys/object", "keys in the hub's etcd", Read.ETCD),
    Figure("hub_stored", "bytes/object", "keys and values in the hub's etcd", Read.ETCD),
    # Saturation.
    Figure("rate", "objects/s", "changes done per second while as many as possible are asked for", Read.CLIENT, False),
    Figure("core_full", "objects/s", "changes per second that would fill one core of the hub", Read.PROCESS, False),
    Figure("controller_share", "%", "the controller's part of the hub's CPU", Read.PROCESS),
    # Joining. `clusters` of the place: how many at once.
    Figure("commands", "commands", "that a person types for each cluster, on either side", Read.COUNT),
    Figure("copied", "credentials", "that are carried from one cluster to another, for each cluster", Read.COUNT),
    Figure("until_ready", "s", "from the first command until the last cluster is Ready", Read.CLIENT),
    Figure(
        "until_held", "s", "from the first command until the last waiting object is in the last cluster", Read.CLIENT
    ),
    # What breaks.
    Figure("broken", "steps", "of an upgrade in which a change does not arrive", Read.FINDINGS),
    Figure(
        "silent", "steps", "of an upgrade in which a change does not arrive and the hub does not say so", Read.FINDINGS
    ),
    Figure("broken_for", "s", "in which changes do not arrive, all steps together", Read.FINDINGS),
    Figure("seen", "share", "faults that the hub shows, of all", Read.FINDINGS, False),
    Figure("seen_after", "s", "until the hub shows a fault, of those that it shows", Read.FINDINGS),
    Figure("seen_by", "commands", "with which a person sees a fault at the hub, of those that it shows", Read.FINDINGS),
    Figure("repaired", "share", "edits in a member that were put back during the cut", Read.COUNT, False),
    Figure("converged", "s", "from the end of the cut until hub and members agree", Read.CLIENT),
    Figure("lost", "objects", "whose last change never arrived", Read.COUNT),
    Figure("twice", "objects", "deleted and made again, or written more often than changed", Read.COUNT),
    # What a thief gets.
    Figure("secrets", "credentials", "that lie at the hub and open a member", Read.FINDINGS),
    Figure("valid", "days", "for which the longest of the stolen credentials is valid", Read.FINDINGS),
    Figure("reach", "members", "in which a thief of the hub can write, by any way", Read.FINDINGS),
)

FIGURES = {figure.name: figure for figure in _ALL}
