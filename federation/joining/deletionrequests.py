"""What `fedctl deletions` reads and asks for: the groups in the KubeFedConfig's status, and its annotations."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from federation.joining import applying, lookups
from federation.joining.errors import Refused
from federation.kube.connection import Connection
from federation.model import marks
from federation.model.resources import KUBEFED_CONFIGS, ObjectName

Group = Mapping[str, Any]
APPROVED = "Approved"
_ID = re.compile(r"[0-9a-f]{8}")


async def read(host: Connection, namespace: str) -> Mapping[str, Any]:
    """`groups`, how many more there are (`moreGroups`), and `leftBehind`, as the status has them. Raises ApiFailure."""
    found = await applying.find(host, KUBEFED_CONFIGS, ObjectName(namespace, marks.CONFIG))
    return document((found or {}).get("status") or {})


def document(status: Mapping[str, Any]) -> dict[str, Any]:
    """What a KubeFedConfig's status has of it, in one form."""
    deletions = status.get("deletions") or {}
    return {
        "groups": list(deletions.get("groups") or ()),
        "moreGroups": int(deletions.get("moreGroups") or 0),
        "leftBehind": list(deletions.get("leftBehind") or ()),
    }


async def decide(host: Connection, namespace: str, names: Sequence[str], *, approve: bool, dry_run: str) -> None:
    """Approve or reject these groups; none of them where one is not there. Raises Refused and ApiFailure."""
    stored = await lookups.one(host, KUBEFED_CONFIGS, namespace, marks.CONFIG)
    marked = changes(stored, names, approve=approve)
    if dry_run != "client":
        await lookups.annotate(host, KUBEFED_CONFIGS, namespace, marks.CONFIG, marked, dry_run=bool(dry_run))


def changes(stored: Mapping[str, Any], names: Sequence[str], *, approve: bool) -> dict[str, str | None]:
    """The annotations that say so, and, to be removed, those of groups that are no more. Raises Refused."""
    told = document(stored.get("status") or {})
    groups = {str(each.get("id")): each for each in told["groups"]}
    for name in names:
        group = groups.get(name)
        if group is None and told["moreGroups"] and _ID.fullmatch(name):
            continue  # the conditions of federated objects name groups for which the status has no room
        if group is None:
            known = f"there are: {', '.join(groups)}" if groups else "nothing is held"
            raise Refused(f"no group {name} of deletions is held", f"{known}; fedctl deletions shows them")
        if not approve and group.get("state") == APPROVED:
            raise Refused(f"group {name} was approved, and goes", "take the change back to keep what is left")
    annotations = (stored.get("metadata") or {}).get("annotations") or {}
    ended: dict[str, str | None] = {
        each: None
        for each in annotations
        if each.startswith(marks.DELETIONS_PREFIX)
        and each.removeprefix(marks.DELETIONS_PREFIX) not in groups
        and not told["moreGroups"]
    }
    word = marks.APPROVED if approve else marks.REJECTED
    return ended | {f"{marks.DELETIONS_PREFIX}{name}": word for name in names}
