"""What cannot be read is there: nothing is pushed, nothing is deleted, nothing is let go, and everybody is told why."""

from typing import Any

import msgspec
import orjson
import pytest

from federation.core import claims, manifest, parsing, planning
from federation.model import bounds, marks
from federation.model.conditions import PropagationStatus, Reason
from federation.model.errors import Invalid
from federation.model.federated import BrokenMetadata, FederatedObject, Operation, Spec
from federation.model.observations import Observed
from federation.model.plan import Apply, Delete, Plan, Refuse, Release, Wait
from federation.model.resources import ObjectName
from tests.unit.core.test_planning import APPLIED, CONFIGMAPS, OURS, facts, federated

WHY = "it nests deeper than 100 levels: spec.overrides[0]…"
UNREAD = msgspec.structs.replace(OURS, broken="Expected `str`, got `int`")


def broken(item: FederatedObject) -> FederatedObject:
    return FederatedObject(BrokenMetadata(**msgspec.structs.asdict(item.metadata), why=WHY), item.spec, item.status)


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def test_an_object_that_cannot_be_read_says_so_and_keeps_what_it_has() -> None:
    plan = planning.plan(facts(broken(federated()), observed=OURS, applied=APPLIED))
    assert (plan.reason, plan.message, plan.finalizer) == (Reason.INVALID, WHY, None)
    assert plan.actions == {"m1": Wait(PropagationStatus.COMPUTE_RESOURCE_FAILED, WHY)}
    assert planning.plan(facts(broken(federated()))).actions == {}


def test_it_can_be_deleted() -> None:
    plan = planning.plan(facts(broken(federated(deleting=True)), observed=OURS, applied=APPLIED))
    assert plan.actions == {"m1": Delete("u1")}
    assert planning.plan(facts(broken(federated(deleting=True)))).finalizer is False
    orphan = broken(federated(deleting=True, annotations={marks.ORPHAN_ANNOTATION: "true"}))
    assert planning.plan(facts(orphan, observed=OURS)).actions == {"m1": Release("u1")}


def test_a_copy_that_cannot_be_read_is_left_alone_and_told() -> None:
    plan = planning.plan(facts(observed=UNREAD, applied=APPLIED))
    action = plan.actions["m1"]
    assert isinstance(action, Wait)
    assert action.status is PropagationStatus.RETRIEVAL_FAILED
    assert UNREAD.broken in action.message


@pytest.mark.parametrize("deleting", [True, False])
@pytest.mark.parametrize(
    ("observed", "remembered", "waits"),
    [
        pytest.param(UNREAD, {"applied": APPLIED}, True, id="we-have-applied-it"),
        pytest.param(
            msgspec.structs.replace(UNREAD, managed=False), {"applied": APPLIED}, True, id="its-label-is-unreadable"
        ),
        pytest.param(UNREAD, {"unconfirmed": frozenset({"m1"})}, True, id="a-create-without-an-answer"),
        pytest.param(UNREAD, {}, True, id="it-has-our-label"),
        pytest.param(msgspec.structs.replace(UNREAD, managed=False), {}, False, id="nothing-speaks-for-it"),
    ],
)
def test_a_copy_that_cannot_be_read_is_never_concluded_to_be_gone(
    observed: Observed, remembered: dict[str, Any], waits: bool, deleting: bool
) -> None:
    plan: Plan = planning.plan(facts(federated(clusters=[], deleting=deleting), observed=observed, **remembered))
    action = plan.actions.get("m1")
    if waits:
        assert isinstance(action, Wait)
        assert action.status is PropagationStatus.WAITING_FOR_REMOVAL
        assert plan.finalizer is None
    else:
        assert action is None
    assert not claims.conclusive(observed)


@pytest.mark.parametrize("depth", [96, 97, 98, 150, 253, 254, 255, 600, 990, 1_020, 1_030, 20_000])
def test_a_spec_is_read_to_a_hundred_levels_and_no_deeper(depth: int) -> None:
    """spec is level 2 of its object, its template 3, data 4: what a value adds is `depth`. Nothing ever recurses."""
    raw = b'{"template":{"data":' + b"[" * depth + b"]" * depth + b'},"placement":{"clusters":[{"name":"m1"}]}}'
    item = FederatedObject(federated().metadata, msgspec.Raw(raw))
    plan = planning.plan(facts(item))
    if depth + 3 <= bounds.DEEPEST:
        assert isinstance(plan.actions["m1"], Apply)
        return
    assert plan.reason is Reason.INVALID
    assert "deeper than 100 levels" in plan.message
    assert plan.actions == {}
    going = msgspec.structs.replace(item, metadata=federated(deleting=True).metadata)
    assert planning.plan(facts(going)).finalizer is False


def test_overrides_build_nothing_deeper_than_a_spec_may_be() -> None:
    """One value of 90 levels below another, again and again, each in the depths that the one before has made."""
    operations = []
    path = "/data"
    for _ in range(12):
        operations.append(Operation("replace", path, nested(90)))
        path += "/0" * 90
    base = manifest.base(Spec(template={"data": "x"}), CONFIGMAPS, ObjectName("ns", "web"), host_namespace=None)
    orjson.dumps(manifest.finish(base, operations[:1]))
    with pytest.raises(Invalid, match="nests deeper than 100 levels") as refused:
        manifest.finish(base, operations)
    assert refused.value.field.startswith("clusterOverrides: data[0]")
    spec = {"clusterName": "m1", "clusterOverrides": [{"path": each.path, "value": each.value} for each in operations]}
    action = planning.plan(facts(federated({"data": "x"}, overrides=[spec]))).actions["m1"]
    assert isinstance(action, Refuse)
    assert action.status is PropagationStatus.APPLY_OVERRIDES_FAILED


@pytest.mark.parametrize("text", ["1e400", "9" * 5_000, "NaN", "-Infinity", '"\\ud800"', "\xff"])
def test_numbers_and_texts_that_are_none_are_refused_in_words(text: str) -> None:
    raw = b'{"template":{"data":{"a":' + text.encode("latin-1") + b'}},"placement":{}}'
    with pytest.raises(Invalid) as refused:
        parsing.spec(raw)
    assert refused.value.field == "spec"


def test_names_may_be_of_any_length_and_none() -> None:
    long = "k" * (1 << 20)
    body = {"template": {"": {"": ""}, long: {long: 1}}, "placement": {"clusters": [{"name": "m1"}]}}
    item = FederatedObject(federated().metadata, msgspec.Raw(orjson.dumps(body)))
    assert isinstance(planning.plan(facts(item)).actions["m1"], Apply)
