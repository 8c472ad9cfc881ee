"""Carry a target's CEL rules (x-kubernetes-validations) into the template, as far as they still mean the same.

Two things change on the way. The template is not an API object: name and namespace are not in it, status and often
apiVersion and kind neither. Rules at the target's root that read metadata.name are moved to the federated object's own
root, whose name is the same; those that read status, apiVersion or kind are left out. And the template has no defaults
(they would be stored and pushed as if asked for), so a rule that reads a defaulted field would fail with "no such key"
where the target sees the default. Four answers, the first that holds:

1. The default is plain (text, number, boolean, or a list of such): the reading becomes `(has(self.x) ? self.x :
   default)` and `has(self.x)` becomes `true`; of any other list or text only its size may be read so. The rule means
   what it meant.
2. A field below a default that does not have it is read: `has` of it asks for the fields above first.
3. The field is read by its path from self or oldSelf: the rule is skipped while the field is absent. A caution says so.
4. The rule is left out. A caution says so.

Whatever is decided here, each member checks every rule in full.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typegen import cel
from typegen.defaults import Context, Stripped, identifier
from typegen.model import Caution
from typegen.rewriting import Rewriting, Unclear

_AT_ROOT = re.compile(r"\b(?:self|oldSelf)\s*\.\s*\??(metadata|status|apiVersion|kind)\b")
_ROOT = re.compile(r"\b(self|oldSelf)\b(?!\s*\.\s*metadata\b)")
_HEAD = re.compile(r"\b(self|oldSelf)\b")
_BARE = re.compile(r"\b(?:self|oldSelf)\b(?!\s*\.\s*[A-Za-z_])")
_BRIEF = 160


@dataclass(frozen=True, slots=True)
class Carried:
    """The rules of one node: those that stay with it, those for the federated object's root, and what is to be said."""

    kept: list[dict[str, Any]]
    moved: list[dict[str, Any]]
    cautions: list[Caution]


def carry(node: Mapping[str, Any], stripped: Stripped, path: str, *, root: bool = False) -> Carried:
    """The rules of the target's `node` for the template, and what became of the others.

    `stripped` are the fields below the node whose default was taken away; `root` says it is the target's own root.
    """
    result = Carried([], [], [])
    context = Context(node, {tuple(identifier(step) for step in steps): gone for steps, gone in stripped.items()})
    for rule in node.get("x-kubernetes-validations") or ():
        text, message = str(rule.get("rule", "")), str(rule.get("messageExpression", ""))
        about = {found[1] for found in _AT_ROOT.finditer(cel.code(f"{text}\n{message}"))} if root else set()
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
            carried["rule"] = f"!({condition}) || ({carried['rule']})"
            result.cautions.append(
                Caution(path, f"CEL rule applies only where {condition}, defaults are not kept: {brief(text)}")
            )
        if not about:
            result.kept.append(carried)
        elif any(_BARE.search(cel.code(each)) for each in (text, message)):
            result.cautions.append(
                Caution(path, f"CEL rule left out, it reads metadata and the object as a whole: {brief(text)}")
            )
        else:
            result.moved.append(below(carried, ".spec.template"))
    return result


def below(rule: Mapping[str, Any], path: str, *, whole: bool = False) -> dict[str, Any]:
    """A rule as a node `path` (`.spec.template`) further up says it; metadata is that node's own unless `whole`."""
    heads = _HEAD if whole else _ROOT

    def moved(text: str) -> str:
        result, done = [], 0
        for word in heads.finditer(cel.code(text)):
            result += [text[done : word.end()], path]
            done = word.end()
        return "".join([*result, text[done:]])

    changed = {key: moved(str(rule[key])) for key in ("rule", "messageExpression") if rule.get(key)}
    if rule.get("fieldPath"):
        changed["fieldPath"] = f"{path}{rule['fieldPath']}"
    return {**rule, **changed}


def brief(text: str) -> str:
    """An expression as messages show it: on one line, its beginning only when it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _BRIEF else f"{line[: _BRIEF - 3]}..."
