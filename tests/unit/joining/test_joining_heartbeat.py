"""Whether a controller runs, told by how long ago it probed: never wrongly while one does, whatever its settings."""

import datetime as dt
from typing import Any

import pytest

from federation.core import health
from federation.joining import heartbeat
from federation.model.settings import HealthCheck, Settings

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
