"""What is waited for, of clusters and federated objects, and whether it has come: looked at again and again."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from federation.core import scrubbing, workloads
from federation.joining import applying, heartbeat, leases
from federation.joining.fleet import Member
from federation.joining.reaching import Reach, Way
from federation.kube.connection import Connection
from federation.model.conditions import ClusterConditionType, ConditionType
from federation.model.errors import ApiFailure
from federation.model.failures import Failure
from federation.model.resources import ObjectName, Resource
from federation.seeing import asking
from federation.seeing.asking import How
from federation.seeing.subjects import Subject

PERIOD = 1.0
"""Seconds between two looks, of one that looks into members twice as long."""

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look shows: whether it has come, and if not, what there is instead."""

    met: bool
    seen: str = ""


Check = Callable[[Object | None], Awaitable[Look]]
"""Looks at an object as the hub has it now; None: there is none."""


async def until(
    host: Connection, resource: Resource, where: ObjectName, check: Check, *, timeout: float, period: float = PERIOD
) -> Look:
    """Look until it has come, or `timeout` seconds have passed; the last look. Raises ApiFailure where we may not."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + timeout
    look = Look(False)
    while True:
        try:
            look = await check(await applying.find(host, resource, where))
        except ApiFailure as error:
            if error.failure.concerns != "member" or loop.time() >= ends:
                raise
            look = Look(False, scrubbing.line(str(error)))
        left = ends - loop.time()
        if look.met or left <= 0:
            return look
        await asyncio.sleep(min(period, left))


async def gone(found: Object | None) -> Look:
    """There is no such object any more: of a federated object no cluster has a copy by then."""
    if found is None:
        return Look(True)
    since = found["metadata"].get("deletionTimestamp")
    return Look(False, f"it is being deleted since {since}" if since else "it is there, and nobody has deleted it")


async def there(found: Object | None) -> Look:
    """There is such an object."""
    return Look(found is not None, "" if found is not None else "there is none")


def condition(kind: str, status: str = "True") -> Check:
    """A condition has this status, of the present generation where it says of which it is."""

    async def check(found: Object | None) -> Look:
        return with_condition(found, kind, status)

    return check


def with_condition(found: Object | None, kind: str, status: str) -> Look:
    """The same, of an object."""
    if found is None:
        return Look(False, "there is none")
    each = _condition(found, kind)
    if not each:
        return Look(False, f"it has no condition {kind} yet")
    generation = found["metadata"].get("generation")
    observed = each.get("observedGeneration")
    if isinstance(observed, int) and isinstance(generation, int) and observed < generation:
        return Look(False, f"{kind} is about generation {observed}, and it has {generation}")
    value, message = str(each.get("status")), str(each.get("message") or each.get("reason") or "")
    told = f"{kind} is {value}{f': {message}' if message else ''}"
    return Look(value.lower() == status.lower(), scrubbing.line(told))


def ready(host: Connection, namespace: str, limit: float) -> Check:
    """A cluster is ready, a controller leads, and the last probe is not older than a leader lets it get (seconds)."""

    async def check(found: Object | None) -> Look:
        look = with_condition(found, ClusterConditionType.READY, "True")
        last = heartbeat.probed(found) if found is not None else None
        if look.met and (last is None or (heartbeat.now(host) - last).total_seconds() > limit):
            return Look(False, "Ready is True, but it was not probed for so long that no controller seems to run")
        leader = await leases.leader(host, namespace) if look.met else None
        if leader is not None and leader.silent(heartbeat.now(host)) is not None:
            return Look(False, "Ready is True, but nobody leads, so that nobody looks")
        return look

    return check


async def propagated(found: Object | None) -> Look:
    """Every cluster that the object is placed in has applied its present generation."""
    if found is None:
        return Look(False, "there is none")
    generation, observed = found["metadata"].get("generation"), (found.get("status") or {}).get("observedGeneration")
    if generation is not None and observed != generation:
        return Look(False, f"the controller has observed generation {observed}, and it has {generation}")
    return with_condition(found, ConditionType.READY, "True")


def healthy(reach: Reach, subject: Subject, how: How) -> Check:
    """It is propagated, and well: by its condition Healthy, where it has one, else by its copies' own statuses."""

    async def check(found: Object | None) -> Look:
        look = await propagated(found)
        if not look.met or found is None:
            return look
        if _condition(found, ConditionType.HEALTHY):
            return with_condition(found, ConditionType.HEALTHY, "True")
        now = replace(subject, found=found)
        return await _in_members(reach, now, now.members(), how)

    return check


async def _in_members(reach: Reach, subject: Subject, members: Sequence[Member], how: How) -> Look:
    """Whether the copies are well by their own statuses (core.workloads); a cluster that does not tell is not."""
    unwell: dict[str, str] = {}

    async def one(member: Member, way: Way) -> None:
        why = await _copy(way.connection, subject)
        if why:
            unwell[member.name] = why

    unwell |= await asking.ask(reach, members, how, one, lambda _: None)
    if not unwell:
        return Look(True)
    name = min(unwell)
    more = f" (and {len(unwell) - 1} more clusters)" if len(unwell) > 1 else ""
    return Look(False, scrubbing.line(f"{name}: {unwell[name]}{more}"))


async def _copy(connection: Connection, subject: Subject) -> str:
    """Why a copy is not well; "" where it is."""
    target = subject.type.target
    answer: Any = None
    for version in dict.fromkeys((target.version, *subject.type.equivalent)):
        resource = replace(target, version=version)
        path = resource.path(subject.target)
        answer = await applying.request(connection, "GET", path, secret=applying.is_secret(resource))
        if not isinstance(answer, Failure):
            break
    if isinstance(answer, Failure):
        return answer.message
    found = answer.json(f"{connection.name}: get {applying.label(target, subject.target)}")
    return workloads.unhealthy(target, found) if isinstance(found, dict) else "its answer is no object"


def _condition(found: Object, kind: str) -> Object:
    conditions = (found.get("status") or {}).get("conditions")
    for each in conditions if isinstance(conditions, list) else ():
        if isinstance(each, dict) and str(each.get("type", "")).lower() == kind.lower():
            return each
    return {}
