"""Carry a target's CEL rules (x-kubernetes-validations) into the template, as far as they still mean the same.

Two things change on the way. The template is not an API object: name and namespace are not in it, status and often
apiVersion and kind neither, so rules at the target's root that read those are left out. And the template has no
defaults (they would be stored and pushed as if asked for), so a rule that reads a defaulted field would fail with
"no such key" where the target sees the default. Three answers, the first that holds:

1. The default is a plain text, number or boolean: the reading becomes `(has(self.x) ? self.x : default)` and
   `has(self.x)` becomes `true`. The rule means what it meant.
2. The field is read by its path from self or oldSelf: the rule is skipped while the field is absent. A caution says so.
3. The rule is left out. A caution says so.

Whatever is decided here, each member checks every rule in full.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from typegen.model import Caution

Steps = tuple[str, ...]
"""A path relative to a node: property names, ITEM and VALUE for what is inside a list or a map."""

ITEM = "[]"
VALUE = "{}"
_ABSENT_AT_ROOT = re.compile(r"\b(?:self|oldSelf)\s*\.\s*\??(metadata|status|apiVersion|kind)\b")
_LITERAL = re.compile(r"""[rR]?(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")""", re.DOTALL)
_CHAIN = re.compile(r"(?P<head>\b[A-Za-z_]\w*|[)\]])(?P<names>(?:\s*\.\s*\??\s*[A-Za-z_]\w*)+)")
_NAME = re.compile(r"\.\s*(?P<optional>\??)\s*(?P<name>[A-Za-z_]\w*)")
_HAS = re.compile(r"\bhas\(\s*$")
_FORMATS_WITH_A_TYPE = frozenset({"byte", "date", "date-time", "datetime", "duration"})
_BRIEF = 160
_CEL_WORDS = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    }
)


@dataclass(frozen=True, slots=True)
class Default:
    """A default that was taken away, and the type of its field."""

    value: Any
    type: str = ""
    format: str = ""

    @property
    def literal(self) -> str:
        """The default as CEL writes it; "" when it is not plain enough to be written into a rule."""
        if self.format in _FORMATS_WITH_A_TYPE:
            return ""
        match self.type, self.value:
            case "boolean", bool():
                return "true" if self.value else "false"
            case "string", str():
                return json.dumps(self.value, ensure_ascii=False)
            case "integer", int() if not isinstance(self.value, bool):
                return str(self.value)
            case "number", int() | float() if not isinstance(self.value, bool):
                return repr(float(self.value))
        return ""


Stripped = Mapping[Steps, Default]


def carry(
    node: Mapping[str, Any], stripped: Stripped, path: str, *, root: bool = False
) -> tuple[list[dict[str, Any]], list[Caution]]:
    """The rules of the target's `node` for the template, and what became of the others.

    `stripped` are the fields below the node whose default was taken away; `root` says it is the target's own root.
    """
    kept: list[dict[str, Any]] = []
    cautions: list[Caution] = []
    context = _Context(node, {tuple(identifier(step) for step in steps): gone for steps, gone in stripped.items()})
    for rule in node.get("x-kubernetes-validations") or ():
        text, message = str(rule.get("rule", "")), str(rule.get("messageExpression", ""))
        absent = _ABSENT_AT_ROOT.search(_code(f"{text}\n{message}")) if root else None
        if absent:
            cautions.append(
                Caution(path, f"CEL rule left out, it reads {absent[1]}, which a template lacks: {_brief(text)}")
            )
            continue
        try:
            rewritten, spoken = _Rewriting(context), _Rewriting(context)
            carried = {**rule, "rule": rewritten.text(text)}
            if message:
                carried["messageExpression"] = spoken.text(message)
        except _Unclear as unclear:
            cautions.append(
                Caution(path, f"CEL rule left out, it reads {unclear}, whose default is not kept: {_brief(text)}")
            )
            continue
        guards = list(dict.fromkeys([*rewritten.guards, *spoken.guards]))
        if guards:
            condition = " && ".join(guards)
            carried["rule"] = f"!({condition}) || ({carried['rule']})"
            cautions.append(
                Caution(path, f"CEL rule applies only where {condition}, defaults are not kept: {_brief(text)}")
            )
        kept.append(carried)
    return kept, cautions


class _Unclear(Exception):
    """A field with a default is read in a way that cannot be rewritten; the argument names it."""


class _Context:
    """What is known about the fields below a node, under the names that CEL gives them."""

    def __init__(self, node: Mapping[str, Any], stripped: Stripped) -> None:
        self.stripped = stripped
        self.node = node
        self._optional: frozenset[str] | None = None

    def at(self, steps: Steps) -> Default | None:
        """The default taken from the field at `steps`, a path through properties and map keys."""
        found = self.stripped.get(steps)
        if found is not None or not self.stripped:
            return found
        return next((gone for known, gone in self.stripped.items() if _fits(known, steps)), None)

    def named(self, name: str) -> list[Default]:
        """The defaults taken from any field of that name: all that is known when it is read from a variable."""
        return [gone for steps, gone in self.stripped.items() if steps[-1] == name]

    def may_be_absent(self, name: str) -> bool:
        """Whether some field of that name is neither required nor had a default."""
        if self._optional is None:
            self._optional = frozenset(identifier(each) for each in _optional(self.node))
        return name in self._optional


@dataclass
class _Rewriting:
    """One CEL expression on its way into the template; `guards` is what must hold for it to be evaluated."""

    context: _Context
    guards: list[str] = field(default_factory=list)

    def text(self, expression: str) -> str:
        if not self.context.stripped:
            return expression
        result: list[str] = []
        done = 0
        for chain in _CHAIN.finditer(_code(expression)):
            replaced = self._chain(chain, expression)
            if replaced:
                start, end, text = replaced
                result += [expression[done:start], text]
                done = end
        return "".join([*result, expression[done:]])

    def _chain(self, chain: re.Match[str], expression: str) -> tuple[int, int, str] | None:
        """What replaces which part of the expression, if anything: the first part of the chain that had a default."""
        direct = chain["head"] in ("self", "oldSelf")
        parents: list[Steps] = []
        steps: Steps = ()
        for name in _NAME.finditer(expression, chain.start("names"), chain.end("names")):
            steps = (*steps, name["name"])
            gone = [known] if direct and (known := self.context.at(steps)) else []
            gone = gone if direct else self.context.named(name["name"])
            if not gone:
                continue
            literals = {each.literal for each in gone}
            literal = literals.pop() if len(literals) == 1 else ""
            optional = name["optional"] or chain["head"] in ")]"
            if direct and not optional and not (literal and self._same(parents, steps, gone[0])):
                parents.append(steps)
                self.guards.append(f"has({'.'.join((chain['head'], *steps))})")
                continue
            if not literal or optional:
                raise _Unclear(".".join(steps))
            return self._substitute(chain, name, expression, parents, literal)
        return None

    def _same(self, parents: list[Steps], steps: Steps, gone: Default) -> bool:
        """Whether the field has this default too when one of its `parents` comes from a default."""
        for parent in parents:
            known = self.context.at(parent)
            value: Any = known.value if known else None
            for step in steps[len(parent) :]:
                value = value.get(step, gone.value) if isinstance(value, Mapping) else gone.value
            if value != gone.value:
                return False
        return True

    def _substitute(
        self, chain: re.Match[str], name: re.Match[str], expression: str, parents: list[Steps], literal: str
    ) -> tuple[int, int, str]:
        start, end = chain.start(), name.end()
        reading = expression[start:end]
        has = _HAS.search(expression, 0, start) if end == chain.end() else None
        if has:
            closing = expression.index(")", end) + 1
            if chain["head"] not in ("self", "oldSelf") and self.context.may_be_absent(name["name"]):
                raise _Unclear(reading)
            self._unguard(chain["head"], parents)
            return has.start(), closing, "true"
        self._unguard(chain["head"], parents)
        above = "".join(f"has({'.'.join((chain['head'], *parent))}) && " for parent in parents)
        return start, end, f"({above}has({reading}) ? {reading} : {literal})"

    def _unguard(self, head: str, parents: list[Steps]) -> None:
        for parent in parents:
            self.guards.remove(f"has({'.'.join((head, *parent))})")


def _code(expression: str) -> str:
    """The expression with its string literals blanked out, so that names in them are not taken for fields."""
    return _LITERAL.sub(lambda literal: " " * len(literal[0]), expression)


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _BRIEF else f"{line[: _BRIEF - 3]}..."


def _fits(known: Steps, steps: Steps) -> bool:
    return len(known) == len(steps) and all(one in (VALUE, other) for one, other in zip(known, steps, strict=True))


def _optional(node: Any) -> Iterator[str]:
    if not isinstance(node, Mapping):
        return
    required = node.get("required") or ()
    children: Iterable[tuple[str, Any]] = (node.get("properties") or {}).items()
    for name, child in children:
        if name not in required and "default" not in child:
            yield name
        yield from _optional(child)
    yield from _optional(node.get("items"))
    yield from _optional(node.get("additionalProperties"))


def identifier(name: str) -> str:
    """A property's name as CEL in Kubernetes spells it (`x-y` is `x__dash__y`, `in` is `__in__`)."""
    if name in (ITEM, VALUE):
        return name
    if name in _CEL_WORDS:
        return f"__{name}__"
    for plain, escaped in (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")):
        name = name.replace(plain, escaped)
    return name
