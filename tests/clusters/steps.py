"""What tests of the whole do and wait for, in words: make an object and see it Ready, see it gone, count writes.

Built on harness.Api. Every wait fails with what was last seen.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from federation.core import binding
from federation.kube.connection import MERGE_PATCH, expect
from federation.model.failures import Failure
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import (
    EVENTS,
    KUBEFED_CLUSTERS,
    KUBEFED_CONFIGS,
    SECRETS,
    TYPE_CONFIGS,
    ObjectName,
    Resource,
)
from tests.clusters.harness import FEDERATED_CONFIGMAPS, Api, condition, eventually, federated, line, ready

_REQUEST = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_WRITES = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
_MANAGED_BY_KUBERNETES = frozenset({"leases", "tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews"})

Check = Callable[[dict[str, Any]], object]


async def point(host: Api, cluster: str, spec: Mapping[str, Any]) -> None:
    """Say where a cluster is, and confirm it as whoever may write Secrets can: the credentials go there from now on."""
    await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, cluster, {"spec": spec})
    stored = await host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, cluster)
    assert stored is not None
    unbound = {"metadata": {"annotations": {binding.ANNOTATION: None}}}
    await host.patch(SECRETS, SYSTEM_NAMESPACE, stored["spec"]["secretRef"]["name"], unbound)


class Unlike(dict[str, Any]):
    """What was seen and not wanted: falsy, so that a wait goes on, and readable when it fails."""

    def __bool__(self) -> bool:
        return False


class Federated:
    """One federated object at the hub."""

    def __init__(self, host: Api, resource: Resource, namespace: str, name: str) -> None:
        self._host = host
        self._resource = resource
        self._where = (namespace, name)

    def __str__(self) -> str:
        return f"{self._resource.kind} {'/'.join(self._where)}"

    async def get(self) -> dict[str, Any]:
        """As stored; {} when it is gone."""
        return await self._host.get(self._resource, *self._where) or {}

    async def patch(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge patch."""
        return await self._host.patch(self._resource, *self._where, body)

    async def annotate(self, **annotations: str | None) -> dict[str, Any]:
        """Set (None: remove) annotations `kubefed.io/<name>`."""
        named = {f"kubefed.io/{name}": value for name, value in annotations.items()}
        return await self.patch({"metadata": {"annotations": named}})

    async def change(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Merge-patch its spec and wait until the new generation is Ready."""
        await self.patch({"spec": spec})
        return await self.settled()

    async def place(self, *clusters: str) -> dict[str, Any]:
        """Place it in these clusters by name and wait until that is Ready."""
        return await self.change({"placement": {"clusters": [{"name": name} for name in clusters]}})

    async def settled(self) -> dict[str, Any]:
        """As stored once Ready is True for its present generation."""

        async def reported() -> object:
            stored = await self.get()
            return stored if ready(stored) else Unlike(stored.get("status") or {})

        return dict(await eventually(reported, seen=f"{self} Ready"))

    async def reports(self, cluster: str, word: str = "", message: str = "", within: float = 20.0) -> dict[str, Any]:
        """The cluster's line in the status once its word is `word` ("" is applied) and its message begins like this."""

        async def reported() -> object:
            found = line(await self.get(), cluster)
            fits = found and found.get("status", "") == word and found.get("message", "").startswith(message)
            return found if fits else Unlike(found)

        wanted = f"{self} at {cluster}: {word or 'applied'} {message}".rstrip()
        return dict(await eventually(reported, within=within, seen=wanted))

    async def reason(self, kind: str, wanted: str) -> dict[str, Any]:
        """A condition once its reason is `wanted` for the present generation."""

        async def reported() -> object:
            stored = await self.get()
            found = condition(stored, kind)
            generation = (stored.get("metadata") or {}).get("generation")
            fits = found and found.get("reason", "") == wanted and found.get("observedGeneration") == generation
            return found if fits else Unlike(found)

        return dict(await eventually(reported, seen=f"{self} {kind}: {wanted}"))

    async def without(self, kind: str) -> None:
        """Until it has no condition of this kind."""

        async def absent() -> object:
            found = condition(await self.get(), kind)
            return Unlike(found) if found else True

        await eventually(absent, seen=f"{self} without {kind}")

    async def delete(self) -> None:
        """DELETE, without waiting."""
        await self._host.delete(self._resource, *self._where)

    async def gone(self, within: float = 20.0) -> None:
        """Wait until it does not exist."""
        await gone(self._host, self._resource, *self._where, within=within)

    async def events(self) -> list[dict[str, Any]]:
        """The events about it, oldest first."""
        namespace, name = self._where
        found = await self._host.items(EVENTS, namespace)
        about = [event for event in found if event["involvedObject"]["name"] == name]
        return sorted(about, key=lambda event: int(event["metadata"]["resourceVersion"]))


async def create(
    host: Api,
    resource: Resource,
    namespace: str,
    name: str,
    template: Mapping[str, Any] | None,
    *,
    clusters: list[str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Federated:
    """Create a federated object."""
    body = federated(resource, namespace, name, template, clusters=clusters, **spec)
    if annotations:
        body["metadata"]["annotations"] = dict(annotations)
    await host.create(resource, body, namespace)
    return Federated(host, resource, namespace, name)


async def make(
    host: Api,
    resource: Resource,
    namespace: str,
    name: str,
    template: Mapping[str, Any] | None,
    **options: Any,
) -> Federated:
    """`create` and wait until it is Ready."""
    made = await create(host, resource, namespace, name, template, **options)
    await made.settled()
    return made


async def attempt(api: Api, resource: Resource, namespace: str, body: Mapping[str, Any]) -> str:
    """POST; "" when it was accepted, else why not."""
    answer = await api.ask("POST", resource.collection(namespace), body=orjson.dumps(body))
    return answer.message if isinstance(answer, Failure) else ""


async def attempt_patch(api: Api, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> str:
    """Merge patch; "" when it was accepted, else why not."""
    path = resource.path(ObjectName(namespace, name))
    answer = await api.ask("PATCH", path, body=orjson.dumps(body), content_type=MERGE_PATCH)
    return answer.message if isinstance(answer, Failure) else ""


async def holds(api: Api, resource: Resource, namespace: str, name: str, check: Check = lambda _: True) -> Any:
    """The member's object once it is there and `check` likes it."""

    async def found() -> object:
        stored = await api.get(resource, namespace, name)
        return stored if stored is not None and check(stored) else Unlike(stored or {})

    return await eventually(found, seen=f"{resource.kind} {namespace}/{name} as wanted")


async def gone(api: Api, resource: Resource, namespace: str, name: str, within: float = 20.0) -> None:
    """Wait until the object does not exist."""

    async def absent() -> bool:
        return await api.get(resource, namespace, name) is None

    await eventually(absent, within=within, seen=f"{resource.kind} {namespace}/{name} gone")


async def cluster_condition(host: Api, name: str, kind: str, status: str, **like: str) -> dict[str, Any]:
    """A KubeFedCluster's condition once it has this status and its fields contain what `like` says."""

    async def reported() -> object:
        found = condition(await host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, name), kind)
        fits = found.get("status") == status and all(text in found.get(key, "") for key, text in like.items())
        return found if fits else Unlike(found)

    return dict(await eventually(reported, within=40.0, seen=f"cluster {name} {kind}={status} {like}"))


async def type_status(host: Api, name: str, **like: Any) -> dict[str, Any]:
    """A FederatedTypeConfig's status once it is of its present generation and has these values."""

    async def reported() -> object:
        stored = await host.get(TYPE_CONFIGS, SYSTEM_NAMESPACE, name) or {}
        found = stored.get("status") or {}
        current = found.get("observedGeneration") == stored.get("metadata", {}).get("generation")
        return found if current and all(found.get(key) == value for key, value in like.items()) else Unlike(found)

    return dict(await eventually(reported, seen=f"type {name} {like}"))


async def configure(host: Api, spec: Mapping[str, Any]) -> None:
    """Merge-patch the KubeFedConfig's spec."""
    await host.patch(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed", {"spec": spec})


async def writes(api: Api, *, ignore: Iterable[str] = ()) -> Counter[tuple[str, str]]:
    """How often each (verb, resource) was written so far, as the API server itself counts its requests.

    Leases and reviews, which Kubernetes' own components write all the time, and `ignore` are left out.
    """
    answer = await api.connection.request("GET", "/metrics", accept="text/plain", deadline=30.0)
    text = getattr(answer, "body", b"").decode()
    counted: Counter[tuple[str, str]] = Counter()
    for found in _REQUEST.finditer(text):
        labels = dict(_LABEL.findall(found["labels"]))
        resource = labels["resource"] + (f"/{labels['subresource']}" if labels.get("subresource") else "")
        if labels["verb"] in _WRITES and resource not in {*_MANAGED_BY_KUBERNETES, *ignore} and resource:
            counted[labels["verb"], resource] += int(float(found["count"]))
    assert counted, text[:500]
    return counted


def names(objects: Iterable[Mapping[str, Any]]) -> set[str]:
    """metadata.name of each."""
    return {str(each["metadata"]["name"]) for each in objects}


async def alone(api: Api, namespace: str, *resources: Resource) -> None:
    """Wait until there are such objects in this namespace only.

    Before requests are counted: a test's end is work, too, and the servers count for everybody.
    """

    async def swept() -> object:
        found = [each for resource in resources for each in await api.items(resource)]
        left = {str(each["metadata"]["name"]): each for each in found if each["metadata"]["namespace"] != namespace}
        return Unlike(left) if left else True

    await eventually(swept, within=60.0, every=0.2)


def nested(namespace: str, name: str, depth: int, placement: Mapping[str, Any]) -> bytes:
    """A FederatedConfigMap whose override's value nests so deep, as bytes: no encoder of ours makes such a thing."""
    cluster = placement["clusters"][0]["name"]
    overrides = [{"clusterName": cluster, "clusterOverrides": [{"path": "/data", "value": "HERE"}]}]
    template = {"data": {"a": "b"}}
    good = federated(FEDERATED_CONFIGMAPS, namespace, name, template, placement=placement, overrides=overrides)
    return orjson.dumps(good).replace(b'"HERE"', b"[" * depth + b"]" * depth)


async def told_too_deep(host: Api, namespace: str, name: str) -> str:
    """The status of an object which itself is too deep for a decoder, once it says so."""
    answer = await host.ask("GET", FEDERATED_CONFIGMAPS.path(ObjectName(namespace, name)))
    content = expect(answer).body
    status = content[content.find(b'"status":{') :].decode()
    return status if "nests deeper than 100 levels" in status and '"Stalled"' in status else ""
