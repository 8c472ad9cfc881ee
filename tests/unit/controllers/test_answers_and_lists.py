"""Our create, somebody's deletion of it, a list and the watch's events, in every order that an API server allows.

Whatever the order: a little later the controller believes what is true, and the object is there again.
"""

import asyncio
import itertools
from collections.abc import Iterator, Mapping

import pytest

from federation.controllers.membertriggers import CopiesSink
from federation.core import managedfields
from federation.core.managedfields import PartialMetadata
from federation.kube.members import Written
from federation.model.failures import Failure
from federation.model.federated import FederatedType
from federation.model.resources import NAMESPACES, ObjectName, Resource
from tests.fakes import FakeMember
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

STEPS = ("write", "answer", "delete", "ask", "read", "take", "finish")
AFTER = {"answer": "write", "delete": "write", "read": "ask", "take": "read", "finish": "take"}
"""What comes after what: the list is asked for, read by the member, and taken in, in steps."""
SOON = 100.0
"""Seconds; reassertion, which repairs everything, takes hours."""


def orders() -> Iterator[tuple[str, ...]]:
    """Every order of the steps, with a moment at which the watch, where one is open, has delivered all its events."""
    for order in itertools.permutations(STEPS):
        if all(order.index(before) < order.index(step) for step, before in AFTER.items()):
            for moment in range(len(STEPS) + 1):
                if moment <= order.index("ask") or moment > order.index("finish"):
                    yield (*order[:moment], "events", *order[moment:])


class Held(FakeMember):
    """A member whose first apply of `what` is carried out, and answered, when the test says so."""

    def __init__(self, what: Resource) -> None:
        super().__init__()
        self.what = what
        self.delay_events = True
        self.carried_out, self.answered = asyncio.Event(), asyncio.Event()
        self._listed: tuple[int, list[PartialMetadata]] = (0, [])
        self._taking: Iterator[None] = iter(())

    async def apply(
        self,
        resource: Resource,
        name: ObjectName,
        body: bytes,
        *,
        force: bool,
        manager: str | None = None,
        whole: bool = False,
        dry_run: bool = False,
    ) -> Written | Failure:
        if resource is self.what:
            await self.carried_out.wait()
        answer = await super().apply(resource, name, body, force=force, manager=manager, whole=whole, dry_run=dry_run)
        if resource is self.what:
            await self.answered.wait()
        return answer

    @property
    def sink(self) -> CopiesSink:
        found = self.sinks[self.what.qualified]
        assert isinstance(found, CopiesSink)
        return found

    def then_write(self) -> None:
        self.carried_out.set()

    def then_answer(self) -> None:
        self.answered.set()

    def then_delete(self) -> None:
        for what, name in list(self.objects):
            if what == self.what.qualified or self.what == NAMESPACES:
                self.remove(NAMESPACES if what == NAMESPACES.qualified else CONFIGMAPS.target, name)
        if self.what == NAMESPACES:
            self.namespaces.clear()

    def then_ask(self) -> None:
        self._undelivered(0)
        self.sink.listing()

    def then_read(self) -> None:
        items = [stored.metadata() for (what, _), stored in self.objects.items() if what == self.what.qualified]
        self._listed = next(self._versions), items

    def then_take(self) -> None:
        version, items = self._listed
        self._undelivered(version)
        self.sink.listed(str(version))
        self._taking = self.sink.replacing(items)
        for _ in range(2):  # what it contains is in, what it leaves out is not gone yet
            next(self._taking, None)

    def then_finish(self) -> None:
        for _ in self._taking:
            pass

    def then_events(self) -> None:
        self.deliver()

    def _undelivered(self, version: int) -> None:
        """No watch delivers what a list contains; what is older than the first one has no watch left."""
        what = self.what.qualified
        self._delayed = [
            (kind, where, item)
            for kind, where, item in self._delayed
            if where != what or (version and managedfields.version(item) > version)
        ]


def believed(rig: Rig, what: FederatedType) -> Mapping[ObjectName, int]:
    copies = rig.world.types[what.name].copies["m1"]
    return {name: observed.version for name, observed in copies.objects.items()}


@pytest.mark.parametrize("what", [CONFIGMAPS, FEDERATED_NAMESPACES], ids=lambda each: each.name)
def test_every_order(what: FederatedType) -> None:
    @virtual
    async def test(order: tuple[str, ...]) -> None:
        rig = Rig("m1", types=(FEDERATED_NAMESPACES, CONFIGMAPS))
        fake = rig.members["m1"] = Held(what.target)
        if what is FEDERATED_NAMESPACES:
            fake.namespaces.clear()
        async with rig:
            rig.put(NS, None, ("m1",), FEDERATED_NAMESPACES)
            rig.put(WEB)
            await asyncio.sleep(1)
            if what is CONFIGMAPS:
                fake.deliver()  # its namespace
                await asyncio.sleep(1)
            for step in order:
                getattr(fake, f"then_{step}")()
                await settle()
            await asyncio.sleep(1)
            fake.delay_events = False
            fake.deliver()
            await asyncio.sleep(SOON)
            for each in (FEDERATED_NAMESPACES, CONFIGMAPS):
                true = {
                    name: stored.version
                    for (kind, name), stored in fake.objects.items()
                    if kind == each.target.qualified
                }
                assert len(true) == 1, (order, each.name, "is not there")
                assert believed(rig, each) == true, (order, each.name)
            assert rig.lines() == {"m1": ""}, order

    wrong = []
    for order in orders():
        try:
            test(order)
        except AssertionError as error:
            wrong.append(str(error).splitlines()[0])
    assert wrong == []
