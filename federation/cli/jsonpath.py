"""kubectl's JSONPath templates: what `-o jsonpath=`, `-o custom-columns=`, --sort-by and `wait --for=jsonpath=` take.

`{.items[*].metadata.name}`, `{range .items[*]}{.metadata.name}{"\\n"}{end}`, `[?(@.type=="Ready")]`, `[0:2]`, `[-1]`,
`..name`, `['a','b']`. Text outside of braces stands for itself. As with `kubectl get`, a field that is not there is
nothing, and no error. Pure.
"""

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.model.errors import Invalid

_NAME = re.compile(r"(?:[^\s.\[\]{}()'\",=<>!|\\]|\\.)+")
_TEXT = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_SLICE = re.compile(r"\s*(-?\d*)\s*(?::\s*(-?\d*)\s*(?::\s*(-?\d*)\s*)?)?")
_COMPARE = re.compile(r"\s*(==|!=|<=|>=|<|>)\s*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "/": "/"}
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DEEPEST = 64

Find = Callable[[Any, Any], Iterator[Any]]
"""A step of a path: what it finds in a value; the second is the root, which $ means."""


@dataclass(frozen=True, slots=True)
class Path:
    """One path. `absolute`: it begins at the root ($), not at the value that it is asked of."""

    steps: tuple[Find, ...]
    absolute: bool = False

    def find(self, value: Any, root: Any = None) -> list[Any]:
        """Everything that it leads to."""
        root = value if root is None else root
        found = [root if self.absolute else value]
        for step in self.steps:
            found = [each for inner in found for each in step(inner, root)]
        return found


@dataclass(frozen=True, slots=True)
class _Range:
    path: Path
    inside: tuple["_Node", ...]


_Node = str | Path | _Range


@dataclass(frozen=True, slots=True)
class Template:
    """Text with paths in it."""

    nodes: tuple[_Node, ...]

    def fill(self, value: Any) -> str:
        """The text for a value."""
        return "".join(_filled(self.nodes, value, value))


def template(text: str) -> Template:
    """Read a template. Raises Invalid."""
    reader = _Reader(text)
    return Template(tuple(reader.nodes(within=False)))


def path(text: str) -> Path:
    """One path, with braces and a first dot or without, as custom columns and --sort-by have it. Raises Invalid."""
    body = text.strip()
    if body.startswith("{") and body.endswith("}"):
        body = body[1:-1].strip()
    if body and body[0] not in ".[$@":
        body = f".{body}"
    reader = _Reader(body)
    found = reader.path()
    reader.skip()
    if not reader.at_end:
        raise reader.wrong()
    return found


def shown(value: Any) -> str:
    """A value as kubectl prints it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _filled(nodes: Sequence[_Node], value: Any, root: Any) -> Iterator[str]:
    for node in nodes:
        match node:
            case str():
                yield node
            case Path():
                yield " ".join(shown(each) for each in node.find(value, root))
            case _Range():
                for each in node.path.find(value, root):
                    yield from _filled(node.inside, each, root)


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._depth = 0

    @property
    def at_end(self) -> bool:
        return self._place >= len(self._text)

    def wrong(self, what: str = "is no JSONPath") -> Invalid:
        return Invalid("jsonpath", f"{self._text!r} {what} at character {self._place + 1}")

    def nodes(self, *, within: bool) -> Iterator[_Node]:
        """Up to the end, or `within` a range up to its {end}."""
        while not self.at_end:
            start = self._text.find("{", self._place)
            literal = self._text[self._place : start if start >= 0 else len(self._text)]
            if literal:
                yield literal
            if start < 0:
                self._place = len(self._text)
                break
            self._place = start + 1
            self.skip()
            if self._word("end"):
                self._expect("}")
                if not within:
                    raise self.wrong("has an {end} without a {range}")
                return
            if self._word("range"):
                self.skip()
                chosen = self.path()
                self._expect("}")
                self._deeper()
                yield _Range(chosen, tuple(self.nodes(within=True)))
                self._depth -= 1
                continue
            yield from self._expressions()
        if within:
            raise self.wrong("has a {range} without an {end}")

    def _expressions(self) -> Iterator[_Node]:
        """What is in one pair of braces."""
        while not self._take("}"):
            if self.at_end:
                raise self.wrong("has a brace that is not closed")
            if (text := self._quoted()) is not None:
                yield text
            else:
                yield self.path()
            self.skip()

    def path(self) -> Path:
        """A path, which ends where no step follows."""
        self._deeper()
        absolute = self._take("$")
        marked = absolute or self._take("@")
        steps: list[Find] = []
        while True:
            if self._text.startswith("..", self._place):
                self._place += 2
                steps.append(_below)
                if not self._peek("["):
                    steps.append(self._member())
            elif self._take("."):
                if not self._peek("[") and (steps or not self._ends()):
                    steps.append(self._member())
                marked = True
            elif self._take("["):
                steps.append(self._brackets())
            else:
                break
        if not steps and not marked:
            raise self.wrong()
        self._depth -= 1
        return Path(tuple(steps), absolute)

    def skip(self) -> None:
        """Leave out blanks."""
        while not self.at_end and self._text[self._place].isspace():
            self._place += 1

    def _member(self) -> Find:
        if self._take("*"):
            return _every
        found = _NAME.match(self._text, self._place)
        if found is None:
            raise self.wrong()
        self._place = found.end()
        return _member(re.sub(r"\\(.)", r"\1", found[0]))

    def _brackets(self) -> Find:
        self.skip()
        if self._take("?"):
            return self._filter()
        if self._take("*"):
            self._expect("]")
            return _every
        if self._peek("'") or self._peek('"'):
            return self._union()
        chosen: list[Find] = []
        while True:
            found = _SLICE.match(self._text, self._place)
            if found is None or not found[0].strip():
                raise self.wrong()
            self._place = found.end()
            chosen.append(self._slice(found))
            if not self._take(","):
                break
        self._expect("]")
        return _together(chosen)

    def _slice(self, found: re.Match[str]) -> Find:
        start, end, step = (int(part) if part and part != "-" else None for part in found.groups())
        if ":" not in found[0]:
            if start is None:
                raise self.wrong()
            return _item(start)
        if step is not None and step <= 0:
            raise self.wrong("has a step that is not above 0")
        return _part(slice(start, end, step))

    def _union(self) -> Find:
        chosen: list[Find] = []
        while True:
            self.skip()
            name = self._quoted()
            if name is None:
                raise self.wrong()
            chosen.append(_member(name))
            self.skip()
            if not self._take(","):
                break
        self._expect("]")
        return _together(chosen)

    def _filter(self) -> Find:
        self._expect("(")
        self.skip()
        left = self._operand()
        found = _COMPARE.match(self._text, self._place)
        if found is None:
            self._expect(")")
            self._expect("]")
            return _having(left)
        self._place = found.end()
        right = self._operand()
        self._expect(")")
        self._expect("]")
        return _comparing(left, right, _OPERATORS[found[1]])

    def _operand(self) -> Find:
        if (text := self._quoted()) is not None:
            return _constant(text)
        if found := _NUMBER.match(self._text, self._place):
            self._place = found.end()
            return _constant(float(found[0]) if "." in found[0] else int(found[0]))
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self._word(word):
                return _constant(value)
        chosen = self.path()
        return lambda value, root: iter(chosen.find(value, root))

    def _quoted(self) -> str | None:
        found = _TEXT.match(self._text, self._place)
        if found is None:
            return None
        self._place = found.end()
        return re.sub(r"\\(.)", lambda each: _ESCAPES.get(each[1], each[0]), found[0][1:-1])

    def _word(self, word: str) -> bool:
        end = self._place + len(word)
        if not self._text.startswith(word, self._place) or self._text[end : end + 1].isalnum():
            return False
        self._place = end
        return True

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self.wrong("nests too deep")

    def _ends(self) -> bool:
        return self.at_end or self._text[self._place].isspace() or self._text[self._place] in "})],"

    def _peek(self, sign: str) -> bool:
        return self._text.startswith(sign, self._place)

    def _take(self, sign: str) -> bool:
        if not self._peek(sign):
            return False
        self._place += len(sign)
        return True

    def _expect(self, sign: str) -> None:
        self.skip()
        if not self._take(sign):
            raise self.wrong(f"needs a {sign}")


def _member(name: str) -> Find:
    def find(value: Any, _: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return find


def _item(index: int) -> Find:
    def find(value: Any, _: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield value[index]

    return find


def _part(part: slice) -> Find:
    def find(value: Any, _: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[part]

    return find


def _together(chosen: Sequence[Find]) -> Find:
    return lambda value, root: (each for one in chosen for each in one(value, root))


def _constant(found: Any) -> Find:
    return lambda value, root: iter([found])


def _having(left: Find) -> Find:
    return lambda value, root: (
        each for each in _every(value, root) if any(found not in (None, False) for found in left(each, root))
    )


def _comparing(left: Find, right: Find, compare: Callable[[Any, Any], bool]) -> Find:
    def find(value: Any, root: Any) -> Iterator[Any]:
        for each in _every(value, root):
            mine, theirs = list(left(each, root)), list(right(each, root))
            if len(mine) == len(theirs) == 1 and _holds(mine[0], theirs[0], compare):
                yield each

    return find


def _holds(one: Any, other: Any, compare: Callable[[Any, Any], bool]) -> bool:
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    try:
        return compare(one, other)
    except TypeError:
        return False


def _every(value: Any, _: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _below(value: Any, root: Any) -> Iterator[Any]:
    """The value and everything in it."""
    yield value
    for each in _every(value, root):
        if isinstance(each, dict | list):
            yield from _below(each, root)
