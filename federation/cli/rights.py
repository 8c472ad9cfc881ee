"""What to do when RBAC refuses: which right is missing, and who can grant it. Parses Kubernetes' own messages."""

import re
from collections.abc import Iterable, Mapping

_CANNOT = re.compile(
    r'User "(?P<user>[^"]{1,253})" cannot (?P<verb>[a-z]{1,40}) resource "(?P<resource>[^"]{1,253})"'
    r' in API group "(?P<group>[^"]{0,253})"(?: in the namespace "(?P<namespace>[^"]{1,253})")?'
)
_ESCALATES = "attempting to grant RBAC permissions not currently held"


def hint(message: str) -> str:
    """The next step for a user who lacks a right; "" for a message of another kind."""
    if _ESCALATES in message:
        return "nobody can grant rights that they do not have: run it as an admin of that cluster"
    found = _CANNOT.search(message)
    if found is None:
        return ""
    return f"ask an admin of that cluster for the right to {_right(found)}, or use another context"


def of_members(messages: Mapping[str, str]) -> Iterable[str]:
    """The next steps where members refuse the controller's requests, a line for each. `messages` are by cluster."""
    lacking: dict[str, list[str]] = {}
    escalating: list[str] = []
    for cluster, message in messages.items():
        if _ESCALATES in message:
            escalating.append(cluster)
        elif (found := _CANNOT.search(message)) is not None:
            lacking.setdefault(_right(found), []).append(cluster)
    for right, clusters in lacking.items():
        yield (
            f"the controller may not {right} in {_names(clusters)}: run fedctl enable for the type again, or grant it "
            f"all rights: {_join(clusters)}"
        )
    if escalating:
        yield (
            f"{_names(escalating)}: a role that grants more rights than the controller has there is refused; grant it "
            f"all rights: {_join(escalating)}"
        )


def _right(found: re.Match[str]) -> str:
    resource = f"{found['resource']}.{found['group']}" if found["group"] else found["resource"]
    return f"{found['verb']} {resource}" + (f" in namespace {found['namespace']}" if found["namespace"] else "")


def _join(clusters: list[str]) -> str:
    name = clusters[0] if len(clusters) == 1 else "NAME"
    return f"fedctl join {name} --error-on-existing=false --rights all"


def _names(clusters: list[str]) -> str:
    return ", ".join(clusters[:3]) + (f" and {len(clusters) - 3} more" if len(clusters) > 3 else "")
