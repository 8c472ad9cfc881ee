"""Which plans a change of one cluster can alter, so that all others need not be made anew. Pure, called by fanout.

A plan depends on a cluster where it has an action for it, or the object may have a copy there; through the labels by
which its placement selects; and through the list of all clusters, where it names one that has not joined, or selects
none and the status says of how many.
"""

from dataclasses import dataclass, field

import msgspec

from federation.core import selectors
from federation.model.observations import Cluster
from federation.model.plan import Plan


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """A cluster as it was, and as it is now; None where it had not joined, or has left."""

    name: str
    before: Cluster | None
    after: Cluster | None
    moved: bool = field(init=False)
    """Whether placements may select it, or no longer: it joined or left, or has other labels."""
    touches_copies: bool = field(init=False)
    """Whether what is to be done there may be something else: it answers now or does not, is cordoned or not, or the
    reason is another; its agent is heard or not; it is reached in another way."""
    _selection: dict[str, bool] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        before, after = self.before, self.after
        moved = touches_copies = True
        if before is not None and after is not None:
            moved, touches_copies = before.labels != after.labels, _matters(before) != _matters(after)
        # Once, because every object is asked: a hundred thousand, of which it concerns few.
        object.__setattr__(self, "moved", moved)
        object.__setattr__(self, "touches_copies", touches_copies)

    def concerns(self, plan: Plan) -> bool:
        """Whether the plan of an object may be another now, wherever its copies are."""
        return plan.deleting or (self.moved and (bool(plan.nowhere) or self.alters_selection(plan)))

    def alters_selection(self, plan: Plan) -> bool:
        """Whether the plan's placement selects the cluster now and did not, or the other way round."""
        if not self.moved:
            return False
        if self.after is None and (self.name in plan.selected or self.name in plan.excluded):
            return True  # one that is listed and excluded is unjoined from now on, which the status says
        return self.name in plan.unjoined or (bool(plan.selector) and self._matches(plan.selector))

    def _matches(self, selector: str) -> bool:
        """Whether a selector selects only one of both. Many objects have the same one."""
        known = self._selection.get(selector)
        if known is None:
            wanted = msgspec.json.decode(selector)
            before, after = (
                cluster is not None and selectors.matches(wanted, cluster.labels)
                for cluster in (self.before, self.after)
            )
            known = self._selection[selector] = before != after
        return known


def _matters(cluster: Cluster) -> tuple[bool | None, bool, str, str | None, bool, str]:
    message = "" if cluster.ready else cluster.message
    return cluster.ready, cluster.is_host, message, cluster.cordon, cluster.pulls, cluster.silent
