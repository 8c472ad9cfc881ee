"""Which figures decide each claim. Data; `verdicts` goes by it, and the report prints it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from federation.comparing.differences import Threshold


@dataclass(frozen=True, slots=True)
class Decider:
    """A figure by which push and pull are compared."""

    figure: str
    part: str = ""
    where: Mapping[str, str] = field(default_factory=dict)
    """What the place must say."""
    largest: str = ""
    """The key of the place whose largest value alone counts; empty: every place counts."""
    least: float = 0
    """Of `largest`: what is smaller says nothing of the claim."""


MANY = Threshold("members that are many", 10, "what few members cost says nothing of many")


@dataclass(frozen=True, slots=True)
class Enough:
    """What refutes a claim whatever pull does: it accuses push of something that push does not do."""

    figure: str
    threshold: Threshold
    at_least: bool

    def met(self, value: float) -> bool:
        """By the worst round of push."""
        return value >= self.threshold.value if self.at_least else value <= self.threshold.value


@dataclass(frozen=True, slots=True)
class Rule:
    """How a claim is decided."""

    deciders: tuple[Decider, ...]
    says: str
    """What is compared, for the report."""
    limit: str
    """What a laptop cannot show of it, and how that would change the figures."""
    enough: Enough | None = None


def _changes(figure: str, part: str = "", *phases: str, least: float = 0) -> tuple[Decider, ...]:
    return tuple(
        Decider(figure, part, {"phase": phase}, largest="members", least=least)
        for phase in phases or ("create", "update", "delete")
    )


RULES: Mapping[str, Rule] = {
    "joining": Rule(
        tuple(Decider(name, largest="clusters") for name in ("until_held", "until_ready", "commands", "copied")),
        "For the largest burst: seconds until every waiting object is in every new cluster, seconds until all are "
        "Ready, commands and carried credentials for each cluster.",
        "All clusters and the hub share one machine: real clusters join on cores of their own, but over a network, and "
        "somebody has to get access to them first. Seconds of a burst are longer here than there.",
    ),
    "hub-load": Rule(
        (
            *_changes("hub_side_cpu"),
            Decider("hub_side_cpu_rest", largest="members"),
            Decider("hub_side_memory", largest="members"),
            Decider("core_full", largest="members"),
        ),
        "What the hub's API server and controller need together: CPU for each create, update and delete, CPU at rest, "
        "memory, and the rate of changes that would fill one core.",
        "CPU is the process's own accounting and holds elsewhere in proportion to the bare client. The rate of real "
        "hubs with more cores is higher; the ratio between the ways is what carries over.",
    ),
    "growth": Rule(
        (
            *_changes("hub_side_cpu", "", "create", "update", least=MANY.value),
            *_changes("latency", "p50", "update", least=MANY.value),
            Decider("hub_side_memory", largest="members", least=MANY.value),
        ),
        "At the largest number of members, if those are many: hub CPU for each create and update, the median latency "
        "of an update to the last member, memory of the hub.",
        "Members share the machine with the hub: from some size on latency shows the machine's cores, not the way. "
        "Hub CPU and memory do not depend on that.",
    ),
    "twins": Rule(
        (Decider("hub_keys"), Decider("hub_stored")),
        "Keys and bytes in the hub's etcd for each application, for every number of members that was measured.",
        "Nothing: counts are the same on any machine. Larger applications make the bytes larger for both.",
    ),
    "versions": Rule(
        (Decider("broken"), Decider("silent"), Decider("broken_for")),
        "Steps of a rolling upgrade in which a user's change does not arrive, those of which the hub says nothing, and "
        "the time in all.",
        "Real upgrades take days, not seconds, because people roll them out: a step that breaks is broken for so long.",
        Enough(
            "broken", Threshold("steps that break", 0, "nothing breaks, so nothing ties the versions"), at_least=False
        ),
    ),
    "trouble": Rule(
        (Decider("seen"), Decider("seen_after"), Decider("seen_by")),
        "The part of the faults that the hub shows, the time until it does, and the commands to see one.",
        "Faults are seeded one at a time, in clusters without real nodes; faults of hardware and networks are not "
        "among them.",
        Enough(
            "seen",
            Threshold(
                "part of the faults that the hub shows", 0.9, "what the hub shows nine times of ten is not invisible"
            ),
            at_least=True,
        ),
    ),
    "cut": Rule(
        tuple(Decider(name) for name in ("repaired", "converged", "lost", "twice")),
        "For the cut of a link and of the whole hub: edits that are put back meanwhile, the time until hub and members "
        "agree afterwards, changes lost, and objects made or written twice.",
        "A cut here begins and ends at once and lasts a minute or so; real links fail by halves, for hours.",
    ),
    "credentials": Rule(
        tuple(Decider(name) for name in ("reach", "secrets", "valid")),
        "Members in which a thief of the hub can write, credentials at the hub that open a member, and the validity of "
        "the longest.",
        "Nothing: rights are the same on any machine. What people copy into chats and pipelines is not counted.",
    ),
    "bend": Rule(
        (),
        "The number of members from which on the latency to the last member or the time until all is done grows "
        "faster than the members.",
        "Simulated members answer like API servers, but one process is them all, on the hub's own cores: both ways "
        "bend earlier here than with a fleet of real clusters, and thousands of agents are one process, too.",
    ),
    "distance": Rule(
        (),
        "Latency and time until all is done, by round trip and loss. No claim of the article, so no verdict.",
        "Delay and loss are made by a proxy in front of each member; congestion and jitter of real networks are not.",
    ),
}
