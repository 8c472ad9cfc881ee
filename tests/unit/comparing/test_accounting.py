"""What figures follow from two readings."""

from collections import Counter

import pytest

from federation.comparing import accounting, etcd, profiling
from federation.comparing.accounting import Phase, Reading, Rest
from federation.comparing.meter import Counters

NOTHING = Counters(Counter(), 0, 0)


def reading(at: float, cpu: float = 0.0, hub: Counters = NOTHING, members: Counters = NOTHING) -> Reading:
    return Reading(at, cpu, cpu / 2, cpu / 4, cpu / 8, hub, members)


def counters(sent: int = 0, **made: int) -> Counters:
    return Counters(Counter({name.replace("_", " "): count for name, count in made.items()}), sent, 0)


def test_costs_are_per_object_and_placement_without_what_rest_costs() -> None:
    hub = counters(5000, POST_federatedconfigmaps=20, PATCH_works=10, GET_works=30)
    members = counters(PATCH_configmaps=40, POST_selfsubjectaccessreviews=40)
    phase = Phase(reading(100.0), reading(110.0, 2.0, hub, members), objects=20, clusters=2, done=4.0, agents=True)
    found = accounting.costs(phase, Rest(hub=0.1, controller=0.05, members=0.025, agents=0.0125, hub_requests=2.0))
    assert found["hub_cpu"] == pytest.approx((2.0 - 1.0) * 1e3 / 20)
    assert found["controller_cpu"] == pytest.approx((1.0 - 0.5) * 1e3 / 20)
    assert found["members_cpu"] == pytest.approx((0.5 - 0.25) * 1e3 / 40)
    assert found["agents_cpu"] == pytest.approx((0.25 - 0.125) * 1e3 / 40)
    assert found["hub_writes"] == pytest.approx((20 + 10) / 20 - 1)
    assert found["hub_requests"] == pytest.approx((60 - 20) / 20)
    assert found["member_writes"] == 1.0  # a question is no write
    assert found["hub_bytes"] == 250
    assert (found["done"], found["rate"]) == (4.0, 5.0)
    assert found["core_full"] == pytest.approx(1e3 / 75)
    assert found["controller_share"] == pytest.approx(100 / 3)


def test_push_has_no_agents_and_less_than_rest_is_nothing() -> None:
    phase = Phase(reading(0.0), reading(10.0, 0.5), objects=1, clusters=1, done=1.0)
    found = accounting.costs(phase, Rest(hub=0.1, controller=0.1))
    assert found["hub_cpu"] == found["controller_cpu"] == 0
    assert not {"agents_cpu", "core_full", "controller_share"} & found.keys()


def test_requests_that_are_of_no_resource_do_not_count() -> None:
    before = Counters(Counter({"LIST configmaps": 1}), 0, 0)
    after = Counters(Counter({"LIST configmaps": 4, "GET /metrics": 2, "GET ": 3}), 0, 0)
    assert accounting.asked(before, after) == {"LIST configmaps": 3}


def test_counters_add_up() -> None:
    one = Counters(Counter(a=1), 10, 2)
    assert one + Counters(Counter(a=2, b=1), 5, 1) == Counters(Counter(a=3, b=1), 15, 3)


@pytest.mark.parametrize(
    ("key", "is_a_write"),
    [
        ("/playground/host/configmaps/shop/one", True),
        ("/playground/host/leases/kube-system/apiserver", False),
        ("/playground/m1/events/shop/one", False),
        ("/playground/m1/peerserverleases/apiserver-wlv32", False),
        ("/playground/host/types.kubefed.io/federatedconfigmaps/shop/one", True),
    ],
)
def test_what_servers_renew_by_themselves_is_no_write(key: str, is_a_write: bool) -> None:
    assert etcd.counts(key) is is_a_write


def test_a_profile_gives_each_stack_to_the_innermost_package_of_ours() -> None:
    stacks = "\n".join(
        (
            "main (federation/app.py:1);run (asyncio/x.py:7);send (federation/kube/pool.py:3);write (ssl.py:4) 60",
            "main (federation/app.py:1);plan (/x/site-packages/federation/core/planning.py:3) 30",
            "run (asyncio/base_events.py:7);select (selectors.py:1) 9",
            "main (federation/app.py:1) 1",
        )
    )
    assert profiling.shares(stacks) == {
        "federation.kube": 60.0,
        "federation.core": 30.0,
        "event loop and libraries": 9.0,
        "others": 1.0,
    }
