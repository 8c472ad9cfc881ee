"""Join a cluster by its plan (joinplans): the objects in the member, then those at the host; may be run again.

The KubeFedCluster is written last, because with it the controller begins to use the cluster.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

from federation.core import binding, jwt
from federation.joining import applying, assessments, fences, fleet, joinplans, leaving, objects, storing, tokens
from federation.joining.applying import Outcome, Report
from federation.joining.assessments import Check, Grade
from federation.joining.errors import NotConfirmed
from federation.joining.joinplans import Plan
from federation.joining.objects import Manifest, Wanted
from federation.kube import kubeconfig
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure, FederationError
from federation.model.failures import FailureKind
from federation.model.resources import KUBEFED_CLUSTERS, NAMESPACES, SECRETS, SERVICE_ACCOUNTS, ObjectName

NAMESPACE_SECONDS = 60.0
"""Seconds to wait for a namespace that an unjoin is still deleting."""

VERIFY_SECONDS = 15.0
"""Seconds to wait until new credentials work: API servers learn of new roles and accounts within a second or two."""


async def join(host: Connection, member: Connection, wanted: Wanted, report: Report) -> Plan:
    """Preflight, then the objects in the member and at the host. Raises PreflightFailed, Refused, ApiFailure."""
    plan, found = await joinplans.inspect(host, member, wanted)
    refuse_failed(plan, found, report)
    await carry_out(host, member, plan, report)
    return plan


def refuse_failed(plan: Plan, found: list[Check], report: Report) -> None:
    """Report what the checks warn of. Raises PreflightFailed when one has failed."""
    for each in found:
        if each.grade in (Grade.WARNING, Grade.UNKNOWN):
            report(f"warning: {each.name}: {each.message}")
    assessments.refuse_failed(plan.wanted.name, found)


async def carry_out(host: Connection, member: Connection, plan: Plan, report: Report) -> None:
    """Apply the plan: the objects in the member, a token, the objects at the host; then revoke older tokens."""
    joinplans.refuse_existing(host, plan)
    wanted, account = plan.wanted, plan.account
    for warning in (*plan.warnings, *plan.notes):
        report(f"warning: {warning}")
    await fences.refuse_unserved(member, wanted)
    await _wait_for_namespace(member, wanted.namespace, report)
    await _end_unbound(member, plan, report)
    await applying.apply_all(member, list(plan.member_manifests), report)
    if plan.namespaced and plan.found is not None:
        await _narrow(member, plan, report)
    if plan.fence is not None:
        await fences.apply(member, account, plan.fence, report)
    bound = await tokens.bind(member, account, report)
    try:
        granted = await tokens.request(member, account, bound)
        report(f"{member.name}: token for serviceaccount {wanted.account}, valid until {granted.expires}")
        secret = plan.secret(granted.token)
        plan = replace(plan, cluster=await verify(plan, secret["data"], report))
    except FederationError:
        await applying.delete(member, SECRETS, ObjectName(account.namespace, bound.name))
        raise
    await tokens.restrict(member, account, bound, granted.token, report)
    for manifest in (secret, plan.cluster):
        outcome = await storing.store(host, manifest)
        report(f"{host.name}: {_label(manifest)} {outcome}")
    await tokens.end_others(member, account, bound, report)
    await _end_before(host, member, plan, report)


async def _narrow(member: Connection, plan: Plan, report: Report) -> None:
    """Delete the cluster-wide role that a join before the scope was Namespaced has made."""
    for resource, name in leaving.cluster_wide(plan.account.name):
        try:
            outcome = await applying.delete(member, resource, name)
        except ApiFailure as error:
            if error.failure.kind is not FailureKind.RIGHT_MISSING:
                raise
            report(f"note: {error}; where it exists, the controller has its rights there")
            continue
        if outcome is Outcome.DELETED:
            report(f"{member.name}: {applying.label(resource, name)} {outcome}")


async def _end_before(host: Connection, member: Connection, plan: Plan, report: Report) -> None:
    """End the token of another account that the join before used, and delete the Secret that has held it."""
    stored = plan.stored_before if plan.stored_before is not None else plan.stored
    if plan.before is not None:
        reference = jwt.bound_object(jwt.claims(fleet.token(stored)))
        if reference is not None:
            where = ObjectName(plan.before.namespace, reference["name"])
            outcome = await applying.delete(member, SECRETS, where)
            report(f"{member.name}: {applying.label(SECRETS, where)} {outcome}: the tokens bound to it are revoked")
    old = _secret_left(plan)
    if old is not None:
        report(f"{host.name}: {applying.label(SECRETS, old)} {await applying.delete(host, SECRETS, old)}")


def _secret_left(plan: Plan) -> ObjectName | None:
    """The Secret of the join before, where that had another name and a join has made it."""
    if plan.stored_before is None:
        return None
    metadata = plan.stored_before["metadata"]
    if (metadata.get("annotations") or {}).get(binding.CLUSTER_ANNOTATION) != plan.wanted.name:
        return None
    return ObjectName(plan.wanted.namespace, str(metadata["name"]))


async def rehearse(host: Connection, member: Connection, plan: Plan) -> AsyncIterator[str]:
    """What `carry_out` would do, a line for each object; by a dry run in the member, which stores nothing."""
    for note in plan.notes:
        yield f"warning: {note}"
    for manifest in plan.member_manifests:
        try:
            outcome = f"would be {await applying.apply(member, manifest, dry_run=True)}"
        except ApiFailure as error:
            if error.failure.kind is not FailureKind.NAMESPACE_MISSING:
                raise
            outcome = "would be created"  # a dry run does not create the namespace that it needs
        yield f"{member.name}: {_label(manifest)} {outcome.replace('would be unchanged', 'unchanged')}"
    async for line in _rehearse_fence(member, plan):
        yield line
    if plan.wanted.rotate and _is_unbound(plan):
        yield f"{member.name}: serviceaccount {plan.account} would be created anew: its unbound tokens would end"
    yield f"{member.name}: serviceaccount {plan.account} would get a new token; older ones would be revoked"
    for manifest, found in ((plan.secret(""), plan.stored), (plan.cluster, plan.found)):
        for change in storing.changes(found, manifest):
            yield f"{host.name}: {_label(manifest)} {change}"
    if (old := _secret_left(plan)) is not None:
        yield f"{host.name}: {applying.label(SECRETS, old)} would be deleted"


async def _rehearse_fence(member: Connection, plan: Plan) -> AsyncIterator[str]:
    """What would become of the fence."""
    if plan.fence is None:
        return
    if any(plan.fence):
        for manifest in fences.policy(plan.account, *plan.fence):
            outcome = f"would be {await applying.apply(member, manifest, dry_run=True)}"
            yield f"{member.name}: {_label(manifest)} {outcome.replace('would be unchanged', 'unchanged')}"
        return
    for resource, name in fences.traces(plan.account):
        if await applying.find(member, resource, name) is not None:
            yield f"{member.name}: {applying.label(resource, name)} would be deleted"


def _label(manifest: Manifest) -> str:
    return applying.label(applying.resource_of(manifest), applying.name_of(manifest))


def _is_unbound(plan: Plan) -> bool:
    """Whether the stored token is the account's and bound to nothing; about another's account a join does nothing."""
    token = fleet.token(plan.stored)
    said = jwt.claims(token)
    return bool(token) and jwt.bound_object(said) is None and jwt.account(said) == tuple(plan.account)


async def _end_unbound(member: Connection, plan: Plan, report: Report) -> None:
    """A token that is bound to nothing lives to its end, unless its account goes: which --rotate asks for."""
    if not _is_unbound(plan):
        return
    if not plan.wanted.rotate:
        report(
            f"note: {member.name}: the token stored so far is bound to nothing and is good until it ends; "
            f"fedctl join {plan.wanted.name} --rotate ends it at once"
        )
        return
    outcome = await applying.delete(member, SERVICE_ACCOUNTS, plan.account)
    report(f"{member.name}: {applying.label(SERVICE_ACCOUNTS, plan.account)} {outcome}: its unbound tokens end now")


async def _wait_for_namespace(member: Connection, namespace: str, report: Report) -> None:
    """A join right after an unjoin meets the namespace on its way out."""

    async def settled() -> bool:
        found = await applying.find(member, NAMESPACES, ObjectName("", namespace))
        return found is None or not found["metadata"].get("deletionTimestamp")

    if not await settled():
        report(f"{member.name}: namespace {namespace} is being deleted; waiting")
        await applying.until(
            settled,
            timeout=NAMESPACE_SECONDS,
            what=f"{member.name}: namespace {namespace} to be gone",
            hint=f"see what holds it: kubectl --context {member.name} get namespace {namespace} -o yaml",
        )


async def verify(plan: Plan, secret: dict[str, str], report: Report) -> Manifest:
    """Do with the new credentials what the controller will do first; the host stores only what has worked.

    The result is the KubeFedCluster, with the identity of a namespace that the join has made. An address given by
    --api-endpoint may be one that only the controller reaches: then the rest was tried in vain.
    """
    wanted, spec, uid = plan.wanted, plan.cluster["spec"], ""
    connection = Connection(wanted.name, kubeconfig.stored(spec, secret))
    last, silent = "", False

    async def answers() -> bool:
        nonlocal last, silent, uid
        try:
            if plan.namespaced:
                uid = await fleet.own_identity(connection, wanted.namespace)
            else:
                uid = await fleet.cluster_uid(connection)
        except ApiFailure as error:
            last, silent = error.failure.message, error.failure.kind in applying.SILENT
            return bool(wanted.api_endpoint) and silent
        silent = False
        return True

    try:
        await applying.until(answers, timeout=VERIFY_SECONDS, what="")
        if silent:
            report(f"warning: not tried from here, where {spec['apiEndpoint']} does not answer: {last}")
    except NotConfirmed:
        hint = (
            "the rest is in place: run the same command again; if the cluster has another address now, name it with "
            "--api-endpoint"
        )
        raise NotConfirmed(
            f"{wanted.name}: the new credentials do not work at {spec['apiEndpoint']}: {last}", hint
        ) from None
    finally:
        await connection.close()
    return objects.cluster_manifest(wanted, spec, uid) if uid and plan.namespaced else plan.cluster


async def wait_ready(host: Connection, wanted: Wanted, *, timeout: float) -> None:
    """Wait until the controller reports the cluster as Ready. Raises NotConfirmed."""
    name = ObjectName(wanted.namespace, wanted.name)
    last = "the controller has not probed it yet"
    probed = False

    async def ready() -> bool:
        nonlocal last, probed
        condition = fleet.readiness(await applying.find(host, KUBEFED_CLUSTERS, name))
        if condition is not None:
            probed = True
            last = f"{condition.get('reason', '')}: {condition.get('message', '')}"
        return condition is not None and condition.get("status") == "True"

    try:
        await applying.until(ready, timeout=timeout, what="")
    except NotConfirmed:
        again = f"check again with: fedctl get clusters {wanted.name} -o wide"
        start = f"start it with: fedctl controller run --host-cluster-context {host.name}; then {again}"
        raise NotConfirmed(
            f"cluster {wanted.name} has joined and is not Ready after {timeout:g} s ({last})",
            again if probed else f"if no controller runs, {start}",
        ) from None
