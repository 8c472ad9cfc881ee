"""What is in no namespace is followed with scope Cluster alone, and what the hub refuses of it is said."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from federation.controllers.surroundings import Surroundings
from federation.controllers.world import World
from federation.model.failures import Failure, FailureKind
from federation.model.resources import CRDS, NAMESPACES, Resource
from tests.fakehub import Contact
from tests.unit.virtualtime import settle, virtual


class Followed(Contact):
    """A watch that runs until it is cancelled."""

    def __init__(self, on_change: Callable[[Any], None]) -> None:
        super().__init__()
        self.on_change = on_change
        self.running = False
        self.renewals = 0

    async def run(self) -> None:
        self.running = True
        try:
            await settle(10_000)
        finally:
            self.running = False

    def renew(self) -> None:
        self.renewals += 1

    def fail(self, kind: FailureKind | None) -> None:
        self.failure = Failure(kind, f"no {kind}") if kind is not None else None
        self.on_change(self)


class Watches:
    """Those that were opened, by their resource."""

    def __init__(self) -> None:
        self.opened: dict[Resource, Followed] = {}

    def metadata(self, resource: Resource, sink: Any, on_change: Callable[[Any], None]) -> Followed:
        made = self.opened[resource] = Followed(on_change)
        return made

    @property
    def running(self) -> set[Resource]:
        return {resource for resource, each in self.opened.items() if each.running}


@virtual
async def test_they_are_followed_as_the_scope_says() -> None:
    world, watches, refusals = World(), Watches(), list[str]()
    made = Surroundings(world, watches, namespaces=None, definitions=None, refused=refusals.append)  # type: ignore[arg-type]
    await made.follow()
    await settle(5)
    assert watches.running == {NAMESPACES, CRDS}
    await made.follow()
    made.renew()
    assert [each.renewals for each in watches.opened.values()] == [1, 1], "they are the same as before"
    watches.opened[CRDS].fail(FailureKind.UNREACHABLE)
    watches.opened[CRDS].fail(FailureKind.RIGHT_MISSING)
    watches.opened[CRDS].fail(None)
    assert refusals == ["", f"no {FailureKind.RIGHT_MISSING}", ""]
    world.settings = replace(world.settings, namespaced=True)
    await made.follow()
    assert watches.running == set()
    world.settings = replace(world.settings, namespaced=False)
    await made.follow()
    await settle(5)
    assert watches.running == {NAMESPACES, CRDS}
    await made.close()
    assert watches.running == set()
