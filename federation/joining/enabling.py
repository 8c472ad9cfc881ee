"""Switch a type on: its federated CRD and FederatedTypeConfig at the host, then the rights it needs everywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from federation.core import parsing
from federation.core import rights as member_rights
from federation.joining import applying, discovery, fleet, roles
from federation.joining.applying import Report
from federation.joining.contexts import Contexts
from federation.joining.errors import NotInstalled, Refused
from federation.joining.fleet import Fleet
from federation.joining.roles import MemberRole
from federation.kube.connection import Connection
from federation.model.errors import Invalid
from federation.model.resources import CRDS, TYPE_CONFIGS, ObjectName
from typegen import federate, rights
from typegen.model import Generated, Options
from typegen.model import Unusable as NotFederable


@dataclass(frozen=True, slots=True)
class Request:
    """One type to enable: by name as the host's API knows it, or by the CRD of a file. "" means KubeFed's default."""

    name: str = ""
    crd: Mapping[str, Any] | None = None
    version: str = ""
    federated_group: str = ""
    federated_version: str = ""

    def options(self, namespace: str) -> Options:
        """As typegen takes them."""
        default = Options()
        return Options(
            version=self.version,
            federated_group=self.federated_group or default.federated_group,
            federated_version=self.federated_version or default.federated_version,
            system_namespace=namespace,
        )


@dataclass(frozen=True, slots=True)
class Enabled:
    """What was enabled, and how the members' roles follow."""

    types: tuple[Generated, ...]
    members: tuple[MemberRole, ...] = field(default=())


async def generate(host: Connection, namespace: str, requests: Sequence[Request]) -> list[Generated]:
    """The federated types for these requests; nothing is written. Raises Refused, Invalid, ApiFailure."""
    served = None
    made = []
    for request in requests:
        options = request.options(namespace)
        if request.crd is not None:
            try:
                made.append(federate.from_crd(request.crd, options))
            except NotFederable as error:
                raise Invalid("", str(error)) from None
            continue
        served = served or await discovery.read(host)
        resource = discovery.choose(served, request.name, request.version)
        made.append(await discovery.generate(host, resource, options))
    return made


def manifests(generated: Generated) -> list[dict[str, Any]]:
    """What enabling one type applies at the host: CRD, roles, FederatedTypeConfig."""
    return [generated.crd, *rights.host_roles(generated), generated.type_config]


async def enable(
    contexts: Contexts, host: Connection, namespace: str, requests: Sequence[Request], report: Report
) -> Enabled:
    """Make, apply and wait until served; widen the role in every member, and only then switch the types on.

    In this order the controller may list a type from its first try on.

    Idempotent, and an older federated CRD (KubeFed's too) is replaced in place. Raises Refused when the type is enabled
    under another federated type, whose objects would be orphaned.
    """
    made = await generate(host, namespace, requests)
    for each in made:
        for caution in each.cautions:
            report(f"warning: {each.target.qualified}: {caution}")
        await _check_same_names(host, namespace, each)
    for each in made:
        await applying.apply_all(host, [each.crd, *rights.host_roles(each)], report)
    await applying.wait_established(host, [each.crd["metadata"]["name"] for each in made])
    for each in made:
        await _wait_for_old(host, namespace, each)
    known = _with(await fleet.read(host, namespace), made)
    for problem in known.problems:
        report(f"warning: {problem}")
    for name in member_rights.escalates(
        each for each in known.enabled if each.name in {one.target.qualified for one in made}
    ):
        report(
            f"warning: {name}: a member refuses what grants more than the controller itself holds there; "
            "members joined with --rights all take everything"
        )
    members = await roles.follow(contexts, host, namespace, known)
    for each in made:
        await applying.apply_all(host, [each.type_config], report)
    return Enabled(tuple(made), tuple(members))


async def rehearse(
    contexts: Contexts, host: Connection, namespace: str, requests: Sequence[Request], report: Report
) -> Enabled:
    """What `enable` would do, checked by the API servers of the host and of every member; nothing is stored."""
    made = await generate(host, namespace, requests)
    for each in made:
        await _check_same_names(host, namespace, each)
        for manifest in manifests(each):
            outcome = await applying.apply(host, manifest, dry_run=True)
            label = applying.label(applying.resource_of(manifest), applying.name_of(manifest))
            report(f"{host.name}: {label} {outcome} (dry run)")
    then = _with(await fleet.read(host, namespace), made)
    return Enabled(tuple(made), tuple(await roles.follow(contexts, host, namespace, then, dry_run=True)))


def _with(known: Fleet, made: Sequence[Generated]) -> Fleet:
    """The fleet as it will be once these types are enabled."""
    types = {each.name: each for each in known.types}
    types |= {each.target.qualified: parsing.type_config(each.type_config) for each in made}
    return replace(known, types=tuple(types.values()))


async def _wait_for_old(host: Connection, namespace: str, made: Generated) -> None:
    """A FederatedTypeConfig that a disable is deleting would take ours along."""
    where = ObjectName(namespace, made.target.qualified)

    async def settled() -> bool:
        found = await applying.find(host, TYPE_CONFIGS, where)
        return found is None or not found["metadata"].get("deletionTimestamp")

    await applying.until(
        settled,
        timeout=30.0,
        what=f"{host.name}: federatedtypeconfig {where} is being deleted; to be gone",
        hint="start the controller (it removes the finalizer), then run the same command again",
    )


async def _check_same_names(host: Connection, namespace: str, made: Generated) -> None:
    name = made.target.qualified
    try:
        known = await fleet.read(host, namespace)
    except NotInstalled as error:
        raise NotInstalled(f"{name} cannot be enabled: {error}", error.hint) from None
    existing = next((each.federated for each in known.types if each.name == name), None)
    wanted = made.federated
    if existing is not None and (existing.group, existing.plural, existing.kind) != (
        wanted.group,
        wanted.plural,
        wanted.kind,
    ):
        raise Refused(
            f"{name} is enabled as {existing.qualified} already, not as {wanted.qualified}",
            f"to enable it under the new name, first run: fedctl disable {name}",
        )
    if existing is not None and existing.version != wanted.version:
        await _keep_version(host, made, existing.version)


async def _keep_version(host: Connection, made: Generated, stored: str) -> None:
    crd = await applying.find(host, CRDS, ObjectName("", made.crd["metadata"]["name"]))
    versions = ((crd or {}).get("status") or {}).get("storedVersions") or ()
    if stored in versions:
        raise Refused(
            f"{made.target.qualified} has objects stored as {made.federated.group}/{stored}",
            f"keep that version with --federated-version {stored}",
        )
