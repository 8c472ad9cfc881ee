"""What agents report of copies, in place of what a watch of the member would show, for types with status collection.

From a work's status feedback (core.workfeedback) into Copies.statuses, where `collecting` reads it for either mode.
What was not reported since the present manifest was applied is unknown: it is older than the work.
"""

from federation.controllers import collecting
from federation.controllers.copies import Copies
from federation.controllers.statuses import Statuses
from federation.controllers.world import TypeState, World
from federation.core import workfeedback
from federation.core.workfeedback import Copy
from federation.model import marks
from federation.model.observations import ObservedWork
from federation.model.resources import ObjectName


def begin(state: TypeState, copies: Copies) -> None:
    """Before the first work is shown: whether there is anything to collect."""
    copies.statuses = Statuses() if state.type.collection is not None else None


def show(world: World, state: TypeState, cluster: str, target: ObjectName, work: ObservedWork | None) -> None:
    """A work shows this of a copy; None: it is gone."""
    copies = state.copies.get(cluster)
    statuses = copies.statuses if copies is not None else None
    if statuses is None:
        return
    if work is None:
        if statuses.drop(target):
            collecting.news(world, state, cluster, target, new=True)
        return
    feedback = work.feedback
    if feedback is None:
        return
    found = workfeedback.collect(feedback, work.version, state.type, staged=is_staged(state, target))
    if found is not None:
        collecting.news(world, state, cluster, target, new=statuses.put(target, found))


def seen(state: TypeState, target: ObjectName, work: ObservedWork) -> Copy | None:
    """What of a copy was reported, as far as it was asked for; None where that is not known."""
    paths = workfeedback.asked(state.type, staged=is_staged(state, target))
    return workfeedback.copy(work.feedback, paths) if work.feedback is not None and paths else None


def is_staged(state: TypeState, target: ObjectName) -> bool:
    """Whether a rollout holds the object, so that more is asked for."""
    item = state.objects.get(state.federated_name(target))
    return item is not None and marks.ROLLOUT_LABEL in item.metadata.labels
