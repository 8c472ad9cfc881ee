"""Claim 1, `joining`: one cluster, and a burst of them, become members while objects wait for them.

Push: `fedctl join` for each, by somebody who is admin of the hub and of the member. Pull: a token at the hub, with
which the member registers, its agent, and `fedctl accept`. Commands and what they carry are counted as they are typed.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from federation.comparing import contract
from federation.comparing.client import together
from federation.comparing.contract import Right
from federation.comparing.fleet import FEDERATED
from federation.comparing.following import Following
from federation.comparing.load import Item, User, config_maps, version
from federation.comparing.model import Finding, Settings, Step, Subject
from federation.comparing.person import Side, Typed
from federation.comparing.sampling import few, in_turn, on_a_site, samples
from federation.comparing.scenario import Ground, Measured
from federation.comparing.site import Site
from federation.comparing.stage import Stage
from federation.comparing.workload import LONGEST

CLUSTERS = {"quick": (2,), "full": (1, 6)}
OBJECTS = {"quick": 40, "full": 300}
NAMESPACE = "waiting"
EVERYWHERE: dict[str, Any] = {"clusterSelector": {}}
ROUNDS = {"quick": 1, "full": 1}


class Joining:
    """ConfigMaps of 1 kB wait for all clusters that there will be."""

    name = "joining"

    def steps(self, settings: Settings) -> Sequence[Step]:
        """Each is a hub of its own: who has joined once is known."""
        limited = few(on_a_site(settings), ROUNDS)
        numbers = dict.fromkeys((1, settings.members)) if settings.members else CLUSTERS[settings.scale]
        places = [{"clusters": number} for number in numbers if number]
        return in_turn(self.name, limited, places)

    def estimate(self, settings: Settings, step: Step) -> float:
        """A hub, and each cluster's commands."""
        return 25 + int(step.at["clusters"]) * 8 + self._count(settings) * 0.1

    def _count(self, settings: Settings) -> int:
        return settings.objects or OBJECTS[settings.scale]

    async def run(self, ground: Ground, settings: Settings, step: Step) -> Measured:
        """Objects first, then clusters."""
        if not isinstance(ground, Stage):
            raise RuntimeError("clusters join on a hub of our own alone")
        await ground.clear()
        names = [f"c{number}" for number in range(1, int(step.at["clusters"]) + 1)]
        items = config_maps(settings.seed, self._count(settings))
        async with Site(ground.report, push=(), pull=(), waiting=names) as site:
            await _federate(site, items)
            members = [each.client for each in site.members.values()]
            async with Following(members, NAMESPACE, ("ConfigMap",)) as following:
                expected = following.expect([each.name for each in items], version(1).encode(), names)
                began = time.perf_counter()
                await (site.join(*names) if step.subject == Subject.PUSH else site.register(*names))
                await site.ready(*names)
                ready = time.perf_counter()
                held = await expected.wait(LONGEST)
            typed = list(site.person.typed)
        count = len(names)
        figures = {
            "commands": len(typed) / count,
            "copied": sum(len(each.carries) for each in typed) / count,
            "until_ready": ready - began,
        }
        found = samples(step, figures) + samples(step, {"until_held": held - began}, objects=len(items))
        return found, [*(contract.found(step, row) for row in rights(typed)), *commands(step, typed)]


async def _federate(site: Site, items: Sequence[Item]) -> None:
    await site.hub.send("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    body = {
        "apiVersion": "types.kubefed.io/v1beta1",
        "kind": "FederatedNamespace",
        "metadata": {"name": NAMESPACE, "namespace": NAMESPACE},
        "spec": {"placement": EVERYWHERE},
    }
    await site.hub.send("POST", f"{FEDERATED}/{NAMESPACE}/federatednamespaces", body)
    user = User(site.hub, NAMESPACE, ())
    await together(user.create(each, placement=EVERYWHERE) for each in items)


_SIDES = {Side.BOTH: ("host", "member"), Side.HUB: ("host",), Side.MEMBER: ("member",)}
_MAY = {
    ("join", "host"): "write Secrets and KubeFedClusters in the system namespace",
    ("join", "member"): "make a namespace, an account, roles and bindings, and a token of the account",
    ("token", "host"): "make accounts and tokens of them; the first time roles and bindings, too",
    ("register", "member"): "make a namespace, definitions, accounts, roles and bindings, and Secrets",
    ("accept", "host"): "make a namespace, roles and bindings, and KubeFedClusters, and approve certificates",
}
"""What each command does there, with the rights of whoever types it."""


def rights(typed: Iterable[Typed]) -> list[Right]:
    """What whoever types the commands must be allowed, on each side."""
    found: dict[tuple[str, str], Right] = {}
    for each in typed:
        verb = each.command.split()[1]
        for side in _SIDES[each.side]:
            found.setdefault((verb, side), Right(side=side, who=f"whoever types fedctl {verb}", may=_MAY[verb, side]))
    return list(found.values())


def commands(step: Step, typed: Sequence[Typed]) -> list[Finding]:
    """The commands for the first cluster, and what they carry."""
    share = len(typed) // int(step.at["clusters"])
    return [
        Finding(
            scenario=step.scenario,
            subject=step.subject,
            round=step.round,
            about="command",
            facts={"side": each.side, "command": each.command, "carries": ", ".join(each.carries)},
            at=step.at,
        )
        for each in typed[:share]
    ]
