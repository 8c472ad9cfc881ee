"""News of a few clusters is planned for them alone, and what comes of it is what a plan for all would have made."""

import asyncio
import random
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from federation.controllers import fanout, partial
from federation.controllers.tracks import Track
from federation.core import planning, propagation
from federation.core.facts import Facts
from federation.model.conditions import PropagationStatus, Reason
from federation.model.failures import Failure, FailureKind
from federation.model.observations import Cluster
from federation.model.plan import Action, Keep, Plan, Refuse, Wait
from federation.model.resources import ObjectName
from federation.model.status import Status
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

OBJECTS = [ObjectName("ns", f"web-{number}") for number in range(3)]
NAMES = tuple(f"m{number}" for number in range(5))
REFUSED = Failure(FailureKind.DENIED, "a policy says no")


class Decided:
    """The clusters that were decided on, in their order."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.clusters: list[str] = []
        decide = propagation.decide

        def counted(facts: Facts, cluster: Cluster, *rest: object) -> Action:
            self.clusters.append(cluster.name)
            return decide(facts, cluster, *rest)  # type: ignore[arg-type]

        patch.setattr(propagation, "decide", counted)


@virtual
async def test_what_one_of_many_clusters_reports_costs_a_plan_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"m{number}" for number in range(40)]
    async with Rig(*names) as rig:
        rig.put()
        await asyncio.sleep(60)
        decided = Decided(monkeypatch)
        rig.see("m7", ready=False, message="away")
        await asyncio.sleep(10)
        assert decided.clusters == ["m7"]
        assert [name for name, status in rig.lines().items() if status] == ["m7"]
        rig.see("m7", ready=True)
        await asyncio.sleep(10)
        rig.members["m9"].remove(CONFIGMAPS.target, WEB)
        await asyncio.sleep(10)
        rig.fanout.copies("m3", CONFIGMAPS.name)
        await asyncio.sleep(10)
        assert set(decided.clusters) == {"m7", "m9", "m3"}
        assert rig.data("m9") == "b"
        assert set(rig.lines().values()) == {""}
        decided.clusters.clear()
        rig.put(template={"data": {"a": "c"}})
        await asyncio.sleep(10)
        assert decided.clusters == names


@virtual
async def test_many_of_a_large_fleet_that_answer_in_one_moment_are_planned_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As at a start: more than are looked at one by one (fanout.MANY), and less than a quarter."""
    names = [f"m{number}" for number in range(100)]
    some = {f"m{number}" for number in range(fanout.MANY + 4)}
    async with Rig(*names) as rig:
        rig.put()
        await asyncio.sleep(60)
        decided = Decided(monkeypatch)
        for ready in (False, True):
            decided.clusters.clear()
            for name in some:
                rig.see(name, ready=ready, message="away")
            await asyncio.sleep(10)
            assert set(decided.clusters) == some
            assert len(decided.clusters) < 2 * len(some)


@virtual
async def test_where_news_is_more_than_that_all_are_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"m{number}" for number in range(40)]
    async with Rig(*names) as rig:
        rig.put_selected(WEB, {"matchLabels": {"tier": "edge"}})
        await asyncio.sleep(60)
        decided = Decided(monkeypatch)
        rig.see("m7", labels={"tier": "edge"})
        await asyncio.sleep(10)
        assert set(decided.clusters) == {"m7"}
        assert rig.lines() == {"m7": ""}
        rig.see("m7", labels={})
        await asyncio.sleep(10)
        assert rig.data("m7") is None
        assert rig.lines() == {}


KEPT = Keep("digest", "owned")
AWAY = Wait(PropagationStatus.CLUSTER_NOT_READY, "away")
WHOLE = Plan(3, {}, frozenset({"m1", "m2"}), finalizer=True)
PART = Plan(3, {"m2": AWAY}, frozenset({"m2"}))


@pytest.mark.parametrize(
    ("part", "now", "actions"),
    [
        pytest.param(PART, KEPT, {"m1": KEPT, "m2": AWAY}, id="another-action"),
        pytest.param(replace(PART, actions={}), KEPT, {"m1": KEPT}, id="nothing-to-do-any-more"),
        pytest.param(replace(PART, selected=frozenset()), KEPT, None, id="not-selected-any-more"),
        pytest.param(replace(PART, generation=4), KEPT, None, id="another-generation"),
        pytest.param(replace(PART, undecided=True), KEPT, None, id="undecided"),
        pytest.param(replace(PART, deleting=True), KEPT, None, id="deleted-meanwhile"),
        pytest.param(replace(PART, reason=Reason.INVALID), KEPT, None, id="wrong-as-a-whole"),
        pytest.param(replace(PART, finalizer=True), KEPT, None, id="finalizer-taken-away"),
        pytest.param(
            PART, Refuse(PropagationStatus.APPLY_OVERRIDES_FAILED, "too large together"), None, id="refused-before"
        ),
    ],
)
def test_what_a_part_changes_and_what_takes_a_plan_for_all(
    part: Plan, now: Action, actions: dict[str, Action] | None
) -> None:
    track = Track("uid", Status(), {}, WHOLE, {"m1": KEPT, "m2": now}, stale=False)
    plan = partial.merged(track, part, {"m2"})
    assert (None if plan is None else plan.actions) == actions
    assert plan is None or (plan.selected, plan.finalizer) == (WHOLE.selected, None)


def whole_plan(rig: Rig, name: ObjectName) -> Plan:
    state = rig.world.types[CONFIGMAPS.name]
    federated = state.objects.get(name)
    assert federated is not None
    return planning.plan(rig.sync._gatherer.gather(state, federated, state.tracks[name]))


def settled(track: Track) -> bool:
    return not (track.stale or track.news or track.pending or track.leaving or track.setbacks)


@pytest.mark.parametrize("seed", range(8))
def test_at_random_the_actions_are_those_of_a_plan_for_all(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "MOST", 1.0)  # never too much for a part
    parts, merged = 0, partial.merged

    def counted(*arguments: object) -> Plan | None:
        nonlocal parts
        plan = merged(*arguments)  # type: ignore[arg-type]
        parts += plan is not None
        return plan

    monkeypatch.setattr(partial, "merged", counted)
    rolls = random.Random(seed)

    @virtual
    async def run() -> None:
        async with Rig(*NAMES, types=(CONFIGMAPS, FEDERATED_NAMESPACES)) as rig:
            rig.put(NS, enabled=FEDERATED_NAMESPACES)
            for name in OBJECTS:
                rig.put(name)
            rig.put_selected(WEB, {"matchLabels": {"tier": "edge"}})
            await asyncio.sleep(60)
            for _ in range(60):
                for _ in range(rolls.choice([1, 1, 2, 4])):
                    rolls.choice(steps(rig, rolls))()
                    await settle(rolls.choice([0, 0, 3, 30]))
                await asyncio.sleep(rolls.choice([0.0, 0.01, 0.5, 5.0, 40.0]))
                resting = rig.queue.idle and not rig.queue.later and not rig.fanout._due
                for name, track in rig.world.types[CONFIGMAPS.name].tracks.items() if resting else ():
                    if settled(track):
                        assert dict(whole_plan(rig, name).actions) == track.actions, (seed, name)
            for member in NAMES:
                rig.members[member].fails = lambda verb, name: None
                rig.see(member, ready=True, message="")
            await asyncio.sleep(1000)
            for name in (*OBJECTS, WEB):
                track = rig.track(name)
                assert settled(track)
                assert dict(whole_plan(rig, name).actions) == track.actions
                assert not any(isinstance(action, Wait) for action in track.actions.values())
                assert set(rig.lines(name).values()) <= {""}
            assert parts > 20

    run()


def steps(rig: Rig, rolls: random.Random) -> list[Callable[[], object]]:
    """What may happen."""
    name, member = rolls.choice([*OBJECTS, WEB]), rolls.choice(NAMES)
    fake, state = rig.members[member], rig.world.types[CONFIGMAPS.name]
    held = (CONFIGMAPS.target.qualified, name) in fake.objects
    subset = tuple(rolls.sample(NAMES, rolls.randint(0, len(NAMES))))
    found: list[Callable[[], object]] = [
        lambda: rig.see(member, ready=rolls.choice([True, True, False, None]), message=rolls.choice(["", "away"])),
        lambda: rig.see(member, ready=True, message=""),
        lambda: rig.see(member, labels=rolls.choice([{}, {"tier": "edge"}, {"flap": "1"}])),
        lambda: rig.fanout.copies(member, rolls.choice(["", CONFIGMAPS.name])),
        lambda: rig.sync.retries.cluster(member),
        lambda: setattr(fake, "fails", rolls.choice([lambda verb, name: None, lambda verb, name: REFUSED])),
        lambda: rig.follow(member, state),
    ]
    if held:
        found += [lambda: fake.remove(CONFIGMAPS.target, name)] * 3
        found += [lambda: fake.unset(CONFIGMAPS.target, name, ("data", "a"))]
    if name is not WEB:
        found += [lambda: rig.put(name, {"data": {"a": str(rolls.random())}}, clusters=subset)]
    return found
