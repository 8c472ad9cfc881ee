"""Several joins in one call: how many at a time, what is read of the host, and that one failure stops nobody."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from federation.joining import joinplans, joins, several, visiting
from federation.joining.objects import Wanted
from federation.model.errors import ApiFailure, FederationError, Unusable
from federation.model.failures import Failure, FailureKind


class Stage:
    """Joins that do nothing but take turns; contexts named `same-*` lead to one cluster."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host: Any = SimpleNamespace(name="host")
        self.reads = 0
        self.running = self.most = 0
        self.joined: list[str] = []
        self.closed: list[str] = []
        self.reported: list[str] = []
        self.failing: dict[str, FederationError] = {}
        monkeypatch.setattr(joinplans, "host_facts", self._facts)
        monkeypatch.setattr(joinplans, "inspect", self._inspect)
        monkeypatch.setattr(joins, "refuse_failed", lambda plan, found, report: report("warning: version: old"))
        monkeypatch.setattr(joins, "carry_out", self._carry_out)

    async def _facts(self, *_: object) -> str:
        self.reads += 1
        if failure := self.failing.get("host"):
            raise failure
        return "facts"

    async def _inspect(self, _: Any, member: Any, wanted: Wanted, facts: str) -> tuple[Any, list[Any]]:
        assert facts == "facts"
        uid = "same" if member.name.startswith("same") else member.name
        return SimpleNamespace(wanted=wanted, findings=SimpleNamespace(uid=uid)), []

    async def _carry_out(self, _: Any, member: Any, plan: Any, report: Any) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        report(f"{member.name}: serviceaccount created")
        if failure := self.failing.get(member.name):
            raise failure
        self.joined.append(plan.wanted.name)

    async def open(self, name: str) -> Any:
        if name == "host":
            return self.host
        if name == "nobody":
            raise Unusable("no context 'nobody'")
        return SimpleNamespace(name=name)

    async def close(self, name: str) -> None:
        self.closed.append(name)

    async def join(self, *names: str) -> dict[str, FederationError]:
        wanted = [Wanted(name, "host") for name in names]
        return await several.join(self, self.host, wanted, self.reported.append)  # type: ignore[arg-type]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


async def test_so_many_at_a_time_and_the_host_is_read_once(stage: Stage) -> None:
    names = [f"m{number}" for number in range(100)]
    assert await stage.join(*names) == {}
    assert sorted(stage.joined) == sorted(stage.closed) == sorted(names)
    assert stage.most == visiting.AT_ONCE
    assert stage.reads == 1
    assert stage.reported[0] == "m0: warning: version: old"
    assert stage.reported[-1].startswith("[100/100] cluster ")
    assert len(stage.reported) == 101, "a warning once, and a line for each cluster"


async def test_the_host_is_read_again_after_a_while(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "FRESH", -1.0)
    await stage.join("m1", "m2", "m3")
    assert stage.reads == 4


async def test_one_failure_stops_nobody(stage: Stage) -> None:
    stage.failing["m2"] = ApiFailure(Failure(FailureKind.UNREACHABLE, "no route"), "m2: get")
    errors = await stage.join("m1", "m2", "nobody", "m3")
    assert {name: str(error) for name, error in errors.items()} == {
        "m2": "m2: get: no route",
        "nobody": "no context 'nobody'",
    }
    assert sorted(stage.joined) == ["m1", "m3"]
    assert any(line.endswith("cluster m2 has not joined: m2: get: no route") for line in stage.reported)


async def test_a_host_that_cannot_be_read_is_one_error(stage: Stage) -> None:
    stage.failing["host"] = Unusable("no host")
    with pytest.raises(Unusable, match="no host"):
        await stage.join("m1", "m2")
    assert stage.joined == []


async def test_one_cluster_joins_under_one_name(stage: Stage) -> None:
    errors = await stage.join("same-a", "m1", "same-b")
    assert list(errors) == ["same-b"]
    assert "same-b is the same cluster as same-a" in str(errors["same-b"])
    assert sorted(stage.joined) == ["m1", "same-a"]


async def test_a_bug_in_one_join_is_no_failure_of_a_cluster(stage: Stage) -> None:
    stage.failing["m1"] = KeyError("bug")  # type: ignore[assignment]
    with pytest.RaisesGroup(KeyError):
        await stage.join("m1", "m2")


async def test_the_host_stays_open_when_it_joins(stage: Stage) -> None:
    await stage.join("host", "m1")
    assert sorted(stage.joined) == ["host", "m1"]
    assert stage.closed == ["m1"]
