"""What tests of staged rollouts do and wait for: begin one, name it in objects, see it at a stage."""

from collections.abc import Mapping
from typing import Any

from federation.model.marks import APPROVED_ANNOTATION, ROLLOUT_LABEL
from federation.model.resources import ROLLOUTS, Resource
from tests.clusters.harness import Api, eventually, federated
from tests.clusters.steps import Federated, Unlike

APPROVED = {"name": "canary", "clusters": ["m1"], "gates": {"approval": True}}
"""A first stage of m1 alone, which a person has to approve."""


async def begin(host: Api, namespace: str, stages: list[Any], name: str = "safe", **spec: Any) -> None:
    """A FederatedRollout."""
    await host.create(
        ROLLOUTS,
        {
            "apiVersion": ROLLOUTS.api_version,
            "kind": ROLLOUTS.kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"stages": stages, **spec},
        },
        namespace,
    )


def labelled(body: dict[str, Any], rollout: str = "safe") -> dict[str, Any]:
    """A federated object that names it."""
    body["metadata"]["labels"] = {ROLLOUT_LABEL: rollout}
    return body


async def staged(host: Api, resource: Resource, namespace: str, template: Any, **spec: Any) -> Federated:
    """Create `web`, which names the rollout `safe`."""
    await host.create(resource, labelled(federated(resource, namespace, "web", template, **spec)), namespace)
    return Federated(host, resource, namespace, "web")


async def reaches(
    host: Api, namespace: str, reason: str, *, revision: int, within: float = 20.0, name: str = "safe"
) -> dict[str, Any]:
    """The rollout once it is in this state of this revision (the one under way, else the good one)."""

    async def there() -> object:
        found = await host.get(ROLLOUTS, namespace, name) or {}
        status = found.get("status") or {}
        record, conditions = status.get("record") or {}, status.get("conditions") or [{}]
        at = record.get("target") or record.get("good")
        return found if (conditions[0].get("reason"), at) == (reason, revision) else Unlike(status)

    return dict(await eventually(there, seen=f"rollout {reason} at {revision}", within=within))


async def says(host: Api, namespace: str, text: str, name: str = "safe") -> None:
    """Until the message of the rollout's condition has this text."""

    async def said() -> object:
        status = (await host.get(ROLLOUTS, namespace, name) or {}).get("status") or {}
        return text in str(status.get("conditions")) or Unlike(status)

    await eventually(said, seen=f"rollout says {text}")


async def approve(host: Api, namespace: str, what: str, name: str = "safe") -> None:
    """As fedctl rollout approve does: a revision and a stage, `2/canary`."""
    await host.patch(ROLLOUTS, namespace, name, {"metadata": {"annotations": {APPROVED_ANNOTATION: what}}})


def verdicts(rollout: Mapping[str, Any]) -> list[str]:
    """Of its revisions, the oldest first."""
    return [each["verdict"] for each in rollout["status"]["record"]["revisions"]]
