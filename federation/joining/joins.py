"""Bring a cluster in as a member: look first, then the member's side, then the host's; run again, it finishes.

The KubeFedCluster comes last: before it exists, the controller knows nothing of the cluster.
"""

import datetime as dt
from dataclasses import dataclass

import orjson

from federation.core import checks, identity
from federation.joining import answers, applying, fleet, judgements, objects, preflight
from federation.joining.applying import Report
from federation.joining.errors import NotConfirmed, Refused
from federation.joining.judgements import Check, Verdict
from federation.joining.objects import Manifest, Wanted
from federation.joining.preflight import Findings
from federation.kube import connection as http
from federation.kube import kubeconfig
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure, Invalid
from federation.model.resources import KUBEFED_CLUSTERS, NAMESPACES, SERVICE_ACCOUNTS, ObjectName

TOKEN_SECONDS = 30 * 24 * 3600
"""What is asked for; a server may shorten it, and the controller renews at half-life."""

NAMESPACE_SECONDS = 60.0
"""How long a namespace that an unjoin has just deleted may take to go."""

VERIFY_SECONDS = 15.0
"""RBAC and a new service account reach every authoriser within a second or two."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A join that passed preflight: everything that will be applied except the token, which is minted then."""

    wanted: Wanted
    findings: Findings
    member_manifests: tuple[Manifest, ...]
    secret_name: str
    cluster: Manifest
    warnings: tuple[str, ...] = ()

    def manifests(self) -> list[Manifest]:
        """What `--dry-run -o yaml` shows; the Secret has no token yet."""
        return [*self.member_manifests, objects.secret_manifest(self.wanted, self.secret_name, ""), self.cluster]


def check(wanted: Wanted) -> None:
    """Refuse names that Kubernetes would refuse half way. Raises Invalid."""
    identity.cluster_name(wanted.name, "NAME")
    identity.cluster_name(wanted.host, "--host-cluster-name")
    objects.namespace(wanted.namespace)
    if wanted.secret_name:
        checks.dns_1123(wanted.secret_name, "--secret-name")


async def inspect(host: Connection, member: Connection, wanted: Wanted) -> tuple[Plan, list[Check]]:
    """Preflight: facts from both ends and what would be done; the checks may have failed, and nothing is written."""
    check(wanted)
    known = await fleet.read(host, wanted.namespace)
    now = dt.datetime.now(dt.UTC)
    existing = known.member(wanted.name)
    secret_name = wanted.secret_name or (existing.secret if existing else "") or wanted.account
    spec = objects.cluster_spec(member.endpoint, secret_name)
    role = next(
        each
        for each in objects.member_manifests(wanted.namespace, wanted.account, known.enabled, wanted.rights)
        if each["kind"] == "ClusterRole"
    )
    findings = await preflight.look(
        member, judgements.member_rights(wanted.namespace), oldest=judgements.OLDEST_MEMBER, now=now, role=role
    )
    at_host = await preflight.look(
        host, judgements.host_rights(wanted.namespace), oldest=judgements.OLDEST_HOST, now=now
    )
    found = list(findings.checks)
    if findings.version:
        found.append(judgements.skew(at_host.version, findings.version))
        if findings.uid:
            found.append(judgements.identity(wanted.name, findings.uid, member.endpoint.server, known))
    found += [
        Check(f"host {each.name}", each.verdict, each.message, each.hint)
        for each in at_host.checks
        if each.verdict is not Verdict.OK
    ]
    manifests = objects.member_manifests(
        wanted.namespace,
        wanted.account,
        known.enabled,
        wanted.rights,
        host_namespace=findings.uid == known.uid,
    )
    cluster = objects.cluster_manifest(wanted, spec, findings.uid)
    return Plan(wanted, findings, tuple(manifests), secret_name, cluster, known.problems), found


async def refuse_existing(host: Connection, plan: Plan) -> None:
    """Raise Refused for a complete KubeFedCluster of this name (unless asked not to) or a stranger's Secret."""
    wanted = plan.wanted
    found = await applying.find(host, KUBEFED_CLUSTERS, ObjectName(wanted.namespace, wanted.name))
    existing = fleet.member(found) if found else None
    stored = await fleet.secret(host, wanted.namespace, existing.secret if existing else plan.secret_name)
    if existing is not None and fleet.holds_credentials(stored) and wanted.error_on_existing:
        raise Refused(
            f"{host.name}: cluster {wanted.name} has already joined",
            f"to renew its credentials and rights run: fedctl join {wanted.name} --error-on-existing=false",
        )
    if existing is None or existing.secret != plan.secret_name:
        mine = await fleet.secret(host, wanted.namespace, plan.secret_name)
        owner = ((mine or {}).get("metadata", {}).get("annotations") or {}).get(fleet.CLUSTER_ANNOTATION)
        if mine is not None and owner != wanted.name:
            raise Refused(
                f"{host.name}: secret {wanted.namespace}/{plan.secret_name} exists and is not cluster {wanted.name}'s",
                "choose another name with --secret-name",
            )


async def join(host: Connection, member: Connection, wanted: Wanted, report: Report) -> Plan:
    """Preflight, then both sides. Raises PreflightFailed, Refused, ApiFailure; run again after any of them."""
    plan, found = await inspect(host, member, wanted)
    for each in found:
        if each.verdict in (Verdict.WARNING, Verdict.UNKNOWN):
            report(f"warning: {each.name}: {each.message}")
    judgements.refuse_failed(wanted.name, found)
    await carry_out(host, member, plan, report)
    return plan


async def carry_out(host: Connection, member: Connection, plan: Plan, report: Report) -> None:
    """Write what `plan` says: the member's side, a token, and the host's side."""
    wanted = plan.wanted
    await refuse_existing(host, plan)
    for warning in plan.warnings:
        report(f"warning: {warning}")
    await _wait_for_namespace(member, wanted.namespace, report)
    await applying.apply_all(member, list(plan.member_manifests), report)
    token, expires = await request_token(member, ObjectName(wanted.namespace, wanted.account))
    report(f"{member.name}: token for serviceaccount {wanted.account}, valid until {expires}")
    secret = objects.secret_manifest(wanted, plan.secret_name, token)
    await verify(wanted, plan.cluster["spec"], secret["data"])
    await applying.apply_all(host, [secret, plan.cluster], report)


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


async def request_token(member: Connection, account: ObjectName) -> tuple[str, str]:
    """A bound token of that service account, and when it ends (RFC 3339)."""
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS},
    }
    answer = await member.request(
        "POST", f"{SERVICE_ACCOUNTS.path(account)}/token", body=orjson.dumps(body), secret=True
    )
    doing = f"{member.name}: create serviceaccount {account} token"
    granted = answers.section(answers.mapping(http.expect(answer, doing).json(doing), doing), "status")
    if not granted.get("token"):
        raise Refused(f"{member.name}: the API server made no token for serviceaccount {account}")
    return str(granted["token"]), str(granted.get("expirationTimestamp", ""))


async def verify(wanted: Wanted, spec: Manifest, secret: dict[str, str]) -> None:
    """Do with the new credentials what the controller will do first; the host stores only what has worked."""
    connection = Connection(wanted.name, kubeconfig.stored(spec, secret))
    last = ""

    async def answers() -> bool:
        nonlocal last
        try:
            await fleet.cluster_uid(connection)
        except ApiFailure as error:
            last = error.failure.message
            return False
        return True

    try:
        await applying.until(answers, timeout=VERIFY_SECONDS, what="")
    except NotConfirmed:
        hint = "the rest is in place: run the same command again"
        raise NotConfirmed(
            f"{wanted.name}: the new credentials do not work at {spec['apiEndpoint']}: {last}", hint
        ) from None
    finally:
        await connection.close()


async def wait_ready(host: Connection, wanted: Wanted, *, timeout: float) -> None:
    """Wait until the controller has found the cluster Ready."""
    name = ObjectName(wanted.namespace, wanted.name)
    last = "the controller has not looked at it yet: is it running?"

    async def ready() -> bool:
        nonlocal last
        found = await applying.find(host, KUBEFED_CLUSTERS, name)
        conditions = ((found or {}).get("status") or {}).get("conditions") or ()
        condition = next((each for each in conditions if each.get("type") == "Ready"), None)
        if condition is not None:
            last = f"{condition.get('reason', '')}: {condition.get('message', '')}"
        return condition is not None and condition.get("status") == "True"

    try:
        await applying.until(ready, timeout=timeout, what="")
    except NotConfirmed:
        raise NotConfirmed(
            f"cluster {wanted.name} is not Ready after {timeout:g} s ({last})",
            f"look again with: fedctl get clusters {wanted.name} -o wide",
        ) from None


def parse_labels(pairs: tuple[str, ...]) -> dict[str, str]:
    """`k=v` pairs of --label. Raises Invalid."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise Invalid("--label", f"{pair!r} is not KEY=VALUE")
        found[checks.label_key(key, "--label")] = checks.label_value(value, "--label")
    return found
