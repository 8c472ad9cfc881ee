"""What `typegen explain` prints: one field of a federated type's template, as `kubectl explain` would."""

import difflib
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from typegen import narrowing
from typegen.gathering import Piece
from typegen.kubeyaml import reading
from typegen.model import Unusable

_WIDTH = 76


def choose(made: tuple[Piece, ...], kind: str) -> Piece:
    """The only type. Raises Unusable when several groups have the kind."""
    if len(made) > 1:
        groups = ", ".join(piece.target.group or "core" for piece in made)
        raise Unusable(f"{kind} is in several groups, choose one with --group: {groups}")
    return made[0]


def text(piece: Piece, path: str, *, recursive: bool = False) -> str:
    """The field at `path` below spec.template ("" is the template itself); paths of `typegen diff` are accepted, too.

    Raises Unusable when there is none.
    """
    crd = next(reading.documents(piece.text)).value
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    node: Mapping[str, Any] = spec["properties"]["template"]
    steps = [step for step in path.replace("[]", "").replace("{}", "").split(".") if step]
    for depth, step in enumerate(steps):
        known = _fields(node)
        if step not in known:
            raise Unusable(_missing(piece, steps[:depth], step, known))
        node = known[step]
    lines = [
        f"KIND:       {piece.federated.kind}",
        f"VERSION:    {piece.federated.api_version}",
        "",
        f"FIELD: {'.'.join(['spec.template', *steps])} <{_type(node)}>",
        "",
    ]
    if node.get("enum"):
        lines += ["ENUM:", *(f"    {value}" for value in node["enum"]), ""]
    lines += ["DESCRIPTION:", *_wrapped(node.get("description") or "<empty>", 4), ""]
    for rule in node.get("x-kubernetes-validations") or ():
        lines += _wrapped(f"Rule: {rule.get('message') or rule['rule']}", 4)
    fields = _fields(node)
    if fields:
        lines += ["FIELDS:", *_listed(node, fields, "  ", recursive=recursive)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _missing(piece: Piece, above: list[str], step: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(step, known, n=1)
    hint = f", did you mean {near[0]}?" if near else f"; it has {', '.join(sorted(known))}" if known else ""
    return f"{piece.target.kind} has no field {step} in {'.'.join(['spec.template', *above])}{hint}"


def _fields(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a node, or of the entries of its lists and maps, as kubectl shows them."""
    while True:
        inner = node.get("items") or node.get("additionalProperties")
        if node.get("properties") or not isinstance(inner, Mapping):
            return node.get("properties") or {}
        node = inner


def _required(node: Mapping[str, Any]) -> tuple[str, ...]:
    while not node.get("properties"):
        node = node.get("items") or node.get("additionalProperties") or {}
        if not isinstance(node, Mapping) or not node:
            return ()
    return tuple(node.get("required") or ())


def _listed(node: Mapping[str, Any], fields: Mapping[str, Any], pad: str, *, recursive: bool) -> Iterator[str]:
    required = _required(node)
    for name in sorted(fields):
        child = fields[name]
        yield f"{pad}{name}\t<{_type(child)}>{' -required-' if name in required else ''}"
        if recursive:
            below = _fields(child)
            yield from _listed(child, below, pad + "  ", recursive=True) if below else ()
        else:
            if child.get("enum"):
                yield f"{pad}enum: {', '.join(map(str, child['enum']))}"
            yield from _wrapped(child.get("description") or "<no description>", len(pad) + 2)
            yield ""


def _type(node: Mapping[str, Any]) -> str:
    if isinstance(node.get("items"), Mapping):
        return f"[]{_type(node['items'])}"
    if isinstance(node.get("additionalProperties"), Mapping):
        return f"map[string]{_type(node['additionalProperties'])}"
    kind = narrowing.kind(node)
    return {"object": "Object", "anything": "Any", "integer or string": "IntOrString"}.get(kind, kind)


def _wrapped(value: str, indent: int) -> list[str]:
    pad = " " * indent
    lines: list[str] = []
    for paragraph in value.split("\n"):
        lines += textwrap.wrap(paragraph, _WIDTH, initial_indent=pad, subsequent_indent=pad) or [""]
    return lines
