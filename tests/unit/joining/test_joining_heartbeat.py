"""Whether a controller runs, told by how long ago it probed: never wrongly while one does, whatever its settings."""

import datetime as dt
from email.utils import format_datetime
from typing import Any

import pytest

from federation.cli import silence
from federation.core import health
from federation.joining import heartbeat
from federation.kube.connection import Answer, Connection
from federation.kube.endpoint import Endpoint
from federation.model.settings import HealthCheck, Settings
from tests.unit.kube.servers import answering

NOW = dt.datetime(2026, 1, 10, 12, 0, 0, tzinfo=dt.UTC)


def cluster(*, probed: float | None = None, joined: float = 3600.0) -> dict[str, Any]:
    """A KubeFedCluster that joined and was last probed so many seconds ago."""

    def ago(seconds: float) -> str:
        return (NOW - dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    found: dict[str, Any] = {"metadata": {"name": "c", "creationTimestamp": ago(joined)}}
    if probed is not None:
        found["status"] = {"conditions": [{"type": "Ready", "status": "True", "lastProbeTime": ago(probed)}]}
    return found


@pytest.mark.parametrize(
    ("clusters", "seconds"),
    [
        pytest.param([], None, id="nothing-to-probe"),
        pytest.param([cluster(probed=5)], None, id="just-probed"),
        pytest.param([cluster(probed=320)], None, id="before-the-heartbeat"),
        pytest.param([cluster(probed=7200)], 7200.0, id="nobody-probes"),
        pytest.param([cluster(probed=7200), cluster(probed=5)], None, id="one-is-probed"),
        pytest.param([cluster(joined=30)], None, id="just-joined"),
        pytest.param([cluster(joined=90), cluster(joined=10)], 90.0, id="joined-and-never-probed"),
        pytest.param([cluster(), cluster(probed=5)], None, id="a-new-one-beside-a-probed-one"),
        pytest.param([cluster(probed=-30)], None, id="another-clock"),
        pytest.param([{"metadata": 3, "status": {"conditions": [{"type": "Ready"}]}}], None, id="no-time-is-no-sign"),
    ],
)
def test_silence(clusters: list[dict[str, Any]], seconds: float | None) -> None:
    assert heartbeat.silence(clusters, NOW, heartbeat.bound()) == seconds


@pytest.mark.parametrize("period", [1.0, 10.0, 600.0, 3600.0])
def test_a_running_controller_is_never_called_silent(period: float) -> None:
    settings = Settings(health=HealthCheck(period=period))
    # Probes come each period; the first that finds its stamp five minutes old renews it.
    oldest = health.PROBE_TIME_LASTS + period + settings.health.timeout
    assert heartbeat.silence([cluster(probed=oldest)], NOW, heartbeat.bound(settings)) is None


def answer(date: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + date.encode("latin-1") + b"\r\n{}"


def local() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.mark.parametrize(("probed", "warned"), [(5.0, False), (7200.0, True)])
@pytest.mark.parametrize("slow", [0.0, 1200.0, -1200.0], ids=["right", "behind", "ahead"])
async def test_only_the_hosts_clock_counts(
    slow: float, probed: float, warned: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host's times are of its own clock, whatever this machine's shows."""
    there = local() + dt.timedelta(seconds=slow)
    monkeypatch.setattr(f"{__name__}.NOW", there)

    async def default(*_: object) -> float:
        return heartbeat.bound()

    monkeypatch.setattr(heartbeat, "limit", default)
    async with answering(answer(f"Date: {format_datetime(there, usegmt=True)}\r\n")) as url:
        host = Connection("host", Endpoint(server=url))
        assert isinstance(await host.request("GET", "/"), Answer)
        assert abs((heartbeat.now(host) - there).total_seconds()) < 60
        assert await silence.warn(host, "system", [cluster(probed=probed)]) is warned
        await host.close()
    said = capsys.readouterr().err
    assert ("does not seem to run" in said) is warned
    assert ("behind the host's" in said, "ahead of the host's" in said) == (warned and slow > 0, warned and slow < 0)


@pytest.mark.parametrize(
    "date",
    ["", "Date: yesterday\r\n", "Date: \xff\r\n", f"Date: {'9' * 5000}\r\n", "Date: Mon, 1 Jan 99999 0:0:0 GMT\r\n"],
)
async def test_a_host_that_does_not_say_its_time(date: str) -> None:
    async with answering(answer(date)) as url:
        host = Connection("host", Endpoint(server=url))
        assert host.clock is None
        assert isinstance(await host.request("GET", "/"), Answer)
        assert host.clock is None
        assert abs((heartbeat.now(host) - local()).total_seconds()) < 60
        assert heartbeat.skew(host) == 0.0
        await host.close()
