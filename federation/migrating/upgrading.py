"""Bring CRDs and types up to date in place, as `fedctl init` and `fedctl enable` do, and remove what nobody reads.

A type whose propagation is Disabled stays so: its CRD and its roles are brought up to date, its FederatedTypeConfig is
not written. One that cannot be made (its target is not served) stays as KubeFed left it, and the others go on.
"""

from collections import Counter
from collections.abc import Sequence

from federation.joining import applying, enabling, installing
from federation.joining.applying import Report
from federation.joining.enabling import Enabled
from federation.joining.errors import Refused
from federation.joining.reaching import Reach
from federation.joining.roles import MemberRole, Role
from federation.kube import connection as http
from federation.kube.connection import METADATA_LIST, Connection
from federation.migrating import gathering
from federation.migrating.facts import LEFT, Facts, TypeFacts
from federation.model.resources import Resource
from typegen import rights


def refuse(facts: Facts) -> None:
    """Raise Refused while KubeFed or its webhook is in the way: its types could not be written, or would be by two."""
    if not facts.stopped:
        raise Refused(f"{facts.host}: KubeFed is not stopped", "first: fedctl migrate --stop")


async def upgrade(reach: Reach, facts: Facts, timeout: float, report: Report) -> list[str]:
    """CRDs, namespace, roles and types; returns what was left as it is, a line for each. Raises Refused, ApiFailure."""
    host, namespace = reach.host, reach.namespace
    await installing.install(host, namespace, report, timeout=timeout)
    left = [f"{each.name}: left as KubeFed has it: {each.problem}" for each in facts.types if each.problem]
    wanted = [each for each in facts.types if not each.problem]
    off = [each for each in wanted if not each.propagation]
    on = [enabling.Request(name=each.name) for each in wanted if each.propagation]
    await _apply_disabled(host, namespace, off, report)
    if on:
        done = await enabling.enable(reach.contexts, host, namespace, on, report)
        left += [_role(each) for each in _not_followed(done)]
    return left


async def remove(host: Connection, namespace: str, facts: Facts, report: Report) -> None:
    """Delete PropagatedVersions and what else KubeFed wrote for itself, but what is another control plane's.

    Their CRDs stay: KubeFed cannot run without, should it be started again. It makes such objects anew.
    """
    for resource in LEFT:
        if not facts.left.get(resource.kind):
            continue
        if not resource.namespaced:
            if not facts.namespaced:  # in one namespace KubeFed writes none of them
                await _delete_all(host, resource, "", facts.left[resource.kind], report)
            continue
        places: Counter[str] = Counter()
        scope = namespace if facts.namespaced else ""
        async for each in gathering.pages(host, resource, scope, accept=METADATA_LIST):
            places[applying.name_of(each).namespace] += 1
        for place in sorted(set(places) - set(facts.others)):
            await _delete_all(host, resource, place, places[place], report)


async def _delete_all(host: Connection, resource: Resource, place: str, count: int, report: Report) -> None:
    """One request for all of a namespace, or of a cluster-scoped type."""
    where = f" in namespace {place}" if place else ""
    doing = f"{host.name}: delete {resource.qualified}{where}"
    http.expect(await applying.request(host, "DELETE", resource.collection(place), deadline=60.0), doing)
    report(f"{host.name}: {count} {resource.kind} deleted{where}")


async def _apply_disabled(host: Connection, namespace: str, types: Sequence[TypeFacts], report: Report) -> None:
    within = await enabling.within(host, namespace)
    for each in types:
        for made in await enabling.generate(host, namespace, [enabling.Request(name=each.name)]):
            await applying.apply_all(host, [made.crd, *rights.host_roles(made, within=within)], report)
        report(f"{host.name}: {each.name}: its propagation is Disabled and stays so")


def _not_followed(done: Enabled) -> list[MemberRole]:
    return [each for each in done.members if each.state in (Role.FAILED, Role.BY_ADMIN)]


def _role(member: MemberRole) -> str:
    return f"{member.cluster}: its role is not brought up to date: {member.message}"
