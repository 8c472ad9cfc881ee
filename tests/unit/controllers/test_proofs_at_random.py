"""Whatever order of outages, restarts and edits: what is removed from a member, the hub did not want there just before.

The oracle knows nothing of the controller: it reads what users have written to the hub, and when. A removal is right
only if the hub has not wanted the copy at some time within the last moment, in which an answer may be shared; and one
that is not by the deletion of the federated object itself was asked for within that moment.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from federation.controllers import readings
from federation.controllers.ports import Sink
from federation.controllers.triggers import StoredSink
from federation.core.proof import Proof
from federation.kube import decoding
from federation.kube.members import Written
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType, StoredObject
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName, Resource
from federation.runtime.store import Store
from tests.fakehub import FakeHub
from tests.fakes import FakeMember
from tests.unit.controllers.rig import CONFIGMAPS, DATA, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

AWAY = Failure(FailureKind.UNREACHABLE, "connection refused")
MEMBERS = ("m1", "m2")
REGION = {"matchLabels": {"region": "eu"}}
SLOW = 0.2
"""Seconds that the hub takes to answer, at most."""
BOUND = readings.MOMENT + 2 * SLOW + 0.01
"""Seconds that an answer may be old: shared for a moment, and another one that is waited for may have to be asked for
twice (a shared answer that is older than what is known by now)."""

Wanted = Mapping[str, frozenset[str]]
"""Members that the hub wants a copy in, by the target's plural."""


class Asked(NamedTuple):
    """One read of a federated object, or of a list of them."""

    at: float
    what: str


class SlowHub(FakeHub):
    """Reads take as long as `takes` says; what they show is of the time when they were asked."""

    def __init__(self) -> None:
        super().__init__()
        self.takes = 0.0
        self.asked: list[Asked] = []

    async def _read(self, resource: Resource, name: ObjectName, decode: Callable[[bytes], Any]) -> Any:
        self.asked.append(Asked(asyncio.get_running_loop().time(), resource.plural))
        answer = await super()._read(resource, name, decode)
        await asyncio.sleep(self.takes)
        return answer


class Guarded(FakeMember):
    """A member that shows every removal to the oracle before it takes place."""

    def __init__(self, name: str, judge: Callable[[str, str, Proof], None]) -> None:
        super().__init__()
        self._name, self._judge = name, judge

    async def let_go(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]], proof: Proof
    ) -> Written | Failure:
        self._judge(self._name, resource.plural, proof)
        return await super().let_go(resource, name, operations, proof)

    async def delete(
        self,
        resource: Resource,
        name: ObjectName,
        uid: str,
        options: Mapping[str, Any],
        proof: Proof,
        *,
        version: str = "",
    ) -> Failure | None:
        self._judge(self._name, resource.plural, proof)
        return await super().delete(resource, name, uid, options, proof, version=version)


class Trial:
    """One hub, two members, one controller at a time, and the users of them all."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.hub = SlowHub()
        self.members = {name: Guarded(name, self.judge) for name in MEMBERS}
        self.removed: list[tuple[str, str]] = []
        self.wrong: list[str] = []
        self.history: list[tuple[float, Wanted]] = [(float("-inf"), {})]
        self.rig: Rig

    async def start(self) -> None:
        """A controller, on what is there."""
        before = Rig(*MEMBERS) if not hasattr(self, "rig") else self.rig
        before.hub, before.members = self.hub, dict(self.members)
        self.rig = Rig(*MEMBERS, types=(FEDERATED_NAMESPACES, CONFIGMAPS), after=before)
        await self._stack.enter_async_context(self.rig)
        store: Store[StoredObject] = Store()
        self.rig.sync.prover.follow(KUBEFED_CLUSTERS, store, self.rig.contact, self.relabelled)
        sink: Sink[StoredObject] = StoredSink(store, self.relabelled)
        self.hub.follow(KUBEFED_CLUSTERS, sink, decoding.stored)
        self._store = store

    async def restart(self) -> None:
        """Another one in its place; it lists the hub as it is."""
        await self._stack.aclose()
        self.hub.delay_events = False
        self.hub.forget_events()
        self.up()
        for member in self.members.values():
            member.gate.set()
        await self.start()

    def relabelled(self, name: str) -> None:
        """A KubeFedCluster was observed."""
        stored = self._store.get(ObjectName(self.rig.world.namespace, name)) if hasattr(self, "_store") else None
        member = self.rig.world.members.get(name)
        if stored is not None and member is not None and dict(member.cluster.labels) != stored.metadata.labels:
            self.rig.take_in(name, labels=stored.metadata.labels)

    # --- what users do

    def edit(self, change: Callable[[], object]) -> None:
        """One change at the hub, and what it wants from now on."""
        change()
        self.history.append((asyncio.get_running_loop().time(), self.wanted()))

    def place(self, enabled: FederatedType, clusters: tuple[str, ...] | None) -> None:
        """None: by labels."""
        name = NS if enabled is FEDERATED_NAMESPACES else WEB
        spec: dict[str, Any] = {"placement": {"clusters": None, "clusterSelector": REGION}}
        if clusters is not None:
            named = [{"name": each} for each in clusters]
            spec = {"placement": {"clusters": named, "clusterSelector": None}}
        if enabled is CONFIGMAPS:
            spec["template"] = DATA
        self.hub.put(enabled.federated, name, spec=spec)

    def delete(self, enabled: FederatedType) -> None:
        name = NS if enabled is FEDERATED_NAMESPACES else WEB
        if self.hub.get(enabled.federated, name) is not None:
            self.hub.delete(enabled.federated, name)

    def anew(self, enabled: FederatedType) -> None:
        """Its finalizers are taken off by hand, and it is made again."""
        name = NS if enabled is FEDERATED_NAMESPACES else WEB
        if self.hub.get(enabled.federated, name) is not None:
            self.hub.delete(enabled.federated, name)
        if self.hub.get(enabled.federated, name) is not None:
            self.hub.put(enabled.federated, name, metadata={"finalizers": []})
        self.place(enabled, MEMBERS)

    def wanted(self) -> Wanted:
        """Where the hub wants copies of the namespace, and of the ConfigMap."""
        spaces = self._selected(FEDERATED_NAMESPACES, NS)
        return {"namespaces": spaces, "configmaps": self._selected(CONFIGMAPS, WEB) & spaces}

    def _selected(self, enabled: FederatedType, name: ObjectName) -> frozenset[str]:
        stored = self.hub.get(enabled.federated, name)
        if stored is None or "deletionTimestamp" in stored["metadata"]:
            return frozenset()
        placement = stored["spec"]["placement"]
        if placement.get("clusters") is not None:
            return frozenset(each["name"] for each in placement["clusters"])
        return frozenset(name for name in MEMBERS if self.rig.labels(name).get("region") == "eu")

    # --- outages

    def deafen(self) -> None:
        """The hub's watches break; it answers."""
        self.hub.delay_events = True
        self.rig.contact.lose()

    def down(self) -> None:
        """The hub is away."""
        self.deafen()
        self.hub.fails = lambda verb, name: AWAY

    def up(self) -> None:
        """It answers, and its watches stay broken."""
        self.hub.fails = lambda verb, name: None

    def hear(self) -> None:
        """Its watches go on where they broke."""
        self.up()
        self.hub.delay_events = False
        self.hub.deliver()
        self.rig.contact.regain()

    # --- the oracle

    def judge(self, member: str, plural: str, proof: Proof) -> None:
        """Called for every removal, right before it takes place."""
        now = asyncio.get_running_loop().time()
        self.removed.append((member, plural))
        ends = [at for at, _ in self.history[1:]] + [float("inf")]
        recent = [wanted for (_, wanted), end in zip(self.history, ends, strict=True) if end >= now - BOUND]
        if all(member in wanted.get(plural, frozenset()) for wanted in recent):
            self.wrong.append(f"{plural} is removed from {member} at {now}, where the hub wants it: {self.history}")
        if proof.by != "contact" and not any(each.at >= now - BOUND and plural in each.what for each in self.hub.asked):
            self.wrong.append(f"{plural} is removed from {member} at {now}, and the hub was not asked")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("place web", "place ns", "label", "delete web", "delete ns", "web anew", "ns anew"),
                *("away", "back", "away", "back", "deafen", "down", "up", "hear", "restart", "orphan"),
            ]
        ),
        st.sampled_from([(), ("m1",), ("m2",), MEMBERS, None]),
        st.sampled_from([0.0, 0.05, 0.3, 1.0, 6.0, 40.0]),
        st.sampled_from([0.0, 0.0, 0.1, SLOW]),
    ),
    min_size=4,
    max_size=25,
)


def step(trial: Trial, what: str, clusters: tuple[str, ...] | None) -> None:
    rig, some = trial.rig, clusters or ("m1",)
    match what:
        case "place web":
            trial.edit(lambda: trial.place(CONFIGMAPS, clusters))
        case "place ns":
            trial.edit(lambda: trial.place(FEDERATED_NAMESPACES, clusters))
        case "label":
            labels = {"region": "eu"} if clusters in {MEMBERS, ("m1",)} else {}
            trial.edit(lambda: rig.label(some[0], labels))
        case "delete web":
            trial.edit(lambda: trial.delete(CONFIGMAPS))
        case "delete ns":
            trial.edit(lambda: trial.delete(FEDERATED_NAMESPACES))
        case "web anew":
            trial.edit(lambda: trial.anew(CONFIGMAPS))
        case "ns anew":
            trial.edit(lambda: trial.anew(FEDERATED_NAMESPACES))
        case "orphan":
            if trial.hub.get(CONFIGMAPS.federated, WEB) is not None:
                note = {marks.ORPHAN_ANNOTATION: "true" if clusters else None}
                trial.edit(lambda: trial.hub.put(CONFIGMAPS.federated, WEB, metadata={"annotations": note}))
        case "away" | "back":
            for name in some:
                rig.see(name, ready=what == "back", message="away" if what == "away" else "")
        case "deafen" | "down" | "up" | "hear":
            getattr(trial, what)()


@example(
    steps=[  # a placement is dropped and put back around an outage of the hub, while a member is away
        ("away", ("m1",), 1.0, 0.0),
        ("place ns", ("m2",), 1.0, 0.0),
        ("down", None, 6.0, 0.0),
        ("up", None, 0.0, 0.0),
        ("place ns", MEMBERS, 1.0, 0.0),
        ("back", ("m1",), 40.0, 0.0),
        ("hear", None, 6.0, 0.0),
    ]
)
@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
@virtual
async def test_nothing_is_removed_that_the_hub_wants(
    steps: list[tuple[str, tuple[str, ...] | None, float, float]],
) -> None:
    async with AsyncExitStack() as stack:
        trial = Trial(stack)
        await trial.start()
        trial.edit(lambda: trial.place(FEDERATED_NAMESPACES, MEMBERS))
        trial.edit(lambda: trial.place(CONFIGMAPS, MEMBERS))
        await asyncio.sleep(10.0)
        for what, clusters, pause, takes in steps:
            trial.hub.takes = takes
            if what == "restart":
                await trial.restart()
            else:
                step(trial, what, clusters)
            await settle(3)
            await asyncio.sleep(pause)
            assert not trial.wrong
        trial.hear()
        for name in MEMBERS:
            trial.rig.see(name, ready=True, message="")
        await asyncio.sleep(700.0)
        assert not trial.wrong
        wanted = trial.wanted()["configmaps"]
        for name, member in trial.members.items():
            stored = member.objects.get((CONFIGMAPS.target.qualified, WEB))
            managed = stored is not None and stored.metadata().labels.managed == "true"
            assert managed == (name in wanted), (name, wanted, trial.history)
