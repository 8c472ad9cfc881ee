"""Which faults hit which requests, how often, and what the log counts."""

import json

import pytest

from federation.playground import faults
from federation.playground.faults import Fault, Faults, Logged, RequestLog
from federation.playground.requestinfo import RequestInfo

GET = RequestInfo(verb="get", path="/api/v1/namespaces/n/configmaps/c", resource="configmaps", namespace="n", name="c")
WATCH = RequestInfo(verb="watch", path="/api/v1/configmaps", resource="configmaps")
HEALTH = RequestInfo(verb="get", path="/readyz")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param({"kind": "explode"}, "no such fault", id="kind"),
        pytest.param({"kind": "cut", "verb": "fetch"}, "no such verb", id="verb"),
        pytest.param({"kind": "status"}, "code from 200", id="status-without-code"),
        pytest.param({"kind": "delay"}, "needs seconds", id="delay-without-seconds"),
        pytest.param({"kind": "refuse", "verb": "get"}, "no filter", id="refuse-with-filter"),
        pytest.param({"kind": "refuse", "times": 1}, "no filter", id="refuse-with-times"),
    ],
)
def test_a_fault_that_could_never_work_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fault", "info", "hit"),
    [
        pytest.param(Fault(kind="cut"), GET, True, id="no-filter-hits-all"),
        pytest.param(Fault(kind="cut", verb="get"), GET, True, id="verb"),
        pytest.param(Fault(kind="cut", verb="list"), GET, False, id="other-verb"),
        pytest.param(Fault(kind="cut", resource="configmaps"), GET, True, id="resource"),
        pytest.param(Fault(kind="cut", resource="configmaps/status"), GET, False, id="subresource-is-another"),
        pytest.param(Fault(kind="cut", resource="configmaps.apps"), GET, False, id="group-is-another"),
        pytest.param(Fault(kind="cut", namespace="n", name="c"), GET, True, id="namespace-and-name"),
        pytest.param(Fault(kind="cut", namespace="other"), GET, False, id="other-namespace"),
        pytest.param(Fault(kind="cut", name="other"), GET, False, id="other-name"),
        pytest.param(Fault(kind="cut", path="/readyz"), HEALTH, True, id="path"),
        pytest.param(Fault(kind="cut", path="/readyz"), GET, False, id="other-path"),
        pytest.param(Fault(kind="cut", probability=0.0), GET, False, id="never"),
    ],
)
def test_filters(fault: Fault, info: RequestInfo, hit: bool) -> None:
    armed = Faults()
    armed.inject(fault)
    assert armed.take(info) == (0.0, fault if hit else None)


def test_delays_add_up_and_the_first_other_fault_decides() -> None:
    armed = Faults()
    armed.inject(Fault(kind="delay", seconds=1))
    armed.inject(Fault(kind="delay", seconds=2))
    first = armed.inject(Fault(kind="status", code=503, times=1))
    second = armed.inject(Fault(kind="cut"))
    assert armed.take(GET) == (3.0, first.fault)
    assert armed.take(GET) == (3.0, second.fault)
    assert (first.hits, second.hits, first.active, second.active) == (1, 1, False, True)


def test_clearing_one_or_all() -> None:
    armed = Faults()
    one = armed.inject(Fault(kind="cut"))
    one.cleared = True
    assert armed.take(GET) == (0.0, None)
    refuse = armed.inject(Fault(kind="refuse"))
    seen = [(armed.refusing, refuse.active, armed.take(GET))]
    armed.clear()
    seen.append((armed.refusing, refuse.active, armed.take(GET)))
    assert seen == [(True, True, (0.0, None)), (False, False, (0.0, None))]


def test_open_watches_are_struck_as_often_as_asked() -> None:
    armed = Faults()
    cut = armed.inject(Fault(kind="cut", verb="watch", times=2))
    assert [armed.hits_open_watch(cut, WATCH) for _ in range(3)] == [True, True, False]
    status = armed.inject(Fault(kind="status", code=500))
    assert not armed.hits_open_watch(status, WATCH)


def test_chance_is_repeatable() -> None:
    def hits(seed: int) -> list[bool]:
        armed = Faults(seed)
        armed.inject(Fault(kind="cut", probability=0.5))
        return [armed.take(GET)[1] is not None for _ in range(64)]

    assert hits(1) == hits(1)
    assert hits(1) != hits(2)
    assert 10 < sum(hits(1)) < 54


def test_a_status_reads_as_an_api_servers() -> None:
    status = json.loads(faults.status_body(429, 3))
    assert (status["kind"], status["status"], status["reason"]) == ("Status", "Failure", "TooManyRequests")
    assert status["details"] == {"retryAfterSeconds": 3}
    event = json.loads(faults.error_event())
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def logged(verb: str, resource: str, *, passed: bool = True) -> Logged:
    return Logged(
        verb=verb,
        resource=resource,
        namespace="",
        name="x",
        code=200,
        user_agent="",
        passed=passed,
        fault=None,
        path="",
    )


def test_the_log_counts_what_reached_the_api_server() -> None:
    log = RequestLog()
    for entry in (
        logged("list", "configmaps"),
        logged("apply", "configmaps"),
        logged("apply", "configmaps"),
        logged("apply", "secrets", passed=False),
        logged("watch", "configmaps"),
        logged("delete", "configmaps"),
    ):
        log.add(entry)
    assert [each.verb for each in log.writes()] == ["apply", "apply", "delete"]
    assert log.counts() == {
        ("list", "configmaps"): 1,
        ("apply", "configmaps"): 2,
        ("watch", "configmaps"): 1,
        ("delete", "configmaps"): 1,
    }
    assert len(log.where(verb="apply")) == 3
    assert len(log.where(verb="apply", resource="secrets", name="x")) == 1
    log.clear()
    assert len(log) == 0
