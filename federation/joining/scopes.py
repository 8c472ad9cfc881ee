"""Change the scope of an installed federation: the controller's rights at the host follow, for the enabled types, too.

Rights are widened before the KubeFedConfig changes, and narrowed after it. The rights in members are those of their
joins: a person joins them again.
"""

from dataclasses import dataclass

from federation.joining import applying, fleet
from federation.joining.applying import Outcome, Report
from federation.joining.deploying import CONTROLLER
from federation.joining.fleet import Fleet
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from federation.model.marks import CONFIG
from federation.model.resources import (
    CLUSTER_ROLE_BINDINGS,
    KUBEFED_CONFIGS,
    ROLE_BINDINGS,
    ROLES,
    ObjectName,
    Resource,
)
from typegen import rights

CLUSTER = "Cluster"
KUBE_SYSTEM = "kube-system"


async def installed(host: Connection, namespace: str) -> str:
    """The scope that the KubeFedConfig names; "" where it names none, or where nothing is installed."""
    try:
        return fleet.scope_of(await applying.find(host, KUBEFED_CONFIGS, ObjectName(namespace, CONFIG)))
    except ApiFailure as error:
        if error.failure.kind is not FailureKind.TYPE_MISSING:
            raise
        return ""


@dataclass(frozen=True, slots=True)
class Change:
    """From one scope to the other, with the types that are enabled."""

    host: Connection
    namespace: str
    known: Fleet
    namespaced: bool

    async def widen(self, report: Report) -> None:
        """Give the rights on the enabled types that the new scope needs."""
        within = self.namespace if self.namespaced else ""
        for each in self.known.types:
            await applying.apply_all(self.host, rights.controller_role(each.federated, within=within), report)

    async def narrow(self, report: Report) -> None:
        """Take away what the old scope alone needed, and say what is left to a person."""
        if self.namespaced:
            await self._unbind(report)
        else:
            names = [ObjectName(KUBE_SYSTEM, identity_role(self.namespace))]
            names += [ObjectName(self.namespace, rights.role_names(each.federated)[0]) for each in self.known.types]
            for name in names:
                await self._delete(ROLE_BINDINGS, name, report)
                await self._delete(ROLES, name, report)
        for member in self.known.members:
            report(
                f"warning: {member.name}: the controller keeps the rights of its join there; for those of the new "
                f"scope run: fedctl join {member.name} --rotate"
            )

    async def _unbind(self, report: Report) -> None:
        """The ClusterRole is everybody's; a binding that is of another federation, too, stays."""
        if await _is_bound(self.host, self.namespace):
            await self._delete(CLUSTER_ROLE_BINDINGS, ObjectName("", CONTROLLER), report)

    async def _delete(self, resource: Resource, name: ObjectName, report: Report) -> None:
        outcome = await applying.delete(self.host, resource, name)
        if outcome is Outcome.DELETED:
            report(f"{self.host.name}: {applying.label(resource, name)} {outcome}")


async def change(host: Connection, namespace: str, before: str, scope: str) -> Change | None:
    """What follows from another scope; None where it stays, or nothing was installed.

    Also where it stays Namespaced and an earlier version has given the controller a ClusterRole.
    """
    namespaced = scope == fleet.NAMESPACED
    same = (before or CLUSTER) == (scope or CLUSTER)
    if same and not (namespaced and await _is_bound(host, namespace)):
        return None
    if await applying.find(host, KUBEFED_CONFIGS, ObjectName(namespace, CONFIG)) is None:
        return None
    return Change(host, namespace, await fleet.read(host, namespace), namespaced)


async def _is_bound(host: Connection, namespace: str) -> bool:
    """Whether the controller's ClusterRole is bound to this namespace's and to no other."""
    found = await applying.find(host, CLUSTER_ROLE_BINDINGS, ObjectName("", CONTROLLER))
    return {str(each.get("namespace", "")) for each in (found or {}).get("subjects") or ()} == {namespace}


def identity_role(namespace: str) -> str:
    """The name of the Role in kube-system by which the controller of this namespace sees what hub it is on."""
    return f"{CONTROLLER}:hub-identity.{namespace}"
