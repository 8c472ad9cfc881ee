"""JSON patch operations: RFC 6902's cases, our sentences, and an oracle that copies everything and knows no sharing."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import overrides
from federation.model.errors import Invalid
from federation.model.federated import Operation

BODY = {"a": {"b": [1, 2, {"c": 3}]}, "d": None, "": {"~/": "odd"}}


@pytest.mark.parametrize(
    ("body", "operation", "expected"),
    [
        pytest.param({"a": 1}, Operation("add", "/b", 2), {"a": 1, "b": 2}, id="add-member"),
        pytest.param({"a": 1}, Operation("add", "/a", 2), {"a": 2}, id="add-replaces-a-member"),
        pytest.param({"a": [1, 3]}, Operation("add", "/a/1", 2), {"a": [1, 2, 3]}, id="add-inserts"),
        pytest.param({"a": [1]}, Operation("add", "/a/1", 2), {"a": [1, 2]}, id="add-at-the-end"),
        pytest.param({"a": [1]}, Operation("add", "/a/-", 2), {"a": [1, 2]}, id="add-past-the-end"),
        pytest.param({"a": []}, Operation("add", "/a/0", 2), {"a": [2]}, id="add-to-an-empty-list"),
        pytest.param({"a": {}}, Operation("add", "/a/-", 2), {"a": {"-": 2}}, id="dash-is-a-name-in-a-map"),
        pytest.param({"a": {}}, Operation("add", "/a/0", 2), {"a": {"0": 2}}, id="digit-is-a-name-in-a-map"),
        pytest.param({"a": 1}, Operation("replace", "/a", [2]), {"a": [2]}, id="replace-member"),
        pytest.param({"a": None}, Operation("replace", "/a", 2), {"a": 2}, id="replace-null"),
        pytest.param({"a": [1, 2]}, Operation("replace", "/a/1", 3), {"a": [1, 3]}, id="replace-item"),
        pytest.param({"a": 1}, Operation("replace", "/a"), {"a": None}, id="replace-by-null"),
        pytest.param({"a": 1, "b": 2}, Operation("remove", "/a"), {"b": 2}, id="remove-member"),
        pytest.param({"a": [1, 2, 3]}, Operation("remove", "/a/1"), {"a": [1, 3]}, id="remove-item"),
        pytest.param({"x/y": {"m~n": 1}}, Operation("remove", "/x~1y/m~0n"), {"x/y": {}}, id="escapes"),
        pytest.param({"~1": 1}, Operation("replace", "/~01", 2), {"~1": 2}, id="escapes-in-order"),
        pytest.param(
            {"a": [{"b": [0, {"c": 1}]}]},
            Operation("replace", "/a/0/b/1/c", 2),
            {"a": [{"b": [0, {"c": 2}]}]},
            id="deep",
        ),
    ],
)
def test_operations(body: dict[str, Any], operation: Operation, expected: dict[str, Any]) -> None:
    assert overrides.apply(body, [operation]) == expected


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        pytest.param(
            Operation("remove", "/a/x"), 'cannot remove "/a/x": /a has no member "x"', id="remove-missing-member"
        ),
        pytest.param(
            Operation("replace", "/x"),
            'cannot replace "/x": the object has no member "x"; use op add to create it',
            id="replace-missing-member",
        ),
        pytest.param(
            Operation("add", "/x/y", 1), 'cannot add "/x/y": the object has no member "x"', id="add-missing-parent"
        ),
        pytest.param(
            Operation("remove", "/a/b/3"),
            'cannot remove "/a/b/3": /a/b has 3 items: index 3 is out of range',
            id="remove-out-of-range",
        ),
        pytest.param(
            Operation("add", "/a/b/4", 1),
            'cannot add "/a/b/4": /a/b has 3 items: index 4 is out of range',
            id="add-out-of-range",
        ),
        pytest.param(
            Operation("replace", "/a/b/-", 1),
            'cannot replace "/a/b/-": /a/b is a list and - means past its end: only the last part of an add may say so',
            id="dash-only-for-add",
        ),
        pytest.param(
            Operation("add", "/a/b/-/c", 1),
            'cannot add "/a/b/-/c": /a/b is a list and - means past its end: only the last part of an add may say so',
            id="dash-only-last",
        ),
        pytest.param(
            Operation("replace", "/a/b/01", 1),
            'cannot replace "/a/b/01": /a/b is a list and leading zeros are not allowed in an index: "01"',
            id="leading-zero",
        ),
        pytest.param(
            Operation("replace", "/a/b/-1", 1),
            'cannot replace "/a/b/-1": /a/b is a list and this is not an index: "-1"',
            id="negative",
        ),
        pytest.param(
            Operation("replace", "/a/b/c", 1),
            'cannot replace "/a/b/c": /a/b is a list and this is not an index: "c"',
            id="a-name-in-a-list",
        ),
        pytest.param(
            Operation("replace", "/a/b/9999999999999", 1),
            'cannot replace "/a/b/9999999999999": /a/b is a list and this is not an index: "9999999999999"',
            id="absurd-index",
        ),
        pytest.param(
            Operation("add", "/a/b/0/c", 1),
            'cannot add "/a/b/0/c": /a/b/0 is a number, not a map or a list',
            id="under-a-number",
        ),
        pytest.param(
            Operation("remove", "/d/x"), 'cannot remove "/d/x": /d is null, not a map or a list', id="under-null"
        ),
    ],
)
def test_what_does_not_fit_is_named(operation: Operation, message: str) -> None:
    harmless = Operation("add", "/new", 1)
    with pytest.raises(Invalid) as caught:
        overrides.apply(copy.deepcopy(BODY), [harmless, operation])
    assert (caught.value.field, caught.value.message) == ("clusterOverrides[1].path", message)


def test_untouched_subtrees_are_shared_and_touched_ones_are_not() -> None:
    body: dict[str, Any] = {"touched": {"deep": {"x": 1}, "side": {}}, "untouched": {"y": [1]}}
    result = overrides.apply(body, [Operation("replace", "/touched/deep/x", 2)])
    assert result["untouched"] is body["untouched"]
    assert result["touched"]["side"] is body["touched"]["side"]
    assert result["touched"] is not body["touched"]
    assert body["touched"]["deep"] == {"x": 1}


def test_a_value_that_a_later_operation_changes_stays_the_users() -> None:
    value: dict[str, Any] = {"list": []}
    operations = [Operation("add", "/a", value), Operation("add", "/a/list/-", 1), Operation("add", "/b", value)]
    assert overrides.apply({}, operations) == {"a": {"list": [1]}, "b": {"list": []}}
    assert value == {"list": []}


def test_no_operations_give_the_body_itself() -> None:
    body = {"a": 1}
    assert overrides.apply(body, ()) is body


NAMES = st.sampled_from(["a", "b", "0", "1", "-", "x/y", "m~n", "~1"])
VALUES = st.recursive(
    st.none() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(
    lambda names: "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
)
OPERATIONS = st.lists(
    st.builds(Operation, st.sampled_from(["add", "remove", "replace"]), PATHS, VALUES), min_size=1, max_size=4
)


class _Refused(Exception):
    pass


def _oracle(body: Any, operations: list[Operation]) -> Any:
    """RFC 6902 by recursion on deep copies: rebuild the node that the first token names from the node below it."""
    for operation in operations:
        names = [part.replace("~1", "/").replace("~0", "~") for part in operation.path[1:].split("/")]
        body = _rebuilt(copy.deepcopy(body), names, operation.op, copy.deepcopy(operation.value))
    return body


def _rebuilt(node: Any, names: list[str], op: str, value: Any) -> Any:
    name, rest = names[0], names[1:]
    if isinstance(node, dict):
        if rest:
            if name not in node:
                raise _Refused
            return {**node, name: _rebuilt(node[name], rest, op, value)}
        if op != "add" and name not in node:
            raise _Refused
        others = {key: item for key, item in node.items() if key != name}
        return others if op == "remove" else {**others, name: value}
    if not isinstance(node, list):
        raise _Refused
    if name == "-" and op == "add" and not rest:
        return [*node, value]
    if name not in [str(index) for index in range(len(node) + (op == "add" and not rest))]:
        raise _Refused
    index = int(name)
    if rest:
        return [*node[:index], _rebuilt(node[index], rest, op, value), *node[index + 1 :]]
    if op == "add":
        return [*node[:index], value, *node[index:]]
    return [*node[:index], *([value] if op == "replace" else []), *node[index + 1 :]]


@given(st.dictionaries(NAMES, VALUES, max_size=4), OPERATIONS)
def test_it_agrees_with_the_oracle_and_changes_no_input(body: dict[str, Any], operations: list[Operation]) -> None:
    before = copy.deepcopy((body, operations))
    try:
        expected: Any = _oracle(body, operations)
    except _Refused:
        expected = _Refused
    try:
        result: Any = overrides.apply(body, operations)
    except Invalid:
        result = _Refused
    assert result == expected
    assert (body, operations) == before
