"""Claim 4, `twins`: keys and bytes in the hub's etcd for each application, an application being several objects.

What the plain objects would be, without any federation, is found in the same etcd and stands beside them.
"""

from collections.abc import Mapping, Sequence

import msgspec

from federation.comparing.client import together
from federation.comparing.load import APPLICATION, COLLECTIONS, Item, applications
from federation.comparing.model import Finding, Settings, Step
from federation.comparing.sampling import in_turn, samples
from federation.comparing.scenario import Ground, Measured
from federation.comparing.workload import LONGEST, Workload

MEMBERS = {"quick": (2,), "full": (1, 4)}
APPLICATIONS = {"quick": 4, "full": 10}


class Twins:
    """Applications of a Deployment, a Service, a ConfigMap and a Secret in all members."""

    name = "twins"

    def steps(self, settings: Settings) -> Sequence[Step]:
        """One round: counts do not vary."""
        numbers = (settings.members,) if settings.members else MEMBERS[settings.scale]
        once = msgspec.structs.replace(settings, rounds=1)
        return in_turn(self.name, once, [{"members": number} for number in numbers])

    def estimate(self, settings: Settings, step: Step) -> float:
        """Objects are created once."""
        return 25 + self._count(settings) * int(step.at["members"]) * 0.2

    def _count(self, settings: Settings) -> int:
        return settings.objects or APPLICATIONS[settings.scale]

    async def run(self, ground: Ground, settings: Settings, step: Step) -> Measured:
        """Create them all; the difference in etcd."""
        made = applications(settings.seed, self._count(settings))
        items = [item for each in made for item in each]
        async with (
            ground.federation(step.subject, int(step.at["members"])) as federation,
            ground.workload(federation, kinds=APPLICATION) as workload,
        ):
            if not federation.etcds:
                raise RuntimeError("the hub's etcd cannot be asked, so that keys and bytes are not counted")
            etcd = federation.etcds[0]
            await workload.quiet()
            before = await etcd.stored(ground.hub_keys)
            expected = workload.expect(items, 1)
            await together(workload.user.create(item) for item in items)
            await expected.wait(LONGEST)
            await workload.quiet()
            federated = new(before, await etcd.stored(ground.hub_keys))
            before = await etcd.stored(ground.hub_keys)
            await _plain(workload, items)
            plain = new(before, await etcd.stored(ground.hub_keys))
            await together(workload.user.delete(item) for item in items)
        # Where nobody collects garbage, a Deployment that is deleted in the foreground stays: the next step is without.
        await ground.clear()
        count = len(made)
        figures = {"hub_keys": len(federated) / count, "hub_stored": sum(federated.values()) / count}
        facts: dict[str, str | float | bool | None] = {
            "objects": len(items) / count,
            "federated_objects": sum("/types.kubefed.io/" in key for key in federated) / count,
            "works": sum("/manifestworks/" in key for key in federated) / count,
            "plain_keys": len(plain) / count,
            "plain_bytes": round(sum(plain.values()) / count),
        }
        finding = Finding(
            scenario=step.scenario,
            subject=step.subject,
            round=step.round,
            about="application",
            facts=facts,
            at=step.at,
        )
        return samples(step, figures), [finding]


def new(before: Mapping[str, int], after: Mapping[str, int]) -> Mapping[str, int]:
    """Keys that are there since, with their bytes."""
    return {key: size for key, size in after.items() if key not in before}


async def _plain(workload: Workload, items: Sequence[Item]) -> None:
    """The same objects on the hub, without federation."""
    for item in items:
        prefix, plural = COLLECTIONS[item.kind]
        path = f"{prefix}/namespaces/{workload.namespace}/{plural}"
        await workload.of.host.send("POST", path, item.plain(workload.namespace, 1))
