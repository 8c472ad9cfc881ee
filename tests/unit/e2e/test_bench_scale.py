"""What the scale benchmark takes for an arrival, and its table; what it measures, `make bench-scale` shows."""

import asyncio
import base64
import contextlib
import time
from pathlib import Path
from typing import Any
from unittest import mock

import orjson
import pytest
from aiohttp import web
from rich.console import Console

from e2e import running
from e2e.bench.scale import __main__ as program
from e2e.bench.scale import report
from e2e.bench.scale.fleet import ScaleFleet
from federation.comparing import arrivals
from federation.comparing.arrivals import Arrivals, Expected
from tests.unit.virtualtime import virtual

MEMBERS = ("m1", "m2")


def test_an_object_has_arrived_when_every_member_holds_that_version() -> None:
    expected = Expected(["a", "b"], b"version-2", MEMBERS)
    for member, name, value in (
        ("m1", "a", b"..version-1.."),
        ("m1", "other", b"version-2"),
        ("m9", "a", b"version-2"),
        ("m1", "a", None),
    ):
        expected.observe(member, name, value, 1.0)
    assert expected.at == []
    for now, (member, name) in enumerate((("m1", "a"), ("m1", "a"), ("m2", "a"), ("m1", "b"))):
        expected.observe(member, name, b"..version-2..", float(now))
    assert expected.at == [0.0, 2.0, 3.0]
    assert expected.last_of == {"a": 2.0}
    assert expected.milliseconds(0.0) == {"p50_ms": 2000.0, "last_ms": 3000.0}


async def test_what_is_missing_is_named() -> None:
    expected = Expected(["a", "b"], None, MEMBERS)
    expected.observe("m1", "a", None, 1.0)
    with pytest.raises(TimeoutError, match=r"3 not seen within .* a in m2, b in m1"):
        await expected.wait(0.01)
    for member, name in (("m2", "a"), ("m1", "b"), ("m2", "b")):
        expected.observe(member, name, None, 4.0)
    assert await expected.wait(0.01) == 4.0


def _event(key: str, value: bytes | None) -> dict[str, Any]:
    kv = {"key": base64.b64encode(key.encode()).decode()}
    return {"type": "DELETE", "kv": kv} if value is None else {"kv": {**kv, "value": base64.b64encode(value).decode()}}


async def test_writes_are_read_from_the_watch_of_etcd() -> None:
    """Its JSON gateway sends a line for each answer, in pieces of any length, and nothing for the type of a put."""
    events = [
        _event("/playground/many/configmaps/~m1/shop/a", b"\x00version-1"),
        _event("/playground/many/configmaps/~m2/elsewhere/a", b"\x00version-1"),
        _event("/playground/many/configmaps/~m2/shop/a", b"\x00version-1"),
        _event("/playground/many/configmaps/~m2/shop/a", None),
    ]
    more = asyncio.Event()

    async def watch(request: web.Request) -> web.StreamResponse:
        asked = (await request.json())["create_request"]
        assert base64.b64decode(asked["key"]) == arrivals.PREFIX
        assert base64.b64decode(asked["range_end"]) == arrivals.PREFIX[:-1] + b"0"
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b'{"result":{"created":true}}\n')
        await more.wait()
        text = orjson.dumps({"result": {"events": events}}) + b"\n"
        for start in range(0, len(text), 50):
            await answer.write(text[start : start + 50])
        await asyncio.sleep(60)
        return answer

    app = web.Application()
    app.router.add_post("/v3/watch", watch)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with Arrivals(site.name, "shop") as following:
            created = following.expect(["a"], b"version-1", MEMBERS)
            deleted = following.expect(["a"], None, ["m2"])
            before = time.perf_counter()
            more.set()
            assert await created.wait(10) >= before
            assert await deleted.wait(10) >= before
            assert following.writes == [("m1", "a"), ("m2", "a"), ("m2", "a")]
    finally:
        await runner.cleanup()


def test_a_row_is_compared_with_the_bare_client_of_its_own_run() -> None:
    bulk = {
        "controller_ms_per_placement": 0.6,
        "members_ms_per_placement": 1.5,
        "host_ms_per_object": 40.0,
        "host_writes_per_object": 2,
        "placements_per_s": 900,
        "controller_mb": 120.0,
    }
    results = {
        "members": 100,
        "objects": 50,
        "bare": {"create": {"client_ms": 0.4, "members_ms": 1.0}},
        "create": bulk,
        "update": bulk | {"controller_mb": 130.0},
        "late_ms": {"create": 90.0, "update": 40.0},
    }
    known, peer = report.kubefed(100)
    rows = {row.name: row for row in report.rows(results, peer)}
    created = rows["create: controller CPU, ms per placement"]
    assert created.multiple == 1.5
    assert created.kubefed_multiple == pytest.approx(created.kubefed / peer["bare_client_ms"]["create"], abs=0.01)
    assert rows["update: controller CPU, ms per placement"].multiple is None
    assert rows["controller memory, highest, MB"].ours == 130.0
    assert rows["controller's event loop late, longest, ms"].ours == 90.0
    assert peer["machine"] in known["machines"]
    console = Console(width=160, record=True, quiet=False, file=None)
    with console.capture() as printed:
        report.show(results, console)
    assert "50 objects on 100 simulated members" in printed.get()


def test_a_member_that_comes_and_goes_is_compared_with_before() -> None:
    away = {
        "before_ms": 70.0,
        "away_ms": [50.0, 90.0],
        "back_ms": [40.0, 80.0],
        "seconds": 130.0,
        "controller_ms_per_s": 13.0,
        "cluster_writes_per_time": 2.0,
    }
    found = [row[:2] for row in report.rows({"members": 17, "objects": 1, "away": away}, {})]
    assert found == [
        ("one member away and back: one object at the others before, ms", 70.0),
        ("one member away and back: the same, worst, ms", 90.0),
        ("one member away and back: controller CPU, ms per s", 13.0),
        ("one member away and back: writes of KubeFedClusters each time", 2.0),
    ]


@virtual
async def test_a_healthy_member_that_is_reported_as_away_ends_the_run() -> None:
    host = mock.Mock()
    ready = dict.fromkeys(("m1", "m2", "m3"), "True")

    async def get(_: str) -> Any:
        return {
            "items": [
                {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": status}]}}
                for name, status in ready.items()
            ]
        }

    host.get = get
    fleet = mock.Mock(members=tuple(ready))
    with pytest.raises(TimeoutError):
        await ScaleFleet.not_ready(fleet, host, "m2", within=5)
    ready["m2"] = "False"
    await ScaleFleet.not_ready(fleet, host, "m2")
    ready["m3"] = "Unknown"
    with pytest.raises(RuntimeError, match="healthy members are not Ready: m3"):
        await ScaleFleet.not_ready(fleet, host, "m2")


def test_kubefed_was_not_measured_at_every_size() -> None:
    _, peer = report.kubefed(17)
    assert peer == {}
    assert list(report.rows({"members": 17, "objects": 1}, peer)) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(TimeoutError("it does not appear"), 1, id="an-error"),
        pytest.param(KeyboardInterrupt(), 130, id="an-interruption"),
        pytest.param(KeyError("a bug"), None, id="a-bug"),
    ],
)
def test_a_run_that_is_broken_off_leaves_what_it_measured(
    error: BaseException, code: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of an hour must not end with nothing."""
    joined = {"ready_after_last_join_s": 0.1, "controller_cpu_s": 0.1, "members": 2, "controller_mb": 90.0}
    scale = mock.AsyncMock()
    scale.__aenter__.return_value = scale
    scale.__aexit__.return_value = False
    scale.join.return_value = joined
    scale.late.return_value = 1.0
    scale.namespace.side_effect = error
    monkeypatch.setattr(program, "Scale", lambda *_: scale)
    monkeypatch.setattr(program, "ScaleFleet", lambda _: contextlib.nullcontext(mock.Mock()))
    monkeypatch.setattr(running, "interrupt_on_signals", lambda: None)
    raw = tmp_path / "raw.json"
    monkeypatch.setenv("RAW", str(raw))
    monkeypatch.setenv("MEMBERS", "2")
    if code is None:
        with pytest.raises(KeyError):
            program.main()
    else:
        assert program.main() == code
    found = orjson.loads(raw.read_bytes())
    assert found["join"] == joined
    assert found["ended"]["phase"] == "namespace"
    assert found["ended"]["error"].startswith(type(error).__name__)
