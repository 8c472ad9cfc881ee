"""Depth is told and cut without recursion, in linear time, of JSON that no decoder takes any more."""

import contextlib
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import nesting

values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=25,
)


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _cut(value: object, limit: int) -> object:
    """What pruned is to do, recursively."""
    if isinstance(value, dict | list) and limit == 0:
        return None
    if isinstance(value, dict):
        return {key: _cut(inner, limit - 1) for key, inner in value.items()}
    return [_cut(inner, limit - 1) for inner in value] if isinstance(value, list) else value


@given(values, st.integers(1, 6))
def test_deep_and_pruned_agree_with_what_recursion_would_find(value: object, limit: int) -> None:
    content = orjson.dumps(value)
    depth = _depth(value)
    assert nesting.deep(value, limit) is (depth > limit)
    assert nesting.may_be_deep(content, limit) or depth <= limit
    pruned, cut = nesting.pruned(content, limit)
    assert cut is (depth > limit)
    assert orjson.loads(pruned) == _cut(value, limit)
    assert bool(nesting.place({"root": value}, limit + 1)) is (depth >= limit)


@given(
    st.lists(st.dictionaries(st.text(max_size=6), values, max_size=4), max_size=5),
    st.dictionaries(st.text(max_size=6), values, max_size=3),
)
def test_a_list_is_taken_apart_without_being_decoded(items: list[object], beside: dict[str, object]) -> None:
    body = {"a": beside, '"items': [1], "items": items, "z": {"items": [{}]}}
    head, found = nesting.members(orjson.dumps(body), "items")
    assert [orjson.loads(each) for each in found] == items
    assert orjson.loads(head) == {**body, "items": []}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b"{}",
        b'{"items":null}',
        b'{"items":{}}',
        b'{"items":[1]}',
        b'{"items":[{},null]}',
        b'{"items":[[{}]]}',
        b'{"items":[{}{}]}',
        b'{"items":[{}',
        b'{"x":{"items":[{}]}}',
        b'{"items":["{}"]}',
        b"<html>",
        b'{"items":[{},]}',
    ],
)
def test_what_is_no_list_of_maps_is_no_list(content: bytes) -> None:
    with pytest.raises(ValueError, match="list"):
        nesting.members(content, "items")


def test_the_place_of_the_trouble_is_named() -> None:
    value = {"spec": {"overrides": [{"clusterOverrides": [{"path": "/data", "value": [[[[]]]]}]}]}}
    assert nesting.place(value, 8) == "spec.overrides[0].clusterOverrides[0]…"
    assert nesting.place(value, 3) == "spec.overrides"
    assert nesting.place(value, 80) == ""


@pytest.mark.parametrize(
    "repeated", [b"[", b"]", b'{"a":', b'["', b'"', b"\\", b'"\\', b'{"a":[]},', b"[[]],", b'{"items":[', b"\xff", b","]
)
def test_eight_times_the_bytes_are_about_eight_times_the_work(repeated: bytes) -> None:
    def cost(size: int) -> float:
        content = b'{"items":[' + repeated * (size // len(repeated))
        costs = []
        for _ in range(3):
            began = time.process_time()
            nesting.pruned(content, 10)
            with contextlib.suppress(ValueError):
                nesting.members(content, "items")
            costs.append(time.process_time() - began)
        return min(costs)

    assert cost(1 << 18) < 30 * cost(1 << 15) + 0.05


def test_a_hundred_thousand_levels_are_no_trouble() -> None:
    content = b'{"metadata":{"name":"a"},"spec":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    pruned, cut = nesting.pruned(content, 100)
    assert cut
    assert orjson.loads(pruned)["metadata"] == {"name": "a"}
