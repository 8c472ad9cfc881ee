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

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from typegen import cel
from typegen.cel import EITHER, ITEM, VALUE, Chain, Steps
from typegen.model import Caution

_AT_ROOT = re.compile(r"\b(?:self|oldSelf)\s*\.\s*\??(metadata|status|apiVersion|kind)\b")
_ROOT = re.compile(r"\b(self|oldSelf)\b(?!\s*\.\s*metadata\b)")
_HEAD = re.compile(r"\b(self|oldSelf)\b")
_BARE = re.compile(r"\b(?:self|oldSelf)\b(?!\s*\.\s*[A-Za-z_])")
_HAS = re.compile(r"\bhas\(\s*$")
_SIZE = re.compile(r"\bsize\(\s*$")
_CLOSED = re.compile(r"\s*\)")
TYPED_FORMATS = frozenset({"byte", "date", "date-time", "datetime", "duration"})
"""Formats of texts that CEL has a type of its own for."""

_BRIEF = 160
_ABSENT = object()
_CEL_WORDS = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    }
)


@dataclass(frozen=True, slots=True)
class Default:
    """A default that was taken away, and the type of its field; `items` is the type of a list's entries."""

    value: Any
    type: str = ""
    format: str = ""
    items: str = ""

    @property
    def literal(self) -> str:
        """The default as CEL writes it; "" when it is not plain enough to be written into a rule."""
        if self.type == "array" and isinstance(self.value, list):
            entries = [_literal(entry, self.items) for entry in self.value]
            return f"[{', '.join(entries)}]" if all(entries) else ""
        return "" if self.format in TYPED_FORMATS else _literal(self.value, self.type)

    @property
    def size(self) -> str:
        """What `size` says of it, "" for what has none."""
        return str(len(self.value)) if isinstance(self.value, list | dict | str) else ""


def _literal(value: Any, kind: str) -> str:
    match kind, value:
        case "boolean", bool():
            return "true" if value else "false"
        case "string", str():
            return json.dumps(value, ensure_ascii=False)
        case "integer", int() if not isinstance(value, bool):
            return str(value)
        case "number", int() | float() if not isinstance(value, bool):
            return repr(float(value))
    return ""


Stripped = Mapping[Steps, Default]


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
    context = _Context(node, {tuple(identifier(step) for step in steps): gone for steps, gone in stripped.items()})
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
            rewritten, spoken = _Rewriting(context), _Rewriting(context)
            carried = {**rule, "rule": rewritten.text(text)}
            if message:
                carried["messageExpression"] = spoken.text(message)
        except _Unclear as unclear:
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
        for chain in cel.chains(expression):
            replaced = self._chain(chain, expression)
            if replaced and replaced[0] >= done:
                start, end, text = replaced
                result += [expression[done:start], text]
                done = end
            elif replaced:
                raise _Unclear(expression[chain.start : replaced[1]])  # inside a reading that is replaced itself
        return "".join([*result, expression[done:]])

    def _chain(self, chain: Chain, expression: str) -> tuple[int, int, str] | None:
        """What replaces which part of the expression, if anything."""
        if chain.base is None:
            return self._unfollowed(chain, expression)
        parents: list[int] = []
        for count in range(1, len(chain.steps) + 1):
            gone = self.context.at(chain.path(count))
            if gone is None:
                continue
            if any(step.optional for step in chain.steps):
                raise _Unclear(_named(chain))
            if gone.literal and self._value(chain, parents, count) == gone.value:
                return self._substitute(chain, expression, parents, count, gone.literal)
            last = count == len(chain.steps)
            if last and gone.size and self._value(chain, parents, count) == gone.value:
                sized = self._sized(chain, expression, parents, gone.size)
                if sized:
                    return sized
            parents.append(count)
        return self._below(chain, expression, parents) if parents else None

    def _below(self, chain: Chain, expression: str, parents: list[int]) -> tuple[int, int, str] | None:
        """A reading through fields with defaults that are not plain, down to a field without one (or to such a one)."""
        whole = len(chain.steps)
        value = self._value(chain, parents, whole) if parents[-1] < whole else None
        has = _HAS.search(expression, 0, chain.start) if not chain.method else None
        above = " && ".join(self._has(chain, expression, count) for count in parents)
        if has and parents[-1] == whole:
            return self._substitute(chain, expression, parents[:-1], whole, "")
        if value is _ABSENT:
            if not has:
                return None  # the target has no such field either when the default applies
            end = expression.index(")", chain.steps[-1].end) + 1
            return has.start(), end, f"({above} && {expression[has.start() : end]})"
        literal = _literal(value, "string" if isinstance(value, str) else "boolean")
        if literal and not has:
            reading = expression[chain.start : chain.steps[-1].end]
            return chain.start, chain.steps[-1].end, f"({above} ? {reading} : {literal})"
        if chain.head not in ("self", "oldSelf") or any(not step.name for step in chain.steps):
            raise _Unclear(_named(chain))
        self.guards += [self._has(chain, expression, count) for count in parents]
        return None

    def _value(self, chain: Chain, parents: list[int], count: int) -> Any:
        """What the target sees after `count` steps where a default applies to the first of `parents`, or to it itself.

        None when that cannot be told or differs from parent to parent, _ABSENT when there is nothing.
        """
        found = []
        for parent in [*parents, *([count] if self.context.at(chain.path(count)) else [])]:
            known = self.context.at(chain.path(parent))
            value: Any = known.value if known else None
            for position in range(parent, count):
                step = chain.steps[position]
                if step.name and isinstance(value, Mapping):
                    own = self.context.at(chain.path(position + 1))
                    value = value.get(step.name, own.value if own else _ABSENT)
                elif step.number is not None and isinstance(value, list) and step.number < len(value):
                    value = value[step.number]
                else:
                    return _ABSENT if value is _ABSENT else None
            found.append(value)
        return found[0] if all(value == found[0] for value in found) else None

    def _substitute(
        self, chain: Chain, expression: str, parents: list[int], count: int, literal: str
    ) -> tuple[int, int, str]:
        end = chain.steps[count - 1].end
        last = count == len(chain.steps) and not chain.method
        has = _HAS.search(expression, 0, chain.start) if last else None
        if has:
            return has.start(), expression.index(")", end) + 1, "true"
        present = " && ".join(self._has(chain, expression, each) for each in (*parents, count))
        return chain.start, end, f"({present} ? {expression[chain.start : end]} : {literal})"

    def _sized(self, chain: Chain, expression: str, parents: list[int], size: str) -> tuple[int, int, str] | None:
        """`x.size()` and `size(x)` of a field whose default is not plain."""
        count = len(chain.steps)
        start, end = chain.start, chain.steps[-1].end
        function = _SIZE.search(expression, 0, chain.start)
        closing = _CLOSED.match(expression, end)
        if chain.method == "size":
            end = chain.method_end
        elif function and closing and not chain.method:
            start, end = function.start(), closing.end()
        else:
            return None
        present = " && ".join(self._has(chain, expression, each) for each in (*parents, count))
        return start, end, f"({present} ? {expression[start:end]} : {size})"

    def _unfollowed(self, chain: Chain, expression: str) -> tuple[int, int, str] | None:
        """A reading whose field is known by name only: left alone unless a field of that name had a default."""
        for count, step in enumerate(chain.steps, 1):
            gone = self.context.named(step.name)
            if not gone:
                continue
            literals = {each.literal for each in gone}
            literal = literals.pop() if len(literals) == 1 else ""
            has = _HAS.search(expression, 0, chain.start) if count == len(chain.steps) else None
            if not literal or step.optional or not chain.head or (has and self.context.may_be_absent(step.name)):
                raise _Unclear(_named(chain))
            return self._substitute(chain, expression, [], count, literal)
        return None

    @staticmethod
    def _has(chain: Chain, expression: str, count: int) -> str:
        return f"has({expression[chain.start : chain.steps[count - 1].end]})"


def _named(chain: Chain) -> str:
    return ".".join(step.name or EITHER for step in chain.steps)


def brief(text: str) -> str:
    """An expression as messages show it: on one line, its beginning only when it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _BRIEF else f"{line[: _BRIEF - 3]}..."


def _fits(known: Steps, steps: Steps) -> bool:
    return len(known) == len(steps) and all(
        one in (VALUE, other) or (other == EITHER and one == ITEM) for one, other in zip(known, steps, strict=True)
    )


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
