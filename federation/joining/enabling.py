"""Enable a type: its federated CRD and FederatedTypeConfig at the host, and the rights that it needs in the members."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from federation.core import configuration
from federation.core import rights as member_rights
from federation.joining import applying, discovery, fleet, roles, standing
from federation.joining.applying import Report
from federation.joining.contexts import Contexts
from federation.joining.errors import NotInstalled, Refused
from federation.joining.fleet import Fleet
from federation.joining.roles import MemberRole
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure, Invalid
from federation.model.failures import FailureKind
from federation.model.federated import FederatedType
from federation.model.resources import CLUSTER_ROLES, CRDS, TYPE_CONFIGS, ObjectName
from typegen import definitions, federate, rights, userroles
from typegen.model import Caution, Generated, Options
from typegen.model import Unusable as NotFederable


@dataclass(frozen=True, slots=True)
class Request:
    """One type to enable, by a name that the host serves or by the CRD of a file; then `name` is not read.

    "" means as it is enabled already, else KubeFed's default.

    `aggregate_to`: see typegen.userroles; None means as in an earlier run, else as Kubernetes does for the target.
    """

    name: str = ""
    crd: Mapping[str, Any] | None = None
    version: str = ""
    federated_group: str = ""
    federated_version: str = ""
    aggregate_to: tuple[str, ...] | None = None

    def options(self, namespace: str, enabled: FederatedType | None = None) -> Options:
        """As typegen takes them; `enabled` is the type as it is enabled already.

        Its group and versions stay, because stored objects were written for them: a template that names no version is
        one of the enabled version.
        """
        default = Options()
        federated = enabled.federated if enabled is not None else None
        return Options(
            version=self.version,
            enabled_version=enabled.target.version if enabled is not None else "",
            federated_group=self.federated_group or (federated.group if federated else default.federated_group),
            federated_version=self.federated_version or (federated.version if federated else default.federated_version),
            system_namespace=namespace,
            aggregate_to=self.aggregate_to,
        )


@dataclass(frozen=True, slots=True)
class Enabled:
    """What was enabled, and how the members' roles follow."""

    types: tuple[Generated, ...]
    members: tuple[MemberRole, ...] = field(default=())


async def generate(host: Connection, namespace: str, requests: Sequence[Request]) -> list[Generated]:
    """The federated types for these requests; nothing is written. Raises Refused, Invalid, ApiFailure.

    Refused, too, where a federated CRD or one of its names is another target's already (see standing).
    """
    served = None
    made = []
    for request in requests:
        if request.crd is None:
            served = served or await discovery.read(host)
        made.append(await _as_before(host, await _generate(host, namespace, request, served)))
    return await standing.settle(host, made)


async def _generate(host: Connection, namespace: str, request: Request, served: discovery.Served | None) -> Generated:
    """One federated type; a caution says when its version is not the one that it would get if it were new."""
    if request.crd is not None:
        try:
            new = definitions.target(request.crd, request.options(namespace)).resource
            before = await enabled(host, namespace, new.qualified)
            made = federate.from_crd(request.crd, request.options(namespace, before))
        except NotFederable as error:
            raise Invalid("", str(error)) from None
        preferred = new.version
    else:
        assert served is not None  # noqa: S101 - the caller's promise, for mypy
        resource = discovery.choose(served, request.name, request.version)
        before = await enabled(host, namespace, resource.qualified)
        options, preferred = request.options(namespace, before), resource.version
        made = await discovery.generate(host, discovery.in_version(served, resource, options), options)
    if before is None or request.version:
        return made
    caution = _version_caution(before.target.version, made.target.version, preferred)
    return replace(made, cautions=(*made.cautions, *caution))


def _version_caution(before: str, now: str, preferred: str) -> tuple[Caution, ...]:
    if before != now:
        return (Caution("spec.template", f"was enabled in {before}, which is not served any more; now in {now}"),)
    if now == preferred:
        return ()
    change = f"stays in {now}, in which it is enabled; --version {preferred} (in a file: targetVersion) changes that"
    return (Caution("spec.template", f"{change}, also for templates that name no apiVersion"),)


async def enabled(host: Connection, namespace: str, name: str) -> FederatedType | None:
    """A type as it is enabled; None where it is not, or its FederatedTypeConfig is going or cannot be read."""
    try:
        found = await applying.find(host, TYPE_CONFIGS, ObjectName(namespace, name))
    except ApiFailure as error:
        if error.failure.kind is not FailureKind.TYPE_MISSING:
            raise
        return None
    if found is None or found["metadata"].get("deletionTimestamp"):
        return None
    try:
        return configuration.type_config(found)
    except Invalid:
        return None


async def _as_before(host: Connection, made: Generated) -> Generated:
    """With the roles (--aggregate-to) of an earlier run, where this one names none."""
    if made.aggregate_to is not None:
        return made
    installed = await applying.find(host, CRDS, ObjectName("", made.crd["metadata"]["name"]))
    recorded = ((installed or {}).get("metadata", {}).get("annotations") or {}).get(userroles.ANNOTATION)
    if recorded is None:
        return made
    try:
        asked = userroles.parse([recorded], userroles.ANNOTATION)
    except NotFederable:
        return made  # an annotation that cannot be parsed widens no roles
    crd, metadata = made.crd, made.crd["metadata"]
    annotations = {**metadata["annotations"], userroles.ANNOTATION: userroles.record(asked)}
    return replace(made, crd={**crd, "metadata": {**metadata, "annotations": annotations}}, aggregate_to=asked)


def manifests(generated: Generated, within: str = "") -> list[dict[str, Any]]:
    """What enabling one type applies at the host: CRD, roles, FederatedTypeConfig.

    `within`: the controller's namespace where the scope is Namespaced.
    """
    return [generated.crd, *rights.host_roles(generated, within=within), generated.type_config]


async def enable(
    contexts: Contexts, host: Connection, namespace: str, requests: Sequence[Request], report: Report
) -> Enabled:
    """Make and apply the types and wait until they are served, then widen the members' roles, then enable the types.

    In this order the controller has the rights to list a type before it tries to.

    Idempotent; an older federated CRD (KubeFed's, too) is updated in place. Raises Refused, before anything is written,
    when the type is enabled with another federated type, whose objects would be orphaned.
    """
    made = await generate(host, namespace, requests)
    bound = await within(host, namespace)
    for text in _cautions(made, bound):
        report(f"warning: {text}")
    for each in made:
        for caution in each.cautions:
            report(f"warning: {each.target.qualified}: {caution}")
        await _check_same_names(host, namespace, each)
    for each in made:
        await applying.apply_all(host, [each.crd, *rights.host_roles(each, within=bound)], report)
        await _remove_roles(host, each, report)
        report(f"{each.federated.qualified}: {userroles.describe(each.target, each.aggregate_to)}")
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
            f"warning: {name}: a member refuses a role that grants more rights than the controller has there; "
            "members joined with --rights all accept every role"
        )
    members = await roles.follow(contexts, host, namespace, known, report)
    for each in made:
        await applying.apply_all(host, [each.type_config], report)
    return Enabled(tuple(made), tuple(members))


async def rehearse(
    contexts: Contexts, host: Connection, namespace: str, requests: Sequence[Request], report: Report
) -> Enabled:
    """What `enable` would do, checked by the API servers of the host and of every member; nothing is stored."""
    made = await generate(host, namespace, requests)
    bound = await within(host, namespace)
    for text in _cautions(made, bound):
        report(f"warning: {text}")
    for each in made:
        await _check_same_names(host, namespace, each)
        for manifest in manifests(each, bound):
            outcome = await applying.apply(host, manifest, dry_run=True)
            label = applying.label(applying.resource_of(manifest), applying.name_of(manifest))
            report(f"{host.name}: {label} {outcome} (dry run)")
        report(f"{each.federated.qualified}: {userroles.describe(each.target, each.aggregate_to)} (dry run)")
    then = _with(await fleet.read(host, namespace), made)
    return Enabled(tuple(made), tuple(await roles.follow(contexts, host, namespace, then, report, dry_run=True)))


async def within(host: Connection, namespace: str) -> str:
    """The namespace that the controller's rights are bound to: its own where the scope is Namespaced, "" elsewhere."""
    return namespace if await fleet.is_namespaced(host, namespace) else ""


def _cautions(made: Sequence[Generated], within: str) -> list[str]:
    """What to be told of types that are enabled in one namespace (`within`) alone."""
    return [
        f"{each.target.qualified}: nothing of it is federated: the scope is Namespaced, so that only what is in "
        f"namespace {within} is, and this type is in none"
        for each in made
        if within and not each.target.namespaced
    ]


async def _remove_roles(host: Connection, made: Generated, report: Report) -> None:
    """Delete user roles of earlier runs that this one does not make (another --aggregate-to, an older version)."""
    kept = {role["metadata"]["name"] for role in rights.host_roles(made)}
    for name in rights.role_names(made.federated):
        where = ObjectName("", name)
        if name not in kept and await applying.find(host, CLUSTER_ROLES, where) is not None:
            outcome = await applying.delete(host, CLUSTER_ROLES, where)
            report(f"{host.name}: {applying.label(CLUSTER_ROLES, where)} {outcome}")


def _with(known: Fleet, made: Sequence[Generated]) -> Fleet:
    """The fleet as it will be once these types are enabled."""
    types = {each.name: each for each in known.types}
    types |= {each.target.qualified: configuration.type_config(each.type_config) for each in made}
    return replace(known, types=tuple(types.values()))


async def _wait_for_old(host: Connection, namespace: str, made: Generated) -> None:
    """Wait until a FederatedTypeConfig that is being deleted is gone: applied before, the new one would go with it."""
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
