"""Find out whether a member's namespace has objects that our hub does not manage; asked before a Namespace is deleted.

One list of metadata for each type, without what bears our label, until something is found. What has an owner is not
counted, because its owner is, and neither is what Kubernetes puts into every namespace. Who may not list a type, or
gets no answer, does not know: that is said, and nobody takes it for an empty namespace.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from federation.core import checks
from federation.kube import decoding
from federation.kube.connection import METADATA_LIST
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.resources import PERSISTENT_VOLUME_CLAIMS, PODS, Resource

if TYPE_CHECKING:
    from federation.kube.members import Server

DEADLINE = 5.0
"""Seconds for one list."""
PAGE, MOST_PAGES = 100, 5
IN_EVERY_NAMESPACE = frozenset(
    {
        ("configmaps", "kube-root-ca.crt"),
        ("configmaps", "openshift-service-ca.crt"),
        ("configmaps", "istio-ca-root-cert"),
        ("serviceaccounts", "default"),
    }
)
_NONE_OF_ITS_OWN = frozenset({"events", "events.events.k8s.io", "endpoints", "endpointslices.discovery.k8s.io"})
"""Types whose objects are about others."""


class _Metadata(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    owners: tuple[msgspec.Raw, ...] = msgspec.field(name="ownerReferences", default=())


class _Item(msgspec.Struct, frozen=True, gc=False):
    metadata: _Metadata = _Metadata()


class _Head(msgspec.Struct, frozen=True, gc=False):
    more: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct, frozen=True, gc=False):
    metadata: _Head = _Head()
    items: tuple[_Item, ...] | None = ()


_list = msgspec.json.Decoder(_List)


async def others(server: "Server", namespace: str, types: Sequence[Resource]) -> str:
    """What of others is in a namespace, as `has Pod 'db'`, or why that is not known; "" where nothing is.

    `types` are those that our hub federates; Pods and PersistentVolumeClaims are always looked for.
    """
    asked = {each.qualified: each for each in (PODS, PERSISTENT_VOLUME_CLAIMS, *types) if each.namespaced}
    for name, resource in asked.items():
        if name not in _NONE_OF_ITS_OWN and (found := await _of(server, namespace, resource)):
            return found
    return ""


async def _of(server: "Server", namespace: str, resource: Resource) -> str:
    params = {"limit": str(PAGE), "labelSelector": f"!{marks.MANAGED_LABEL}"}
    unknown = f"is not known to have no {resource.plural} of others"
    for _ in range(MOST_PAGES):
        answer = await server.request(
            "GET", resource.collection(namespace), params=params, accept=METADATA_LIST, deadline=DEADLINE
        )
        if isinstance(answer, Failure):
            return "" if answer.kind is FailureKind.TYPE_MISSING else f"{unknown}: {answer.message}"
        try:
            page = _list.decode(answer.body)
        except decoding.ERRORS:
            return f"{unknown}: the answer cannot be read"
        for item in page.items or ():
            if not item.metadata.owners and (resource.qualified, item.metadata.name) not in IN_EVERY_NAMESPACE:
                return f"has {resource.kind} {checks.quote(item.metadata.name)} in it, which is not of this hub"
        if not page.metadata.more:
            return ""
        params = {**params, "continue": page.metadata.more}
    return f"{unknown}: there are very many"
