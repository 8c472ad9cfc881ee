"""Health with hysteresis, and the conditions that tell it without a write per probe."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import health
from federation.core.health import Health, Probe
from federation.model.conditions import ClusterReason
from federation.model.failures import Failure, FailureKind
from federation.model.settings import HealthCheck

CHECK = HealthCheck(failure_threshold=3, success_threshold=2)
DOWN = Probe(ClusterReason.NOT_REACHABLE, "cannot connect")
SICK = Probe(ClusterReason.NOT_READY, "500")
HANGS = Probe(ClusterReason.NOT_REACHABLE, "no answer within 3 s")
BROKEN = health.malformed('Secret "m1" has no key token')
T0 = 1_800_000_000.0
STAMP = "2027-01-15T08:00:00Z"


def _run(*probes: Probe, check: HealthCheck = CHECK, start: Health | None = None) -> Health:
    state = start if start is not None else Health()
    for number, probe in enumerate(probes):
        state = health.assess(state, probe, check, T0 + 10 * number)
    return state


@pytest.mark.parametrize(
    ("probes", "ready", "reason", "since"),
    [
        pytest.param([health.READY], True, "ClusterReady", 0, id="first-success-decides"),
        pytest.param([DOWN], False, "ClusterNotReachable", 0, id="first-failure-decides"),
        pytest.param([health.READY, DOWN, DOWN], True, "ClusterReady", 0, id="two-failures-are-not-three"),
        pytest.param([health.READY, DOWN, SICK, DOWN], False, "ClusterNotReachable", 30, id="three-of-any-kind"),
        pytest.param([health.READY, DOWN, DOWN, health.READY, DOWN, DOWN], True, "ClusterReady", 0, id="not-in-a-row"),
        pytest.param([DOWN, health.READY], False, "ClusterNotReachable", 0, id="one-success-is-not-two"),
        pytest.param([DOWN, health.READY, health.READY], True, "ClusterReady", 20, id="two-successes"),
        pytest.param([DOWN, health.READY, DOWN, health.READY], False, "ClusterNotReachable", 0, id="successes-reset"),
        pytest.param([health.READY, BROKEN], None, "ClusterConfigMalformed", 10, id="malformed-at-once"),
        pytest.param([BROKEN, BROKEN], None, "ClusterConfigMalformed", 0, id="malformed-stays"),
        pytest.param([health.READY, BROKEN, health.READY], True, "ClusterReady", 20, id="mended-at-once"),
        pytest.param([DOWN, SICK, SICK], False, "ClusterNotReachable", 0, id="another-reason-below-its-threshold"),
        pytest.param([DOWN, SICK, SICK, SICK], False, "ClusterNotReady", 0, id="the-reason-follows-while-down"),
    ],
)
def test_thresholds(probes: list[Probe], ready: bool | None, reason: str, since: float) -> None:
    state = _run(*probes)
    assert (state.ready, state.reason, state.since) == (ready, reason, T0 + since)


@pytest.mark.parametrize(
    ("probes", "ready", "reason"),
    [
        pytest.param([health.READY], True, "ClusterReady", id="first-success-decides"),
        pytest.param([DOWN, SICK], None, "ClusterNotReady", id="two-failures-decide-nothing"),
        pytest.param([DOWN, SICK, DOWN], False, "ClusterNotReachable", id="three-do"),
        pytest.param([DOWN, health.READY], True, "ClusterReady", id="one-success-is-enough"),
        pytest.param([DOWN, health.READY, DOWN, DOWN], True, "ClusterReady", id="failures-before-do-not-count"),
        pytest.param([BROKEN], None, "ClusterConfigMalformed", id="malformed-at-once"),
    ],
)
def test_a_cluster_that_was_ready_is_not_taken_down_at_once(
    probes: list[Probe], ready: bool | None, reason: str
) -> None:
    state = _run(*probes, start=Health(was_ready=True))
    assert (state.ready, state.reason) == (ready, reason)
    assert state.known is (ready is not None or probes == [BROKEN])


def test_what_is_below_its_threshold_is_pending_and_no_more() -> None:
    before = _run(health.READY)
    state = health.assess(before, DOWN, CHECK, T0 + 10)
    assert state.pending == "failed 1 of 3 times: cannot connect"
    assert health.conditions(state, health.conditions(before, [], T0), T0 + 10) == health.conditions(before, [], T0)
    assert health.assess(_run(DOWN), health.READY, CHECK, T0).pending == "answers again, 1 of 2 times"
    assert health.assess(state, health.READY, CHECK, T0 + 20).pending == ""


def test_numbers_in_messages_are_no_news() -> None:
    state = _run(
        Probe(ClusterReason.NOT_REACHABLE, "port 1234 refused"), Probe(ClusterReason.NOT_REACHABLE, "port 99 refused")
    )
    assert state.message == "port 1234 refused"
    assert _run(DOWN, *[Probe(ClusterReason.NOT_REACHABLE, "no route")] * 3).message == "no route"


def test_an_outage_that_shows_itself_in_turns_is_told_once() -> None:
    """A balancer before a dead member: refused, bad gateway, no answer, ... Each told would be a write per object."""
    told = _run(DOWN)
    for number in range(100):
        state = health.assess(told, (SICK, DOWN, SICK, HANGS)[number % 4], CHECK, T0 + number)
        assert (state.ready, state.reason, state.message) == (False, told.reason, told.message)
        told = state
    assert told.failures == 101


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (FailureKind.UNREACHABLE, ClusterReason.NOT_REACHABLE),
        (FailureKind.TIMED_OUT, ClusterReason.NOT_REACHABLE),
        (FailureKind.UNTRUSTED, ClusterReason.NOT_REACHABLE),
        (FailureKind.RIGHT_MISSING, ClusterReason.NOT_READY),
        (FailureKind.UNAVAILABLE, ClusterReason.NOT_READY),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_reasons_of_failed_probes(kind: FailureKind, reason: ClusterReason) -> None:
    assert health.failed(Failure(kind, "why")) == Probe(reason, "why")


def test_refused_credentials_are_called_so() -> None:
    probe = health.failed(Failure(FailureKind.UNAUTHORIZED, "Unauthorized"))
    told = "its API server refuses the stored credentials (401): Unauthorized"
    assert probe == Probe(ClusterReason.NOT_READY, told)


PROBES = st.lists(st.sampled_from([health.READY, DOWN, SICK, BROKEN]), min_size=1, max_size=30)


@given(PROBES, st.integers(1, 4), st.integers(1, 4))
def test_a_change_needs_its_threshold_in_a_row(probes: list[Probe], down: int, up: int) -> None:
    check = HealthCheck(failure_threshold=down, success_threshold=up)
    state = Health()
    for number, probe in enumerate(probes):
        before, state = state, health.assess(state, probe, check, T0 + number)
        if before.ready is True and state.ready is False:
            assert number + 1 >= down
            assert not any(each.ok for each in probes[number + 1 - down : number + 1])
        if before.ready is False and state.ready is True:
            assert all(each.ok for each in probes[number + 1 - up : number + 1])
        assert (state.since == before.since) or state.ready is not before.ready or state.reason != before.reason


@given(st.integers(2, 4))
def test_flapping_every_other_probe_moves_nothing(failures: int) -> None:
    check = HealthCheck(failure_threshold=failures, success_threshold=1)
    start = _run(health.READY)
    state = start
    for number in range(20):
        state = health.assess(state, (DOWN, health.READY)[number % 2], check, T0 + number)
        assert state.ready is True
        assert state.since == start.since


def _condition(type: str, status: str, reason: str, message: str, *, probed: str = STAMP, moved: str = STAMP) -> Any:  # noqa: A002
    return {
        "type": type,
        "status": status,
        "lastProbeTime": probed,
        "lastTransitionTime": moved,
        "reason": reason,
        "message": message,
    }


ONLINE = _condition("Offline", "False", "ClusterReachable", "cluster is reachable")
OFFLINE = _condition("Offline", "True", "ClusterNotReachable", "cluster is not reachable")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(
            _run(health.READY), [_condition("Ready", "True", "ClusterReady", health.READY.message), ONLINE], id="ready"
        ),
        pytest.param(_run(SICK), [_condition("Ready", "False", "ClusterNotReady", "500"), ONLINE], id="not-ready"),
        pytest.param(
            _run(DOWN), [_condition("Ready", "False", "ClusterNotReachable", "cannot connect"), OFFLINE], id="offline"
        ),
        pytest.param(
            _run(BROKEN),
            [
                _condition("Ready", "Unknown", "ClusterConfigMalformed", BROKEN.message),
                _condition("ConfigMalformed", "True", "ClusterConfigMalformed", BROKEN.message),
            ],
            id="malformed",
        ),
        pytest.param(Health(), [_condition("Ready", "Unknown", "ClusterNotReady", "not probed yet")], id="not-probed"),
    ],
)
def test_conditions(state: Health, expected: list[dict[str, Any]]) -> None:
    assert health.conditions(state, [], T0) == expected


def test_conditions_rest_until_something_changes_or_five_minutes_pass() -> None:
    first = health.conditions(_run(health.READY), [], T0)
    assert health.conditions(_run(health.READY, health.READY), first, T0 + 299) == first
    assert health.conditions(_run(health.READY), first, T0 + 999, lasts=health.probe_time_lasts(1000)) == first
    assert health.conditions(_run(health.READY), first, T0 + 1000, lasts=health.probe_time_lasts(1000)) != first
    assert health.probe_time_lasts(2) == 300
    later = health.conditions(_run(health.READY), first, T0 + 300)
    assert [each["lastProbeTime"] for each in later] == ["2027-01-15T08:05:00Z"] * 2
    assert [each["lastTransitionTime"] for each in later] == [STAMP] * 2


def test_a_transition_moves_only_what_changed_status() -> None:
    first = health.conditions(_run(health.READY), [], T0)
    second = health.conditions(_run(SICK), first, T0 + 60)
    moved = {each["type"]: (each["lastTransitionTime"], each["lastProbeTime"]) for each in second}
    assert moved == {"Ready": ("2027-01-15T08:01:00Z",) * 2, "Offline": (STAMP, "2027-01-15T08:01:00Z")}
    third = health.conditions(_run(BROKEN), second, T0 + 120)
    assert [each["type"] for each in third] == ["Ready", "ConfigMalformed"]


@pytest.mark.parametrize("other", [{"type": "Paused", "status": "True"}, {"status": "True"}, {}, {"type": ["Ready"]}])
def test_conditions_of_others_are_kept(other: dict[str, Any]) -> None:
    """Also such as no schema of ours lets in: the CRD may be KubeFed's."""
    first = health.conditions(_run(health.READY), [other], T0)
    assert first[0] == other
    assert health.conditions(_run(health.READY), first, T0 + 1) == first


@pytest.mark.parametrize("stamp", ["yesterday", None, "2099-01-01T00:00:00Z"], ids=["garbage", "absent", "future"])
def test_a_probe_time_that_cannot_be_is_written_anew(stamp: str | None) -> None:
    first = health.conditions(_run(health.READY), [], T0)
    broken = [{**each, "lastProbeTime": stamp} for each in first]
    assert health.conditions(_run(health.READY), broken, T0) == first
