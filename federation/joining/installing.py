"""Install the federation API on a host: CRDs, namespace, RBAC, KubeFedConfig. `fedctl init`."""

from typing import Any

import templates
from federation.joining import applying, judgements, objects
from federation.joining.applying import Report
from federation.joining.errors import Refused
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import CLUSTER_ROLE_BINDINGS, KUBEFED_CONFIGS, NAMESPACES, ObjectName

Manifest = dict[str, Any]
CONTROLLER = "kubefed-controller"


def manifests(namespace: str = SYSTEM_NAMESPACE) -> list[Manifest]:
    """Everything that a host needs, in the order in which it is applied. Raises Invalid for a bad namespace."""
    objects.namespace(namespace)
    return [
        *templates.core_crds(),
        *templates.documents("host/namespace.yaml", namespace=namespace),
        *templates.documents("host/rbac.yaml", namespace=namespace),
        *templates.documents("host/user-roles.yaml"),
        *templates.documents("host/config.yaml", namespace=namespace, spec={}),
    ]


async def install(
    host: Connection, namespace: str, report: Report, *, dry_run: bool = False, timeout: float = 60.0
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
        await _try(host, namespace, wanted, report)
        return
    await applying.apply_all(host, list(crds), report)
    await applying.wait_established(host, [each["metadata"]["name"] for each in crds], timeout=timeout)
    await applying.apply_all(host, list(rest), report)


async def _try(host: Connection, namespace: str, wanted: list[Manifest], report: Report) -> None:
    missing_namespace = await applying.find(host, NAMESPACES, ObjectName("", namespace)) is None
    for manifest in wanted:
        resource, name = applying.resource_of(manifest), applying.name_of(manifest)
        try:
            outcome: str = await applying.apply(host, manifest, dry_run=True)
        except ApiFailure as error:
            # A dry run creates neither the namespace nor the CRD that a later object needs.
            needs = {FailureKind.NAMESPACE_MISSING} if missing_namespace else set()
            needs |= {FailureKind.TYPE_MISSING} if resource == KUBEFED_CONFIGS else set()
            if error.failure.kind not in needs:
                raise
            outcome = "created"
        report(f"{host.name}: {applying.label(resource, name)} {outcome} (dry run)")


async def _warn_of_another(host: Connection, namespace: str, report: Report) -> None:
    """The controller's cluster-wide rights are bound to one namespace: the last that was installed."""
    try:
        binding = await applying.find(host, CLUSTER_ROLE_BINDINGS, ObjectName("", CONTROLLER))
    except ApiFailure:
        return  # a warning is not worth an error: what matters is told when it is applied
    others = {str(each.get("namespace", "")) for each in (binding or {}).get("subjects") or ()} - {namespace, ""}
    for other in sorted(others):
        report(
            f"warning: {host.name}: a federation in namespace {other} was installed before; a controller deployed "
            f"there loses its rights to {namespace}"
        )


async def _check_version(host: Connection) -> None:
    text = str((await applying.read(host, "/version")).get("gitVersion", ""))
    check = judgements.version(text, judgements.OLDEST_HOST)
    if check.verdict is judgements.Verdict.FAILED:
        raise Refused(f"{host.name}: {check.message}", check.hint)
