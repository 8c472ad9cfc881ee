"""What is kept for each placement: little, shared where it is equal, and nothing that a garbage collection looks at."""

import asyncio
import gc

import pytest

from federation.controllers.tracks import NOBODY, including, without
from federation.model.resources import ObjectName
from tests.unit.controllers.rig import WEB, Rig
from tests.unit.virtualtime import virtual

OTHER = ObjectName("ns", "other")


@pytest.mark.parametrize("names", [NOBODY, frozenset({"a", "b"}), {"a", "b"}], ids=["none", "shared", "own"])
def test_sets_of_clusters_change_in_place_only_where_they_are_ones_own(names: frozenset[str] | set[str]) -> None:
    before = set(names)
    more = including(names, "c")
    assert more == before | {"c"}
    assert (more is names) == isinstance(names, set)
    less = without(without(without(more, "a"), "b"), "x")
    assert less == {"c"}
    assert without(less, "c") is NOBODY
    assert set() == NOBODY


@virtual
async def test_an_object_at_rest_has_no_sets_of_its_own_and_nothing_for_the_collector() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        rig.put(OTHER)
        await asyncio.sleep(5)
        track, other = rig.track(), rig.track(OTHER)
        assert rig.lines() == {"m1": "", "m2": ""}
        for names in (
            track.pending,
            track.departed,
            track.recheck,
            track.unconfirmed,
            track.fully_owned,
            track.interrupted,
        ):
            assert names is NOBODY
        assert track.guessed is NOBODY
        assert track.plan is not None
        assert other.plan is not None
        assert track.plan.selected is other.plan.selected
        m1 = rig.world.members["m1"].cluster.name
        assert all(next(name for name in each.actions if name == "m1") is m1 for each in (track, other))
        observed = rig.world.types["configmaps"].copies["m1"].objects.get(WEB)
        assert observed is not None
        kept = (WEB, track, track.plan, track.applied, track.actions, track.status, observed)
        assert [each for each in kept if gc.is_tracked(each)] == []
