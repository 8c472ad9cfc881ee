"""Accept a cluster in pull mode: approve what its agent asks for, and give the agent its rights. `fedctl accept`.

Everything that the cluster has at the hub is made before its request is approved, the KubeFedCluster last; may be run
again. The same rules hold as for renewals (registration.approval), so that a person cannot approve by mistake what no
agent of that cluster should have.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from federation.joining import applying, fleet, invitations, requests, storing
from federation.joining.applying import Report
from federation.joining.errors import NotConfirmed, Refused
from federation.joining.requests import Asked
from federation.kube.connection import Connection
from federation.model.resources import KUBEFED_CLUSTERS, NAMESPACES, ObjectName
from federation.registration import grants, names
from federation.registration.approval import Verdict
from federation.registration.asking import State

SIGNED_WITHIN = 15.0
"""Seconds that the hub's kube-controller-manager is given to sign."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person accepts. `agent`: this one of several that ask; `replace`: instead of the one accepted before."""

    cluster: str
    system: str
    agent: str = ""
    replace: bool = False
    labels: Mapping[str, str] | None = None


async def accept(host: Connection, wanted: Wanted, report: Report, *, dry_run: bool = False) -> Asked:
    """Accept it. Raises Refused where nobody asks, or what asks must not be accepted so."""
    names.cluster(wanted.cluster, "NAME")
    await fleet.expect_namespace(host, wanted.system)
    asked = _chosen(host, wanted, await requests.read(host, wanted.system, wanted.cluster))
    before = await _refuse_taken(host, wanted, asked.decision.agent)
    for line in describe(asked):
        report(line)
    if before and before != asked.decision.agent:
        report(f"agent {before} is replaced: its certificate is worth nothing from now on, though it lasts")
    if dry_run:
        return asked
    if not await invitations.is_prepared(host, wanted.system):
        await invitations.prepare(host, wanted.system, report)
    labels = wanted.labels or {}
    manifests = grants.manifests(wanted.cluster, asked.decision.agent, wanted.system, asked.request.uid, labels)
    await applying.apply_all(host, manifests[:-1], report)
    outcome = await storing.store(host, manifests[-1])  # labels of before stay
    report(f"{host.name}: kubefedcluster {wanted.system}/{wanted.cluster} {outcome}")
    message = f"fedctl accept {wanted.cluster}: agent {asked.decision.agent}"
    await requests.decide(host, asked, grants.approved(message, requests.stamp()))
    report(f"{host.name}: certificatesigningrequest {asked.request.name} approved")
    return asked


async def wait_issued(host: Connection, asked: Asked) -> None:
    """Wait until the hub has signed it. Raises NotConfirmed."""

    async def signed() -> bool:
        found = await requests.find(host, asked.request.name)
        return found is None or found.state in (State.ISSUED, State.FAILED)

    name = asked.request.name
    await applying.until(
        signed,
        timeout=SIGNED_WITHIN,
        what=f"{host.name}: certificatesigningrequest {name} to be signed",
        hint="the cluster is accepted; does the hub's kube-controller-manager sign (its flags --cluster-signing-*)?",
    )
    found = await requests.find(host, name)
    if found is not None and found.state is State.FAILED:
        raise NotConfirmed(f"{host.name}: certificatesigningrequest {name} failed: {found.message}")


def describe(asked: Asked) -> list[str]:
    """What asks, for a person who is to decide."""
    request, decision = asked.request, asked.decision
    via = f"token {asked.token}" if asked.token else request.username
    lines = [f"cluster {decision.cluster}: agent {decision.agent} asks since {request.created}, with {via}"]
    if decision.verdict is Verdict.PERSON:
        lines.append(f"note: {decision.reason}")
    return lines


def _chosen(host: Connection, wanted: Wanted, found: list[Asked]) -> Asked:
    """The newest request of the agent that is to be accepted."""
    cluster = wanted.cluster
    waiting = [each for each in found if each.waits and wanted.agent in ("", each.decision.agent)]
    agents = list(dict.fromkeys(each.decision.agent for each in waiting))
    if len(agents) > 1:
        raise Refused(
            f"{host.name}: {len(agents)} agents ask to be cluster {cluster}: {', '.join(agents)}",
            f"ask whoever ran fedctl register which it is (it has printed the id): fedctl accept {cluster} --agent ID",
        )
    if waiting:
        return waiting[0]
    wrong = [each for each in found if each.decision.verdict is Verdict.WRONG]
    if wrong:
        raise Refused(
            f"{host.name}: what asks to be cluster {cluster} must not be accepted: {wrong[0].decision.reason}",
            f"look at it: kubectl --context {host.name} get certificatesigningrequest {wrong[0].request.name} -o yaml",
        )
    of = f" agent {wanted.agent} of" if wanted.agent else ""
    last = f"; the last request is {found[0].request.state.value.lower()}" if found else ""
    raise Refused(
        f"{host.name}:{of or ' nobody asks to be'} cluster {cluster}{' does not ask' if of else ''}{last}",
        "see who asks: fedctl get registrations; in the member: fedctl register --hub URL --token TOKEN ...",
    )


async def _refuse_taken(host: Connection, wanted: Wanted, agent: str) -> str:
    """The agent that was accepted before; "" for none. Raises Refused where the name or namespace is another's."""
    cluster = wanted.cluster
    found = await applying.find(host, KUBEFED_CLUSTERS, ObjectName(wanted.system, cluster))
    known = grants.known(requests.stored(found))
    if known is not None and not known.pull:
        raise Refused(
            f"{host.name}: cluster {cluster} has joined in push mode",
            f"register it by another name, or first: fedctl unjoin {cluster}",
        )
    if known is not None and known.leaving:
        raise Refused(f"{host.name}: cluster {cluster} is leaving", "run the same command again in a moment")
    before = known.agent if known is not None else ""
    if before and before != agent and not wanted.replace:
        raise Refused(
            f"{host.name}: cluster {cluster} was accepted with agent {before}, and agent {agent} asks for the name",
            "if the cluster was registered anew, add --replace; if not, somebody else has a token: fedctl token list",
        )
    there = await applying.find(host, NAMESPACES, ObjectName("", cluster))
    if there is not None and not grants.is_ours(there["metadata"].get("labels") or {}, cluster):
        raise Refused(
            f"{host.name}: namespace {cluster} exists and was not made for this cluster, whose agent would read in it",
            "register the cluster by another name",
        )
    if there is not None and there["metadata"].get("deletionTimestamp"):
        raise Refused(f"{host.name}: namespace {cluster} is being deleted", "run the same command again in a moment")
    return before
