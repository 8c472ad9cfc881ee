"""An object's values by sets of FieldsV1 paths: the walks that tell what nobody owns and what differs."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import drops, fieldvalues
from federation.core.fieldsets import Fields

POD: dict[str, Any] = {
    "replicas": 1,
    "containers": [
        {"name": "a", "image": "i", "pull": "Always", "ports": [{"port": 80, "protocol": "TCP"}]},
        {"name": "injected", "image": "j"},
    ],
    "args": ["x", "y"],
    "hosts": ["a", "b"],
    "empty": {"filled": 1},
}
OWNED: dict[str, Any] = {
    "f:containers": {
        'k:{"name":"a"}': {
            ".": {},
            "f:name": {},
            "f:image": {},
            "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}},
        }
    },
    "f:args": {},
    "f:hosts": {'v:"a"': {}},
    "f:empty": {},
}
FREE = {
    "f:replicas": {},
    "f:containers": {'k:{"name":"a"}': {"f:pull": {}}, 'k:{"name":"injected"}': {}},
    "f:hosts": {'v:"b"': {}},
}


def test_what_nobody_owns() -> None:
    """A list without keys, and a map that is owned as such, are one value. Keys of elements are nobody's to take."""
    assert fieldvalues.unowned(POD, OWNED) == FREE
    assert fieldvalues.unowned(POD, {}) == {f"f:{name}": {} for name in POD}


def test_what_is_left_without_it_and_what_is_owned() -> None:
    left = fieldvalues.without(POD, FREE)
    assert left == {
        "containers": [{"name": "a", "image": "i", "ports": [{"port": 80, "protocol": "TCP"}]}],
        "args": ["x", "y"],
        "hosts": ["a"],
        "empty": {"filled": 1},
    }
    assert fieldvalues.pick(POD, OWNED) == left
    assert fieldvalues.without({"a": {"b": 1}}, {"f:a": {"f:b": {}}}) == {}, "what has become empty goes, too"


@pytest.mark.parametrize(
    ("value", "other", "differs", "agrees"),
    [
        pytest.param({"a": 1}, {"a": 1, "b": 2}, {}, {"f:a": {}}, id="the-same-and-more"),
        pytest.param({"a": 1}, {}, {"f:a": {}}, {}, id="gone"),
        pytest.param(
            {"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"f:a": {"f:c": {}}}, {"f:a": {"f:b": {}}}, id="member-by-member"
        ),
        pytest.param({"a": [1]}, {"a": [1, 2]}, {"f:a": {}}, {}, id="a-list-is-one-value"),
        pytest.param({"a": {"b": 1}}, {"a": None}, {"f:a": {}}, {}, id="another-type"),
    ],
)
def test_where_two_objects_differ(value: Any, other: Any, differs: Any, agrees: Any) -> None:
    fields: Fields = {"f:a": {}}
    assert fieldvalues.differing(value, other, fields) == differs
    assert fieldvalues.agreeing(value, other, fields) == agrees


def test_a_map_that_would_have_more_in_it_differs_as_a_whole() -> None:
    """A selector that is derived from labels; not what the manifest itself puts there."""
    value, other = {"selector": {"app": "web"}}, {"selector": {"app": "web", "tier": "a"}}
    assert fieldvalues.differing(value, other, {"f:selector": {}}, {}) == {"f:selector": {}}
    assert fieldvalues.differing(value, other, {"f:selector": {}}, {"selector": {"tier": "a"}}) == {}


@pytest.mark.parametrize(
    ("wanted", "others", "places"),
    [
        pytest.param({"replicas": 1, "empty": {}}, {}, [], id="one-value-to-the-server"),
        pytest.param({"containers": []}, {}, [], id="an-element-of-nobody"),
        pytest.param({"hosts": []}, {}, [], id="nobodys-member-of-a-set"),
        pytest.param({"map": {}}, {}, [(("map",), {})], id="a-map"),
        pytest.param({"map": {"x": {}}}, {}, [(("map", "x"), {})], id="below"),
        pytest.param(
            {"map": {"x": {}}}, {"f:map": {".": {}, "f:x": {".": {}}}}, [(("map", "x"), {})], id="held-as-such"
        ),
        pytest.param({"map": {}}, {"f:map": {"f:x": {"f:b": {}}}}, [], id="somebody-elses"),
        pytest.param({"map": {"y": {}}}, {}, [], id="none-there"),
        pytest.param({"map": []}, {}, [], id="another-type"),
        pytest.param({"parts": []}, {}, [(("parts",), [])], id="elements-go-with-their-defaults"),
        pytest.param({"parts": [{"port": 2, "m": {}}]}, {}, [(("parts", 1, "m"), {})], id="in-an-element"),
    ],
)
def test_what_a_manifest_empties(wanted: Any, others: Fields, places: Any) -> None:
    held = {**POD, "map": {"x": {"a": 1}}, "parts": [{"port": 1, "d": 1}, {"port": 2, "m": {"a": 1}}]}
    parts = {'k:{"port":1}': {".": {}, "f:port": {}}, 'k:{"port":2}': {".": {}, "f:port": {}, "f:m": {"f:a": {}}}}
    ours = {**OWNED, "f:map": {"f:x": {"f:a": {}}}, "f:parts": parts}
    assert list(fieldvalues.emptied(held, wanted, ours, others)) == places


def test_elements_are_compared_by_their_keys() -> None:
    other = {**POD, "containers": [{"name": "sidecar"}, {"name": "a", "pull": "IfNotPresent"}]}
    assert fieldvalues.differing(POD, other, FREE)["f:containers"] == FREE["f:containers"]
    assert fieldvalues.agreeing(POD, other, FREE) == {"f:replicas": {}, "f:hosts": FREE["f:hosts"]}


def test_a_manifest_is_laid_over_what_others_own() -> None:
    theirs = {"replicas": 5, "containers": [{"name": "a", "env": "x"}, {"name": "injected"}], "hosts": ["b"]}
    ours = {"containers": [{"name": "a", "image": "i"}, {"name": "new"}], "hosts": ["a"], "args": []}
    assert fieldvalues.overlay(theirs, ours, OWNED) == {
        "replicas": 5,
        "containers": [{"name": "a", "env": "x", "image": "i"}, {"name": "injected"}, {"name": "new"}],
        "hosts": ["b", "a"],
        "args": [],
    }


def test_a_key_that_a_manifest_leaves_out_has_its_default() -> None:
    held = fieldvalues.Elements([{"port": 80, "protocol": "TCP"}], ("port", "protocol"))
    assert held.find({"port": 80}) == 0
    assert held.find({"port": 80, "protocol": "UDP"}) is None
    held.add({"port": 80, "protocol": "UDP"})
    assert held.find({"protocol": "UDP", "port": 80}) == 1
    assert held.find({"port": 80}) == 0
    assert held.find("80") is None


@pytest.mark.parametrize(
    "name", ['k:{"name"', "k:[1]", "k:7", f"k:{{{','.join(f'{chr(34)}{at}{chr(34)}:1' for at in range(9))}}}"]
)
def test_a_name_that_no_api_server_gives_says_nothing(name: str) -> None:
    """A member may answer any: its list is one value then."""
    assert fieldvalues.keys_of({name: {}}) is None
    assert fieldvalues.unowned({"list": [{"name": "a"}]}, {"f:list": {name: {}}}) == {}


VALUES = st.recursive(
    st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(st.integers(0, 3), max_size=2),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(OBJECTS, OBJECTS)
def test_every_path_differs_or_agrees(value: dict[str, Any], other: dict[str, Any]) -> None:
    """What agrees and what differs make up the whole; without both nothing is left."""
    fields: Fields = {f"f:{name}": {} for name in value}
    agreed = fieldvalues.agreeing(value, other, fields)
    differing = fieldvalues.differing(value, other, fields, other)
    assert fieldvalues.differing(value, other, agreed) == {}
    assert fieldvalues.agreeing(value, other, differing) == {}
    assert fieldvalues.differing(value, value, fields) == {}
    assert fieldvalues.agreeing(value, value, fields) == fields


MANY = 20_000


@pytest.mark.parametrize(
    ("name", "owned"),
    [
        (lambda at: {"name": f"n{at}"}, lambda at: f'k:{{"name":"n{at}"}}'),
        (lambda at: f"n{at}", lambda at: f'v:"n{at}"'),
    ],
)
def test_a_list_takes_time_by_its_length(name: Callable[[int], Any], owned: Callable[[int], str]) -> None:
    """In whatever order; an object may hold some fifty thousand elements, and all of them pass here at every push."""
    value = {"list": [name(at) for at in range(MANY)]}
    other = {"list": value["list"][::-1]}
    fields: dict[str, Any] = {"f:list": {owned(at): {} for at in range(MANY)}}
    before = time.process_time()
    assert fieldvalues.overlay(other, value, fields) == other
    assert fieldvalues.unowned(value, {"f:list": {owned(0): {}}}) != {}
    assert fieldvalues.unowned(value, fields) == {}
    assert fieldvalues.differing(value, other, fields) == {}
    assert drops.compare({"metadata": {}, **value}, {"metadata": {}, **other}, fields) == ((), ())
    assert time.process_time() - before < 3.0
