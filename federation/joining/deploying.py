"""The controller's Deployment at the host, as the chart renders it by default. `fedctl init --image`.

tests/unit/release/test_helm.py compares both. Whoever needs other replicas, resources or nodes uses the chart, or
changes what `fedctl init --image IMAGE -o yaml` prints.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from federation.core import scrubbing
from federation.joining import applying
from federation.joining.errors import NotConfirmed, Refused
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure, Invalid
from federation.model.resources import PODS, ObjectName, Resource
from typegen import templates

Manifest = dict[str, Any]
CONTROLLER = "kubefed-controller"
"""The name of the controller's Deployment, service account, roles and bindings at the host."""
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
MOST_REASONS, MOST_TEXT = 3, 300
"""Reasons why pods do not run that are told, and characters of each."""
REPLICAS = 2
"""At least; with more shards than that, one for each."""
RESOURCES = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1536Mi"}}
_APART = {
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 100,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": CONTROLLER}},
                    },
                }
            ]
        }
    }
}
_SCRAPERS = [{"from": [{"namespaceSelector": {}}], "ports": [{"port": "metrics"}]}]
_HELM = "meta.helm.sh/release-name"
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::\d{{1,5}})?/)?{_PART}(?:/{_PART})*"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_MOVING = ("latest", "canary")
_SHARDS = "--shards="


def manifests(namespace: str, image: str, shards: int = 1) -> list[Manifest]:
    """The Deployment, its PodDisruptionBudget and its NetworkPolicy. Raises Invalid for an image without a version."""
    _check(image)
    return [
        *templates.documents(
            "host/deployment.yaml",
            namespace=namespace,
            image=image,
            replicas=max(REPLICAS, shards),
            resources=RESOURCES,
            pod=_APART,
            more=f"            - {_SHARDS}{shards}" if shards > 1 else "",
        ),
        *templates.documents("host/pod-disruption-budget.yaml", namespace=namespace, most=1),
        *templates.documents("host/network-policy.yaml", namespace=namespace, scrapers=_SCRAPERS, egress={}),
    ]


def tag(image: str) -> str:
    """The tag of an image's name; "" when it has none, or is no image's name."""
    found = _IMAGE.fullmatch(image)
    return (found["tag"] if found else None) or ""


def image_of(deployment: Mapping[str, Any] | None) -> str:
    """Its image; "" when there is no Deployment."""
    return str(_container(deployment).get("image", ""))


def shards_of(deployment: Mapping[str, Any] | None) -> int:
    """Into how many shards it divides the clusters; 1 when there is no Deployment."""
    said = [each.removeprefix(_SHARDS) for each in _container(deployment).get("args") or () if each.startswith(_SHARDS)]
    return int(said[-1]) if said and said[-1].isdecimal() else 1


def _container(deployment: Mapping[str, Any] | None) -> Mapping[str, Any]:
    containers = deployment["spec"]["template"]["spec"]["containers"] if deployment is not None else ()
    return containers[0] if containers else {}


async def find(host: Connection, namespace: str) -> dict[str, Any] | None:
    """The controller's Deployment, or None."""
    return await applying.find(host, DEPLOYMENTS, ObjectName(namespace, CONTROLLER))


async def refuse_helms(host: Connection, namespace: str) -> None:
    """Raises Refused when the Deployment is part of a Helm release: the next `helm upgrade` would take it back."""
    found = await find(host, namespace)
    release = ((found or {}).get("metadata", {}).get("annotations") or {}).get(_HELM)
    if release:
        raise Refused(
            f"{host.name}: deployment {namespace}/{CONTROLLER} belongs to the Helm release {release}",
            f"upgrade it with helm upgrade {release}; fedctl init without --image brings the rest up to date",
        )


def unavailable(deployment: Mapping[str, Any] | None) -> str:
    """Why a Deployment's present pods are not all available; "" when they are."""
    if deployment is None:
        return "the Deployment is gone"
    status = deployment.get("status") or {}
    if (status.get("observedGeneration") or 0) < deployment["metadata"].get("generation", 0):
        return "nothing has been done about the Deployment yet: is a kube-controller-manager running?"
    wanted = deployment["spec"].get("replicas", 1)
    new, available = status.get("updatedReplicas") or 0, status.get("availableReplicas") or 0
    old = (status.get("replicas") or 0) - new
    if new >= wanted and available >= wanted and old <= 0:
        return ""
    left = f", {old} of the version before are still there" if old > 0 else ""
    return f"{min(new, available)} of {wanted} pods are available{left}"


def stuck(deployment: Mapping[str, Any] | None) -> str:
    """Why Kubernetes has given a rollout up; "" while it has not."""
    conditions = ((deployment or {}).get("status") or {}).get("conditions") or ()
    for each in conditions:
        if each.get("type") == "Progressing" and each.get("status") == "False":
            return str(each.get("message") or each.get("reason"))
    return ""


def waiting(pods: Iterable[Mapping[str, Any]]) -> str:
    """Why pods do not run, as they say themselves; "" where they say nothing."""
    found: dict[str, None] = {}
    for pod in pods:
        status = pod.get("status") or {}
        for each in status.get("containerStatuses") or ():
            state = (each.get("state") or {}).get("waiting") or {}
            if state.get("reason") not in (None, "ContainerCreating"):
                found[_line(state)] = None
        for each in status.get("conditions") or ():
            if each.get("type") == "PodScheduled" and each.get("status") == "False":
                found[_line(each)] = None
    return "; ".join(list(found)[:MOST_REASONS])


def _line(said: Mapping[str, Any]) -> str:
    message = scrubbing.line(str(said.get("message") or ""), MOST_TEXT)
    return f"{said.get('reason')}: {message}" if message else str(said.get("reason"))


async def wait_available(host: Connection, namespace: str, *, timeout: float) -> None:
    """Wait until all pods of the present version are available. Raises NotConfirmed when that takes too long, or
    Kubernetes has given it up."""
    last, given_up = "the host does not answer", ""

    async def available() -> bool:
        nonlocal last, given_up
        found = await find(host, namespace)
        last, given_up = unavailable(found), stuck(found)
        return not last or bool(given_up)

    try:
        await applying.until(available, timeout=timeout, what="")
    except NotConfirmed:
        given_up = f"not within {timeout:g} s"
    if not last:
        return
    try:
        pods = await applying.listing(host, PODS, namespace, selector=f"app.kubernetes.io/name={CONTROLLER}")
    except ApiFailure:
        pods = []  # who may not list pods is told the rest
    why = "; ".join(filter(None, (given_up, last, waiting(pods))))
    raise NotConfirmed(
        f"{host.name}: everything is installed, and deployment {namespace}/{CONTROLLER} is not available: {why}",
        f"look at its pods: kubectl --context {host.name} -n {namespace} describe pods -l "
        f"app.kubernetes.io/name={CONTROLLER}; then run the same command again",
    )


def _check(image: str) -> None:
    found = _IMAGE.fullmatch(image)
    if found is None:
        raise Invalid("--image", f"{image!r} is no image's name: REGISTRY/PATH:TAG, or with @sha256:DIGEST")
    if not (found["tag"] or found["digest"]) or (found["tag"] in _MOVING and not found["digest"]):
        raise Invalid("--image", f"{image} names no version: give a tag that stays, or a digest")
