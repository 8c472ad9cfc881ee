"""Random structural schemas and values that may fit them, for properties with and without an API server."""

from typing import Any

from hypothesis import strategies as st

from typegen import validation

TEXT: dict[str, Any] = {"type": "string"}


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


LEAF = st.sampled_from(
    [
        TEXT,
        {**TEXT, "maxLength": 1},
        {**TEXT, "enum": ["a", "bb"]},
        {**TEXT, "pattern": "^a"},
        {"type": "boolean"},
        {"type": "boolean", "enum": [True]},
    ]
)
NODE = st.recursive(
    LEAF,
    lambda below: (
        st.dictionaries(st.sampled_from("pqr"), below, max_size=3).flatmap(
            lambda known: st.lists(st.sampled_from(sorted(known) or ["p"]), unique=True).map(
                lambda required: {**obj(**known), "required": sorted(set(required) & set(known))}
            )
        )
        | below.map(lambda items: {"type": "array", "items": items})
    ),
    max_leaves=8,
)
VALUE = st.recursive(
    st.sampled_from(["a", "bb", "c", True, False]),
    lambda below: st.dictionaries(st.sampled_from("pqr"), below, max_size=3) | st.lists(below, max_size=2),
    max_leaves=8,
)


def defaulted(draw: Any, node: dict[str, Any]) -> dict[str, Any]:
    """`node` with defaults here and there, each one that the field itself accepts."""
    result = dict(node)
    if result.get("properties"):
        result["properties"] = {name: defaulted(draw, child) for name, child in result["properties"].items()}
        for child in result["properties"].values():
            if draw(st.booleans()):
                fitting = next((value for value in PLAIN if not any(validation.problems(child, value))), None)
                if fitting is not None:
                    child["default"] = fitting
    if isinstance(result.get("items"), dict):
        result["items"] = defaulted(draw, result["items"])
    return result


PLAIN: tuple[Any, ...] = ("a", "bb", True, [], {})


def filled(node: dict[str, Any], value: Any) -> Any:
    """`value` as an API server stores it: with the defaults of its schema."""
    if isinstance(value, dict) and node.get("type") == "object":
        known = node.get("properties") or {}
        result = {name: filled(known.get(name, {}), child) for name, child in value.items()}
        for name, child in known.items():
            if name not in result and "default" in child:
                result[name] = filled(child, child["default"])
        return result
    if isinstance(value, list) and isinstance(node.get("items"), dict):
        return [filled(node["items"], entry) for entry in value]
    return value
