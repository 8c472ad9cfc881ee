"""Whose an object of KubeFed's is: which control plane's, and who would write it again. Pure."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from federation.core import leadership, times
from federation.migrating.facts import API_SERVICES, WEBHOOK, Standing
from federation.model import marks

_GROUPS = ("core.kubefed.io", "scheduling.kubefed.io", "types.kubefed.io", "multiclusterdns.kubefed.io")
_AGGREGATED = tuple(f"{word}.core.kubefed.io" for word in ("validation", "mutation", "admission"))
_HELM = "meta.helm.sh/release-name"
_KEEPERS = (
    ("helm.toolkit.fluxcd.io/name", "Flux's HelmRelease"),
    ("kustomize.toolkit.fluxcd.io/name", "Flux's Kustomization"),
    ("argocd.argoproj.io/instance", "the Argo CD application"),
)
_LEADER = "control-plane.alpha.kubernetes.io/leader"
_CLOCKS = 5.0
"""Seconds by which the clocks of the host and of whoever holds the lock may differ."""
_TRACKED = "argocd.argoproj.io/tracking-id"
_INSTANCE, _MANAGED = "app.kubernetes.io/instance", "app.kubernetes.io/managed-by"

Object = Mapping[str, Any]


def keeper(found: Object) -> str:
    """Who would write the object again after it was changed, in words; "" where nothing says so."""
    labels, annotations = _metadata(found, "labels"), _metadata(found, "annotations")
    for key, words in _KEEPERS:
        if name := labels.get(key):
            return f"{words} {name}"
    if tracked := annotations.get(_TRACKED):
        return f"the Argo CD application {tracked.partition(':')[0]}"
    if name := release(found):
        return f"the Helm release {name}"
    if labels.get(_INSTANCE) and labels.get(_MANAGED, "Helm") != "Helm":
        return f"{labels[_MANAGED]} {labels[_INSTANCE]}"
    return ""


def release(found: Object) -> str:
    """The Helm release that it is of; "" where it is of none."""
    return _metadata(found, "annotations").get(_HELM, "")


def lock_holder(found: Object, now: dt.datetime) -> str:
    """Who holds KubeFed's election by a ConfigMap or Endpoints, as client-go wrote it; "" where nobody renews it."""
    try:
        record = orjson.loads(_metadata(found, "annotations").get(_LEADER, ""))
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(record, dict):
        return ""
    holder, seconds, renewed = record.get("holderIdentity"), record.get("leaseDurationSeconds"), record.get("renewTime")
    at = times.moment(renewed)
    if not isinstance(holder, str) or not holder or not isinstance(seconds, int) or at is None:
        return ""
    return leadership.host(holder) if (now - at).total_seconds() < seconds + _CLOCKS else ""


def is_of_this_project(lease: Object) -> bool:
    """Whether it was one of our controllers that has written a Lease last."""
    entries: Sequence[Object] = (lease.get("metadata") or {}).get("managedFields") or ()
    newest: Object = max(entries, key=lambda each: str(each.get("time", "")), default={})
    return str(newest.get("manager", "")).startswith(marks.AGENT)


def standing(found: Object, namespace: str) -> Standing | None:
    """Whose a webhook configuration or an APIService is; None where it does not concern KubeFed's types."""
    if found.get("kind") == API_SERVICES.kind or "webhooks" not in found:
        return _of_service(found, namespace)
    hooks = [each for each in found.get("webhooks") or () if isinstance(each, dict)]
    concerned = [each for each in hooks if set(_groups(each)) & set(_GROUPS)]
    if not concerned:
        return None
    if len(concerned) < len(hooks) or any(not set(_groups(each)) <= set(_GROUPS) for each in concerned):
        return Standing.MIXED
    places = {_place(each, namespace) for each in concerned}
    return (
        Standing.KUBEFEDS if places == {namespace} else Standing.ANOTHERS if namespace not in places else Standing.MIXED
    )


def _of_service(found: Object, namespace: str) -> Standing | None:
    spec = found.get("spec") or {}
    if spec.get("group") not in _AGGREGATED:
        return None
    return Standing.KUBEFEDS if (spec.get("service") or {}).get("namespace") == namespace else Standing.ANOTHERS


def _groups(hook: Object) -> Iterator[str]:
    for rule in hook.get("rules") or ():
        for group in rule.get("apiGroups") or ():
            yield str(group)


def _place(hook: Object, namespace: str) -> str:
    """The namespace of KubeFed's webhook. Where it is asked through an APIService, this one."""
    client = hook.get("clientConfig") or {}
    service = client.get("service")
    if not isinstance(service, dict):
        return "" if "url" in client else namespace
    if service.get("name") == WEBHOOK:
        return str(service.get("namespace", ""))
    aggregated = any(f"/apis/{group}/" in str(service.get("path", "")) for group in _AGGREGATED)
    return namespace if aggregated and service.get("namespace") == "default" else str(service.get("namespace", ""))


def _metadata(found: Object, part: str) -> Mapping[str, str]:
    metadata = found.get("metadata")
    value = metadata.get(part) if isinstance(metadata, Mapping) else None
    return value if isinstance(value, Mapping) else {}
