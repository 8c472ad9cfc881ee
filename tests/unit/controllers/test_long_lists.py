"""A list of very many objects is taken in in steps, between which other tasks have their turn and things change."""

import asyncio
import itertools
from collections.abc import Generator, Iterator, Set
from typing import cast

import msgspec
import pytest

from federation.controllers import fanout
from federation.controllers.copies import Copies
from federation.controllers.fanout import Fanout
from federation.controllers.membertriggers import CopiesSink
from federation.controllers.triggers import FederatedSink
from federation.controllers.world import Member, TypeState, World
from federation.core import managedfields
from federation.core.managedfields import Entry, Labels, PartialMetadata
from federation.model.federated import FederatedObject, Metadata
from federation.model.observations import Cluster, Missing
from federation.model.resources import Key, ObjectName
from tests.unit.controllers.rig import CONFIGMAPS
from tests.unit.virtualtime import virtual

US = "kubefed-0123abcd"
MANY = 5_000


@pytest.fixture(autouse=True)
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SLICE", 100)


class Listed:
    """Both sinks of one type; `done` counts what they did since the last step."""

    def __init__(self) -> None:
        self.world = World()
        self.state = self.world.types["configmaps"] = TypeState(CONFIGMAPS)
        self.world.members["m1"] = Member(Cluster("m1"))
        self.copies = self.state.copies["m1"] = Copies()
        self.woken: list[Key] = []
        self.fanout = Fanout(self.world, self.wake)
        self.copies_sink = CopiesSink("m1", US, self.state, self.copies, wake=self.wake, fanout=self.fanout)
        self.federated_sink = FederatedSink(self.state, self.wake, self.fanout, self.world)

    def wake(self, key: Key, *, urgent: bool = False, clusters: Set[str] = frozenset()) -> None:
        self.woken.append(key)

    def most_in_a_step(self, steps: Iterator[None]) -> int:
        """Run all steps; the most keys that one of them woke."""
        most, before = 0, len(self.woken)
        for _ in steps:
            most, before = max(most, len(self.woken) - before), len(self.woken)
        return max(most, len(self.woken) - before)


def copy(number: int, version: int = 1) -> PartialMetadata:
    entry = Entry(US, "Apply", fields_v1=msgspec.Raw(b'{"f:data":{"f:a":{}}}'))
    return PartialMetadata(
        f"web-{number}", "ns", f"uid-{number}", str(version), labels=Labels("true"), managed_fields=(entry,)
    )


def federated(number: int) -> FederatedObject:
    return FederatedObject(Metadata(f"web-{number}", "ns", f"uid-{number}", generation=1))


@virtual
async def test_no_step_of_a_long_list_does_more_than_a_slice() -> None:
    one = Listed()
    assert one.most_in_a_step(one.federated_sink.replacing(federated(number) for number in range(MANY))) <= 100
    assert len(one.woken) == len(one.state.objects) == MANY
    assert one.most_in_a_step(one.copies_sink.replacing(copy(number) for number in range(MANY))) <= 100
    assert len(one.woken) == MANY, "the wake of all that follows a first list is one for each, later"
    assert one.most_in_a_step(one.copies_sink.replacing(copy(number, 2) for number in range(MANY))) <= 100
    assert len(one.woken) == 2 * MANY
    assert one.most_in_a_step(one.copies_sink.replacing([])) <= 100
    assert len(one.copies.objects) == 0
    assert one.most_in_a_step(one.federated_sink.replacing([])) <= 100
    assert len(one.woken) == 4 * MANY
    assert len(one.state.missing) == MANY


@virtual
async def test_nothing_is_known_of_a_name_before_the_last_step_of_the_first_list() -> None:
    one = Listed()
    steps = one.copies_sink.replacing(copy(number) for number in range(MANY))
    for _ in steps:
        assert one.copies.observe(ObjectName("ns", "other")) is Missing.UNKNOWN
    assert one.copies.observe(ObjectName("ns", "other")) is Missing.ABSENT


@virtual
async def test_what_our_own_writes_show_between_the_steps_is_newer_than_the_list() -> None:
    one = Listed()
    one.copies_sink.replace(copy(number) for number in range(MANY))
    one.copies_sink.listing()
    # The list has web-0 to web-2498 as they were, and none of the others.
    steps = one.copies_sink.replacing(copy(number, 2) for number in range(MANY // 2 - 1))
    next(steps)
    for number in (7, MANY - 7, MANY + 7):  # updated, created anew, created
        answer = copy(number, 9)
        one.copies.answer(ObjectName("ns", answer.name), managedfields.observe(answer, US))
    assert list(steps)
    for number, version in ((6, 2), (7, 9), (MANY - 7, 9), (MANY + 7, 9)):
        found = one.copies.objects.get(ObjectName("ns", f"web-{number}"))
        assert found is not None
        assert found.version == version
    assert len(one.copies.objects) == MANY // 2 - 1 + 2
    assert one.copies.answered is None


@virtual
async def test_a_list_that_ends_half_way_is_made_good_by_the_next() -> None:
    one = Listed()
    one.copies_sink.replace(copy(number) for number in range(MANY))
    one.copies_sink.listing()
    steps = one.copies_sink.replacing(copy(number) for number in range(10))
    for _ in range(5):
        next(steps)
    cast("Generator[None, None, None]", steps).close()  # its task was cancelled
    assert 10 < len(one.copies.objects) < MANY
    one.copies_sink.listing()
    one.copies_sink.replace(copy(number) for number in range(20))
    assert len(one.copies.objects) == 20


@virtual
async def test_a_whole_type_is_woken_in_turns_too() -> None:
    one = Listed()
    one.federated_sink.replace(federated(number) for number in range(MANY))
    one.woken.clear()
    names = {Key("configmaps", "ns", f"web-{number}") for number in range(MANY)}
    fanout.wake_gradually(one.world.keys_within("ns"), one.wake)
    turns = [len(one.woken)]
    while turns[-1] < MANY:
        await asyncio.sleep(0)
        turns.append(len(one.woken))
    assert max(after - before for before, after in itertools.pairwise([0, *turns])) == 100
    assert set(one.woken) == names
    for begin, what in ((one.fanout.whole_type, "configmaps"), (one.fanout.namespace, "ns")):
        one.woken.clear()
        begin(what)
        await asyncio.sleep(5)
        assert len(one.woken) == MANY
        assert set(one.woken) == names
