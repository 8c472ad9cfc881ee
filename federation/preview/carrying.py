"""Apply a plan: the hub is written, each object only as it was planned; members follow by the controller."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from federation.joining import applying
from federation.joining.applying import Report
from federation.joining.errors import Refused
from federation.kube.connection import Answer, Connection
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.resources import NAMESPACES
from federation.preview import saved, writing
from federation.preview.making import Made
from federation.preview.wishes import Wish

_TRIES = 3
_GONE = frozenset({FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING})


async def write(host: Connection, made: Made, report: Report) -> int:
    """Write every document that changes the hub, namespaces first; how many. Raises Refused, ApiFailure.

    An object that has changed since the plan was made is not written.
    """
    due = _ordered([wish for wish in made.wishes if wish.moves])
    for done, wish in enumerate(due):
        try:
            outcome = await _one(host, wish)
        except (ApiFailure, Refused) as error:
            rest = f"{done} of {len(due)} documents were written before; plan again for the rest"
            raise Refused(str(error), rest if done else "plan again") from None
        report(f"{host.name}: {wish.label} {outcome}")
    return len(due)


def _ordered(due: Sequence[Wish]) -> Sequence[Wish]:
    """Namespaces before what is in them; the other way round where they are deleted."""
    return sorted(due, key=lambda wish: (wish.resource == NAMESPACES) is wish.delete)


async def _one(host: Connection, wish: Wish) -> str:
    doing = f"{host.name}: {'delete' if wish.delete else 'apply'} {wish.label}"
    answer: Answer | Failure | None = None
    for _ in range(_TRIES):
        found = await applying.find(host, wish.resource, wish.where)
        if saved.stamp(dataclasses.replace(wish, before=found)) != saved.stamp(wish):
            raise Refused(f"{doing}: it has changed since it was planned")
        answer = await _sent(host, wish, found)
        if not isinstance(answer, Failure) or answer.kind is not FailureKind.VERSION_CONFLICT:
            break  # the controller has written its status meanwhile: once more
    if isinstance(answer, Failure):
        if wish.delete and answer.kind in _GONE:
            return "not found"
        raise ApiFailure(answer, doing)
    return "deleted" if wish.delete else "created" if wish.before is None else "configured"


async def _sent(host: Connection, wish: Wish, found: dict[str, Any] | None) -> Answer | Failure:
    if wish.delete:
        if found is None:
            return Failure(FailureKind.NOT_FOUND, "it is gone")
        return await writing.delete(host, wish.resource, found, secret=wish.secret, dry_run=False)
    document = wish.given.document
    if found is not None:
        same = {"uid": found["metadata"]["uid"], "resourceVersion": found["metadata"]["resourceVersion"]}
        document = {**document, "metadata": {**document["metadata"], **same}}
    return await writing.write(host, wish.resource, document, wish.way, before=found, secret=wish.secret, dry_run=False)
