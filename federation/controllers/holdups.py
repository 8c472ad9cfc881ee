"""Why an action that nothing has refused does not reach its cluster: its lane holds it back, its namespace fails, or
many others come before it.

`holdup` only reads, and is called by `reporting` when a line is made, so that it is as of now and goes when it is over.
`note` remembers what pushes of a type failed with. A lane holds the keys of a type back when other objects of that type
have failed; the first of those failures is the reason.
"""

import time
from typing import NamedTuple

from federation.controllers.world import Member, World
from federation.core import cadence
from federation.model.failures import Failure
from federation.model.marks import NAMESPACE_TYPE
from federation.model.plan import Action, Command, Wait
from federation.model.resources import Key, ObjectName
from federation.runtime.lane import Hold

_HELD = {
    Hold.CLUSTER: "writes to this cluster are paused",
    Hold.KIND: "writes of this type to this cluster are paused or few at a time, because others of them failed",
}


class Holdup(NamedTuple):
    """`reason`: why an action waits longer than an answer takes; "" when it is merely on its way. `early`: it waits for
    its turn behind others, or has begun less than cadence.REMIND ago, so that the cluster does not owe an answer yet.
    """

    reason: str = ""
    early: bool = False


def holdup(world: World, key: Key, cluster: str, action: Action) -> Holdup:
    """What the action of one cluster waits for."""
    member = world.members.get(cluster)
    if member is None:
        return Holdup()
    if isinstance(action, Command):
        return _of_command(member, key)
    if isinstance(action, Wait) and action.namespace:
        return Holdup(_of_namespace(world, member, key.namespace))
    return Holdup()


def note(member: Member, key: Key, name: ObjectName, failure: Failure | None) -> None:
    """A push has ended: remember what the member's trouble with a type is, until one succeeds.

    The first failure of a row stays, or every object would have another message at each report. A message that names
    the object is no other object's business.
    """
    if failure is None or failure.concerns != "member":
        if member.troubles:
            member.troubles.pop(key.type, None)
    elif not failure.late and member.troubles.get(key.type, ("",))[0] != failure.kind.value:
        named = name.name in failure.message
        text = f"{failure.code} {failure.reason}".strip() if named else failure.message
        member.troubles[key.type] = failure.kind.value, text


def _of_command(member: Member, key: Key) -> Holdup:
    lane = member.lane
    if lane is None or key not in lane:
        return Holdup()
    hold, began = lane.hold(key), lane.started(key)
    early = hold is None if began is None else time.monotonic() - began < cadence.REMIND
    return Holdup("" if hold is None else _because(hold, member, key), early=early)


def _because(hold: Hold, member: Member, key: Key) -> str:
    troubles = member.troubles
    _, text = troubles.get(key.type) or next(iter(troubles.values()), ("", "")) if troubles else ("", "")
    return f"{_HELD[hold]}: {text}" if text else _HELD[hold]


def _of_namespace(world: World, member: Member, namespace: str) -> str:
    """What keeps the push of a namespace from succeeding."""
    state, cluster = world.types.get(NAMESPACE_TYPE), member.cluster.name
    where = ObjectName(namespace, namespace)
    track = state.tracks.get(where) if state is not None else None
    if track is None:
        return ""
    setback = track.setbacks.get(cluster)
    if setback is not None and setback.message:
        return setback.message
    action = track.actions.get(cluster)
    if isinstance(action, Command):
        return _of_command(member, Key(NAMESPACE_TYPE, *where)).reason
    return action.message if isinstance(action, Wait) else ""
