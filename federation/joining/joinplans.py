"""What a join will write, and what speaks against it: everything is read and checked, nothing is written yet.

`joins` carries a plan out. Joining again gives new credentials and rights, and keeps everything else that no flag
changes (joining.storing).
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from federation.core import binding, checks, jwt, naming, rights
from federation.joining import applying, assessments, fences, fleet, objects, preflight, storing
from federation.joining.assessments import Check, Grade
from federation.joining.errors import Refused
from federation.joining.fleet import Fleet
from federation.joining.objects import Manifest, Wanted
from federation.joining.preflight import Findings
from federation.kube.connection import Connection
from federation.model.errors import Invalid
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a join will write, except the token, which is requested then.

    `wanted` is what the user asked for, completed by what an earlier join recorded; `found` is the existing
    KubeFedCluster and `stored` its Secret. `notes` are messages about fields that are kept, and rights that are given,
    which a person should check. `fence` are the lists of the fence that the join leaves in the member; None changes
    nothing (joining.fences). `before` is the account of an earlier join, where that was another. `namespaced`: the
    scope is Namespaced, and the account has no rights outside of the namespace.
    """

    wanted: Wanted
    findings: Findings
    member_manifests: tuple[Manifest, ...]
    secret_name: str
    cluster: Manifest
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    found: Mapping[str, Any] | None = None
    stored: Mapping[str, Any] | None = None
    fence: tuple[fences.Names, fences.Names] | None = None
    before: ObjectName | None = None
    stored_before: Mapping[str, Any] | None = None
    namespaced: bool = False

    @property
    def account(self) -> ObjectName:
        """The service account in the member."""
        return ObjectName(self.wanted.namespace, self.wanted.account)

    def secret(self, token: str) -> Manifest:
        """The Secret at the host, bound to the endpoint in the KubeFedCluster."""
        return objects.secret_manifest(self.wanted, self.secret_name, token, self.cluster["spec"])

    def manifests(self) -> list[Manifest]:
        """What `--dry-run -o yaml` shows. Applied to a cluster that has joined, it takes nothing away.

        The Secret has no token yet, and no data at all where credentials are stored already.
        """
        fence = fences.policy(self.account, *self.fence) if self.fence is not None and any(self.fence) else []
        secret = self.secret("")
        if fleet.holds_credentials(self.stored):
            del secret["data"]
        return [
            *self.member_manifests,
            *fence,
            storing.merged(self.stored, secret),
            storing.merged(self.found, self.cluster),
        ]


def check(wanted: Wanted) -> None:
    """Check names before anything is written. Raises Invalid."""
    naming.cluster_name(wanted.name, "NAME")
    naming.cluster_name(wanted.host, "--host-cluster-name")
    objects.namespace(wanted.namespace)
    if wanted.secret_name:
        checks.dns_1123(wanted.secret_name, "--secret-name")
    if wanted.service_account:
        checks.dns_1123(wanted.service_account, "--service-account")
    if wanted.api_endpoint and not wanted.api_endpoint.startswith("https://"):
        raise Invalid("--api-endpoint", f"{wanted.api_endpoint[:200]!r} is not an https URL")
    for namespace in (*(wanted.fence or ()), *(wanted.only or ())):
        checks.dns_1123(namespace, "--fence" if namespace in (wanted.fence or ()) else "--namespaces")


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a join reads of the host itself: its members and types, and its preflight checks."""

    known: Fleet
    findings: Findings


async def host_facts(host: Connection, namespace: str) -> HostFacts:
    """Read the host. Raises NotInstalled, ApiFailure."""
    known = await fleet.read(host, namespace)
    needed = assessments.host_rights(namespace)
    now = dt.datetime.now(dt.UTC)
    return HostFacts(known, await preflight.check(host, needed, oldest=assessments.OLDEST_HOST, now=now))


async def inspect(
    host: Connection, member: Connection, wanted: Wanted, facts: HostFacts | None = None
) -> tuple[Plan, list[Check]]:
    """Preflight: checks of the member and the host, and the plan; nothing is written, also if checks have failed."""
    check(wanted)
    facts = facts or await host_facts(host, wanted.namespace)
    known = facts.known
    existing = known.member(wanted.name)
    if existing is not None and existing.pulls:
        raise Refused(
            f"{host.name}: cluster {wanted.name} is a member in pull mode",
            f"join it by another name, or first: fedctl unregister {wanted.name}",
        )
    wanted = _filled(wanted, existing)
    secret_name = wanted.secret_name or (existing.secret if existing else "") or wanted.kubefed_name
    where = ObjectName(wanted.namespace, wanted.name)
    found = await applying.find(host, KUBEFED_CLUSTERS, where) if existing else None
    stored = present = await fleet.secret(host, wanted.namespace, secret_name)
    if existing is not None and existing.secret not in ("", secret_name):
        present = await fleet.secret(host, wanted.namespace, existing.secret)
    bound = binding.recorded(((present or {}).get("metadata") or {}).get("annotations") or {})
    wanted = _confirmed_endpoint(wanted, bound)
    asked = objects.cluster_spec(member.endpoint, secret_name, wanted.api_endpoint)
    if not wanted.api_endpoint and _is_in_use(found, bound, asked):
        asked = storing.at_the_present_place(asked, found or {})
    kept = storing.spec_after(wanted.name, asked, (found or {}).get("spec"), bound)
    manifests = objects.member_manifests(
        wanted.namespace, wanted.account, known.enabled, wanted.rights or "types", namespaced=known.namespaced
    )
    findings, checked = await _preflight(member, wanted, facts, objects.role_of(manifests))
    if findings.uid == known.uid or findings.space:
        manifests = [each for each in manifests if each["kind"] != "Namespace"]
    cluster = objects.cluster_manifest(wanted, kept.spec, findings.space if known.namespaced else findings.uid)
    plan = Plan(
        wanted,
        findings,
        tuple(manifests),
        secret_name,
        cluster,
        known.problems,
        found=found,
        stored=stored,
        stored_before=present if present is not stored else None,
        namespaced=known.namespaced,
    )
    plan = replace(plan, before=_other_account(plan, existing, present))
    if findings.uid or findings.space:
        plan = replace(plan, fence=await fences.after(member, wanted, plan.account, plan.before))
    notes = (*kept.notes, *_power(wanted, known, first=found is None))
    if found is not None:
        notes = (*notes, *_address(wanted, member, found, cluster["spec"]), *await _given_up(member, plan, existing))
    plan = replace(plan, notes=notes)
    return plan, checked


def _power(wanted: Wanted, known: Fleet, *, first: bool) -> tuple[str, ...]:
    """What the role in the member amounts to, where that is more than its name says."""
    if known.namespaced:
        return ()
    account = f"{wanted.name}: the controller's account"
    if wanted.rights == "all":
        return (
            f"{account} is as good as cluster-admin there (--rights all), and so is whoever has its token; "
            "--rights types gives it the rights of the enabled types",
        )
    pods = rights.running_pods(known.enabled)
    if not pods or not first or wanted.fence or wanted.only:
        return ()
    return (
        f"{account} may run pods in every namespace there ({', '.join(pods)}), so that it is in effect admin of the "
        "cluster; --fence and --namespaces restrict it",
    )


async def _preflight(
    member: Connection, wanted: Wanted, facts: HostFacts, role: Manifest
) -> tuple[Findings, list[Check]]:
    now = dt.datetime.now(dt.UTC)
    at_host, known = facts.findings, facts.known
    needed = assessments.member_rights(wanted.namespace, namespaced=known.namespaced)
    findings = await preflight.check(
        member,
        needed,
        oldest=assessments.OLDEST_MEMBER,
        now=now,
        role=role,
        namespace=wanted.namespace if known.namespaced else "",
    )
    checked = list(findings.checks)
    if findings.version:
        checked.append(assessments.skew(at_host.version, findings.version))
        if findings.uid or findings.space:
            uids = (findings.uid, findings.space)
            checked.append(assessments.identity(wanted.name, uids, member.endpoint.server, known))
    checked += [
        Check(f"host {each.name}", each.grade, each.message, each.hint)
        for each in at_host.checks
        if each.grade is not Grade.OK
    ]
    return findings, checked


def _filled(wanted: Wanted, existing: fleet.Member | None) -> Wanted:
    """With an earlier join's account and rights where this one names none."""
    account = existing.account if existing else ""
    granted: objects.Rights = wanted.rights or ("all" if existing and existing.rights == "all" else "types")
    if account and not wanted.service_account:
        wanted = replace(wanted, service_account=checks.dns_1123(account, f"annotation {fleet.ACCOUNT_ANNOTATION}"))
    return replace(wanted, rights=granted)


def _confirmed_endpoint(wanted: Wanted, bound: Mapping[str, Any] | None) -> Wanted:
    """With the address that an earlier join's --api-endpoint set, where this one sets none."""
    if wanted.api_endpoint or not bound or bound.get("given") is not True:
        return wanted
    return replace(wanted, api_endpoint=str(bound.get("apiEndpoint") or ""))


def _is_in_use(found: Mapping[str, Any] | None, bound: Mapping[str, Any] | None, asked: Manifest) -> bool:
    """Whether the controller reaches the cluster, as its credentials are bound, at another address than `asked`.

    Another context of the kubeconfig may lead to the same cluster by another way, which is no reason to change it.
    """
    spec = (found or {}).get("spec") or {}
    if not bound or binding.differences(bound, binding.place(spec)):
        return False
    ready = fleet.readiness(found)
    return ready is not None and ready.get("status") == "True" and spec.get("apiEndpoint") != asked["apiEndpoint"]


def _address(wanted: Wanted, member: Connection, found: Mapping[str, Any], spec: Manifest) -> tuple[str, ...]:
    """What becomes of the address, where the kubeconfig has another than the KubeFedCluster."""
    before, own = str((found.get("spec") or {}).get("apiEndpoint", "")), member.endpoint.server
    if spec["apiEndpoint"] != before and not wanted.api_endpoint:
        return (f"{wanted.name}: apiEndpoint changes from {before} to {spec['apiEndpoint']}, your kubeconfig's",)
    if spec["apiEndpoint"] not in (own, wanted.api_endpoint):
        return (
            f"{wanted.name}: apiEndpoint stays {before}, at which the controller reaches it; your kubeconfig has {own} "
            f"(--api-endpoint {own} changes that)",
        )
    return ()


def _other_account(plan: Plan, existing: fleet.Member | None, secret: Mapping[str, Any] | None) -> ObjectName | None:
    """The account of the join before, where this one uses another."""
    account = jwt.account(jwt.claims(fleet.token(secret)))
    before = ObjectName(*account) if account is not None else None
    if before is None and existing is not None and existing.account:
        before = ObjectName(plan.wanted.namespace, existing.account)
    return before if before != plan.account else None


async def _given_up(member: Connection, plan: Plan, existing: fleet.Member | None) -> tuple[str, ...]:
    """Rights and accounts of an earlier join that this one leaves behind or narrows."""
    wanted, notes = plan.wanted, []
    if plan.before is not None:
        notes.append(
            f"{wanted.name}: the controller uses serviceaccount {plan.account} there from now on; {plan.before} stays "
            "with its roles: delete it if nobody else uses it"
        )
    if wanted.rights == "types" and existing is not None and existing.rights in ("", "all"):
        role = objects.role_of(plan.member_manifests)
        found = await applying.find(member, applying.resource_of(role), applying.name_of(role))
        if found is not None and objects.has_all_rights(found):
            notes.append(
                f"{wanted.name}: the controller's role there allowed everything and is narrowed to the enabled types; "
                "--rights all keeps it"
            )
    return tuple(notes)


def refuse_existing(host: Connection, plan: Plan) -> None:
    """Raise Refused when the cluster has already joined (unless the flags allow it), or the Secret is another's."""
    wanted = plan.wanted
    referred = fleet.member(plan.found).secret if plan.found is not None else ""
    if wanted.rotate and plan.found is None:
        raise Refused(f"{host.name}: no cluster {wanted.name} has joined", "leave out --rotate to join it")
    complete = plan.found is not None and fleet.holds_credentials(plan.stored)
    if complete and wanted.error_on_existing and not wanted.rotate:
        raise Refused(
            f"{host.name}: cluster {wanted.name} has already joined",
            f"to renew its credentials and rights run: fedctl join {wanted.name} --rotate "
            "(--error-on-existing=false does the same)",
        )
    if plan.stored is None:
        return
    owner = (plan.stored["metadata"].get("annotations") or {}).get(binding.CLUSTER_ANNOTATION)
    theirs = owner is not None or referred != plan.secret_name
    if owner != wanted.name and (theirs or not binding.belongs(wanted.name, fleet.credentials(plan.stored))):
        raise Refused(
            f"{host.name}: secret {wanted.namespace}/{plan.secret_name} exists and is not cluster {wanted.name}'s",
            "choose another name with --secret-name"
            + ("" if theirs else f", or if it is: annotate it with {binding.CLUSTER_ANNOTATION}={wanted.name}"),
        )


def parse_labels(pairs: tuple[str, ...]) -> dict[str, str]:
    """`k=v` pairs of --label. Raises Invalid."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise Invalid("--label", f"{pair!r} is not KEY=VALUE")
        found[checks.label_key(key, "--label")] = checks.label_value(value, "--label")
    return found
