"""What can go wrong in a member: how each trouble is made there, and the words by which one knows it.

A playground has no nodes, so what a kubelet or a scheduler would report of a Pod is written into the Pod's status; all
that follows from it is the cluster's own doing: a Deployment that is not available, a Job that has failed.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from federation.comparing.client import APPLY, MERGE, Client
from federation.comparing.site import Member, Site
from federation.joining import agents
from federation.model.marks import SYSTEM_NAMESPACE

DEPLOYMENT, JOB, CONFIG = "FederatedDeployment", "FederatedJob", "FederatedConfigMap"
TYPES = ("namespaces", "configmaps", "deployments.apps", "jobs.batch")
COLLECTED = ("deployments.apps", "jobs.batch")
"""Types whose statuses are collected, as somebody sets it who wants to see them."""
_WITHIN = 60.0
_QUOTA, _GUARD, _FINALIZER = "full", "compare-guard", "compare.kubefed.io/kept"
_RIGHTS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_RUNNING = {
    "phase": "Running",
    "conditions": [{"type": kind, "status": "True"} for kind in ("Initialized", "ContainersReady", "Ready")],
    "containerStatuses": [
        {"name": "main", "image": "main", "imageID": "", "ready": True, "restartCount": 0, "state": {"running": {}}}
    ],
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a trouble is made: an object of a namespace, and one member of those that it is placed in."""

    site: Site
    namespace: str
    name: str
    members: Sequence[Member]

    @property
    def member(self) -> Member:
        """The one with the trouble."""
        return self.members[0]

    async def put(self, kind: str, template: Mapping[str, Any]) -> None:
        """The federated object, as its user wants it from now on."""
        await self.site.put(kind, self.namespace, self.name, self.members, template)

    def path(self, plural: str, group: str = "") -> str:
        """Of the object's copy."""
        return f"{_prefix(group)}/namespaces/{self.namespace}/{plural}/{self.name}"


Undo = Callable[[], Awaitable[None]]
"""Takes away what would outlive the object."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One of them. `before` makes the object and waits until all is well, `begin` makes the trouble; `words` (a
    pattern) is what the hub says of this trouble, and does not say before."""

    name: str
    kind: str
    words: str
    before: Callable[[Place], Awaitable[None]]
    begin: Callable[[Place], Awaitable[Undo]]
    quick: bool = True
    """Part of --quick: what is seen of it, if it is, takes no minutes."""

    def told(self, text: str) -> str:
        """What of a text says it: the line with the words; empty if none does."""
        found = re.search(self.words, text, re.IGNORECASE)
        if found is None:
            return ""
        begin, end = text.rfind("\n", 0, found.start()) + 1, text.find("\n", found.end())
        return text[begin : end if end >= 0 else len(text)].strip()


def _prefix(group: str) -> str:
    return f"/apis/{group}/v1" if group else "/api/v1"


async def _nothing() -> None:
    """What the object takes with it when it goes."""


# --- objects -------------------------------------------------------------------------------------------------------


def _deployment(name: str, replicas: int = 1) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "example.com/shop:1"}]}}
    return {"spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}}


async def _config(place: Place) -> None:
    await place.put(CONFIG, {"data": {"version": "1"}})
    await _there(place, "configmaps")


async def _available(place: Place) -> None:
    """A Deployment with Pods that run, as far as the cluster knows."""
    await place.put(DEPLOYMENT, _deployment(place.name))
    for member in place.members:
        await place.site.until(partial(_pods, place, member), f"Pods in {member.name}")
        await _report(place, member, _RUNNING)

    async def healthy() -> bool:
        stored = await place.site.hub.get(place.site.path(DEPLOYMENT, place.namespace, place.name))
        return any(
            each["type"] == "Healthy" and each["status"] == "True"
            for each in (stored.get("status") or {}).get("conditions") or ()
        )

    await place.site.until(healthy, f"{place.name} is healthy", _WITHIN)


async def _pods(place: Place, member: Member) -> bool:
    return bool((await _pods_of(place, member))["items"])


async def _pods_of(place: Place, member: Member) -> Any:
    return await member.client.get(f"/api/v1/namespaces/{place.namespace}/pods?labelSelector=app={place.name}")


async def _report(place: Place, member: Member, status: Mapping[str, Any]) -> None:
    """Every Pod of the Deployment or Job gets this status, as of a kubelet."""
    for pod in (await _pods_of(place, member))["items"]:
        path = f"/api/v1/namespaces/{place.namespace}/pods/{pod['metadata']['name']}/status"
        await member.client.send("PATCH", path, {"status": status}, MERGE)


async def _there(place: Place, plural: str, group: str = "") -> None:
    for member in place.members:

        async def is_there(client: Client = member.client) -> bool:
            return (await client.ask("GET", place.path(plural, group)))[0] == 200

        await place.site.until(is_there, f"{place.name} in {member.name}")


# --- troubles ------------------------------------------------------------------------------------------------------


def _waiting(reason: str) -> Callable[[Place], Awaitable[Undo]]:
    status = {
        "phase": "Pending",
        "conditions": [{"type": kind, "status": "False", "reason": reason} for kind in ("ContainersReady", "Ready")],
        "containerStatuses": [
            {
                "name": "main",
                "image": "main",
                "imageID": "",
                "ready": False,
                "restartCount": 5,
                "state": {"waiting": {"reason": reason, "message": f"{reason}: example.com/shop:1"}},
            }
        ],
    }

    async def begin(place: Place) -> Undo:
        await _report(place, place.member, status)
        return _nothing

    return begin


async def _unschedulable(place: Place) -> Undo:
    await _report(
        place,
        place.member,
        {
            "phase": "Pending",
            "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit"},
                {"type": "ContainersReady", "status": "False"},
                {"type": "Ready", "status": "False"},
            ],
        },
    )
    return _nothing


async def _over_quota(place: Place) -> Undo:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": _QUOTA}, "spec": {"hard": {"pods": "1"}}}
    quotas = f"/api/v1/namespaces/{place.namespace}/resourcequotas"
    await place.member.client.send("POST", quotas, quota)

    async def counts() -> bool:
        found = await place.member.client.get(f"{quotas}/{_QUOTA}")
        return "hard" in (found.get("status") or {})

    await place.site.until(counts, "the quota holds")
    await place.put(DEPLOYMENT, _deployment(place.name, replicas=3))
    return partial(_no_quota, place)


async def _no_quota(place: Place) -> None:
    await place.member.client.send("DELETE", f"/api/v1/namespaces/{place.namespace}/resourcequotas/{_QUOTA}")


async def _guarded(place: Place) -> Undo:
    """A policy of the member's admin refuses what the user changes next."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["configmaps"]}
    policy = {
        "matchConstraints": {
            "resourceRules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}},
        },
        "validations": [
            {"expression": "!has(object.data) || object.data.version != '2'", "message": "no second version here"}
        ],
    }
    binding = {"policyName": _GUARD, "validationActions": ["Deny"]}
    for kind, plural, spec in (
        ("ValidatingAdmissionPolicy", "validatingadmissionpolicies", policy),
        ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", binding),
    ):
        body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": _GUARD}}
        await place.member.client.send("POST", f"{_ADMISSION}/{plural}", {**body, "spec": spec})

    async def refuses() -> bool:
        probe = {"data": {"version": "2"}}
        code, _ = await place.member.client.ask("PATCH", f"{place.path('configmaps')}?dryRun=All", probe, MERGE)
        return code == 422

    await place.site.until(refuses, "the policy holds")
    await place.put(CONFIG, {"data": {"version": "2"}})
    return partial(_unguarded, place)


async def _unguarded(place: Place) -> None:
    for plural in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
        await place.member.client.send("DELETE", f"{_ADMISSION}/{plural}/{_GUARD}")


async def _edited(place: Place) -> Undo:
    """Again and again, as somebody does whose change does not stay."""
    for number in range(3):
        body = {"data": {"version": f"mine-{number}"}}
        await place.member.client.send("PATCH", f"{place.path('configmaps')}?fieldManager=somebody", body, MERGE)
        await asyncio.sleep(1.0)
    return _nothing


async def _deleted(place: Place) -> Undo:
    await place.member.client.send("DELETE", place.path("configmaps"))
    return _nothing


async def _kept(place: Place) -> Undo:
    """Somebody's finalizer holds the copy, and the user deletes the object."""
    body = {"metadata": {"finalizers": [_FINALIZER]}}
    await place.member.client.send("PATCH", place.path("configmaps"), body, MERGE)
    await place.site.delete(CONFIG, place.namespace, place.name)
    return partial(_let_go, place)


async def _let_go(place: Place) -> None:
    await place.member.client.ask("PATCH", place.path("configmaps"), {"metadata": {"finalizers": None}}, MERGE)


async def _job(place: Place) -> None:
    labels = {"app": place.name}
    pod = {
        "metadata": {"labels": labels},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example.com/report:1"}]},
    }
    await place.put(JOB, {"spec": {"backoffLimit": 0, "template": pod}})
    for member in place.members:
        await place.site.until(partial(_pods, place, member), f"Pods in {member.name}")


async def _fails(place: Place) -> Undo:
    end = {"exitCode": 1, "reason": "Error"}
    status = {
        "phase": "Failed",
        "containerStatuses": [
            {
                "name": "main",
                "image": "main",
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {"terminated": end},
            }
        ],
    }
    await _report(place, place.member, status)
    return _nothing


async def _hangs(place: Place) -> Undo:
    await asyncio.to_thread(place.site.playground.pause, place.member.name)
    return partial(_goes_on, place)


async def _goes_on(place: Place) -> None:
    await asyncio.to_thread(place.site.playground.resume, place.member.name)
    await place.site.ready(place.member.name)


async def _is_down(place: Place) -> Undo:
    await asyncio.to_thread(place.site.playground.kill, place.member.name)
    return partial(_comes_up, place)


async def _comes_up(place: Place) -> None:
    await asyncio.to_thread(place.site.playground.restart, place.member.name)
    await place.site.ready(place.member.name)


async def _namespace_goes(place: Place) -> Undo:
    """Somebody deletes the namespace in the member, and something there does not go."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kept", "finalizers": [_FINALIZER]},
    }
    kept = f"/api/v1/namespaces/{place.namespace}/configmaps/kept?fieldManager=somebody&force=true"
    await place.member.client.send("PATCH", kept, body, APPLY)
    await place.member.client.send("DELETE", f"/api/v1/namespaces/{place.namespace}")
    return partial(_namespace_went, place)


async def _namespace_went(place: Place) -> None:
    kept = f"/api/v1/namespaces/{place.namespace}/configmaps/kept"
    await place.member.client.ask("PATCH", kept, {"metadata": {"finalizers": None}}, MERGE)
    await _there(place, "configmaps")


async def _without_rights(place: Place) -> Undo:
    """Somebody takes the account's rights away, and the user changes the object."""
    client = place.member.client
    taken = [item for item in (await client.get(_RIGHTS))["items"] if _is_ours(item)]
    for item in taken:
        await client.send("DELETE", f"{_RIGHTS}/{item['metadata']['name']}")
    await asyncio.sleep(2.0)  # an authorizer hears of it
    await place.put(CONFIG, {"data": {"version": "2"}})

    async def with_rights() -> None:
        for item in taken:
            metadata = {key: item["metadata"].get(key) for key in ("name", "labels", "annotations")}
            await client.send("POST", _RIGHTS, {**item, "metadata": metadata})
        await place.site.ready(place.member.name)

    return with_rights


def _is_ours(binding: Mapping[str, Any]) -> bool:
    """Whether it is for the account of the hub's controller, or of the agent."""
    subjects = binding.get("subjects") or ()
    return any(each.get("namespace") in (SYSTEM_NAMESPACE, agents.NAMESPACE) for each in subjects)


_AWAY = r"Ready=(False|Unknown)|Offline=True|not ?reach|ClusterNotReady|not heard|no answer"
_UNWELL = r"replicas are available|MinimumReplicas|ProgressDeadline"
TROUBLES = (
    Trouble("an image that cannot be pulled", DEPLOYMENT, _UNWELL, _available, _waiting("ImagePullBackOff")),
    Trouble(
        "a container that crashes again and again",
        DEPLOYMENT,
        _UNWELL,
        _available,
        _waiting("CrashLoopBackOff"),
        quick=False,
    ),
    Trouble("a Pod that no node takes", DEPLOYMENT, _UNWELL, _available, _unschedulable, quick=False),
    Trouble("a quota that is full", DEPLOYMENT, r"quota|replicas cannot be made|FailedCreate", _available, _over_quota),
    Trouble("a Job that fails", JOB, r"failed", _job, _fails),
    Trouble(
        "an admission policy that refuses a change",
        CONFIG,
        r"no second version|denied|UpdateFailed",
        _config,
        _guarded,
    ),
    Trouble("a copy that somebody edits", CONFIG, r"somebody", _config, _edited, quick=False),
    Trouble(
        "a copy that somebody deletes",
        CONFIG,
        r"made again|recreated|was gone|was deleted|missing",
        _config,
        _deleted,
        quick=False,
    ),
    Trouble("a copy that does not go", CONFIG, r"WaitingForRemoval|finalizer", _config, _kept, quick=False),
    Trouble(
        "a namespace that somebody deletes",
        CONFIG,
        r"terminat|being deleted",
        _config,
        _namespace_goes,
        quick=False,
    ),
    Trouble(
        "rights that somebody takes away",
        CONFIG,
        r"forbidden|rights|not allowed",
        _config,
        _without_rights,
        quick=False,
    ),
    Trouble(
        "an API server that hangs",
        CONFIG,
        _AWAY,
        _config,
        _hangs,
        quick=False,
    ),
    Trouble(
        "an API server that is down",
        CONFIG,
        _AWAY,
        _config,
        _is_down,
        quick=False,
    ),
)
