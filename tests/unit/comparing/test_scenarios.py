"""What scenarios make of what they saw: pure parts."""

import msgspec
import pytest

from federation.comparing.model import Settings, Step
from federation.comparing.person import Side, Typed
from federation.comparing.scenarios import SCENARIOS, bend, growth, joining, twins

FULL = Settings(scale="full", scenarios=(), subjects=("push", "pull"), rounds=3, seed=1)
TYPED = [
    Typed(Side.HUB, "fedctl token create --context=host"),
    Typed(Side.MEMBER, "fedctl register --hub x --token ...", ("token that may ask, to c1",)),
    Typed(Side.HUB, "fedctl accept c1 --context=host"),
]


def test_who_types_must_be_allowed_something_on_the_side_of_each_command() -> None:
    found = [(each.side, each.who) for each in joining.rights(TYPED + TYPED)]
    assert found == [
        ("host", "whoever types fedctl token"),
        ("member", "whoever types fedctl register"),
        ("host", "whoever types fedctl accept"),
    ]
    both = joining.rights([Typed(Side.BOTH, "fedctl join c1")])
    assert [each.side for each in both] == ["host", "member"]


def test_the_commands_of_one_cluster_are_told_and_what_they_carry() -> None:
    step = Step(scenario="joining", subject="pull", round=1, at={"clusters": 2})
    told = joining.commands(step, TYPED + TYPED)
    assert [each.facts["command"] for each in told] == [each.command for each in TYPED]
    assert [each.facts["carries"] for each in told] == ["", "token that may ask, to c1", ""]


def test_a_fleet_grows_and_does_not_shrink() -> None:
    kinds = [(step.at["kind"], step.at["members"]) for step in growth.Growth().steps(FULL)]
    assert kinds == sorted(kinds, key=lambda each: (each[0] != "real", int(each[1])))


def test_members_cut_growth_short() -> None:
    few = msgspec.structs.replace(FULL, members=5)
    assert {int(step.at["members"]) for step in growth.Growth().steps(few)} == {1, 2, 5}


@pytest.mark.parametrize(
    ("members", "sizes"),
    [(None, {10, 30, 100, 300}), (30, {10, 30}), (40, {10, 30, 40}), (1000, {10, 30, 100, 300, 1000})],
)
def test_members_are_the_last_size_of_bend(members: int | None, sizes: set[int]) -> None:
    steps = bend.Bend().steps(msgspec.structs.replace(FULL, members=members))
    assert {int(step.at["members"]) for step in steps} == sizes


def test_what_is_new_in_etcd_is_what_an_application_costs() -> None:
    assert twins.new({"a": 10, "b": 5}, {"a": 12, "b": 5, "c": 7}) == {"c": 7}


def test_quick_is_smaller_than_full() -> None:
    quick = msgspec.structs.replace(FULL, scale="quick", rounds=2)
    for scenario in SCENARIOS.values():
        seconds = [sum(scenario.estimate(each, step) for step in scenario.steps(each)) for each in (quick, FULL)]
        assert seconds[0] < seconds[1] or scenario.name == "credentials"
