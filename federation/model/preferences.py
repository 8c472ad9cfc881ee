"""ReplicaSchedulingPreferences as facts: what a user asks for, what clusters show, and what is remembered of them."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

EVERY = "*"
"""The entry of spec.clusters that speaks for every cluster without one of its own."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """An entry of spec.clusters: at least, at most (None: no limit), and the share of what is left then."""

    least: int = 0
    most: int | None = None
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Preference:
    """spec of a ReplicaSchedulingPreference, checked. `failover` in seconds; None: nothing is moved in an outage."""

    kind: str
    total: int
    clusters: Mapping[str, Bounds] = field(default_factory=dict)
    rebalance: bool = False
    intersect: bool = False
    failover: float | None = None

    def bounds(self, cluster: str) -> Bounds | None:
        """What it says of a cluster; None: nothing, so that the cluster is to run no replica."""
        return self.clusters.get(cluster, self.clusters.get(EVERY))


class Standing(enum.Enum):
    """Whether a cluster can be asked and written to."""

    ANSWERS = enum.auto()
    SILENT = enum.auto()
    """It does not answer, or was not asked yet: what runs there is unknown."""
    CORDONED = enum.auto()
    """Nothing is written there."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a member shows of its workload.

    `replicas` is its spec.replicas, `ready` how many are ready, `existing` how many pods there are (None: its
    controllers have not looked at the present spec yet). `stuck` are the times, in seconds of the epoch by the member's
    clock, since when pods of it have been unschedulable. `problem` is why these are not known; "" where they are.
    """

    replicas: int
    ready: int = 0
    existing: int | None = None
    stuck: tuple[float, ...] = ()
    problem: str = ""

    @property
    def rests(self) -> bool:
        """Whether all that is asked for is ready, so that only a change of it can be news."""
        return self.ready == self.replicas and not self.stuck and not self.problem


@dataclass(frozen=True, slots=True)
class Shortage:
    """A cluster showed that it has room for no more than `room` replicas.

    `until` is when the last of those that did not fit was found unschedulable, by the member's clock; `at` when that
    was taken in, by ours. After `wait` seconds one more is tried, since `trying`. `lingering`: those that did not fit
    were still there some time after fewer were asked for, so that their end is news.
    """

    room: int
    until: float
    at: float
    wait: float = 0.0
    trying: float | None = None
    lingering: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """One cluster that the object may be in.

    `number` is what the federated object asks for there now (0 where it is not placed), `scheduled` says that this
    preference has written it; else what counts is what the cluster `runs`, None while that is unknown. `bounds` None:
    it is to have none. `silent_for` are the seconds since it stopped answering.
    """

    name: str
    bounds: Bounds | None = None
    number: int = 0
    scheduled: bool = False
    runs: int | None = 0
    standing: Standing = Standing.ANSWERS
    silent_for: float = 0.0
    draining: bool = False
    shown: Shown | None = None
    shortage: Shortage | None = None
