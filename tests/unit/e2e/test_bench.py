"""The benchmark's arithmetic and its pipeline without servers; what it measures, `make bench` shows."""

from typing import Any

import pytest

from e2e.bench import memory, pull, pull_report, report
from e2e.bench.pipeline import Pipeline
from e2e.bench.report import Row


@pytest.mark.parametrize(
    ("row", "ok"),
    [
        pytest.param(Row("x", 1.0), None, id="no-bar"),
        pytest.param(Row("x", 2.0, bar=2.0), True, id="at-the-bar"),
        pytest.param(Row("x", 2.1, bar=2.0), False, id="over-the-bar"),
        pytest.param(Row("x", 1.0, multiple=5.0, bar=2.0, times_bar=4.0), False, id="over-the-multiple"),
        pytest.param(Row("x", 9.0, multiple=3.0, times_bar=4.0), True, id="multiple-alone"),
        pytest.param(Row("x", 1.0, multiple=5.0, bar=2.0), True, id="a-multiple-without-limit"),
    ],
)
def test_verdict(row: Row, ok: bool | None) -> None:
    assert row.ok is ok


def results() -> dict[str, Any]:
    phase = {
        "objects_per_s": 50.0,
        "controller_ms_per_placement": 1.0,
        "host_ms_per_object": 9.0,
        "host_writes_per_object": 1.0,
        "controller_mb": 90.0,
    }
    times = {"p50_ms": 10.0, "p95_ms": 20.0}
    part = {
        "objects": 300,
        "yardstick": {"client": {"create": 0.5, "update": 0.25}, "host": {"create": 3.0, "update": 4.5}},
        "latency": dict.fromkeys(report.PHASES, times),
        "idle": {"controller_ms_per_s": 1.0, "host_ms_per_s": 10.0},
        **dict.fromkeys(report.PHASES, phase),
    }
    hung = {"before": times, "during": {"p50_ms": 10.0, "p95_ms": 60.0}}
    return {"2": part, "hang": hung, "memory": {"shape": {"bytes_per_placement": 1300}}}


def test_rows_stand_beside_bars_and_the_peer() -> None:
    rows = {row.name: row for row in report.rows(results(), report.baselines())}
    create = rows["300 x 2: create: controller CPU, ms per placement"]
    assert (create.multiple, create.bar, create.times_bar, create.default, create.tuned) == (2.0, 2.0, 4.0, 7.1, 6.4)
    assert rows["300 x 2: delete: controller CPU, ms per placement"].multiple == 4.0
    assert rows["300 x 2: one object created everywhere: p95, ms"].default == 915.5
    hung = rows["a member hangs: update at a healthy one, p95, ms (multiple: of before)"]
    assert (hung.multiple, hung.ok, hung.tuned) == (3.0, False, 29320.5)
    assert rows["memory, shape: bytes per placement"].ok is True


def test_raw_figures_name_the_machine_and_the_versions() -> None:
    found = report.machine()
    assert {"cpu", "cores", "memory_mb", "system"} <= found["machine"].keys()
    assert found["machine"]["memory_mb"] > 100
    assert {"commit", "python", "openssl", "uvloop"} <= found["versions"].keys()


def test_every_bar_is_shown_in_some_row() -> None:
    shown = [
        row for row in report.rows(results() | {"8": results()["2"]}, report.baselines()) if row.bar or row.times_bar
    ]
    # 2 members: 3 phases x (CPU, host CPU, writes), 3 x 2 latencies, RSS; 8 members: 3 CPUs; hang: 2; memory: 1.
    assert len(shown) == 9 + 6 + 1 + 3 + 2 + 1


async def test_the_road_without_servers_places_everything_and_rests() -> None:
    pipeline = Pipeline(members=3)
    await pipeline.place(5)
    assert pipeline.placed() == 15
    assert len(pipeline._queue) == 0


async def test_memory_is_counted_on_what_was_placed() -> None:
    few, many = await memory.keep(5, 4, traced=True), await memory.keep(50, 4, traced=True)
    per_placement = (many["bytes"] - few["bytes"]) / (45 * 4)
    assert 200 < per_placement < 15_000  # more than its digests; less than the goal of 100,000 in 1.5 GB


def pulled() -> dict[str, Any]:
    phase = {
        "host_ms_per_object": 18.0,
        "controller_ms_per_placement": 1.5,
        "members_ms_per_placement": 6.0,
        "agents_ms_per_placement": 2.0,
        "host_writes": {"work": 2.0, "work_status": 2.0, "federated": 1.0},
        "member_writes_per_placement": 2.03,
        "agent_mb": [50.0, 61.0],
    }
    return {
        "latency": {phase: {"p50_ms": 14.0, "p95_ms": 40.0} for phase in report.PHASES},
        "idle": {"agent_ms_per_s": [0.5, 1.0], "host_ms_per_s": 12.0},
        **dict.fromkeys(report.PHASES, phase),
        "create": phase | {"etcd_bytes_per_placement": 2400},
    }


def test_pull_stands_beside_push_of_the_same_run() -> None:
    found = results() | {"pull": {"2": pulled()}}
    rows = {row.name: row for row in pull_report.rows(found, report.baselines())}
    host = rows["2 members: create: host API server CPU, ms per object"]
    assert (host.tuned, host.multiple, host.times_bar, host.ok) == (9.0, 2.0, 2.0, True)
    assert rows["2 members: update: writes of works per object and cluster"].ours == 1.0
    assert rows["2 members: create: member writes per placement"].ok is False
    assert rows["2 members: one object updated everywhere: p95, ms"].ok is False
    assert rows["2 members: one object updated everywhere: p50, ms"].ok is True
    assert rows["2 members: an agent's RSS, MB"].ours == 61.0
    # 3 phases x (host CPU, agent CPU, three kinds of writes, member writes), 3 x 2 latencies, bytes, idle, RSS.
    assert sum(row.bar is not None or row.times_bar is not None for row in rows.values()) == 18 + 6 + 3
    assert not [*pull_report.rows(results(), report.baselines())]


def test_the_rest_of_a_phase_that_is_waited_for_is_taken_off() -> None:
    idle = {"controller_ms_per_s": 2.0, "host_ms_per_s": 20.0, "agent_ms_per_s": [1.0, 3.0]}
    found = {
        "settled_s": 12.0,
        "controller_ms_per_placement": 2.0,
        "host_ms_per_object": 30.0,
        "agents_ms_per_placement": 2.0,
    }
    pull._take_rest_off(found, idle, objects=100, members=2)
    assert found["host_ms_per_object"] == 28.0
    assert found["host_ms_per_object_with_rest"] == 30.0
    assert found["controller_ms_per_placement"] == 1.9
    assert found["agents_ms_per_placement"] == 1.8
