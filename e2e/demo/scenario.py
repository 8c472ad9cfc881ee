"""The demo's steps, and what every member must have after each.

`SETUP` makes a federation of empty clusters; `STEPS` show what it does. A step has ended when the members' own APIs
show exactly its World, and `after` has checked the host.
"""

import asyncio
import shlex
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from e2e.demo import world
from e2e.demo.checkout import APP
from e2e.demo.clusters import EDGE, JOINED, DemoError
from e2e.demo.observe import CONFIGMAPS, DEPLOYMENTS, NAMESPACE, NAMESPACES, SERVICES, Where
from e2e.demo.stage import Stage
from e2e.demo.world import World
from federation.joining import applying
from federation.model.conditions import PropagationStatus
from federation.model.errors import ApiFailure
from federation.model.resources import Resource

Act = Callable[[Stage], Awaitable[None]]

TYPES = "types.kubefed.io"
FEDERATED_CONFIGMAPS = Resource(TYPES, "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True)
FEDERATED_DEPLOYMENTS = Resource(TYPES, "v1beta1", "FederatedDeployment", "federateddeployments", namespaced=True)
FEDERATED_NAMESPACES = Resource(TYPES, "v1beta1", "FederatedNamespace", "federatednamespaces", namespaced=True)
ENABLED = ("namespaces", "configmaps", "secrets", "services", "deployments.apps", "websites.demo.example.com")
EU = ("berlin", "paris")
IMAGE = "/spec/template/spec/containers/0/image"
WEB = "registry.example.com/shop/web"
MEDDLING = {"spec": {"replicas": 50, "template": {"spec": {"containers": [{"name": "web", "image": f"{WEB}:hacked"}]}}}}
"""What somebody makes of a copy of web."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `down` are members that are not meant to answer; `within` is the longest time it may take, in s."""

    title: str
    act: Act
    world: World
    down: Collection[str] = ()
    after: Act | None = None
    within: float = 30.0


# --- a federation of empty clusters ----------------------------------------------------------------------------------


async def install(stage: Stage) -> None:
    """The federation API on the host; and the CRD of the custom resource everywhere, as its vendor would install it."""
    await stage.fedctl("init")
    await stage.apply("settings.yaml")
    for connection in (stage.host, *stage.members.values()):
        await stage.apply("crds", to=connection)
        await applying.wait_established(connection, ["websites.demo.example.com"])


async def start_controller(stage: Stage) -> None:
    """Start the controller, before there are any objects."""
    await asyncio.to_thread(stage.clusters.start_controller)


async def enable(stage: Stage) -> None:
    """Enable federated types, made from what the host serves."""
    await stage.fedctl("enable", *ENABLED)
    stage.observer.look()


async def join(stage: Stage) -> None:
    """Join the members; `--wait` until the controller reports each as Ready."""
    for member in JOINED:
        await stage.fedctl("join", member, "--wait")


async def take_over(stage: Stage) -> None:
    """From here on all comes from git: the types as `typegen write` made them, the clusters with their labels."""
    await stage.apply("types")
    await stage.apply("clusters")


async def all_ready(stage: Stage) -> None:
    """The host's KubeFedClusters are Ready, and have the region labels from git."""

    await _ready(stage, JOINED)


SETUP = (
    Step("the federation API on the host: fedctl init", install, {}),
    Step("the controller: fedctl controller run", start_controller, {}),
    Step("six types, one of them a custom resource: fedctl enable", enable, {}),
    Step("three members: fedctl join", join, {}),
    Step("git takes over: types/ and clusters/ of e2e/gitops", take_over, {}, after=all_ready),
)

# --- what it does ----------------------------------------------------------------------------------------------------

PLACED: World = {
    **world.holding("Namespace shop", JOINED, {"/status/phase": "Active"}),
    **world.holding("ConfigMap settings", ["berlin", "tokyo"], {"/data/currency": "EUR", "/data/greeting": "hello"}),
    **world.holding("Deployment web", EU, {"/spec/replicas": 2, IMAGE: f"{WEB}:1.0"}),
    **world.holding("Service web", EU, {"/spec/ports/0/port": 80}),
    **world.holding("Secret payment", EU, {"/data/key": "bm90LWEtcmVhbC1rZXk="}),
    **world.holding("Website landing", JOINED, {"/spec/domain": "shop.example.com", "/spec/tier": "paid"}),
}
OVERRIDDEN: World = {
    **PLACED,
    **world.holding("Deployment web", ["paris"], {"/spec/replicas": 5, IMAGE: f"{WEB}:1.0"}),
}
LABELLED: World = {
    **OVERRIDDEN,
    **world.holding("Deployment web", ["tokyo"], {"/spec/replicas": 2, IMAGE: f"{WEB}:1.0"}),
    **world.holding("Service web", ["tokyo"], {"/spec/ports/0/port": 80}),
    **world.holding("Secret payment", ["tokyo"], {"/data/key": "bm90LWEtcmVhbC1rZXk="}),
}
RELEASED: World = {
    **LABELLED,
    **world.holding("Deployment web", ["berlin", "tokyo"], {"/spec/replicas": 2, IMAGE: f"{WEB}:2.0"}),
    **world.holding("Deployment web", ["paris"], {"/spec/replicas": 5, IMAGE: f"{WEB}:2.0"}),
    **world.holding("ConfigMap news", JOINED, {"/data/headline": "web 2.0 is out"}),
}
BANNERED: World = {**RELEASED, **world.holding("ConfigMap banner", ["berlin"], {"/data/text": "summer sale"})}
EDGED: World = {
    **BANNERED,
    **world.holding("Namespace shop", [EDGE], {"/status/phase": "Active"}),
    **world.holding("Deployment web", [EDGE], {"/spec/replicas": 2, IMAGE: f"{WEB}:2.0"}),
    **world.holding("Service web", [EDGE], {"/spec/ports/0/port": 80}),
    **world.holding("Secret payment", [EDGE], {"/data/key": "bm90LWEtcmVhbC1rZXk="}),
    **world.holding("Website landing", [EDGE], {"/spec/domain": "shop.example.com", "/spec/tier": "paid"}),
}
PATCHED: World = {
    **EDGED,
    **world.holding("Deployment web", ["berlin", "tokyo"], {"/spec/replicas": 2, IMAGE: f"{WEB}:2.1"}),
    **world.holding("Deployment web", ["paris"], {"/spec/replicas": 5, IMAGE: f"{WEB}:2.1"}),
}
CAUGHT_UP: World = {
    **PATCHED,
    **world.holding("Deployment web", [EDGE], {"/spec/replicas": 2, IMAGE: f"{WEB}:2.1"}),
}
REMOVED: World = world.without(world.without(CAUGHT_UP, "ConfigMap news", ["paris"]), "ConfigMap banner", ["berlin"])
LEFT: World = world.holding("Namespace shop", [EDGE])
"""An agent lets go of a namespace: what others have put into it would go with it."""


async def apply_apps(stage: Stage) -> None:
    """All of an application's folder, as from a git checkout."""
    await stage.apply(APP)


async def apply_override(stage: Stage) -> None:
    """web again, with an override for paris."""
    await stage.edit("changes/override.yaml")


async def label_tokyo(stage: Stage) -> None:
    """tokyo moves to the region that web, its Service and its Secret are placed in."""
    await stage.edit("changes/move.yaml")


async def change_copies(stage: Stage) -> None:
    """Somebody changes one copy and deletes another."""
    await stage.change_as_somebody("berlin", DEPLOYMENTS, "web", MEDDLING)
    await stage.change_as_somebody("paris", SERVICES, "web", None)
    await stage.change_as_somebody("tokyo", CONFIGMAPS, "settings", {"data": {"currency": "XXX"}})


async def kill_tokyo(stage: Stage) -> None:
    """A member is killed as by a power cut, and a release is made meanwhile."""
    await stage.fedctl("playground", "kill", "tokyo", "--name", "demo")
    await stage.edit("changes/release.yaml")


async def tokyo_is_missed(stage: Stage) -> None:
    """The host's status names the cluster that does not have it, and why."""
    await _status_names(stage, FEDERATED_DEPLOYMENTS, "web", {"tokyo": ""})


async def resume_tokyo(stage: Stage) -> None:
    """It comes back with what it had when it was killed."""
    await stage.fedctl("playground", "resume", "tokyo", "--name", "demo")


async def apply_wrong_schema(stage: Stage) -> None:
    """Refused by the host before anything is stored."""
    try:
        await stage.apply("wrong/schema.yaml")
    except ApiFailure as error:
        _names_all(str(error), "host", "typo", "spec.replicas")
        stage.report(f"refused: {error}")
    else:
        raise DemoError("the host to refuse wrong/schema.yaml", "it was stored")


async def apply_wrong_template(stage: Stage) -> None:
    """Refused by each member, with its own message."""
    await stage.apply("wrong/template.yaml")
    field = "spec.template.metadata.labels"
    await _status_names(stage, FEDERATED_DEPLOYMENTS, "mismatch", dict.fromkeys(EU, field))


async def wrong_templates(stage: Stage) -> None:
    """Both kinds; the second object is deleted again, which must work although no member has it."""
    await apply_wrong_schema(stage)
    await apply_wrong_template(stage)
    await stage.delete("wrong/template.yaml")


async def wrong_override(stage: Stage) -> None:
    """Right for berlin, impossible for paris."""
    await stage.apply("wrong/override.yaml")
    await _status_names(stage, FEDERATED_CONFIGMAPS, "banner", {"paris": "/data/colour"})


async def empty_tokyo(stage: Stage) -> None:
    """A bad commit takes the namespace away from tokyo: that is held and shown, and its revert leaves no trace."""
    before = stage.uid((f"Namespace {NAMESPACE}", "tokyo"))
    await stage.edit("changes/emptied.yaml")
    await _condition(stage, FEDERATED_NAMESPACES, NAMESPACE, "DeletionsHeld", there=True)
    await _shown(stage, "deletions", names=["Held", "tokyo", f"FederatedNamespace '{NAMESPACE}'"])
    await stage.edit("changes/reverted.yaml")
    await _condition(stage, FEDERATED_NAMESPACES, NAMESPACE, "DeletionsHeld", there=False)
    if stage.uid((f"Namespace {NAMESPACE}", "tokyo")) != before:
        raise DemoError("the namespace in tokyo to be the same one as before", "it was made anew")


async def register_edge(stage: Stage) -> None:
    """One command in oslo; its agent asks, and the host says yes. The host has neither its address nor a credential."""
    await asyncio.to_thread(stage.edge.mend)
    made = await stage.fedctl("token", "create", "--hub", stage.edge.hub)
    command = shlex.split(made.out.replace("NAME", EDGE))[1:]
    token = command[command.index("--token") + 1]
    await stage.fedctl(*command, "--context", EDGE, secret=token)
    await stage.edge.start_agent(stage.members[EDGE])
    await stage.asks(EDGE)
    await _shown(stage, "get", "registrations", names=[EDGE, "Waits"])
    await stage.fedctl("accept", EDGE, "--label", "region=eu")


async def edge_is_ready(stage: Stage) -> None:
    """The host hears of it from its agent alone."""
    await _ready(stage, [EDGE])
    await _shown(stage, "get", "clusters", names=[*JOINED, EDGE, "Pull"])


async def cut_edge(stage: Stage) -> None:
    """The link is cut, and somebody edits a copy there meanwhile."""
    await asyncio.to_thread(stage.edge.cut)
    stage.report(f"the link between {EDGE} and the host is cut")
    await stage.change_as_somebody(EDGE, DEPLOYMENTS, "web", MEDDLING)


async def release_without_edge(stage: Stage) -> None:
    """A release is made during the cut."""
    await stage.edit("changes/patch.yaml")


async def edge_is_missed(stage: Stage) -> None:
    """The host says that its copy waits; the agent says since when it has not heard."""
    await _line_says(stage, FEDERATED_DEPLOYMENTS, "web", EDGE, PropagationStatus.PENDING)
    await _shown(stage, "status", "federateddeployment", "web", "-n", NAMESPACE, names=[EDGE, "Pending"])
    heard = await asyncio.to_thread(stage.edge.hears)
    _names_all(heard, EDGE, "was not heard for")
    stage.report(f"{EDGE}'s agent at /hubz: {heard}")


async def mend_edge(stage: Stage) -> None:
    """The link is there again; the copy is changed, not made anew."""
    where: Where = ("Deployment web", EDGE)
    before = stage.uid(where)
    await asyncio.to_thread(stage.edge.mend)
    stage.report(f"the link between {EDGE} and the host is mended")
    await _line_says(stage, FEDERATED_DEPLOYMENTS, "web", EDGE, "")
    if stage.uid(where) != before:
        raise DemoError(f"{where[0]} in {EDGE} to be the same one as before", "it was made anew")


async def remove(stage: Stage) -> None:
    """The banner is deleted; news is taken out of paris."""
    await stage.delete("wrong/override.yaml")
    await stage.edit("changes/removal.yaml")


async def delete_all(stage: Stage) -> None:
    """Everything from git is deleted again, the namespace last."""
    await stage.delete("changes/removal.yaml")
    await stage.delete(APP)


async def host_is_clean(stage: Stage) -> None:
    """Nothing is left at the host, either: every finalizer was removed when the members were clean."""
    await stage.gone(FEDERATED_DEPLOYMENTS, "web")
    await stage.gone(FEDERATED_NAMESPACES, NAMESPACE)
    await stage.gone(NAMESPACES, NAMESPACE)


STEPS = (
    Step("placement by name and by label", apply_apps, PLACED),
    Step("an override: paris runs 5 replicas", apply_override, OVERRIDDEN),
    Step("a label put on tokyo moves objects there", label_tokyo, LABELLED),
    Step("copies edited and deleted by somebody else are put back", change_copies, LABELLED),
    Step("tokyo is killed, a release reaches the others", kill_tokyo, RELEASED, ("tokyo",), tokyo_is_missed),
    Step("tokyo comes back and catches up, nothing is lost", resume_tokyo, RELEASED, within=60.0),
    Step("wrong templates are refused: by the host, or by the members", wrong_templates, RELEASED),
    Step("a wrong override is refused for its cluster alone", wrong_override, BANNERED),
    Step("a bad commit would have emptied tokyo: it is held, shown and reverted", empty_tokyo, BANNERED, within=60.0),
    Step("oslo, which the host cannot reach: fedctl register", register_edge, EDGED, after=edge_is_ready, within=60.0),
    Step("oslo's link is cut: its agent puts back what somebody edits there", cut_edge, EDGED),
    Step("a release during the cut waits for oslo", release_without_edge, PATCHED, after=edge_is_missed),
    Step("the link is mended: oslo catches up, nothing is lost", mend_edge, CAUGHT_UP, within=60.0),
    Step("removal from placement", remove, REMOVED),
    Step(
        "deletion; the namespace stays in oslo, for what others may have in it",
        delete_all,
        LEFT,
        after=host_is_clean,
        within=45.0,
    ),
)


async def _ready(stage: Stage, clusters: Collection[str]) -> None:
    """Wait until the host reports these as Ready, and they have the region label."""

    def ready() -> bool:
        members = stage.observer.members
        return all(name in members and members[name].ready and "region" in members[name].labels for name in clusters)

    if not await stage.observer.until(ready, within=20.0):
        raise DemoError("every KubeFedCluster to be Ready, with its region", str(stage.observer.members))


async def _shown(stage: Stage, *arguments: str, names: Collection[str]) -> None:
    """A fedctl command and all that it prints, in which these words must be."""
    result = await stage.fedctl(*arguments)
    _names_all(result.out, *names)
    for shown in result.out.splitlines():
        stage.report(f"  {shown}")


async def _line_says(stage: Stage, resource: Resource, name: str, cluster: str, word: str) -> None:
    """Wait until the status at the host has this word for a cluster ("" is applied)."""
    ends = time.monotonic() + 60.0
    while (line := await stage.line(resource, name, cluster)).get("status", "") != word or not line:
        if time.monotonic() > ends:
            raise DemoError(f"the status of {name} to say {word or 'applied'} for {cluster}", str(line))
        await asyncio.sleep(0.1)


async def _status_names(stage: Stage, resource: Resource, name: str, clusters: dict[str, str]) -> None:
    """Wait until the status at the host has a message with the text for each of these clusters; then show it by fedctl.

    A message that two clusters share is stored once; the second line refers to it by `same as <cluster>`.
    """
    ends = time.monotonic() + 20.0
    for cluster, text in clusters.items():
        while True:
            line = await stage.line(resource, name, cluster)
            message = str(line.get("message", ""))
            if message and (text in message or message.removeprefix("same as ") in clusters):
                break
            if time.monotonic() > ends:
                expected = f"the status of {name} to have the reason why {cluster} refused {text or 'it'}"
                raise DemoError(expected, str(line))
            await asyncio.sleep(0.1)
    status = ("status", resource.kind.lower(), name, "-n", NAMESPACE)
    await _shown(stage, *status, names=[name, *clusters, *clusters.values()])


async def _condition(stage: Stage, resource: Resource, name: str, kind: str, *, there: bool) -> None:
    """Wait until an object at the host has a condition, or has it no more."""
    ends = time.monotonic() + 40.0
    while (kind in await stage.conditions(resource, name)) is not there:
        if time.monotonic() > ends:
            raise DemoError(f"condition {kind} of {name} to be {'there' if there else 'gone'}", "it is not")
        await asyncio.sleep(0.1)


def _names_all(text: str, *words: str) -> None:
    missing = [word for word in words if word not in text]
    if missing:
        raise DemoError(f"a message that names {', '.join(missing)}", text)
