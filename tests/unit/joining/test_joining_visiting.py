"""Members that are visited eight at a time: the order of what comes of it, its progress, and how it ends."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from federation.joining import checking, fleet, roles, visiting
from federation.joining.contexts import Contexts
from federation.joining.fleet import Fleet
from federation.joining.roles import Role
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from tests.unit.virtualtime import virtual

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: host
clusters:
- {name: c, cluster: {server: "https://127.0.0.1:1"}}
users:
- {name: u, user: {token: t}}
contexts:
- {name: host, context: {cluster: c, user: u}}
- {name: m1, context: {cluster: c, user: u}}
"""


class Visits:
    """Visits of some seconds each; later members are quicker."""

    def __init__(self, count: int, seconds: float = 1.0) -> None:
        self.names = [f"m{number}" for number in range(count)]
        self.seconds = seconds
        self.running = self.most = self.ended = 0
        self.reported: list[str] = []

    async def one(self, name: str) -> str:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.seconds * (1 + 1 / (1 + int(name[1:]))))
        finally:
            self.running -= 1
            self.ended += 1
        return f"{name} done"

    async def all(self) -> list[str]:
        return await visiting.visit(self.names, self.one, self.reported.append, "looked at")


@virtual
async def test_eight_at_a_time_and_results_in_the_members_order() -> None:
    visits = Visits(100)
    began = asyncio.get_running_loop().time()
    assert await visits.all() == [f"{name} done" for name in visits.names]
    assert visits.most == visiting.AT_ONCE
    assert asyncio.get_running_loop().time() - began < 100 / visiting.AT_ONCE * 1.5


@virtual
async def test_progress_of_many_is_reported_and_of_few_is_not() -> None:
    few, many = Visits(8), Visits(1_000, 0.2)
    await few.all()
    assert few.reported == []
    await many.all()
    assert 5 < len(many.reported) < 20
    assert many.reported[0].endswith("/1000] members: looked at")
    assert not any("1000/1000" in line for line in many.reported)


@virtual
async def test_an_interrupt_ends_all_visits() -> None:
    visits = Visits(20)
    task = asyncio.create_task(visits.all())
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (visits.running, visits.ended) == (0, 8)
    assert not [other for other in asyncio.all_tasks() if other is not asyncio.current_task()]


@virtual
async def test_roles_follow_in_eight_members_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    visits = Visits(30)

    async def connection(_: Any, member: Any, lent: Any) -> Any:
        if member.name == "m3":
            raise ApiFailure(Failure(FailureKind.UNREACHABLE, "no route"), "m3: get")
        await visits.one(member.name)
        return SimpleNamespace(name=member.name)

    async def one(reached: Any, *_: object, **__: object) -> Any:
        return roles.MemberRole(reached.name, Role.CHANGED, "clusterrole configured")

    monkeypatch.setattr(roles, "member_connection", connection)
    monkeypatch.setattr(roles, "_one", one)
    members = tuple(SimpleNamespace(name=name, rights="", account="", pulls=False) for name in visits.names)
    known: Fleet = SimpleNamespace(members=members, enabled=())  # type: ignore[assignment]
    nobody: Any = None
    found = await roles.follow(nobody, nobody, "kube-federation-system", known, visits.reported.append)
    assert [each.cluster for each in found] == visits.names
    assert [each.cluster for each in found if each.state is Role.FAILED] == ["m3"]
    assert visits.most == visiting.AT_ONCE


@virtual
async def test_types_are_compared_with_eight_members_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """More at once would wait for each other, and those that come last would have no time left."""
    visits = Visits(30)

    async def read(*_: object) -> Any:
        return SimpleNamespace(members=[SimpleNamespace(name=name) for name in reversed(visits.names)])

    async def hub(*_: object) -> None:
        return None

    async def member(*given: Any) -> list[Any]:
        await visits.one(given[3].name)
        return [given[3].name]

    monkeypatch.setattr(fleet, "read", read)
    monkeypatch.setattr(checking, "_hub", hub)
    monkeypatch.setattr(checking, "_member", member)
    nobody: Any = None
    found: list[Any] = await checking.check(nobody, nobody, "", [], visits.reported.append)
    assert found == sorted(visits.names)
    assert visits.most == visiting.AT_ONCE


async def test_a_connection_that_was_lent_is_closed_when_nobody_has_it(tmp_path: Path) -> None:
    """But not the one that the command itself has: the host may be a member, too."""
    (tmp_path / "config").write_text(KUBECONFIG)
    async with Contexts(str(tmp_path / "config")) as contexts:
        host = await contexts.open("host")
        async with contexts.lend("host") as lent, contexts.lend("m1") as one:
            assert lent is host
            async with contexts.lend("m1") as same:
                assert same is one
            assert await contexts.open("m1") is one
        assert await contexts.open("host") is host
        assert await contexts.open("m1") is not one
