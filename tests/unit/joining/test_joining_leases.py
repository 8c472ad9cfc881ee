"""Who leads, and whether it lives, by the Lease and the host's own clock."""

import datetime as dt
import re
from typing import Any

import orjson
import pytest
from aiohttp import web

from federation.cli import controllers, silence
from federation.joining import leases
from federation.joining.leases import Replica
from federation.kube.connection import Connection
from federation.kube.endpoint import Endpoint
from federation.model.failures import Failure
from tests.unit.kube.servers import serving

NOW = dt.datetime(2026, 1, 10, 12, 0, 0, tzinfo=dt.UTC)
LEASE = "kubefed-controller-manager"


def ago(seconds: float, now: dt.datetime = NOW) -> str:
    return (now - dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def lease(
    holder: str = "pod-1_abc", *, noted: float | None = 3.0, renewed: float = 3.0, now: dt.datetime = NOW, **spec: Any
) -> dict[str, Any]:
    """A Lease that was renewed so many seconds ago by its host's clock, and by its holder's."""
    metadata: dict[str, Any] = {"name": LEASE, "namespace": "system", "uid": "u", "resourceVersion": "9"}
    if noted is not None:
        metadata["managedFields"] = [{"manager": "c", "time": ago(600, now)}, {"manager": "c", "time": ago(noted, now)}]
    times = {"renewTime": ago(renewed, now), "acquireTime": ago(7200, now)}
    return {
        "metadata": metadata,
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 4, **times, **spec},
    }


@pytest.mark.parametrize(
    ("found", "seconds"),
    [
        pytest.param(lease(), None, id="renewed"),
        pytest.param(lease(noted=16.0, renewed=16.0), None, id="nearly ended"),
        pytest.param(lease(noted=40.0, renewed=40.0), 40.0, id="ended"),
        pytest.param(lease(noted=3.0, renewed=3600.0), None, id="the holder's clock is slow"),
        pytest.param(lease(noted=40.0, renewed=-3600.0), 40.0, id="the holder's clock is fast"),
        pytest.param(lease(noted=None, renewed=40.0), 40.0, id="no managedFields"),
        pytest.param(lease("", noted=1.0), 1.0, id="given back"),
        pytest.param(lease(noted=40.0, leaseDurationSeconds=60), None, id="a longer one"),
        pytest.param(lease(noted=None, renewTime=None), None, id="never renewed"),
    ],
)
def test_silence_is_told_by_the_hosts_clock(found: dict[str, Any], seconds: float | None) -> None:
    read = leases.read(found)
    assert read is not None
    assert read.silent(NOW) == seconds


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"metadata": 3},
        {"metadata": {"name": "another"}},
        {"metadata": {"name": f"{LEASE}-x"}},
        {"metadata": {"name": LEASE, "managedFields": "x"}, "spec": None},
        {"metadata": {"name": LEASE, "managedFields": [3, {"time": "never"}]}, "spec": {"holderIdentity": 3}},
    ],
)
def test_nonsense_names_no_leader(found: dict[str, Any]) -> None:
    read = leases.read(found)
    assert read is None or (read.host, read.renewed) == ("", None)


@pytest.mark.parametrize(
    ("found", "row"),
    [
        (lease(), ("pod-1", "Leader", "120m", "3s")),
        (lease(noted=600.0), ("pod-1", "Gone", "120m", "10m")),
    ],
)
def test_the_row_of_a_leader(found: dict[str, Any], row: tuple[str, ...]) -> None:
    read = leases.read(found)
    assert read is not None
    assert controllers.leading(read, NOW) == row
    assert controllers.leading(read, NOW, wide=True) == (*row, LEASE, "4", "pod-1_abc")


@pytest.mark.parametrize(("ready", "role"), [(True, "Standby"), (False, "NotReady")])
def test_the_row_of_a_pod(ready: bool, role: str) -> None:
    pod = Replica("pod-2", ready, ago(60))
    assert controllers.standing(pod, NOW) == ("pod-2", role, "60s", "")
    assert len(controllers.standing(pod, NOW, wide=True)) == len(controllers.WIDE)


def probed(seconds: float, now: dt.datetime) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True", "lastProbeTime": ago(seconds, now)}]
    return {"metadata": {"name": "c"}, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("answer", "clusters", "said"),
    [
        pytest.param("alive", 7200.0, "", id="it has just taken over"),
        pytest.param("ended", 5.0, "pod-1 led last, and has not renewed its Lease for 60s", id="killed"),
        pytest.param("free", 5.0, "no controller leads since the last one was stopped 60s ago", id="stopped"),
        pytest.param("none", 5.0, "", id="no Lease, and probes"),
        pytest.param("none", 7200.0, "no cluster was probed in the last 120m", id="no Lease, and no probes"),
        pytest.param("forbidden", 7200.0, "no cluster was probed in the last 120m", id="no right, and no probes"),
    ],
)
async def test_what_is_said_when_nobody_leads(
    answer: str, clusters: float, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    now = dt.datetime.now(dt.UTC)
    found = {
        "alive": lease(now=now),
        "ended": lease(noted=60.0, now=now),
        "free": lease("", noted=60.0, now=now),
    }

    async def handle(request: web.Request) -> web.Response:
        if "leases" not in request.path:
            return web.Response(text='{"metadata":{"resourceVersion":"1"},"items":[]}', content_type="application/json")
        code = {"none": 404, "forbidden": 403}.get(answer, 200)
        body = found.get(answer) or {"kind": "Status", "code": code, "reason": "NotFound", "message": "no"}
        return web.Response(body=orjson.dumps(body), status=code, content_type="application/json")

    async with serving(handle) as url:
        host = Connection("host", Endpoint(server=url))
        assert not isinstance(await host.request("GET", "/"), Failure)
        assert await silence.warn(host, "system", [probed(clusters, now)]) is bool(said)
        await host.close()
    shown = capsys.readouterr().err
    assert re.search(re.escape(said).replace("60s", r"(59|6\d|7\d)s"), shown), shown  # the clock goes on meanwhile
    assert bool(shown) is bool(said)


def sharded(shard: int, shards: str, holder: str, renewed: float = 3.0) -> dict[str, Any]:
    """The Lease of one of several shards."""
    found = lease(holder, noted=renewed)
    annotations = {"kubefed.io/shards": shards}
    name = LEASE if not shard else f"{LEASE}-{shard}"
    return found | {"metadata": found["metadata"] | {"name": name, "annotations": annotations}}


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        pytest.param([lease("pod-1_a")], [("pod-1", "Leader"), ("pod-9", "Standby")], id="one"),
        pytest.param(
            [sharded(0, "3", "pod-1_a"), sharded(1, "3", "pod-2_b"), sharded(2, "3", "pod-1_a")],
            [
                ("pod-1", "Leader", "0/3"),
                ("pod-2", "Leader", "1/3"),
                ("pod-1", "Leader", "2/3"),
                ("pod-9", "Standby", ""),
            ],
            id="three",
        ),
        pytest.param(
            [sharded(0, "2", "pod-9_a"), sharded(1, "2", ""), sharded(2, "3", "")],
            [("pod-9", "Leader", "0/2"), ("<none>", "Vacant", "1/2")],
            id="one that nobody has, and one of a time when there were more",
        ),
        pytest.param(
            [sharded(0, "2", "pod-1_a"), sharded(1, "2", "pod-2_b", 90.0)],
            [("pod-1", "Leader", "0/2"), ("pod-2", "Gone", "1/2"), ("pod-9", "Standby", "")],
            id="one that is silent",
        ),
        pytest.param(
            [lease("pod-1_a"), sharded(1, "3", "")], [("pod-1", "Leader"), ("pod-9", "Standby")], id="one again"
        ),
    ],
)
def test_controllers_are_shown_with_their_shards(found: list[dict[str, Any]], shown: list[tuple[str, ...]]) -> None:
    held, shards = leases.in_force([each for each in map(leases.read, found) if each is not None])
    names, rows = controllers.rows_of(held, [Replica("pod-9", True, ago(60))], shards, NOW, wide=True)
    assert [row[: len(shown[0])] for row in rows] == shown
    assert ("SHARD" in names) == (shards > 1)
    assert all(len(row) == len(names) for row in rows)
