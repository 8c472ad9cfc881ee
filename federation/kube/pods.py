"""Since when pods of a workload in a member have been unschedulable: a list of those that have no node, and no others.

The API server selects them by field, so that what is sent grows with the pods that wait for a node, not with those that
run. Nothing is watched, and nothing is kept of them but these times.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from federation.core import times
from federation.kube import decoding
from federation.model import bounds
from federation.model.failures import Failure, FailureKind
from federation.model.resources import PODS

if TYPE_CHECKING:
    from federation.kube.members import Server

DEADLINE = 5.0
"""Seconds for one page."""
PAGE, MOST_PAGES = 500, 20
_WITHOUT_A_NODE = "status.phase=Pending,spec.nodeName="


class _Condition(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    type: str = ""
    status: str = ""
    reason: str = ""
    last_transition_time: str | None = None

    @property
    def unschedulable(self) -> bool:
        return (self.type, self.status, self.reason) == ("PodScheduled", "False", "Unschedulable")


class _Status(msgspec.Struct, frozen=True, gc=False):
    conditions: tuple[_Condition, ...] | None = ()


class _Metadata(msgspec.Struct, frozen=True, gc=False):
    deleted: str | None = msgspec.field(name="deletionTimestamp", default=None)


class _Pod(msgspec.Struct, frozen=True, gc=False):
    metadata: _Metadata = _Metadata()
    status: _Status = _Status()


class _Head(msgspec.Struct, frozen=True, gc=False):
    more: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct, frozen=True, gc=False):
    metadata: _Head = _Head()
    items: tuple[_Pod, ...] | None = ()


_list = msgspec.json.Decoder(_List)


async def unschedulable(server: "Server", namespace: str, selector: str) -> Sequence[float] | Failure:
    """Since when each unschedulable pod that the selector selects has been so, in seconds of the epoch by the member's
    clock. A pod that its scheduler has not looked at is none of them."""
    found: list[float] = []
    params = {"fieldSelector": _WITHOUT_A_NODE, "labelSelector": selector, "limit": str(PAGE)}
    for _ in range(MOST_PAGES):
        answer = await server.request(
            "GET", PODS.collection(namespace), params=params, deadline=DEADLINE, largest=bounds.LARGEST_HUB_PAGE
        )
        if isinstance(answer, Failure):
            return answer
        try:
            page = _list.decode(answer.body)
        except decoding.ERRORS as error:
            return Failure(FailureKind.UNEXPECTED, f"pods: the answer cannot be read: {decoding.describe(error)}")
        found += [since for pod in page.items or () if (since := _since(pod)) is not None]
        if not page.metadata.more:
            break
        params["continue"] = page.metadata.more
    return found


def _since(pod: _Pod) -> float | None:
    if pod.metadata.deleted is not None:
        return None
    for condition in pod.status.conditions or ():
        if condition.unschedulable:
            then = times.moment(condition.last_transition_time)
            return then.timestamp() if then is not None else 0.0
    return None
