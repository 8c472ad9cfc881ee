"""The work agent's part of a member: its definition of AppliedManifestWork, its account and rights, its Deployment."""

from collections.abc import Iterable
from typing import Any

from typegen import memberrights, templates

Manifest = dict[str, Any]
NAMESPACE = "open-cluster-management-agent"
"""Where the agent lives in its member; federation.agent.membership has the same."""
ACCOUNT = "work-agent"
"""Its service account there."""
SECRET = "hub-kubeconfig"  # noqa: S105 - a name
"""The Secret with the agent's kubeconfig for its hub, key `kubeconfig`."""
RESOURCES = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}


def manifests(
    targets: Iterable[tuple[str, str]],
    *,
    namespace: str = NAMESPACE,
    cluster: str = "",
    image: str = "",
    secret: str = SECRET,
) -> list[Manifest]:
    """What an agent needs in its member, in the order of installation; the Deployment only with an image.

    `targets` are the types that works have, each (API group, plural): the agent may do nothing with any other.
    """
    return [
        *templates.work_crds(hub=False),
        *templates.documents(
            "work/agent.yaml",
            namespace=namespace,
            rules=memberrights.rules(targets),
            cluster=cluster,
            image=image,
            secret=secret,
            resources=RESOURCES,
        ),
    ]
