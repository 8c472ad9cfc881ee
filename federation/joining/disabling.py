"""Switch a type off: its FederatedTypeConfig first, then what only propagation needed, at the host and in the members.

Members' objects stay where they are. The federated CRD goes only with `delete_crd`, and never while it has objects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from federation.joining import answers, applying, fleet, kinds, roles
from federation.joining.applying import Outcome, Report
from federation.joining.contexts import Contexts
from federation.joining.errors import NotConfirmed, Refused
from federation.joining.fleet import Fleet
from federation.joining.roles import MemberRole
from federation.kube import connection as http
from federation.kube.connection import METADATA_LIST, Connection
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from federation.model.federated import FederatedType
from federation.model.resources import CLUSTER_ROLES, CRDS, TYPE_CONFIGS, ObjectName, Resource
from typegen.model import ApiResource
from typegen.rights import role_names

TARGET_ANNOTATION = "types.kubefed.io/target"
"""On a federated CRD, by typegen: `<plural>.<group>/<version>` of the target."""


@dataclass(frozen=True, slots=True)
class Disabled:
    """What was disabled, and how the members' roles follow."""

    types: tuple[str, ...]
    members: tuple[MemberRole, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Found:
    """A type to disable: its FederatedTypeConfig (None: gone already) and its federated CRD's name."""

    name: str
    crd: str
    enabled: FederatedType | None = None


async def find(host: Connection, namespace: str, names: Sequence[str]) -> tuple[Fleet, list[_Found]]:
    """The types meant; of a run that stopped half way, also a federated CRD without its FederatedTypeConfig."""
    known = await fleet.read(host, namespace)
    served = await kinds.served(host)
    found = []
    for name in names:
        try:
            enabled = kinds.resolve(known.types, served, name)
            found.append(_Found(enabled.name, enabled.federated.qualified, enabled))
        except Refused:
            left = await _orphaned_crd(host, name)
            if left is None:
                raise
            found.append(_Found(name, left))
    return known, found


async def disable(
    contexts: Contexts,
    host: Connection,
    namespace: str,
    names: Sequence[str],
    report: Report,
    *,
    delete_crd: bool = False,
    timeout: float = 30.0,
) -> Disabled:
    """Disable these types. Raises Refused while federated objects exist (with `delete_crd`), NotConfirmed when the
    controller does not let go of the FederatedTypeConfig within `timeout` seconds.
    """
    _, found = await find(host, namespace, names)
    if delete_crd:
        for each in found:
            await refuse_objects(host, each.name, each.crd)
    for each in found:
        if each.enabled is not None:
            await _delete_type_config(host, namespace, each.name, report, timeout)
        await _clean(host, each, report, delete_crd=delete_crd, timeout=timeout)
    known = await fleet.read(host, namespace)
    members = await roles.follow(contexts, host, namespace, known)
    return Disabled(tuple(each.name for each in found), tuple(members))


async def refuse_objects(host: Connection, name: str, crd: str) -> None:
    """Raise Refused when the federated CRD still has objects."""
    resource = await _stored_resource(host, crd)
    if resource is None:
        return
    try:
        objects = await applying.listing(host, resource, limit=1)
    except ApiFailure as error:
        if error.failure.kind is FailureKind.TYPE_MISSING:
            return
        raise
    if objects:
        first = applying.name_of(objects[0])
        raise Refused(
            f"{host.name}: {crd} cannot be deleted while there are objects of it, such as {first}",
            f"delete them first, or leave out --delete-crd; see: fedctl get federated {name} -A",
        )


async def _delete_type_config(host: Connection, namespace: str, name: str, report: Report, timeout: float) -> None:
    where = ObjectName(namespace, name)
    outcome = await applying.delete(host, TYPE_CONFIGS, where)

    async def gone() -> bool:
        return await applying.find(host, TYPE_CONFIGS, where) is None

    try:
        await applying.until(gone, timeout=timeout, what="")
    except NotConfirmed:
        raise NotConfirmed(
            f"{host.name}: the controller has not let go of federatedtypeconfig {name} within {timeout:g} s",
            "start the controller (it stops the type and removes its finalizer), then run the same command again",
        ) from None
    report(f"{host.name}: {applying.label(TYPE_CONFIGS, where)} {outcome}")


async def _clean(host: Connection, found: _Found, report: Report, *, delete_crd: bool, timeout: float) -> None:
    plural, _, group = found.crd.partition(".")
    federated = ApiResource(group, "", "", plural, "", namespaced=True)
    # Who may see and edit federated objects keeps that as long as the objects' type is there.
    controller, *people = role_names(federated)
    if delete_crd:
        await refuse_objects(host, found.name, found.crd)
        where = ObjectName("", found.crd)
        outcome = await applying.delete(host, CRDS, where)

        async def gone() -> bool:
            return await applying.find(host, CRDS, where) is None

        await applying.until(gone, timeout=timeout, what=f"{host.name}: customresourcedefinition {found.crd} to go")
        report(f"{host.name}: {applying.label(CRDS, where)} {outcome}")
    for role in (controller, *(people if delete_crd else ())):
        outcome = await applying.delete(host, CLUSTER_ROLES, ObjectName("", role))
        if outcome is Outcome.DELETED:
            report(f"{host.name}: {applying.label(CLUSTER_ROLES, ObjectName('', role))} {outcome}")


async def _stored_resource(host: Connection, crd: str) -> Resource | None:
    found = await applying.find(host, CRDS, ObjectName("", crd))
    if found is None:
        return None
    spec = found["spec"]
    version = next((each["name"] for each in spec["versions"] if each.get("storage")), "")
    names = spec["names"]
    return Resource(spec["group"], version, names["kind"], names["plural"], spec["scope"] == "Namespaced")


async def _orphaned_crd(host: Connection, name: str) -> str | None:
    """The federated CRD that no FederatedTypeConfig, in any namespace, refers to: by its own name or its target's.

    Raises Refused when several would fit: deleting a CRD deletes what somebody else may still need.
    """
    configs = await applying.listing(host, TYPE_CONFIGS)
    used = {_federated_name(config) for config in configs}
    found = []
    for crd, target in await _federated_crds(host):
        if crd not in used and name in (crd, target.rpartition("/")[0]):
            found.append(crd)
    if len(found) > 1:
        raise Refused(f"{host.name}: several federated types of {name} are left", f"say one of {', '.join(found)}")
    return found[0] if found else None


def _federated_name(config: Mapping[str, Any]) -> str:
    federated = (config.get("spec") or {}).get("federatedType") or {}
    return f"{federated.get('pluralName', '')}.{federated.get('group', '')}"


async def _federated_crds(host: Connection) -> list[tuple[str, str]]:
    """Name and target of every CRD that typegen made."""
    made, token = [], ""
    while True:
        query = urlencode({"limit": applying.PAGE} | ({"continue": token} if token else {}))
        path = f"{CRDS.collection()}?{query}"
        answer = await applying.ask(host, "GET", path, accept=METADATA_LIST, deadline=30.0)
        doing = f"{host.name}: list customresourcedefinitions"
        items, token = answers.page(http.expect(answer, doing).json(doing), doing)
        for item in items:
            target = (item["metadata"].get("annotations") or {}).get(TARGET_ANNOTATION, "")
            if target and not item["metadata"].get("deletionTimestamp"):
                made.append((str(item["metadata"]["name"]), target))
        if not token:
            return made
