"""Large objects that are placed nowhere: their specs are not kept, and read again when a cluster is to get them.

A federated object that is placed nowhere needs no work, and its user must not fill our memory with it.
Of one with more than KEPT bytes of spec only name, identity and placement stay; that is decided before a list or an
event is taken in, so that a list of them does not fill memory either. Placed objects keep their bytes: a plan of every
change that the fleet sees must not cost a request.
"""

from typing import TYPE_CHECKING

import msgspec

from federation.core import parsing, placement
from federation.core.facts import Facts
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.federated import FederatedObject, ReducedObject
from federation.model.plan import Plan
from federation.model.resources import ObjectName

if TYPE_CHECKING:
    from federation.controllers.world import TypeState, World

KEPT = 16 * 1024
"""Bytes of spec, and of annotations, up to which an object that is placed nowhere is kept as it is."""


class _Placed(msgspec.Struct, gc=False):
    placement: msgspec.Raw = msgspec.Raw(b"null")


_placed = msgspec.json.Decoder(_Placed)


def kept(world: "World", state: "TypeState", item: FederatedObject) -> FederatedObject:
    """What is to be remembered of an object: all of it, unless it is large and no cluster is to get it."""
    if not _large(item) or state.type.is_namespace or item.broken:
        return item
    small = _reduced(item)
    return small if _nowhere(world, state, small) else item


def after(state: "TypeState", federated: FederatedObject, plan: Plan) -> None:
    """A plan was made: where it has nothing for any cluster, a large object is not kept."""
    if plan.actions or plan.selected or plan.undecided or plan.finalizer is not None or plan.deleting:
        return
    large = _large(federated) and not isinstance(federated, ReducedObject) and not state.type.is_namespace
    if large and state.objects.get(federated.where) is federated:
        state.objects.put(federated.where, _reduced(federated))


def decided(facts: Facts, plan: Plan, before: Plan | None) -> Plan | None:
    """What the plan of a reduced object is worth; None: a cluster is to do something, which needs the whole object.

    What was refused because of its spec stays so until the spec is another.
    """
    same = before is not None and before.generation == facts.object.metadata.generation
    if before is not None and same and before.reason.stalls and not facts.applied and not plan.deleting:
        return before
    return None if plan.actions or plan.selected else plan


def _large(item: FederatedObject) -> bool:
    if len(memoryview(item.spec)) > KEPT:
        return True
    annotations = item.metadata.annotations
    return bool(annotations) and sum(map(len, annotations.values())) > KEPT


def _reduced(item: FederatedObject) -> ReducedObject:
    try:
        where = bytes(memoryview(_placed.decode(item.spec).placement)) if memoryview(item.spec) else b"null"
    except msgspec.MsgspecError:
        where = b"null"
    metadata = msgspec.structs.replace(item.metadata, annotations={}, labels={})
    return ReducedObject(
        metadata, msgspec.Raw(b'{"template":{},"placement":' + where + b"}"), item.status, item.status_hash
    )


def _nowhere(world: "World", state: "TypeState", item: ReducedObject) -> bool:
    """Whether its own placement, or its namespace's, certainly selects no joined cluster."""
    clusters = world.clusters
    try:
        selected = placement.select(parsing.spec(item.spec).placement, clusters)
        around = world.types.get(marks.NAMESPACE_TYPE)
        if not selected or around is None or not state.type.in_namespaces:
            return not selected
        namespace = item.metadata.namespace
        where = ObjectName(namespace, namespace)
        federated = around.objects.get(where)
        if federated is None:
            return where in around.gone
        return not selected & placement.select(parsing.spec(federated.spec, namespaces=True).placement, clusters)
    except Invalid:
        return False  # the plan reports what is wrong
