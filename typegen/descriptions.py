"""Keep descriptions, cut them to their first sentence, or leave them out; they are the largest part of a big CRD.

kubectl apply stores the whole object in an annotation, and an object's annotations may have 256 KiB.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from typegen.model import Descriptions, Schema

ANNOTATION_LIMIT = 262_144
"""Kubernetes' limit for all annotations of an object together, in bytes."""

ROOM = 240_000
"""The most bytes of a CRD as compact JSON for which kubectl apply works, with room for other annotations."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\"'(\[])|\n\s*\n")
_SHORT = 160


def size(document: Mapping[str, Any]) -> int:
    """Bytes of `document` as kubectl apply stores it."""
    return len(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode())


def choose(schema: Schema, room: int, wish: Descriptions) -> tuple[Schema, Descriptions]:
    """`schema` with descriptions as wished; "auto" keeps as much as fits into `room` bytes."""
    match wish:
        case "keep":
            return schema, "keep"
        case "short":
            return short(schema), "short"
        case "drop":
            return drop(schema), "drop"
    if size(schema) <= room:
        return schema, "keep"
    shortened = short(schema)
    return (shortened, "short") if size(shortened) <= room else (drop(schema), "drop")


def short(schema: Schema) -> Schema:
    """`schema` with each description cut to its first sentence."""
    return _map(schema, _first_sentence)


def drop(schema: Schema) -> Schema:
    """`schema` without descriptions."""
    return _map(schema, lambda text: "")


def _first_sentence(text: str) -> str:
    sentence = " ".join(_SENTENCE.split(text.strip(), maxsplit=1)[0].split())
    return sentence if len(sentence) <= _SHORT else sentence[: _SHORT - 3].rstrip() + "..."


def _map(node: Mapping[str, Any], change: Any) -> Schema:
    result = dict(node)
    if isinstance(result.get("description"), str):
        text = change(result.pop("description"))
        if text:
            result["description"] = text
    if result.get("properties"):
        result["properties"] = {name: _map(child, change) for name, child in result["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), Mapping):
            result[key] = _map(result[key], change)
    return result
