"""Read API resources from a discovery document: of /api/v1, /apis/<group>/<version>, or aggregated discovery.

An OpenAPI document has a type's plural and scope (see openapi.resources) but not its short names.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from typegen.model import ApiResource, Unusable

REPLICAS = ".spec.replicas"
"""Where every built-in type with a scale subresource keeps its desired replicas."""


def is_document(document: Mapping[str, Any]) -> bool:
    """Whether `resources` reads documents of this kind."""
    return document.get("kind") in ("APIResourceList", "APIGroupDiscoveryList")


def resources(document: Mapping[str, Any]) -> tuple[ApiResource, ...]:
    """The resources of an APIResourceList (one group version) or of an APIGroupDiscoveryList (all of them).

    Raises Unusable for anything else, and for a list that is incomplete.
    """
    try:
        match document.get("kind"):
            case "APIResourceList":
                return tuple(_from_list(document))
            case "APIGroupDiscoveryList":
                return tuple(_from_groups(document))
    except (AttributeError, KeyError, TypeError) as error:
        raise Unusable(f"the discovery document ({document.get('kind')}) cannot be read") from error
    raise Unusable(f"not a discovery document: kind is {document.get('kind')!r}, expected APIResourceList")


def find(known: Iterable[ApiResource], name: str) -> ApiResource:
    """The resource of this `name`: a kind, plural, singular or short name, or `plural.group`.

    Raises Unusable when no group or more than one has it. Of several versions the first is returned; discovery lists
    the preferred one first.
    """
    wanted = name.lower()
    found = [
        resource
        for resource in known
        if wanted in (resource.plural, resource.singular, resource.kind.lower(), resource.qualified)
        or wanted in resource.short_names
    ]
    if not found:
        raise Unusable(f"no API resource is called {name!r}")
    names = sorted({resource.qualified for resource in found})
    if len(names) > 1:
        raise Unusable(f"{name!r} is ambiguous: name one of {', '.join(names)}")
    return found[0]


def _from_list(document: Mapping[str, Any]) -> Iterable[ApiResource]:
    group, _, version = str(document.get("groupVersion", "")).rpartition("/")
    entries = document.get("resources") or []
    scaled = {entry["name"].partition("/")[0] for entry in entries if entry["name"].endswith("/scale")}
    for entry in entries:
        if "/" in entry["name"]:
            continue
        yield ApiResource(
            group=entry.get("group") or group,
            version=entry.get("version") or version,
            kind=entry["kind"],
            plural=entry["name"],
            singular=entry.get("singularName") or entry["kind"].lower(),
            namespaced=bool(entry.get("namespaced")),
            short_names=tuple(entry.get("shortNames") or ()),
            scale=REPLICAS if entry["name"] in scaled else "",
            categories=tuple(entry.get("categories") or ()),
        )


def _from_groups(document: Mapping[str, Any]) -> Iterable[ApiResource]:
    for group in document.get("items") or []:
        for version in group.get("versions") or []:
            for entry in version.get("resources") or []:
                subresources = {sub.get("subresource") for sub in entry.get("subresources") or []}
                kind = entry["responseKind"]["kind"]
                yield ApiResource(
                    group=group["metadata"].get("name", ""),
                    version=version["version"],
                    kind=kind,
                    plural=entry["resource"],
                    singular=entry.get("singularResource") or kind.lower(),
                    namespaced=entry.get("scope") == "Namespaced",
                    short_names=tuple(entry.get("shortNames") or ()),
                    scale=REPLICAS if "scale" in subresources else "",
                    categories=tuple(entry.get("categories") or ()),
                )
