"""What the coordinating shard plans for clusters that other shards serve: nothing but what it says of them; pure.

Those shards plan for these clusters themselves. What they have reported becomes the line of each in the object's
status, and what they have not reported yet is waited for. A shard that says nothing, because nobody holds it, is
unknown and not absent: its lines stay, and an object that is deleted stays until it has confirmed that its clusters
have no copy.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from federation.core.holds import Held
from federation.model.conditions import Phase, PropagationStatus, phase
from federation.model.observations import Cluster
from federation.model.plan import Action, Elsewhere, Plan
from federation.model.status import ClusterStatus

if TYPE_CHECKING:
    from federation.core.facts import Facts


@dataclass(frozen=True, slots=True)
class Foreign:
    """What other shards have said of one object. `lines`: of each cluster where they have something of it, or may.

    `heard` are the clusters whose shard has spoken of this generation. `silent` are shards that have not confirmed that
    nothing is left of an object that is being deleted. `deletions` are copies that are not removed.
    """

    lines: Mapping[str, ClusterStatus]
    heard: Set[str] = frozenset()
    stalled: Set[str] = frozenset()
    silent: tuple[int, ...] = ()
    deletions: Held | None = None


NOTHING_SAID = Foreign({})


def selected(facts: "Facts", cluster: Cluster) -> Elsewhere:
    """What is said of a cluster of another shard that should have the object."""
    name, said = cluster.name, facts.elsewhere
    line, heard = said.lines.get(name), name in said.heard
    if line is None or (_goes(line) and not heard):
        return Elsewhere(ClusterStatus(name, PropagationStatus.PENDING, awaited(cluster)))
    return Elsewhere(line, answered=heard, stalled=name in said.stalled)


def deselected(facts: "Facts", cluster: Cluster) -> Elsewhere | None:
    """What is said of one that should not have it; None where nothing is there."""
    name, said = cluster.name, facts.elsewhere
    line = said.lines.get(name)
    if line is None:
        return None
    if line.status and name in said.heard:
        return Elsewhere(line, answered=True, stalled=name in said.stalled)
    return Elsewhere(_removing(line, cluster))


def deleted(facts: "Facts", cluster: Cluster) -> Elsewhere | None:
    """What is said of one while the object itself is being deleted; None where nothing is there."""
    line = facts.elsewhere.lines.get(cluster.name)
    if line is None or cluster.shard not in facts.elsewhere.silent:
        return None
    return Elsewhere(line if _goes(line) or _failed(line) else _removing(line, cluster), answered=bool(line.status))


def untouched(facts: "Facts", status: PropagationStatus, message: str) -> Iterator[tuple[str, Action]]:
    """What is said of the clusters where copies stay as they are, because the object as a whole is not understood."""
    for name, line in facts.elsewhere.lines.items():
        cluster = facts.clusters.get(name)
        if cluster is not None and cluster.shard is not None:
            yield name, Elsewhere(msgspec.structs.replace(line, status=status, message=message), answered=True)


def awaited(cluster: Cluster) -> str:
    """What is said of a cluster whose shard has said nothing."""
    return f"shard {cluster.shard}, which serves this cluster, has not reported yet"


def worker(plan: Plan) -> Plan:
    """The plan as a shard carries it out that does not coordinate: nothing is pushed before the finalizer is there."""
    return Plan(plan.generation, undecided=True) if plan.finalizer else plan


def _goes(line: ClusterStatus) -> bool:
    return phase(line.status) is Phase.REMOVING


def _failed(line: ClusterStatus) -> bool:
    return line.status in {PropagationStatus.DELETION_FAILED, PropagationStatus.DELETION_TIMED_OUT}


def _removing(line: ClusterStatus, cluster: Cluster) -> ClusterStatus:
    return msgspec.structs.replace(line, status=PropagationStatus.WAITING_FOR_REMOVAL, message=awaited(cluster))
