"""What a person asks of a staged rollout, as a patch of its FederatedRollout: pause, resume, approve, undo.

Approval and undo name the revision, so that a request that was meant for one does not reach another.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import orjson

from federation.joining import applying, lookups
from federation.joining.errors import Refused
from federation.kube import connection as http
from federation.kube.connection import MERGE_PATCH, Connection
from federation.model.marks import APPROVED_ANNOTATION, UNDONE_ANNOTATION
from federation.model.resources import ROLLOUTS, ObjectName
from federation.model.rollouts import Record, Verdict

Document = Mapping[str, Any]


class Request(NamedTuple):
    """A merge patch, and what follows from it."""

    patch: Document
    said: str


def record(found: Document) -> Record:
    """The record in a FederatedRollout's status."""
    try:
        return msgspec.convert((found.get("status") or {}).get("record") or {}, Record)
    except msgspec.ValidationError as error:
        raise Refused(f"its status.record is not what a controller writes: {error}") from error


def pause(found: Document) -> Request:
    """Nothing changes until `resume`."""
    return Request({"spec": {"paused": True}}, "paused: nothing changes until fedctl rollout resume")


def resume(found: Document) -> Request:
    """Go on after `pause`, and after `undo`."""
    undone = _annotations(found).get(UNDONE_ANNOTATION)
    again = f"; revision {undone} is not taken back any more" if undone else ""
    annotations = {"annotations": {UNDONE_ANNOTATION: None}} if undone else {}
    return Request({"spec": {"paused": None}, "metadata": annotations}, f"resumed{again}")


def approve(found: Document, stage: str) -> Request:
    """Let the revision under way go on from a stage; "" is the one that it is in. Refused where there is none."""
    known = record(found)
    if not known.target:
        raise Refused("no revision is under way: there is nothing to approve")
    stage = stage or known.stage
    names = [str(each.get("name")) for each in (found.get("spec") or {}).get("stages") or ()]
    if stage not in names:
        raise Refused(f"there is no stage {stage} to approve", f"there are: {', '.join(names)}")
    value = f"{known.target}/{stage}"
    return Request(
        {"metadata": {"annotations": {APPROVED_ANNOTATION: value}}},
        f"revision {known.target} may go on from stage {stage}, once its other gates are passed",
    )


def undo(found: Document, number: int) -> Request:
    """Take a revision back; 0 is the one under way, else the good one. Refused where that is no use."""
    known = record(found)
    number = number or known.target or known.good
    revision = known.revision(number)
    if revision is None or number != (known.target or known.good):
        raise Refused(
            f"revision {number} is not what clusters are given now" if number else "no revision is known",
            f"the one that can be taken back is {known.target or known.good}" if known.newest else "",
        )
    before = known.good if known.target else _before(known, number)
    if not known.target and not before:
        raise Refused(f"no good revision before {number} is known", "change the federated objects instead")
    to = f"every cluster gets revision {before}" if before else "clusters that have it keep it, no other gets it"
    return Request(
        {"metadata": {"annotations": {UNDONE_ANNOTATION: str(number)}}},
        f"revision {number} is taken back: {to}; the federated objects stay as they are",
    )


async def send(connection: Connection, namespace: str, name: str, request: Request, *, dry_run: bool) -> None:
    """Store it, or have the API server check it."""
    where = ObjectName(namespace, name)
    answer = await applying.request(
        connection,
        "PATCH",
        ROLLOUTS.path(where),
        params={"fieldManager": applying.MANAGER} | ({"dryRun": "All"} if dry_run else {}),
        body=orjson.dumps(request.patch),
        content_type=MERGE_PATCH,
    )
    http.expect(answer, f"{connection.name}: patch {applying.label(ROLLOUTS, where)}")


async def find(connection: Connection, namespace: str, name: str) -> Document:
    """The FederatedRollout. Refused, with a similar name, when there is none."""
    return await lookups.one(connection, ROLLOUTS, namespace, name)


def _before(known: Record, number: int) -> int:
    good = [each.number for each in known.revisions if each.number < number and each.verdict is Verdict.GOOD]
    return max(good, default=0)


def _annotations(found: Document) -> Mapping[str, str]:
    return (found.get("metadata") or {}).get("annotations") or {}
