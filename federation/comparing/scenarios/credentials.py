"""Claim 8: plaintext kubeconfigs circulate.

Somebody who can read everything at the hub, and in each member, takes what he finds there and tries it at the other
clusters. What a person carries is tried, too. And somebody who can write at the hub without any of that tries what the
agents of pull mode do for him: a work with a ConfigMap, and one that would make him admin.

Certificates are tried at the hub alone, whose they are: the clusters of a playground have one CA in common, so that
each of them would know the user that a certificate names (though not what he may), and real ones do not.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from federation.comparing import contract, thief
from federation.comparing.client import Client
from federation.comparing.contract import Credential, How, Lies
from federation.comparing.fleet import HOST
from federation.comparing.model import Settings, Step, Subject
from federation.comparing.sampling import in_turn, once
from federation.comparing.scenario import Ground, Measured
from federation.comparing.site import Member, Site
from federation.comparing.thief import Power, Stolen
from federation.model.works import MANIFEST_WORKS
from federation.registration import invitations

_NAMESPACE = "default"
_WITHIN = 20.0
"""Seconds in which an agent does what it does."""


class Credentials:
    """Who finds what where, and what he can do with it."""

    name = "credentials"

    def steps(self, settings: Settings) -> Sequence[Step]:
        """Once for each subject: rights are no question of chance."""
        return in_turn(self.name, once(settings), [{}])

    def estimate(self, settings: Settings, step: Step) -> float:
        """Reading and trying."""
        return 10

    async def run(self, ground: Ground, settings: Settings, step: Step) -> Measured:
        """Every credential that opens a cluster, and each cluster that it opens."""
        site = await ground.site()
        members = site.of(step.subject)
        clusters = {HOST: site.hub, **{each.name: each.client for each in members}}
        rows = []
        for name, client in clusters.items():
            lies = Lies.HUB if name == HOST else Lies.MEMBER
            others = {other: there for other, there in clusters.items() if other != name}
            for stolen in await thief.searched(client):
                rows += await _tried(site, stolen, lies, others, f"{stolen.where} in {name}")
        if step.subject != Subject.PUSH:
            made = await site.person.looks("token", "create", f"--context={HOST}", "--auto-accept=nobody")
            carried = Stolen("the command that fedctl token create prints", token=_bearer(made.out))
            rows += await _tried(site, carried, Lies.PERSON, {HOST: site.hub}, carried.where)
            rows += [await _by_agent(site, member) for member in members]
        return (), [contract.found(step, row) for row in rows]


async def _tried(site: Site, stolen: Stolen, lies: Lies, clusters: dict[str, Client], where: str) -> list[Credential]:
    rows = []
    for name, admin in clusters.items():
        if stolen.certificate and name != HOST:
            continue
        namespaces = [_NAMESPACE, "kube-system", *(site.members if name == HOST else ())]
        power = await thief.power(stolen, site.playground.clusters[name], admin, namespaces)
        if power is not None:
            rows.append(_row(stolen, power, lies, where, name))
    return rows


def _row(stolen: Stolen, power: Power, lies: Lies, where: str, opens: str) -> Credential:
    return Credential(
        name=("a client certificate" if stolen.certificate else "a token") + f" of {power.user}",
        lies=lies,
        where=where,
        opens=opens,
        how=How.DIRECTLY,
        valid_days=round(stolen.days, 2) if stolen.days is not None else None,
        writes=power.writes,
        can=power.can,
    )


def _bearer(out: str) -> str:
    """The token in a printed command."""
    words = out.split()
    return invitations.decode(words[words.index("--token") + 1]).bearer


async def _by_agent(site: Site, member: Member) -> Credential:
    """Two works written by hand at the hub: what does the agent do?"""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stolen", "namespace": _NAMESPACE}}
    admin = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "stolen"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "name": "thief", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/stolen"
    works = MANIFEST_WORKS.collection(member.name)
    for name, manifest in (("stolen-config", config), ("stolen-admin", admin)):
        await site.hub.send("POST", works, _work(name, [manifest]))
    applied = await _comes(member.client, f"/api/v1/namespaces/{_NAMESPACE}/configmaps/stolen")
    becomes_admin = await _comes(member.client, bindings, within=2.0)
    for name in ("stolen-config", "stolen-admin"):
        await site.hub.send("DELETE", f"{works}/{name}")
    return Credential(
        name="whoever may write works in the member's namespace of the hub",
        lies=Lies.HUB,
        where=f"namespace {member.name} of the hub",
        opens=member.name,
        how=How.BY_AGENT,
        valid_days=None,
        writes=applied,
        can="what the agent may: it applied a ConfigMap, "
        + ("and made him admin" if becomes_admin else "and refused to make him admin")
        if applied
        else "nothing: the agent applied no ConfigMap",
    )


def _work(name: str, manifests: Sequence[Any]) -> dict[str, Any]:
    spec = {"workload": {"manifests": list(manifests)}}
    return {"apiVersion": MANIFEST_WORKS.api_version, "kind": "ManifestWork", "metadata": {"name": name}, "spec": spec}


async def _comes(client: Client, path: str, within: float = _WITHIN) -> bool:
    for _ in range(int(within / 0.2)):
        if (await client.ask("GET", path))[0] == 200:
            return True
        await asyncio.sleep(0.2)
    return False
