"""Disable a type: delete its FederatedTypeConfig, then the roles that only its propagation needed.

Members' objects stay where they are. The federated CRD is deleted only with `delete_crd`, and never while it has
objects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from federation.joining import applying, fleet, kinds, roles
from federation.joining.applying import Outcome, Report
from federation.joining.contexts import Contexts
from federation.joining.errors import NotConfirmed, Refused
from federation.joining.fleet import Fleet
from federation.joining.roles import MemberRole
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from federation.model.federated import FederatedType
from federation.model.resources import CLUSTER_ROLES, CRDS, ROLE_BINDINGS, ROLES, TYPE_CONFIGS, ObjectName, Resource
from typegen.installed import TARGET_ANNOTATION
from typegen.model import ApiResource, Options
from typegen.rights import role_names


@dataclass(frozen=True, slots=True)
class Disabled:
    """What was disabled, and how the members' roles follow."""

    types: tuple[str, ...]
    members: tuple[MemberRole, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Found:
    """A type to disable: its FederatedTypeConfig (None: there is none) and its federated CRD's name ("": none).

    `hint` proposes another name where nothing was found.
    """

    name: str
    crd: str
    enabled: FederatedType | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """Which federated CRD is meant where there is no FederatedTypeConfig: its group, and the target's version."""

    group: str = ""
    version: str = ""


async def find(
    host: Connection, namespace: str, names: Sequence[str], left: Left = Left(), *, delete_crd: bool = False
) -> tuple[Fleet, list[_Found]]:
    """The types of these names; also a federated CRD that an earlier run left without its FederatedTypeConfig.

    For a type that is not federated (any more) the result has only its name, if that is a type's full name or a name
    that the host serves: so disabling twice is no error, as with kubefedctl. Raises Refused for any other word.
    """
    known = await fleet.read(host, namespace)
    served = await kinds.served(host)
    found = []
    for name in names:
        try:
            enabled = kinds.resolve(known.types, served, name)
            found.append(_Found(enabled.name, enabled.federated.qualified, enabled))
        except kinds.Ambiguous:
            raise
        except Refused as error:
            full = kinds.qualified(served, name)
            crd = await _orphaned_crd(host, full or name, left, delete_crd=delete_crd)
            if not crd and not full:
                raise
            found.append(_Found(full or name, crd, hint=error.hint if "did you mean" in error.hint else ""))
    return known, found


def absent(host: Connection, namespace: str, found: _Found) -> str:
    """The message for a type that is not enabled."""
    hint = f"; {found.hint}" if found.hint else ""
    where = ObjectName(namespace, found.name)
    return f"{host.name}: {applying.label(TYPE_CONFIGS, where)} does not exist, nothing to disable{hint}"


async def disable(
    contexts: Contexts,
    host: Connection,
    namespace: str,
    names: Sequence[str],
    report: Report,
    *,
    delete_crd: bool = False,
    left: Left = Left(),
    timeout: float = 30.0,
) -> Disabled:
    """Disable these types. Raises Refused while federated objects exist (with `delete_crd`), and NotConfirmed when
    the controller does not remove its finalizer from the FederatedTypeConfig within `timeout` seconds.
    """
    _, meant = await find(host, namespace, names, left, delete_crd=delete_crd)
    found = [each for each in meant if each.crd]
    for each in meant:
        if not each.crd:
            report(absent(host, namespace, each))
    if delete_crd:
        for each in found:
            await _refuse_shared(host, each)
            await refuse_objects(host, each.name, each.crd)
    for each in found:
        if each.enabled is not None:
            await _delete_type_config(host, namespace, each.name, report, timeout)
        await _clean(host, each, report, delete_crd=delete_crd, timeout=timeout)
    known = await fleet.read(host, namespace)
    for each in found if known.namespaced else ():
        await _remove_own_role(host, namespace, each.crd, report)
    members = await roles.follow(contexts, host, namespace, known, report)
    return Disabled(tuple(each.name for each in found), tuple(members))


async def _refuse_shared(host: Connection, found: _Found) -> None:
    """Raise Refused when another FederatedTypeConfig, in any namespace, refers to the same federated CRD."""
    others = [where for where in await _users(host, found.crd) if where.name != found.name]
    if others:
        raise Refused(
            f"{host.name}: {found.crd} cannot be deleted, federatedtypeconfig {others[0]} refers to it, too",
            "leave out --delete-crd, or disable that one first",
        )


async def _users(host: Connection, crd: str) -> list[ObjectName]:
    """The FederatedTypeConfigs, in any namespace, that refer to this federated CRD."""
    configs = await applying.listing(host, TYPE_CONFIGS)
    return [applying.name_of(config) for config in configs if _federated_name(config) == crd]


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
            f"{host.name}: the controller has not removed its finalizer from federatedtypeconfig {name} within "
            f"{timeout:g} s",
            "start the controller (it stops the type and removes its finalizer), then run the same command again",
        ) from None
    report(f"{host.name}: {applying.label(TYPE_CONFIGS, where)} {outcome}")


async def _clean(host: Connection, found: _Found, report: Report, *, delete_crd: bool, timeout: float) -> None:
    # Users keep their rights on federated objects as long as the objects' CRD exists.
    controller, *people = _role_names(found.crd)
    if delete_crd:
        await refuse_objects(host, found.name, found.crd)
        where = ObjectName("", found.crd)
        outcome = await applying.delete(host, CRDS, where)

        async def gone() -> bool:
            return await applying.find(host, CRDS, where) is None

        await applying.until(gone, timeout=timeout, what=f"{host.name}: customresourcedefinition {found.crd} to go")
        report(f"{host.name}: {applying.label(CRDS, where)} {outcome}")
    shared = [where for where in await _users(host, found.crd) if where.name != found.name]
    for role in () if shared else (controller, *(people if delete_crd else ())):
        outcome = await applying.delete(host, CLUSTER_ROLES, ObjectName("", role))
        if outcome is Outcome.DELETED:
            report(f"{host.name}: {applying.label(CLUSTER_ROLES, ObjectName('', role))} {outcome}")


async def _remove_own_role(host: Connection, namespace: str, crd: str, report: Report) -> None:
    """Delete the controller's rights where they are in its own namespace (scope Namespaced)."""
    for resource in (ROLE_BINDINGS, ROLES):
        where = ObjectName(namespace, _role_names(crd)[0])
        if await applying.delete(host, resource, where) is Outcome.DELETED:
            report(f"{host.name}: {applying.label(resource, where)} {Outcome.DELETED}")


def _role_names(crd: str) -> tuple[str, ...]:
    plural, _, group = crd.partition(".")
    return role_names(ApiResource(group, "", "", plural, "", namespaced=True))


async def _stored_resource(host: Connection, crd: str) -> Resource | None:
    found = await applying.find(host, CRDS, ObjectName("", crd))
    if found is None:
        return None
    spec = found["spec"]
    version = next((each["name"] for each in spec["versions"] if each.get("storage")), "")
    names = spec["names"]
    return Resource(spec["group"], version, names["kind"], names["plural"], spec["scope"] == "Namespaced")


async def _orphaned_crd(host: Connection, name: str, left: Left, *, delete_crd: bool) -> str:
    """The federated CRD that no FederatedTypeConfig, in any namespace, refers to: by its own name or its target's.

    A CRD that kubefedctl made does not record its target, so it is found by KubeFed's names. "" when there is none. If
    several match, some of them may belong to somebody else: "" then, or Refused with `delete_crd`.
    """
    configs = await applying.listing(host, TYPE_CONFIGS)
    used = {_federated_name(config) for config in configs}
    found = []
    kubefeds = f"federated{name.partition('.')[0]}.{left.group or Options().federated_group}"
    for crd, target in await _crds(host):
        of, _, version = target.rpartition("/")
        if crd in used or (left.group and crd.partition(".")[2] != left.group):
            continue
        ours = name == crd or (name == of and left.version in ("", version))
        if ours if target else crd == kubefeds:
            found.append(crd)
    if len(found) > 1 and delete_crd:
        raise Refused(f"{host.name}: several federated types of {name} are left", f"name one of {', '.join(found)}")
    return found[0] if len(found) == 1 else ""


def _federated_name(config: Mapping[str, Any]) -> str:
    federated = (config.get("spec") or {}).get("federatedType") or {}
    return f"{federated.get('pluralName', '')}.{federated.get('group', '')}"


async def _crds(host: Connection) -> list[tuple[str, str]]:
    """The name of every CRD, and the target of those that typegen made ("" for others)."""
    return [
        (str(each["metadata"]["name"]), (each["metadata"].get("annotations") or {}).get(TARGET_ANNOTATION, ""))
        for each in await applying.metadata(host, CRDS)
        if not each["metadata"].get("deletionTimestamp")
    ]
