"""A process's CPU time, divided among its memberships."""

from dataclasses import dataclass

import pytest
from prometheus_client import REGISTRY

from federation.agent import shares
from federation.agent.shares import Shares


@dataclass
class Membership:
    cluster: str
    requests: int = 0


def charged(cluster: str) -> float:
    return REGISTRY.get_sample_value("federation_agent_cpu_seconds_total", {"cluster": cluster}) or 0.0


def test_each_pays_for_its_requests_and_all_for_what_none_has_caused() -> None:
    assert shares.divided(3.0, {"a": 20, "b": 10}) == {"a": 2.0, "b": 1.0}
    assert shares.divided(3.0, {"a": 0, "b": 0}) == {"a": 1.5, "b": 1.5}
    assert shares.divided(3.0, {"a": 5, "b": 0}) == {"a": 3.0, "b": 0.0}
    assert shares.divided(3.0, {}) == {}


def test_nothing_is_charged_twice_and_nothing_is_lost() -> None:
    east, west = Membership("shares-east"), Membership("shares-west")
    known: list[Membership] = []
    made = Shares(known)
    made.charge(1.0)  # nobody yet: whoever comes first pays for the start
    known.append(east)
    east.requests = 4
    made.charge(2.0)
    assert charged("shares-east") == pytest.approx(2.0)
    known.append(west)
    east.requests, west.requests = 5, 3
    made.charge(4.0)
    assert charged("shares-east") == pytest.approx(2.5)
    assert charged("shares-west") == pytest.approx(1.5)
    made.charge(5.0)
    assert charged("shares-east") + charged("shares-west") == pytest.approx(5.0)
