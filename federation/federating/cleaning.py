"""Reduce a plain object to what a template can hold; for objects from files and from clusters. Called by wrapping.

Fields that every stored object has (uid, status, managedFields) are removed silently. Fields that somebody may have set
and a template cannot hold (finalizers, owners) are removed with a message. Values that the host assigned to the object
(a clusterIP, a node) are removed as well, but only from a stored object: in a file the user has set them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from federation.core import checks
from federation.model import marks
from federation.model.errors import Invalid

Body = dict[str, Any]

FOR_APPLIERS = (
    "config.kubernetes.io/",
    "config.k8s.io/",
    "internal.config.kubernetes.io/",
    "kustomize.config.k8s.io/",
    "internal.kustomize.config.k8s.io/",
    "argocd.argoproj.io/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
)
"""Prefixes of labels and annotations for the tool that applies the object: they stay on the federated object."""

_FOR_CONTROLLER = frozenset(
    {
        marks.ORPHAN_ANNOTATION,
        marks.DELETE_OPTION_ANNOTATION,
        marks.RECREATE_ANNOTATION,
        marks.TAKEOVER_ANNOTATION,
        marks.DRIFT_ANNOTATION,
        marks.DELETION_ANNOTATION,
        marks.PROTECTION_ANNOTATION,
        marks.IGNORE_FIELDS_ANNOTATION,
    }
)
_NOISE = frozenset(
    {
        marks.MANAGED_LABEL,
        "kubectl.kubernetes.io/last-applied-configuration",
        "kubernetes.io/metadata.name",
        "deployment.kubernetes.io/revision",
        "deprecated.daemonset.template.generation",
        "pv.kubernetes.io/bind-completed",
        "pv.kubernetes.io/bound-by-controller",
        "volume.kubernetes.io/selected-node",
        "volume.kubernetes.io/storage-provisioner",
        "volume.beta.kubernetes.io/storage-provisioner",
    }
)
_JOB_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """`template` has the object's fields in their order; `metadata` is for the federated object itself.

    `dropped` are messages about removed fields that somebody may miss.
    """

    namespace: str
    name: str
    template: Body
    metadata: Body
    dropped: tuple[str, ...] = ()


def clean(found: Mapping[str, Any]) -> Cleaned:
    """The object's template. Raises Invalid where there is no name. `found` is not changed."""
    metadata = checks.mapping(found.get("metadata"), "metadata")
    if not metadata.get("name") and metadata.get("generateName"):
        raise Invalid("metadata.generateName", "an object to be federated needs metadata.name: its copies share it")
    name = checks.string(metadata.get("name"), "metadata.name")
    namespace = checks.string(metadata["namespace"], "metadata.namespace") if metadata.get("namespace") else ""
    dropped: list[str] = []
    inner, outer = _metadata(metadata, dropped)
    template = {
        key: inner if key == "metadata" else value for key, value in found.items() if key not in ("kind", "status")
    }
    if not inner:
        template.pop("metadata", None)
    if metadata.get("uid") or metadata.get("resourceVersion"):
        cure = _CURES.get((str(found.get("apiVersion") or "").rpartition("/")[0], str(found.get("kind"))))
        if cure is not None:
            template = cure(template, dropped)
    return Cleaned(namespace, name, template, outer, tuple(dropped))


def _metadata(metadata: Mapping[str, Any], dropped: list[str]) -> tuple[Body, Body]:
    inner: Body = {}
    outer: Body = {}
    for key, content in metadata.items():
        if key in ("labels", "annotations"):
            entries = checks.mapping(content, f"metadata.{key}")
            if stays := {name: text for name, text in entries.items() if _for_applier(name)}:
                outer[key] = stays
            if travels := {name: text for name, text in entries.items() if not _noise(name) and not _for_applier(name)}:
                inner[key] = travels
        elif key == "finalizers" and content:
            dropped.append("metadata.finalizers left out: nobody in a member would remove them")
        elif key == "ownerReferences" and content:
            dropped.append("metadata.ownerReferences left out: the owners are not in the members")
    return inner, outer


def _noise(name: str) -> bool:
    return name in _NOISE or name.startswith(marks.CLAIM_PREFIX)


def _for_applier(name: str) -> bool:
    return name.startswith(FOR_APPLIERS) or name in _FOR_CONTROLLER


def _without(body: Body, dropped: list[str], *path: str, why: str) -> Body:
    """`body` without the field at this path; if it was there, `why` is added to `dropped`."""
    if len(path) == 1:
        if path[0] not in body:
            return body
        dropped.append(why)
        return {key: value for key, value in body.items() if key != path[0]}
    inner = body.get(path[0])
    if not isinstance(inner, dict):
        return body
    return {**body, path[0]: _without(inner, dropped, *path[1:], why=why)}


def _service(template: Body, dropped: list[str]) -> Body:
    spec = template.get("spec")
    if not isinstance(spec, dict) or spec.get("clusterIP") == "None":
        return template
    given: list[str] = []
    for field in ("clusterIP", "clusterIPs", "healthCheckNodePort", "ipFamilies", "ipFamilyPolicy"):
        template = _without(template, given, "spec", field, why=field)
    spec = template["spec"]
    ports = spec.get("ports")
    if isinstance(ports, list) and any(isinstance(port, dict) and "nodePort" in port for port in ports):
        given.append("nodePort")
        bare = [_without(port, [], "nodePort", why="") if isinstance(port, dict) else port for port in ports]
        template = {**template, "spec": {**spec, "ports": bare}}
    if given:
        dropped.append(f"spec: {', '.join(given)} left out: the host gave them to this Service")
    return template


def _job(template: Body, dropped: list[str]) -> Body:
    spec = template.get("spec")
    if not isinstance(spec, dict) or spec.get("manualSelector"):
        return template
    template = _without(template, dropped, "spec", "selector", why="spec.selector left out: the host made it")
    template = _unlabelled(template)
    pod = template["spec"].get("template")
    if isinstance(pod, dict):
        template = {**template, "spec": {**template["spec"], "template": _unlabelled(pod)}}
    return template


def _unlabelled(body: Body) -> Body:
    metadata = body.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("labels"), dict):
        return body
    labels = metadata["labels"]
    kept = {key: value for key, value in labels.items() if key not in _JOB_LABELS}
    inner = {key: value for key, value in metadata.items() if key != "labels"} | ({"labels": kept} if kept else {})
    return {**body, "metadata": inner} if inner else {key: value for key, value in body.items() if key != "metadata"}


def _claim(template: Body, dropped: list[str]) -> Body:
    why = "spec.volumeName left out: the volume is the host's"
    return _without(template, dropped, "spec", "volumeName", why=why)


def _volume(template: Body, dropped: list[str]) -> Body:
    why = "spec.claimRef left out: the claim that it names is the host's"
    return _without(template, dropped, "spec", "claimRef", why=why)


def _pod(template: Body, dropped: list[str]) -> Body:
    return _without(template, dropped, "spec", "nodeName", why="spec.nodeName left out: the node is the host's")


def _account(template: Body, dropped: list[str]) -> Body:
    return _without(template, dropped, "secrets", why="secrets left out: they are the host's tokens")


def _namespace(template: Body, _: list[str]) -> Body:
    return {key: value for key, value in template.items() if key != "spec"}


_CURES: Mapping[tuple[str, str], Callable[[Body, list[str]], Body]] = {
    ("", "Service"): _service,
    ("batch", "Job"): _job,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "PersistentVolume"): _volume,
    ("", "Pod"): _pod,
    ("", "ServiceAccount"): _account,
    ("", "Namespace"): _namespace,
}
