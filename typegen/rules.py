"""Carry a target's CEL rules (x-kubernetes-validations) over into the template, as far as they keep their meaning.

Two things are different there. The template is not an API object: it has no name and namespace, no status, and often no
apiVersion and kind. Rules at the target's root that read metadata.name are moved to the federated object's own root,
where the name is the same; those that read status, apiVersion or kind are left out. And the template has no defaults
(they would be stored, and pushed as if the user had set them), so a rule that reads a field with a default would fail
with "no such key" where the target has the default. The first of these that applies is done:

1. The default is simple (text, number, boolean, or a list of these): `self.x` becomes `(has(self.x) ? self.x :
   default)`, and `has(self.x)` becomes `true`; for other lists and texts this is done for their size only. The rule
   keeps its meaning.
2. The field is below one with a default, and is not in that default: `has` of it first tests the fields above.
3. The field is read by its path from self or oldSelf: the rule is skipped while the field is absent, with a caution.
4. The rule is left out, with a caution.

In any case each member checks all rules.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typegen import cel, model
from typegen.cel import identifier
from typegen.defaults import Context, Stripped
from typegen.model import Caution
from typegen.rewriting import Rewriting, Unclear

_NOT_IN_TEMPLATES = frozenset({"metadata", "status", "apiVersion", "kind"})
_BRIEF = 160
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\['(?P<quoted>(?:\\.|[^'\\])*)'\]")


@dataclass(frozen=True, slots=True)
class Carried:
    """The rules of one node: those that stay at it, those for the federated object's root, and cautions."""

    kept: list[dict[str, Any]]
    moved: list[dict[str, Any]]
    cautions: list[Caution]


def carry(node: Mapping[str, Any], stripped: Stripped, path: str, *, root: bool = False) -> Carried:
    """The rules of the target's `node` for the template, with cautions about the others.

    `stripped` are the fields below the node whose default was removed; `root`: it is the target's root.
    """
    result = Carried([], [], [])
    context = Context(node, {tuple(identifier(step) for step in steps): gone for steps, gone in stripped.items()})
    for rule in node.get("x-kubernetes-validations") or ():
        text, message = str(rule.get("rule", "")), str(rule.get("messageExpression", ""))
        try:
            fields = {found.field for each in (text, message) for found in cel.roots(each)}
        except cel.Unreadable as error:
            result.cautions.append(Caution(path, f"CEL rule left out, it is not CEL at {error}: {brief(text)}"))
            continue
        about = fields & _NOT_IN_TEMPLATES if root else set()
        absent = about - {"metadata"}
        if absent:
            lacking = ", ".join(sorted(absent))
            result.cautions.append(
                Caution(path, f"CEL rule left out, it reads {lacking}, which a template lacks: {brief(text)}")
            )
            continue
        try:
            rewritten, spoken = Rewriting(context), Rewriting(context)
            carried = {**rule, "rule": rewritten.text(text)}
            if message:
                carried["messageExpression"] = spoken.text(message)
        except Unclear as unclear:
            result.cautions.append(
                Caution(path, f"CEL rule left out, it reads {unclear}, whose default is not kept: {brief(text)}")
            )
            continue
        guards = list(dict.fromkeys([*rewritten.guards, *spoken.guards]))
        if guards:
            condition = " && ".join(guards)
            carried["rule"] = cel.unless(condition, carried["rule"])
            result.cautions.append(
                Caution(path, f"CEL rule applies only where {condition}, defaults are not kept: {brief(text)}")
            )
        if not about:
            result.kept.append(carried)
        elif "" in fields:
            result.cautions.append(
                Caution(path, f"CEL rule left out, it reads metadata and the object as a whole: {brief(text)}")
            )
        else:
            result.moved.append(below(carried, ".spec.template"))
    return result


def below(rule: Mapping[str, Any], path: str, *, whole: bool = False) -> dict[str, Any]:
    """A rule moved up by `path` (`.spec.template`); metadata is read from the upper node itself unless `whole`."""

    def moved(text: str) -> str:
        result, done = [], 0
        for head in cel.roots(text):
            if whole or head.field != "metadata":
                result += [text[done : head.end], path]
                done = head.end
        return "".join([*result, text[done:]])

    changed = {key: moved(str(rule[key])) for key in ("rule", "messageExpression") if rule.get(key)}
    if rule.get("fieldPath"):
        changed["fieldPath"] = f"{path}{rule['fieldPath']}"
    return {**rule, **changed}


def drop_dangling_paths(node: dict[str, Any]) -> None:
    """Remove, in place, each fieldPath below `node` that leads to no field any more.

    It only says where the message belongs, but an API server refuses the whole CRD because of one that leads nowhere: a
    field of the status, or one that has no type because versions differ in it.
    """
    found = node.get("x-kubernetes-validations") or ()
    if any(not _leads(str(rule["fieldPath"]), node) for rule in found if rule.get("fieldPath")):
        node["x-kubernetes-validations"] = [
            rule
            if not rule.get("fieldPath") or _leads(str(rule["fieldPath"]), node)
            else {key: value for key, value in rule.items() if key != "fieldPath"}
            for rule in found
        ]
    children = [*(node.get("properties") or {}).values(), node.get("items"), node.get("additionalProperties")]
    for child in children:
        if isinstance(child, dict):
            drop_dangling_paths(child)


def _leads(path: str, node: Mapping[str, Any]) -> bool:
    """Whether a fieldPath leads to a field with a schema, as an API server follows it."""
    here: Any = node
    for step in _STEP.finditer(path):
        name = step["name"] if step["quoted"] is None else re.sub(r"\\(.)", r"\1", step["quoted"])
        known = here.get("properties")
        here = known.get(name) if known else here.get("additionalProperties")
        if not isinstance(here, Mapping):
            return False
    return True


def brief(text: str) -> str:
    """An expression for messages: on one line, cut if it is long."""
    return model.brief(text, _BRIEF)
