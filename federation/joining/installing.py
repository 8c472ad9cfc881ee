"""Install the federation API on a host: CRDs, namespace, RBAC, KubeFedConfig, finalizer policy. `fedctl init`."""

from typing import Any

from federation.joining import applying, assessments, finalizing, objects
from federation.joining.applying import Report
from federation.joining.errors import Refused
from federation.joining.finalizing import Policy
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import CLUSTER_ROLE_BINDINGS, KUBEFED_CONFIGS, NAMESPACES, ObjectName
from typegen import templates

Manifest = dict[str, Any]
CONTROLLER = "kubefed-controller"
"""The name of the controller's Deployment, service account, roles and bindings at the host."""


def manifests(namespace: str = SYSTEM_NAMESPACE, *, policy: bool = False) -> list[Manifest]:
    """Everything that a host needs, in the order in which it is applied. Raises Invalid for a bad namespace.

    `policy`: also what lets the API server add our finalizer, which not every host serves.
    """
    objects.namespace(namespace)
    return [
        *templates.core_crds(),
        *templates.documents("host/namespace.yaml", namespace=namespace),
        *templates.documents("host/rbac.yaml", namespace=namespace),
        *templates.documents("host/user-roles.yaml"),
        *templates.documents("host/config.yaml", namespace=namespace, spec={}),
        *(map(dict, finalizing.manifests(namespace, CONTROLLER)) if policy else ()),
    ]


async def install(
    host: Connection,
    namespace: str,
    report: Report,
    *,
    policy: Policy = Policy.KEEP,
    dry_run: bool = False,
    timeout: float = 60.0,
) -> None:
    """Apply `manifests` and wait until the CRDs are served. An existing KubeFedConfig keeps every setting.

    `dry_run` has the server check what it can and stores nothing.
    """
    wanted = manifests(namespace)
    await _check_version(host)
    await _warn_of_another(host, namespace, report)
    crds = [each for each in wanted if each["kind"] == "CustomResourceDefinition"]
    rest = [each for each in wanted if each not in crds]
    if dry_run:
        await _rehearse(host, namespace, wanted, report)
        await finalizing.install(host, namespace, CONTROLLER, policy, report, dry_run=True)
        return
    await applying.apply_all(host, list(crds), report)
    await applying.wait_established(host, [each["metadata"]["name"] for each in crds], timeout=timeout)
    await applying.apply_all(host, list(rest), report)
    await finalizing.install(host, namespace, CONTROLLER, policy, report)


async def _rehearse(host: Connection, namespace: str, wanted: list[Manifest], report: Report) -> None:
    missing_namespace = await applying.find(host, NAMESPACES, ObjectName("", namespace)) is None
    for manifest in wanted:
        resource, name = applying.resource_of(manifest), applying.name_of(manifest)
        try:
            outcome: str = await applying.apply(host, manifest, dry_run=True)
        except ApiFailure as error:
            # A dry run creates neither the namespace nor the CRD that later objects need.
            needs = {FailureKind.NAMESPACE_MISSING} if missing_namespace else set()
            needs |= {FailureKind.TYPE_MISSING} if resource == KUBEFED_CONFIGS else set()
            if error.failure.kind not in needs:
                raise
            outcome = "created"
        report(f"{host.name}: {applying.label(resource, name)} {outcome} (dry run)")


async def _warn_of_another(host: Connection, namespace: str, report: Report) -> None:
    """Warn if a federation is installed in another namespace: the controller's ClusterRoleBinding is for only one."""
    try:
        binding = await applying.find(host, CLUSTER_ROLE_BINDINGS, ObjectName("", CONTROLLER))
    except ApiFailure:
        return  # this is only for a warning; applying the binding reports the error
    others = {str(each.get("namespace", "")) for each in (binding or {}).get("subjects") or ()} - {namespace, ""}
    for other in sorted(others):
        report(
            f"warning: {host.name}: a federation in namespace {other} was installed before; a controller deployed "
            f"there loses its rights to {namespace}"
        )


async def _check_version(host: Connection) -> None:
    text = str((await applying.read(host, "/version")).get("gitVersion", ""))
    check = assessments.version(text, assessments.OLDEST_HOST)
    if check.grade is assessments.Grade.FAILED:
        raise Refused(f"{host.name}: {check.message}", check.hint)
