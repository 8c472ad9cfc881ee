"""The enabled type for a KIND on the command line: any name of the target or of its federated type.

Names are kind, plural, singular, short name and `plural.group`; short names come from the host's discovery.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence

from federation.joining import discovery
from federation.joining.errors import Refused
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.federated import FederatedType
from federation.model.resources import Resource
from typegen.model import ApiResource

Aliases = Mapping[str, frozenset[str]]
"""Qualified name of a resource to its singular and short names."""


async def served(host: Connection) -> Aliases:
    """Short names from the host's discovery; none when it cannot be read (full names work without)."""
    try:
        found = await discovery.read(host)
    except ApiFailure:
        return {}
    return aliases(found.all)


def aliases(resources: Iterable[ApiResource]) -> Aliases:
    """The other names of each resource, lower case."""
    return {each.qualified: frozenset({each.singular.lower(), *each.short_names}) for each in resources}


def names(resource: Resource, known: Aliases) -> frozenset[str]:
    """Everything that a resource may be called, lower case."""
    own = {resource.qualified, resource.plural, resource.kind.lower()}
    return frozenset(own) | known.get(resource.qualified, frozenset())


class Ambiguous(Refused):
    """A name that means several types."""


def qualified(known: Aliases, name: str) -> str:
    """`plural.group` for a name: the name itself if it has a group, else the host's resource of it; "" if unclear."""
    wanted = name.lower()
    if "." in wanted:
        return wanted
    found = [each for each, others in known.items() if wanted == each.partition(".")[0] or wanted in others]
    return wanted if wanted in found else found[0] if len(found) == 1 else ""


def resolve(types: Sequence[FederatedType], known: Aliases, name: str) -> FederatedType:
    """The type of that name. Raises Refused when it is not enabled, Ambiguous when several have the name."""
    wanted = name.lower()
    found = [each for each in types if wanted in names(each.target, known) | names(each.federated, known)]
    exact = [each for each in found if wanted in (each.name, each.federated.qualified)]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        raise Ambiguous(f"{name!r} is ambiguous", f"name one of {', '.join(sorted(each.name for each in found))}")
    words = {alias: each.name for each in types for alias in names(each.target, known) | names(each.federated, known)}
    near = difflib.get_close_matches(wanted, words, n=1)
    if near:
        raise Refused(f"{name!r} is not an enabled type", f"did you mean {words[near[0]]}?")
    listed = ", ".join(sorted(each.name for each in types)) or "none"
    raise Refused(f"{name!r} is not an enabled type", f"enabled are: {listed}; to add one: fedctl enable {name}")


def federated(resources: Iterable[ApiResource], name: str) -> Resource | None:
    """The federated resource of this name that the host serves, enabled or not; None unless there is exactly one."""
    wanted = name.lower()
    found = {
        each.qualified: Resource(each.group, each.version, each.kind, each.plural, each.namespaced)
        for each in resources
        if each.kind.startswith("Federated")
        and each.kind != "FederatedTypeConfig"
        and wanted in {each.qualified, each.plural, each.kind.lower(), each.singular.lower(), *each.short_names}
    }
    return next(iter(found.values())) if len(found) == 1 else None
