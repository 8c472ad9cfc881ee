"""The last step: delete what is left of KubeFed at the host, its tokens without end in members, and the record.

Deleted is only what KubeFed's chart makes and nothing here uses, and what KubeFed wrote for itself. Of its CRDs those
stay that `fedctl init` serves. The service account kubefed-controller stays, because this project's controller uses it,
too; KubeFed's rights of it go.
"""

from collections.abc import Sequence

from federation.joining import applying
from federation.joining.applying import Outcome, Report
from federation.joining.deploying import DEPLOYMENTS
from federation.joining.errors import Refused
from federation.joining.reaching import Reach
from federation.migrating import keeping, narrowing, records, upgrading
from federation.migrating.facts import CONTROLLER, LEFT, WEBHOOK, Facts
from federation.migrating.keeping import CONFIGMAPS
from federation.migrating.narrowing import Problems
from federation.model.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CRDS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    ObjectName,
    Resource,
)
from typegen import templates

_SERVICES = Resource("", "v1", "Service", "services", namespaced=True)
_IN_NAMESPACE: tuple[tuple[Resource, Sequence[str]], ...] = (
    (DEPLOYMENTS, (CONTROLLER, WEBHOOK)),
    (_SERVICES, (WEBHOOK, "kubefed-controller-manager-metrics-service")),
    (SECRETS, ("kubefed-admission-webhook-serving-cert",)),
    (SERVICE_ACCOUNTS, (WEBHOOK, "kubefed-config-hook")),
    (ROLE_BINDINGS, ("kubefed-rolebinding", "kubefed-config-rolebinding", "kubefed-admission-webhook-rolebinding")),
    (ROLES, ("kubefed-role", "kubefed-config-role", "kubefed-admission-webhook-role")),
    (CONFIGMAPS, (CONTROLLER,)),  # the lock of its election, by default
)
_SHARED: tuple[tuple[Resource, Sequence[str]], ...] = (
    (
        CLUSTER_ROLE_BINDINGS,
        ("kubefed-rolebinding", "kubefed-admission-webhook:auth-delegator", "kubefed-admission-webhook:anonymous-auth"),
    ),
    (
        CLUSTER_ROLES,
        ("kubefed-role", "kubefed-admin", "kubefed-edit", "kubefed-view", "system:kubefed:admission-requester"),
    ),
)
"""Of a control plane with scope Cluster."""
_VIEWER = "kubefed-admission-webhook:apiextension-viewer"
"""A RoleBinding in kube-system."""


def refuse(facts: Facts) -> None:
    """Raise Refused where KubeFed is in use still, or somebody would make again what is deleted."""
    if not facts.stopped or facts.outdated or any(each.outdated for each in facts.types):
        message = f"{facts.host}: KubeFed is not stopped, or its types are not up to date"
        raise Refused(message, "first: fedctl migrate --stop --upgrade")
    if not facts.leader and not (facts.ours is not None and facts.ours.stands):
        message = f"{facts.host}: no controller leads, and none is deployed: nobody would do KubeFed's work"
        raise Refused(message, "start one first: fedctl init --image IMAGE, the chart, or fedctl controller run")
    keepers = sorted({each.keeper for each in facts.workloads if each.keeper and each.keeper not in _helm(facts)})
    if keepers or facts.releases:
        release = facts.releases[0] if facts.releases else ""
        what = f"Helm remembers the release {release}" if release else f"{keepers[0]} has KubeFed's Deployments"
        hint = (
            f"let Helm forget it first: kubectl -n {facts.namespace} delete secret -l owner=helm,name={release}"
            if release
            else "take KubeFed out of what it applies, without deleting what it has applied; see docs/migration.md"
        )
        raise Refused(f"{facts.host}: {what}, and would make it again", hint)


async def finish(reach: Reach, facts: Facts, report: Report) -> Problems:
    """Delete it all, the record last; with members that could not be reached, the record stays for the next run."""
    problems = await narrowing.finish(reach, report)
    for resource, where in _names(facts):
        outcome = await applying.delete(reach.host, resource, where)
        if outcome is not Outcome.ABSENT:
            report(f"{reach.host.name}: {applying.label(resource, where)} {outcome}")
    await upgrading.remove(reach.host, reach.namespace, facts, report)
    if problems:
        return problems
    await keeping.forget(reach.host, reach.namespace)
    report(f"{reach.host.name}: configmap {reach.namespace}/{records.NAME} deleted: the migration is finished")
    return []


def _names(facts: Facts) -> list[tuple[Resource, ObjectName]]:
    """What there may be, the Deployments first."""
    namespace = facts.namespace
    found = [(resource, ObjectName(namespace, name)) for resource, names in _IN_NAMESPACE for name in names]
    if facts.namespaced:
        bindings = (f"{WEBHOOK}:{namespace}:auth-delegator", f"{WEBHOOK}:{namespace}:anonymous-auth")
        found += [(CLUSTER_ROLE_BINDINGS, ObjectName("", name)) for name in bindings]
        found.append((CLUSTER_ROLES, ObjectName("", f"system:kubefed:{namespace}:admission-requester")))
        return [*found, (ROLE_BINDINGS, ObjectName("kube-system", f"{WEBHOOK}:{namespace}:apiextension-viewer"))]
    found += [(resource, ObjectName("", name)) for resource, names in _SHARED for name in names]
    if not facts.others:
        served = {crd["metadata"]["name"] for crd in templates.kubefeds_crds()}
        found += [(CRDS, ObjectName("", each.qualified)) for each in LEFT if each.qualified not in served]
    return [*found, (ROLE_BINDINGS, ObjectName("kube-system", _VIEWER))]


def _helm(facts: Facts) -> set[str]:
    """Releases that the Deployments name; whether Helm remembers them is another question."""
    return {each.keeper for each in facts.workloads if each.keeper.startswith("the Helm release ")}
