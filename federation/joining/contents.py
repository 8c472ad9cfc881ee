"""The plain objects of a namespace at the host that may be federated, and the creation of federated objects.

Called by `fedctl federate`. Objects that a controller makes for others (ReplicaSets of a Deployment, EndpointSlices)
are left out: each member's own controllers make them there.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

import orjson

from federation.joining import applying, kinds
from federation.joining.applying import MANAGER, Outcome
from federation.joining.discovery import Served
from federation.joining.kinds import Aliases
from federation.kube import connection as http
from federation.kube.connection import Connection
from federation.model.failures import Failure, FailureKind
from federation.model.resources import ObjectName, Resource
from typegen.model import ApiResource

_DERIVED = frozenset(
    {
        "endpoints",
        "endpointslices.discovery.k8s.io",
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
        "controllerrevisions.apps",
        "podtemplates",
    }
)
_GIVEN = {
    ("serviceaccounts", "default"): "every namespace has its own",
    ("configmaps", "kube-root-ca.crt"): "every cluster writes its own",
    ("configmaps", "openshift-service-ca.crt"): "every cluster writes its own",
}
_GIVEN_SECRETS = {
    "kubernetes.io/service-account-token": "a token of this cluster is not valid in others",
    "helm.sh/release.v1": "it is Helm's record of this cluster",
    "bootstrap.kubernetes.io/token": "a token of this cluster is not valid in others",
}


@dataclass(frozen=True, slots=True)
class Held:
    """The objects of one type in a namespace; `left_out` are names with the reason why each is not to be federated."""

    objects: tuple[dict[str, Any], ...]
    left_out: tuple[tuple[str, str], ...] = ()


def candidates(served: Served, aliases: Aliases, skip: Iterable[str]) -> list[Resource]:
    """The types whose objects a namespace may hold, each once in the version the host prefers, without those skipped.

    `skip` takes kinds, plurals, short names, plural.group, and groups for all their types.
    """
    words = {word.lower() for word in skip}
    found: dict[str, Resource] = {}
    for each in served.federable:
        if each.namespaced and each.qualified not in _DERIVED and not each.group.endswith(".kubefed.io"):
            found.setdefault(each.qualified, resource(each))
    return [each for each in found.values() if not is_named(each, words, aliases)]


def is_named(wanted: Resource, words: Set[str], aliases: Aliases) -> bool:
    """Whether one of these words (lower case) is a name of the resource, or its API group's."""
    return bool(words & kinds.names(wanted, aliases)) or bool(wanted.group and wanted.group in words)


def resource(found: ApiResource) -> Resource:
    """typegen's ApiResource as the Resource that the rest of the code uses."""
    return Resource(found.group, found.version, found.kind, found.plural, found.namespaced)


async def held(host: Connection, wanted: Resource, namespace: str) -> Held:
    """What the namespace holds of a type, as `kubectl get -o yaml` shows it."""
    objects = []
    left_out = []
    for item in await applying.listing(host, wanted, namespace):
        why = reason(wanted, item)
        if why:
            left_out.append((str(item["metadata"]["name"]), why))
        elif not _is_owned(item):
            objects.append({"apiVersion": wanted.api_version, "kind": wanted.kind, **item})
    return Held(tuple(objects), tuple(left_out))


def reason(wanted: Resource, item: Mapping[str, Any]) -> str:
    """Why an object that every cluster makes for itself is not federated with its namespace; "" when it is."""
    if wanted.qualified == "secrets":
        return _GIVEN_SECRETS.get(str(item.get("type")), "")
    return _GIVEN.get((wanted.qualified, str(item["metadata"].get("name"))), "")


async def create(host: Connection, wanted: Resource, manifest: Mapping[str, Any], *, dry_run: bool) -> Outcome:
    """Create the object; UNCHANGED when one of that name is there, which is left as it is."""
    where = ObjectName(manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
    params = {"fieldManager": MANAGER, "fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
    answer = await applying.request(
        host,
        "POST",
        wanted.collection(where.namespace if wanted.namespaced else ""),
        params=params,
        body=orjson.dumps(manifest),
        secret=wanted.kind == "FederatedSecret",
    )
    if isinstance(answer, Failure) and answer.kind is FailureKind.ALREADY_EXISTS:
        return Outcome.UNCHANGED
    http.expect(answer, f"{host.name}: create {applying.label(wanted, where)}")
    return Outcome.CREATED


def _is_owned(item: Mapping[str, Any]) -> bool:
    owners = item["metadata"].get("ownerReferences") or ()
    return any(isinstance(owner, dict) and owner.get("controller") for owner in owners)
