"""Selectors and placement: which clusters an object is for."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import placement, selectors
from federation.model.errors import Invalid
from federation.model.federated import Placement
from federation.model.observations import Cluster


def _expression(operator: str, *values: str, key: str = "tier") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        pytest.param({}, {}, True, id="empty-selects-all"),
        pytest.param({"matchLabels": None}, {"a": "b"}, True, id="null-labels"),
        pytest.param({"matchLabels": {"a": "b"}}, {"a": "b", "c": "d"}, True, id="label-equal"),
        pytest.param({"matchLabels": {"a": "b"}}, {"a": "c"}, False, id="label-differs"),
        pytest.param({"matchLabels": {"a": "", "c": "d"}}, {"c": "d"}, False, id="empty-value-is-not-absence"),
        pytest.param(_expression("In", "x", "y"), {"tier": "y"}, True, id="in"),
        pytest.param(_expression("In", "x"), {}, False, id="in-absent"),
        pytest.param(_expression("NotIn", "x"), {"tier": "x"}, False, id="not-in"),
        pytest.param(_expression("NotIn", "x"), {}, True, id="not-in-matches-absent"),
        pytest.param(_expression("Exists"), {"tier": ""}, True, id="exists"),
        pytest.param(_expression("Exists"), {}, False, id="exists-absent"),
        pytest.param(_expression("DoesNotExist"), {}, True, id="does-not-exist"),
        pytest.param(_expression("DoesNotExist"), {"tier": "x"}, False, id="does-not-exist-present"),
        pytest.param({"matchLabels": {"a": "b"}, **_expression("Exists")}, {"a": "b"}, False, id="all-must-hold"),
    ],
)
def test_selectors_match_as_kubernetes_says(selector: dict[str, Any], labels: dict[str, str], expected: bool) -> None:
    selectors.check(selector)
    assert selectors.matches(selector, labels) is expected


@pytest.mark.parametrize(
    ("selector", "field"),
    [
        pytest.param([], "s", id="a-list"),
        pytest.param({"matchNames": {}}, "s.matchNames", id="unknown-member"),
        pytest.param({"matchLabels": []}, "s.matchLabels", id="labels-a-list"),
        pytest.param({"matchLabels": {"a": 1}}, "s.matchLabels[a]", id="value-a-number"),
        pytest.param({"matchLabels": {"a": "not valid"}}, "s.matchLabels[a]", id="value-with-a-space"),
        pytest.param({"matchLabels": {"a": "x" * 64}}, "s.matchLabels[a]", id="value-too-long"),
        pytest.param({"matchLabels": {"-a": "b"}}, "s.matchLabels", id="key"),
        pytest.param({"matchLabels": {"UP.case/a": "b"}}, "s.matchLabels", id="key-prefix"),
        pytest.param({"matchLabels": {"/a": "b"}}, "s.matchLabels", id="key-empty-prefix"),
        pytest.param({"matchExpressions": {}}, "s.matchExpressions", id="expressions-a-map"),
        pytest.param({"matchExpressions": ["x"]}, "s.matchExpressions[0]", id="expression-a-string"),
        pytest.param(_expression("Exists", key=""), "s.matchExpressions[0].key", id="no-key"),
        pytest.param(_expression("exists"), "s.matchExpressions[0].operator", id="operator"),
        pytest.param(_expression("In"), "s.matchExpressions[0].values", id="in-nothing"),
        pytest.param(_expression("Exists", "x"), "s.matchExpressions[0].values", id="exists-with-values"),
        pytest.param(_expression("In", "a", "b c"), "s.matchExpressions[0].values[1]", id="bad-value"),
    ],
)
def test_a_wrong_selector_is_refused_by_field(selector: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        selectors.check(selector, "s")
    assert caught.value.field == field


LABELS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["", "x", "y"]), max_size=3)


@given(LABELS, st.sampled_from(["a", "b"]), st.lists(st.sampled_from(["x", "y"]), min_size=1, max_size=2))
def test_in_and_not_in_are_opposites(labels: dict[str, str], key: str, values: list[str]) -> None:
    within = selectors.matches(_expression("In", *values, key=key), labels)
    assert within is not selectors.matches(_expression("NotIn", *values, key=key), labels)


@given(LABELS, LABELS)
def test_match_labels_is_containment(wanted: dict[str, str], labels: dict[str, str]) -> None:
    assert selectors.matches({"matchLabels": wanted}, labels) is (wanted.items() <= labels.items())


FLEET = {
    "m1": Cluster("m1", {"tier": "edge"}, ready=True),
    "m2": Cluster("m2", {"tier": "core"}, ready=False),
    "m3": Cluster("m3", {}, ready=True),
}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param(Placement(), set(), id="both-absent-selects-none"),
        pytest.param(Placement(clusters=()), set(), id="empty-names-select-none"),
        pytest.param(Placement(clusters=(), selector={}), set(), id="names-win-even-when-empty"),
        pytest.param(Placement(selector={}), {"m1", "m2", "m3"}, id="empty-selector-selects-all"),
        pytest.param(Placement(("m3", "m1", "m3")), {"m1", "m3"}, id="by-name"),
        pytest.param(Placement(("m1", "gone")), {"m1"}, id="only-joined-clusters"),
        pytest.param(Placement(("m2",)), {"m2"}, id="a-cluster-that-is-down-stays-selected"),
        pytest.param(Placement(selector={"matchLabels": {"tier": "core"}}), {"m2"}, id="by-label"),
        pytest.param(Placement(("m1",), {"matchLabels": {"tier": "core"}}), {"m1"}, id="names-win"),
    ],
)
def test_selecting(wanted: Placement, expected: set[str]) -> None:
    assert placement.select(wanted, FLEET) == expected


def test_names_that_nobody_has_are_told() -> None:
    assert placement.unknown(Placement(("m9", "m1", "m4")), FLEET) == ("m4", "m9")
    assert placement.unknown(Placement(selector={}), FLEET) == ()


@given(st.permutations(list(FLEET)), st.lists(st.sampled_from(["m1", "m2", "m3", "m4"]), max_size=4))
def test_order_does_not_matter(order: list[str], names: list[str]) -> None:
    wanted, fleet = Placement(tuple(names)), {name: FLEET[name] for name in order}
    assert placement.select(wanted, fleet) == placement.select(Placement(tuple(reversed(names))), FLEET)
    assert placement.select(wanted, fleet) | set(placement.unknown(wanted, fleet)) == set(names)


# --- one fleet, many objects ------------------------------------------------------------------------------------------


def test_the_labels_of_a_fleet_are_gone_through_once_for_a_selector(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    matcher = selectors.matcher

    def counted(selector: Mapping[str, Any]) -> Any:
        asked.append(selector)
        return matcher(selector)

    monkeypatch.setattr(selectors, "matcher", counted)
    fleet = {"a": Cluster("a", {"tier": "edge"}), "b": Cluster("b")}
    known = placement.Selections(fleet)
    edge = Placement(selector={"matchLabels": {"tier": "edge"}})
    assert {known.of(edge) for _ in range(3)} == {frozenset({"a"})}
    assert known.of(Placement(selector={})) == {"a", "b"}
    assert len(asked) == 2


@pytest.mark.parametrize(
    "wanted",
    [
        Placement(),
        Placement(clusters=()),
        Placement(clusters=("a", "gone")),
        Placement(clusters=("b",), selector={}),
        Placement(selector={}),
        Placement(selector={"matchExpressions": [{"key": "tier", "operator": "Exists"}]}),
    ],
)
def test_what_is_remembered_of_a_fleet_is_what_is_selected_there(wanted: Placement) -> None:
    fleet = {"a": Cluster("a", {"tier": "edge"}), "b": Cluster("b")}
    known = placement.Selections(fleet)
    assert known.of(wanted) == known.of(wanted) == placement.select(wanted, fleet)


def test_many_selectors_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "REMEMBERED", 3)
    known = placement.Selections({"a": Cluster("a", {"n": "7"})})
    for number in range(10):
        selected = known.of(Placement(selector={"matchLabels": {"n": str(number)}}))
        assert selected == ({"a"} if number == 7 else set())
        assert len(known._found) <= 3
