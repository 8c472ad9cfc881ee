"""Two controllers of one hub: one leads, the other takes over, and nobody writes who does not lead.

Each has a way of its own to the hub (`to_host` and `Pair.to_host`), and a User-Agent of its own, so that the proxies
before hub and members tell whose each write is. The Lease is short, for tests to last seconds.
"""

import asyncio
import dataclasses
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from federation.core import leadership
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import LEASES
from federation.playground import access
from federation.playground.faultproxy import FaultProxy
from federation.playground.faults import Fault, Logged
from tests.clusters.faulty import Faulty
from tests.clusters.harness import CONFIGMAPS, ENABLED, FEDERATED_NAMESPACES, Controller, eventually
from tests.clusters.several import Changes, kill, lead_by, on_machine, writes

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEASE = {"leaseDuration": "4s", "renewDeadline": "2s", "retryPeriod": "500ms"}
SECONDS = 4.0
FIRST, SECOND, THIRD = "controller-first", "controller-second", "controller-third"
MANY = 150
STEPPED = """
import os, time
real, path = time.time, {path!r}
def stepped():
    try:
        return real() + float(open(path).read() or 0)
    except FileNotFoundError:
        return real()
time.time = stepped
"""


class Pair:
    """Two controllers behind the proxies of `faulty`; the first leads."""

    def __init__(self, faulty: Faulty, directory: Path) -> None:
        self.faulty = faulty
        self.clock = directory / "clock"
        clusters, ca = faulty.playground.clusters, faulty.playground.ca
        self.to_host = FaultProxy(clusters["host"], ca)
        before = f"exec({STEPPED.format(path=str(self.clock))!r}); {on_machine('aaaa')}"
        self.first = Controller(faulty.directory / "kubeconfig", directory / "first", agent=FIRST, before=before)
        self.second = Controller(
            directory / "kubeconfig", directory / "second", agent=SECOND, before=on_machine("bbbb")
        )
        self.more: list[Controller] = []
        self._directory = directory

    async def start(self) -> None:
        await self.to_host.start()
        account = yaml.safe_load(self.faulty.fleet.kubeconfig.read_text())["users"][0]["user"]["token"]
        cluster = dataclasses.replace(self.to_host.cluster, token=account)
        (self._directory / "kubeconfig").write_bytes(access.kubeconfig([cluster]))
        await lead_by(self.faulty, LEASE)
        for each, name in ((self.first, "first"), (self.second, "second")):
            (self._directory / name).mkdir()
            await asyncio.to_thread(each.start)
        await self.faulty.settle()
        await self.until_leads(FIRST)

    async def stop(self) -> None:
        await kill((self.first, self.second, *self.more))
        await self.faulty.configure({"leaderElect": dict.fromkeys(LEASE)})
        await self.to_host.stop()

    async def another(self) -> Controller:
        """One more, by the second one's way to the hub."""
        directory = self._directory / f"more-{len(self.more)}"
        directory.mkdir()
        made = Controller(self._directory / "kubeconfig", directory, agent=THIRD, before=on_machine("cccc"))
        self.more.append(made)
        await asyncio.to_thread(made.start)
        return made

    async def holder(self) -> str:
        found = await self.faulty.host.get(LEASES, SYSTEM_NAMESPACE, leadership.lease_name())
        return str(((found or {}).get("spec") or {}).get("holderIdentity") or "")

    async def until_leads(self, agent: str, within: float = 20.0) -> None:
        """Until this controller holds the Lease."""
        each = {FIRST: self.first, SECOND: self.second}.get(agent) or self.more[-1]

        async def leads() -> bool:
            return f"-{each.pid}-" in await self.holder()

        await eventually(leads, within=within, seen=f"{agent} leads")

    def writes(self, agent: str) -> list[Logged]:
        """What this controller has sent to the hub or a member that is no read; the election aside."""
        return writes((*self.faulty.proxies, self.to_host), agent)

    def pushes(self, agent: str, namespace: str) -> Counter[tuple[str, str]]:
        """Applies of ConfigMaps at members, by member and name."""
        return Counter(
            (member, each.name)
            for member, proxy in (("m1", self.faulty.to_m1), ("m2", self.faulty.to_m2))
            for each in proxy.requests.writes()
            if each.user_agent.startswith(f"{agent}/") and each.resource == "configmaps" and each.namespace == namespace
        )

    def forget(self) -> None:
        self.faulty.forget_requests()
        self.to_host.requests.clear()


@pytest_asyncio.fixture(loop_scope="module")
async def pair(faulty: Faulty, tmp_path: Path) -> AsyncIterator[Pair]:
    made = Pair(faulty, tmp_path)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


async def unchanged(pair: Pair, namespace: str, *names: str) -> None:
    """Objects that are settled before the test."""
    await pair.faulty.federate(namespace)
    for name in names:
        await pair.faulty.make(namespace, name)
    for name in names:
        await pair.faulty.until_ready(namespace, name)


async def quiet(read: Callable[[], object], *, during: float = 1.0) -> None:
    """Until what is read stays the same for a while."""
    last: object = None
    async with asyncio.timeout(60):
        while last != (last := read()):  # noqa: ASYNC110
            await asyncio.sleep(during)


async def test_a_standby_is_ready_follows_the_hub_alone_and_writes_nothing(pair: Pair, namespace: str) -> None:
    await unchanged(pair, namespace, "web")
    assert (await asyncio.to_thread(pair.second.health, "/readyz"))[0] == 200
    assert pair.to_host.open_watches("federatedconfigmaps.types.kubefed.io") == 1
    assert pair.to_host.open_watches("leases.coordination.k8s.io") == 1
    assert not [each for each in pair.faulty.to_m1.requests if each.user_agent.startswith(SECOND)]
    assert pair.writes(SECOND) == []
    master = 'leader_election_master_status{name="kubefed-controller-manager"}'
    assert f"{master} 1.0" in await asyncio.to_thread(pair.first.metrics)
    assert f"{master} 0.0" in await asyncio.to_thread(pair.second.metrics)
    assert '"stands by"' in pair.second.log
    assert '"leads"' in pair.first.log


async def test_sigterm_hands_over_at_once_and_nothing_is_pushed_again(pair: Pair, namespace: str) -> None:
    names = [f"web-{number}" for number in range(20)]
    await unchanged(pair, namespace, *names)
    pair.forget()
    assert await asyncio.to_thread(pair.first.stop) == 0
    await pair.faulty.change(namespace, "web-3", "c")
    await pair.faulty.until_held(pair.faulty.m1, namespace, "web-3", "c", within=3.0)
    await pair.faulty.until_held(pair.faulty.m2, namespace, "web-3", "c", within=3.0)
    await pair.until_leads(SECOND)
    await pair.faulty.until_ready(namespace, "web-3")
    assert set(pair.pushes(SECOND, namespace)) == {("m1", "web-3"), ("m2", "web-3")}
    assert pair.pushes(FIRST, namespace) == Counter()
    listed = [each.resource for each in pair.to_host.requests if each.verb == "list"]
    assert "federatedconfigmaps.types.kubefed.io" not in listed, "it had them already"


async def test_a_warm_standby_lists_no_member_when_it_takes_over(pair: Pair, namespace: str) -> None:
    """It watches them before, writes nothing, and goes on from what it has."""
    names = [f"web-{number}" for number in range(5)]
    await unchanged(pair, namespace, *names)
    await pair.faulty.configure({"leaderElect": {"warmStandby": "Enabled"}})
    try:

        async def watches() -> bool:
            members = (pair.faulty.to_m1, pair.faulty.to_m2)
            return all(each.open_watches(name) == 2 for each in members for name in ENABLED)

        await eventually(watches)
        assert pair.writes(SECOND) == []
        pair.forget()
        assert await asyncio.to_thread(pair.first.stop) == 0
        await pair.until_leads(SECOND)
        await pair.faulty.change(namespace, "web-3", "c")
        await pair.faulty.until_ready(namespace, "web-3")
        assert set(pair.pushes(SECOND, namespace)) == {("m1", "web-3"), ("m2", "web-3")}
        asked = [*pair.faulty.to_m1.requests, *pair.faulty.to_m2.requests]
        listed = {each.resource for each in asked if each.verb == "list" and each.user_agent.startswith(SECOND)}
        assert listed <= {"nodes"}, "it had their objects already"
    finally:
        await pair.faulty.configure({"leaderElect": {"warmStandby": None}})


async def test_a_killed_leader_is_replaced_when_its_lease_has_ended(pair: Pair, namespace: str) -> None:
    await unchanged(pair, namespace, "web")
    await asyncio.to_thread(pair.first.kill)
    await pair.faulty.change(namespace, "web", "c")
    await pair.faulty.until_held(pair.faulty.m1, namespace, "web", "c", within=SECONDS + 5)
    await pair.faulty.until_ready(namespace, "web")


@pytest.mark.parametrize("moment", [0.1, 0.3, 0.7])
async def test_a_stopped_leader_that_wakes_writes_nothing_more(pair: Pair, namespace: str, moment: float) -> None:
    """It is stopped in the midst of a burst, with writes in every stage, and wakes when another one leads."""
    names = [f"web-{number}" for number in range(MANY)]
    await pair.faulty.federate(namespace)
    making = [asyncio.ensure_future(pair.faulty.make(namespace, name)) for name in names]
    await asyncio.sleep(moment)
    os.kill(pair.first.pid, signal.SIGSTOP)
    await asyncio.gather(*making)
    await pair.until_leads(SECOND)
    for name in names:
        await pair.faulty.until_ready(namespace, name, within=60.0)
    for name in names[::2]:
        await pair.faulty.change(namespace, name, "c")
    for name in names[::2]:
        await pair.faulty.until_held(pair.faulty.m1, namespace, name, "c")
    before = pair.writes(FIRST)
    os.kill(pair.first.pid, signal.SIGCONT)
    assert pair.first.process is not None
    assert await asyncio.to_thread(pair.first.process.wait, 20) == 1, "it ends, to be started anew"
    assert pair.writes(FIRST) == before
    assert "controller ends, to be started anew" in pair.first.log
    for name in names[::2]:
        await pair.faulty.until_held(pair.faulty.m1, namespace, name, "c", within=0.1)


async def test_without_its_hub_a_leader_stops_writing_to_members(pair: Pair, namespace: str) -> None:
    """Its hub hangs, the other's does not. Drift is put back for as long as its Lease holds; then by the other one."""
    await unchanged(pair, namespace, "drifting", "other")
    pair.faulty.to_host.inject(Fault("blackhole"))
    await pair.until_leads(SECOND)
    pair.forget()
    for turn in range(5):
        for name in ("drifting", "other"):
            await pair.faulty.m1.patch(CONFIGMAPS, namespace, name, {"data": {"a": f"drifted-{turn}"}})
        await asyncio.sleep(0.5)
    await pair.faulty.until_held(pair.faulty.m1, namespace, "drifting", "b")
    assert pair.writes(FIRST) == []
    assert pair.pushes(SECOND, namespace)
    assert "writes are held: the Lease could end" in pair.first.log
    fenced = [each for each in (await asyncio.to_thread(pair.first.metrics)).splitlines() if "fenced_writes" in each]
    assert fenced
    pair.faulty.to_host.clear()
    assert pair.first.process is not None
    assert await asyncio.to_thread(pair.first.process.wait, 20) == 1


async def test_a_hub_that_is_away_for_both_holds_writes_and_they_go_on(pair: Pair, namespace: str) -> None:
    """Nobody can lead; who led goes on when the hub is back, with what it knows, and is not started anew."""
    await unchanged(pair, namespace, "drifting")
    for proxy in (pair.faulty.to_host, pair.to_host):
        proxy.inject(Fault("refuse"))
    await eventually(_said(pair.first, "writes are held"), within=20.0)
    pair.forget()
    await pair.faulty.m1.patch(CONFIGMAPS, namespace, "drifting", {"data": {"a": "drifted"}})
    await asyncio.sleep(2.0)
    assert pair.writes(FIRST) == pair.writes(SECOND) == []
    for proxy in (pair.faulty.to_host, pair.to_host):
        proxy.clear()
    await pair.faulty.until_held(pair.faulty.m1, namespace, "drifting", "b")


async def test_a_member_that_hangs_delays_no_handover(pair: Pair, namespace: str) -> None:
    await unchanged(pair, namespace, "web")
    pair.faulty.pause("m2")
    try:
        for number in range(10):
            await pair.faulty.make(namespace, f"more-{number}")
        await pair.faulty.until_held(pair.faulty.m1, namespace, "more-9", "b")
        assert await asyncio.to_thread(pair.first.stop) == 0
        await pair.faulty.change(namespace, "web", "c")
        await pair.faulty.until_held(pair.faulty.m1, namespace, "web", "c", within=6.0)
    finally:
        pair.faulty.resume("m2")


@pytest.mark.parametrize("step", ["3600", "-3600"], ids=["ahead", "back"])
async def test_a_step_of_the_clock_costs_nobody_the_lead(pair: Pair, namespace: str, step: str) -> None:
    """Ahead, writes wait for one renewal; back, for nothing. Either way one leads, and all is done."""
    await unchanged(pair, namespace, "web")
    pair.clock.write_text(step)
    for turn in range(4):
        await pair.faulty.change(namespace, "web", f"c{turn}")
        await pair.faulty.until_held(pair.faulty.m1, namespace, "web", f"c{turn}")
        await asyncio.sleep(1.0)
    await pair.until_leads(FIRST, within=0.5)
    assert ("the clock has jumped" in pair.first.log) == (step == "3600")
    assert pair.pushes(SECOND, namespace) == Counter()


async def test_a_rolling_update_loses_no_event_and_writes_nothing_twice(pair: Pair, namespace: str) -> None:
    """As a Deployment does it: a new one is ready, an old one is stopped, twice; a user goes on all the while."""
    await pair.faulty.federate(namespace)
    await pair.faulty.until_ready(namespace, namespace, FEDERATED_NAMESPACES)
    pair.forget()
    names: list[str] = []
    in_m1, in_m2 = (Changes(api, namespace) for api in (pair.faulty.m1, pair.faulty.m2))
    over = asyncio.Event()

    async def use() -> None:
        while not over.is_set():
            names.append(f"web-{len(names)}")
            await pair.faulty.make(namespace, names[-1])
            await asyncio.sleep(0.05)

    using = asyncio.ensure_future(use())
    try:
        for old in (pair.second, pair.first):
            await pair.another()
            await asyncio.sleep(0.5)
            assert await asyncio.to_thread(old.stop) == 0
            await asyncio.sleep(1.0)
    finally:
        over.set()
        await using
    for name in names:
        await pair.faulty.until_ready(namespace, name)
    for each in (in_m1, in_m2):
        await each.stop()
    await quiet(lambda: len(pair.pushes(FIRST, namespace)) + len(pair.pushes(THIRD, namespace)))
    pushed = pair.pushes(FIRST, namespace) + pair.pushes(THIRD, namespace)
    assert set(pushed) == {(member, name) for member in ("m1", "m2") for name in names}
    for each in (in_m1, in_m2):
        assert {name: each.times[name] for name in names} == dict.fromkeys(names, 1), "written once, and never again"
    # What was under way when its leader was stopped is asked for once more, and the member finds nothing to change.
    assert sum(times - 1 for times in pushed.values()) <= len(pair.more) * 4


def _said(controller: Controller, text: str) -> Callable[[], Awaitable[bool]]:
    async def said() -> bool:
        return text in controller.log

    return said
