"""What members hold against what they should hold, found by dry runs: pairs of whole objects to be compared."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from federation.core import scrubbing
from federation.joining.applying import Report
from federation.joining.fleet import Member
from federation.joining.reaching import Reach, Way
from federation.model.plan import Wait
from federation.model.resources import SECRETS, Key
from federation.preview import handed
from federation.preview.changes import Kind
from federation.seeing import asking, masking
from federation.seeing.asking import How
from federation.seeing.standing import Outlook, Standing

_SERVERS = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
_LONGEST_NAME = 200
_FAILED = frozenset({Kind.REFUSE, Kind.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Pair:
    """One object in one cluster ("" : at the hub) as it is and as it should be; None: not at all. Without the values of
    Secrets, and without what servers keep of it."""

    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(slots=True)
class Compared:
    """What was found. `failed` are clusters in which something could not be compared; what is in `notes` explains what
    is."""

    pairs: list[Pair] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, cluster: str, before: Any, after: Any, *, secret: bool) -> None:
        """One object, if it differs."""
        found = pair(cluster, before, after, secret=secret)
        if found is not None:
            self.pairs.append(found)


async def compare(
    reach: Reach, outlook: Outlook, wanted: Mapping[str, Sequence[Key]], how: How, report: Report
) -> Compared:
    """Compare these objects in each cluster, by name of the cluster; `outlook` is made anew (Outlook.anew)."""
    found = Compared()

    async def one(member: Member, way: Way) -> None:
        for standing in await outlook.visit(member.name, wanted[member.name], way):
            take(outlook, standing, found)

    async def of_works(member: Member) -> None:
        for standing in await outlook.read_works(reach.host, member.name, wanted[member.name]):
            take(outlook, standing, found)

    members = outlook.members(sorted(wanted))
    silent = await asking.ask(reach, members, how, one, report, of_works=of_works)
    found.failed |= silent
    found.pairs.sort(key=lambda each: each.name)
    return found


def take(outlook: Outlook, standing: Standing, found: Compared) -> None:
    """Note how one object stands in one cluster."""
    state = outlook.world.types[standing.key.type]
    secret = state.type.target.qualified == SECRETS.qualified
    what = f"{standing.cluster}: {standing.key}"
    change = standing.change
    if standing.unread or (change is not None and change.kind in _FAILED):
        why = standing.unread or (change.message if change is not None else "")
        found.failed[standing.cluster] = scrubbing.line(f"{standing.key}: {why}")
        return
    if standing.way is not None:
        text = "; ".join(filter(None, map(standing.way.get, ("stage", "message", "silent"))))
        found.notes.append(scrubbing.line(f"{what}: compared with its work ({text}): {handed.UNSEEN}"))
    if standing.sides is not None:
        found.add(standing.cluster, *standing.sides, secret=secret)
    if isinstance(standing.action, Wait):
        found.notes.append(scrubbing.line(f"{what}: not compared: {standing.action.message or standing.action.status}"))
    elif change is not None and change.kind is Kind.RECREATE:
        found.notes.append(scrubbing.line(f"{what}: it would be deleted and created anew: {change.message}"))
        if standing.there is not None and standing.made is not None and standing.sides is None:
            found.add(standing.cluster, standing.there.content, standing.made.body, secret=secret)
    elif change is not None and change.kind in {Kind.RELEASE, Kind.CLAIM}:
        found.notes.append(scrubbing.line(f"{what}: {change.kind}: {change.message or change.because}"))
    elif change is not None and change.message:
        found.notes.append(scrubbing.line(f"{what}: {change.message}"))


def pair(cluster: str, before: Any, after: Any, *, secret: bool) -> Pair | None:
    """Two states of an object as they are compared; None where they are the same."""
    one, other = _compared(before), _compared(after)
    if one == other:
        return None
    if secret:
        one, other = masking.pair(one, other)
    made = Pair("", one, other)
    return replace(made, name=_name(cluster, one or other or {}))


def _compared(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if document is None:
        return None
    metadata = {name: value for name, value in (document.get("metadata") or {}).items() if name not in _SERVERS}
    return {**{name: value for name, value in document.items() if name != "status"}, "metadata": metadata}


def _name(cluster: str, document: Mapping[str, Any]) -> str:
    """The name of its file, as kubectl diff has it, with the cluster in front: `m1.apps.v1.Deployment.shop.web`."""
    metadata = document.get("metadata") or {}
    group = str(document.get("apiVersion") or "").replace("/", ".")
    parts = (cluster, group, document.get("kind"), metadata.get("namespace"), metadata.get("name"))
    name = ".".join(str(part).replace("/", "_") for part in parts if part)
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
