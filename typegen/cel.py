"""Find where a CEL expression reads fields: enough of a reader to rewrite single readings, no more.

A reading is a chain such as `self.spec.ports[0].name`. Variables of macros (`self.ports.all(p, p.name != '')`) are
followed to what they range over, so that `p.name` is known to be `ports[].name`. What cannot be followed (the result of
a function, `cel.bind`) is a chain without a path.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

Steps = tuple[str, ...]
"""A path relative to a node: property names, ITEM and VALUE for what is inside a list or a map."""

ITEM = "[]"
VALUE = "{}"
EITHER = "[*]"
"""An index: into a list or a map, the expression does not say."""

_LITERAL = re.compile(r"""[rR]?(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")""", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
_FIELD = re.compile(r"\s*\.\s*(?P<optional>\??)\s*(?P<name>[A-Za-z_]\w*)")
_CALL = re.compile(r"\s*\(")
_INDEX = re.compile(r"\s*\[")
_ONE_VARIABLE = re.compile(r"\s*([A-Za-z_]\w*)\s*,")
_TWO_VARIABLES = re.compile(r"\s*[A-Za-z_]\w*\s*,\s*([A-Za-z_]\w*)\s*,")
_MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter", "transformList", "transformMap"})
_NO_FIELDS = frozenset({"true", "false", "null", "in"})
_CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Step:
    """One `.name` or `[index]`; `end` is where its text ends, `number` a literal index."""

    name: str
    end: int
    optional: bool = False
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """A reading: from `start`, through `steps`. `base` is the path that its head stands for, None when unknown.

    `method` is what is called on the value ("" for nothing) and `method_end` where that call's text ends. `head` is ""
    when the chain begins at the result of something else.
    """

    head: str
    start: int
    steps: tuple[Step, ...]
    base: Steps | None
    method: str = ""
    method_end: int = 0

    def path(self, count: int) -> Steps:
        """The path to the first `count` steps; only of a chain with a base."""
        return (*(self.base or ()), *(step.name or EITHER for step in self.steps[:count]))


def code(expression: str) -> str:
    """The expression with its string literals blanked out, so that names in them are not taken for fields."""
    return _LITERAL.sub(lambda literal: " " * len(literal[0]), expression)


def chains(expression: str) -> list[Chain]:
    """Every reading in the expression, in the order in which they stand."""
    text = code(expression)
    found: list[Chain] = []
    scopes: list[tuple[int, int, str, Steps | None]] = [(0, len(text), name, ()) for name in ("self", "oldSelf")]
    taken: set[int] = set()
    for word in _WORD.finditer(text):
        if word.start() in taken or word[0] in _NO_FIELDS:
            continue
        after_dot = text[: word.start()].rstrip(" \t\n?").endswith(".")
        if _CALL.match(text, word.end()) and not after_dot:
            continue  # a function's name
        chain = _chain(text, word, scopes, taken, floating=after_dot)
        if chain.method in _MACROS:
            scopes += _bound(text, chain)
        if chain.steps or chain.method:
            found.append(chain)
    return found


def _chain(
    text: str, word: re.Match[str], scopes: list[tuple[int, int, str, Steps | None]], taken: set[int], *, floating: bool
) -> Chain:
    base: Steps | None = None
    steps: list[Step] = []
    position, start = word.end(), word.start()
    if floating:
        if _CALL.match(text, word.end()):
            return Chain("", start, (), None, word[0], _after_call(text, word.end()))
        steps.append(Step(word[0], word.end()))
    else:
        inner = [scope for scope in scopes if scope[0] <= start < scope[1] and scope[2] == word[0]]
        base = inner[-1][3] if inner else None
    while True:
        field = _FIELD.match(text, position)
        index = None if field else _INDEX.match(text, position)
        if field:
            taken.add(field.start("name"))
            if _CALL.match(text, field.end()):
                end = _after_call(text, field.end())
                return Chain("" if floating else word[0], start, tuple(steps), base, field["name"], end)
            steps.append(Step(field["name"], field.end(), optional=bool(field["optional"])))
            position = field.end()
        elif index:
            position = _matching(text, index.end() - 1) + 1
            inside = text[index.end() : position - 1].strip()
            number = int(inside) if inside.isdecimal() else None
            steps.append(Step("", position, optional=inside.startswith("?"), number=number))
        else:
            return Chain("" if floating else word[0], start, tuple(steps), base)


def _bound(text: str, chain: Chain) -> Iterator[tuple[int, int, str, Steps | None]]:
    """The variable of a macro: where it is known, and what it stands for."""
    opening = text.rindex("(", 0, text.index("(", _name_end(text, chain)) + 1)
    two = _TWO_VARIABLES.match(text, opening + 1) if chain.method not in ("map", "filter") else None
    one = _ONE_VARIABLE.match(text, opening + 1)
    variable = two or one
    if variable:
        path = None if chain.base is None else (*chain.path(len(chain.steps)), ITEM)
        yield variable.end(), chain.method_end, variable[1], path


def _name_end(text: str, chain: Chain) -> int:
    """Where the text before the macro's name ends."""
    return chain.steps[-1].end if chain.steps else chain.start + len(chain.head)


def _after_call(text: str, position: int) -> int:
    return _matching(text, text.index("(", position)) + 1


def _matching(text: str, opening: int) -> int:
    """Where the bracket at `opening` is closed; the end of the text when it never is."""
    depth = 0
    for position in range(opening, len(text)):
        if text[position] in _CLOSING:
            depth += 1
        elif text[position] in ")]}":
            depth -= 1
            if depth == 0:
                return position
    return len(text)
