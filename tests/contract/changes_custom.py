"""Random objects of two custom types for test_changes: one with defaults, one about what is empty or null."""

from typing import Any

from federation.model.resources import Resource
from tests.contract.dice import Content, Dice

WIDGETS = Resource("changes.example.com", "v1", "Widget", "widgets", namespaced=True)
GADGETS = Resource("empty.example.com", "v1", "Gadget", "gadgets", namespaced=True)

SCHEMA: Content = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "mode": {"type": "string", "default": "fast"},
                "size": {"type": "integer"},
                "tls": {
                    "type": "object",
                    "properties": {
                        "version": {"type": "string", "default": "1.2"},
                        "ciphers": {"type": "array", "items": {"type": "string"}, "default": ["a", "b"]},
                        "name": {"type": "string"},
                    },
                },
                "from": {
                    "type": "object",
                    "maxProperties": 1,
                    "properties": {
                        "git": {
                            "type": "object",
                            "properties": {"url": {"type": "string"}, "branch": {"type": "string", "default": "main"}},
                        },
                        "image": {
                            "type": "object",
                            "properties": {"name": {"type": "string"}, "pull": {"type": "string", "default": "Always"}},
                        },
                    },
                },
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string"},
                            "weight": {"type": "integer", "default": 1},
                            "deep": {"type": "object", "properties": {"x": {"type": "string", "default": "y"}}},
                        },
                    },
                },
            },
        }
    },
}


def widget(dice: Dice) -> Content:
    source = dice.maybe("from", {"git": {"url": "a"}}, {"image": {"name": "a"}}, {"git": {"url": "b", "branch": "c"}})
    part = {"name": "a", **dice.some(weight=2, deep=({}, {"x": "z"}))}
    more = dice.some(
        mode="slow",
        size=(1, 2),
        tls=({}, {"name": "n"}, {"version": "1.3"}, {"ciphers": ["c"]}),
        parts=([part], [part, {"name": "b"}], [{"name": "b", "deep": {}}]),
    )
    return {"spec": {**source, **more}}


TEXT: Content = {"type": "string"}
INNER: Content = {"type": "object", "properties": {"x": TEXT, "deep": {"type": "object", "properties": {"y": TEXT}}}}
FREE: Content = {"x-kubernetes-preserve-unknown-fields": True}
HOLLOW: Content = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "values": {"type": "object", **FREE},
                "anything": FREE,
                "union": INNER,
                "nullable": {**INNER, "nullable": True},
                "words": {"type": "object", "additionalProperties": TEXT},
                "maps": {"type": "object", "additionalProperties": INNER},
                "atomic": {**INNER, "x-kubernetes-map-type": "atomic"},
                "set": {"type": "array", "x-kubernetes-list-type": "set", "items": TEXT},
                "list": {"type": "array", "items": INNER},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "items": {
                        "type": "object",
                        "required": ["port"],
                        "properties": {
                            "port": {"type": "integer"},
                            "protocol": {**TEXT, "default": "TCP"},
                            "weight": {"type": "integer", "default": 1},
                            "inner": INNER,
                            "values": {"type": "object", **FREE},
                        },
                    },
                },
            },
        }
    },
}
EMPTIED = ("set", "parts")
"""Lists with keys: nobody owns an empty one, so that it stays where the next manifest does not name it."""


def free(dice: Dice, depth: int = 3) -> Any:
    if depth == 0 or dice.one(True, False, False):
        return dice.one(None, 0, 1, "", "s", True, False, 1.5, [], {})
    if dice.one(True, True, False):
        return free_map(dice, depth)
    return [free(dice, depth - 1) for _ in range(dice.one(0, 1, 2))]


def free_map(dice: Dice, depth: int = 3) -> Content:
    return {dice.one("a", "b", "c/~d"): free(dice, depth - 1) for _ in range(dice.one(0, 1, 2))}


def inner(dice: Dice) -> Content:
    return dice.some(x="1", deep=({}, {"y": "1"}))


def gadget(dice: Dice) -> Content:
    def part(port: int) -> Content:
        return {"port": port, **dice.some(weight=2, inner=lambda: inner(dice), values=lambda: free_map(dice, 2))}

    return {
        "spec": dice.some(
            values=lambda: free_map(dice),
            anything=lambda: free(dice),
            union=lambda: inner(dice),
            nullable=(None, lambda: inner(dice)),
            words=({}, {"a": "1"}, {"a": "1", "b": ""}),
            maps=lambda: dice.some(a=lambda: inner(dice), b={}),
            atomic=lambda: inner(dice),
            set=([], ["a"], ["b", "a"]),
            list=lambda: [inner(dice) for _ in range(dice.one(0, 1, 2))],
            parts=lambda: [part(port) for port in dice.one([], [1], [1, 2], [2])],
        )
    }
