"""Parse CEL as far as it is needed to rewrite how an expression reads fields: its tokens, and the chains of fields.

Tokens are those of the language: strings of all forms, comments and quoted names are never mistaken for code. A chain
is an expression such as `self.spec.ports[0].name`. Variables of macros (`self.ports.all(p, p.name != '')`) are resolved
to what they range over, so `p.name` is known to be `ports[].name`. A chain that cannot be resolved (the result of a
function, `cel.bind`) has no path. Everything takes linear time.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Steps = tuple[str, ...]
"""A path relative to a node: property names, ITEM and VALUE for what is inside a list or a map."""

ITEM = "[]"
VALUE = "{}"
EITHER = "[*]"
"""An index; the expression does not show whether into a list or a map."""

_TOKEN = re.compile(
    r"""
      (?P<space>[\t\n\f\r ]+)
    | (?P<comment>//[^\n]*)
    | (?P<string>[bB]?(?:
        [rR](?: \'\'\'.*?\'\'\' | \"\"\".*?\"\"\" | '[^'\r\n]*' | "[^"\r\n]*" )
        | \'\'\'(?:\\.|[^\\])*?\'\'\' | \"\"\"(?:\\.|[^\\])*?\"\"\"
        | '(?:\\.|[^'\\\r\n])*' | "(?:\\.|[^"\\\r\n])*" ))
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<quoted>`[A-Za-z0-9_./\- ]+`)
    | (?P<number>0[xX][0-9a-fA-F]+[uU]?
        | [0-9]*\.[0-9]+(?:[eE][-+]?[0-9]+)? | [0-9]+[eE][-+]?[0-9]+ | [0-9]+[uU]?)
    | (?P<sign>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
_MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter", "transformList", "transformMap"})
_NO_FIELDS = frozenset({"true", "false", "null", "in"})
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_RESERVED = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    }
)
_ROOTS = ("self", "oldSelf")


class Unreadable(ValueError):
    """The text is not CEL: no API server would accept it."""


class Token(NamedTuple):
    """A token other than space or a comment; `kind` is string, word, quoted, number or sign."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def name(self) -> str:
        """For a word or a quoted name, the field as Kubernetes escapes it; else ""."""
        return self.text if self.kind == "word" else identifier(self.text[1:-1]) if self.kind == "quoted" else ""


class Step(NamedTuple):
    """One `.name` or `[index]`; `end` is where its text ends, `number` a literal index."""

    name: str
    end: int
    optional: bool = False
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of fields: from `start`, through `steps`. `base` is the path of its head, None when unknown.

    `method` is the method that is called on the value ("" for none) and `method_end` where that call's text ends.
    `head` is "" when the chain begins at another expression's result. `call` is the function whose first argument the
    chain is, from `call_start`; `call_end` is where that call ends when the chain is its only content, else 0.
    `searched`: it is the right side of `in`. `counted`: of the method's result only the size or single entries are
    used.
    """

    head: str
    start: int
    steps: tuple[Step, ...]
    base: Steps | None
    method: str = ""
    method_end: int = 0
    call: str = ""
    call_start: int = 0
    call_end: int = 0
    searched: bool = False
    counted: bool = False

    def path(self, count: int) -> Steps:
        """The path to the first `count` steps; only of a chain with a base."""
        return (*(self.base or ()), *(step.name or EITHER for step in self.steps[:count]))

    def is_whole(self) -> bool:
        """Whether the value is used with everything in it: compared, or passed on."""
        if self.is_presence_test() or (self.call == "size" and self.call_end):
            return False
        if self.method == "filter":
            return not self.counted
        return self.method != "size" and self.method not in _MACROS

    def is_presence_test(self) -> bool:
        """Whether this is `has(...)` of the field, which does not read its value."""
        return self.call == "has" and bool(self.call_end) and not self.method


class Root(NamedTuple):
    """A `self` or `oldSelf`: where its text ends, and the field of it that is read ("" for the value as a whole)."""

    name: str
    end: int
    field: str
    indexed: bool


def tokens(expression: str) -> list[Token]:
    """The tokens without space and comments. Raises Unreadable."""
    return [token for token in _all(expression) if token.kind not in ("space", "comment")]


def without_comments(expression: str) -> str:
    """The expression without comments, to be put into another one, where a comment would hide what follows."""
    return "".join(" " if token.kind == "comment" else token.text for token in _all(expression)).strip()


def unless(condition: str, expression: str) -> str:
    """An expression that is true unless the condition is true and the expression false."""
    return f"!({condition}) || ({without_comments(expression)})"


def _all(expression: str) -> Iterator[Token]:
    position = 0
    while position < len(expression):
        found = _TOKEN.match(expression, position)
        if found is None:
            raise Unreadable(expression[position : position + 40])
        yield Token(str(found.lastgroup), found[0], position, found.end())
        position = found.end()


def roots(expression: str) -> list[Root]:
    """Every `self` and `oldSelf` in the expression. Raises Unreadable."""
    found = tokens(expression)
    result = []
    for at, token in enumerate(found):
        if token.text in _ROOTS and not _after_dot(found, at):
            _, name = _field(found, at + 1)
            indexed = at + 1 < len(found) and found[at + 1].text == "["
            result.append(Root(token.text, token.end, name.name if name else "", indexed))
    return result


def chains(expression: str) -> list[Chain]:
    """Every chain in the expression, in order. Raises Unreadable."""
    return list(_Reader(tokens(expression)).chains())


class _Reader:
    """The tokens of one expression with their brackets paired, and the known variables at each position."""

    def __init__(self, found: Sequence[Token]) -> None:
        self.tokens = found
        self.pairs = _pairs(found)
        self.taken: set[int] = set()
        self.known: dict[str, list[Steps | None]] = {name: [()] for name in _ROOTS}
        self.scopes: list[tuple[int, str]] = []

    def chains(self) -> Iterator[Chain]:
        for at, token in enumerate(self.tokens):
            while self.scopes and self.scopes[-1][0] <= at:
                self.known[self.scopes.pop()[1]].pop()
            if not token.name or at in self.taken or token.text in _NO_FIELDS:
                continue
            floating = _after_dot(self.tokens, at)
            if self.is_sign(at + 1, "(") and not floating:
                continue  # a function's name
            chain, method = self.chain(at, floating=floating)
            if chain.method in _MACROS:
                self.bind(chain, method + 1)
            if chain.steps or chain.method or chain.base is not None:
                yield chain

    def is_sign(self, at: int, text: str) -> bool:
        return at < len(self.tokens) and self.tokens[at].text == text and self.tokens[at].kind == "sign"

    def chain(self, at: int, *, floating: bool) -> tuple[Chain, int]:
        """The chain that begins at a name, and the position of its method's name."""
        token = self.tokens[at]
        head, base = "", None
        steps: list[Step] = []
        after = at + 1
        if not floating:
            known = self.known.get(token.text)
            head, base = token.text, known[-1] if known else None
        elif self.is_sign(after, "("):
            return Chain("", token.start, (), None, token.name, self.end_of(after)), at
        else:
            steps.append(Step(token.name, token.end))
        while True:
            place, name = _field(self.tokens, after)
            if name is not None:
                self.taken.add(place)
                if self.is_sign(place + 1, "("):
                    end, call = self.end_of(place + 1), self.call(at, after)
                    searched, counted = self.is_searched(at), self.is_counted(call[0], place + 1)
                    return Chain(head, token.start, tuple(steps), base, name.name, end, *call, searched, counted), place
                steps.append(Step(name.name, name.end, optional=self.tokens[place - 1].text == "?"))
                after = place + 1
            elif self.is_sign(after, "["):
                closing = self.pairs.get(after, len(self.tokens))
                inside = self.tokens[after + 1 : min(closing, after + 3)]
                number = int(inside[0].text) if len(inside) == 1 and inside[0].text.isdecimal() else None
                optional = bool(inside) and inside[0].text == "?"
                steps.append(Step("", self.end_of(after), optional=optional, number=number))
                after = closing + 1
            else:
                call, searched = self.call(at, after), self.is_searched(at)
                return Chain(head, token.start, tuple(steps), base, "", 0, *call, searched), 0

    def is_searched(self, first: int) -> bool:
        return first > 0 and self.tokens[first - 1].text == "in" and self.tokens[first - 1].kind == "word"

    def is_counted(self, function: str, opening: int) -> bool:
        """Whether only the size or single entries of a method's result are used; its brackets begin at `opening`."""
        after = self.pairs.get(opening, len(self.tokens)) + 1
        _, name = _field(self.tokens, after)
        if name is not None:
            return name.name == "size" or name.name in _MACROS - {"filter"}
        return function == "size" and self.is_sign(after, ")")

    def call(self, first: int, after: int) -> tuple[str, int, int]:
        """The function whose first argument begins at `first`, and where its call begins and, right `after`, ends."""
        name = self.tokens[first - 2] if first >= 2 else None
        if (
            name is None
            or name.kind != "word"
            or not self.is_sign(first - 1, "(")
            or _after_dot(self.tokens, first - 2)
        ):
            return "", 0, 0
        return name.text, name.start, self.tokens[after].end if self.is_sign(after, ")") else 0

    def end_of(self, opening: int) -> int:
        """Where the text of a bracket ends; for one that is never closed, where the expression ends."""
        return self.tokens[min(self.pairs.get(opening, len(self.tokens)), len(self.tokens) - 1)].end

    def bind(self, chain: Chain, opening: int) -> None:
        """Make a macro's variable known inside its brackets, with the path that it ranges over."""
        names = [self.tokens[place] for place in (opening + 1, opening + 3) if place < len(self.tokens)]
        if not (names and names[0].kind == "word" and self.is_sign(opening + 2, ",")):
            return
        two = chain.method not in ("map", "filter") and len(names) == 2 and names[1].kind == "word"
        variable = names[-1] if two and self.is_sign(opening + 4, ",") else names[0]
        self.taken |= {opening + 1, opening + 3} if variable is not names[0] else {opening + 1}
        # For a map, a single variable is the key; the second of two is the value (for a list, the entry).
        entry = EITHER if variable is not names[0] else ITEM
        path = None if chain.base is None else (*chain.path(len(chain.steps)), entry)
        self.known.setdefault(variable.text, []).append(path)
        self.scopes.append((self.pairs.get(opening, len(self.tokens)), variable.text))


def _pairs(found: Sequence[Token]) -> dict[int, int]:
    """Each opening bracket and its closing one."""
    opened: list[int] = []
    pairs: dict[int, int] = {}
    for at, token in enumerate(found):
        if token.kind != "sign":
            continue
        if token.text in _CLOSING:
            opened.append(at)
        elif token.text in ")]}" and opened:
            pairs[opened.pop()] = at
    return pairs


def _after_dot(found: Sequence[Token], at: int) -> bool:
    """Whether a name is a field's: it comes after `.` or `.?`."""
    before = found[at - 1].text if at else ""
    return before == "." or (before == "?" and at >= 2 and found[at - 2].text == ".")


def _field(found: Sequence[Token], at: int) -> tuple[int, Token | None]:
    """The name after `.` or `.?` at that position, and where it stands."""
    if at >= len(found) or found[at].text != ".":
        return 0, None
    place = at + 2 if at + 1 < len(found) and found[at + 1].text == "?" else at + 1
    return (place, found[place]) if place < len(found) and found[place].name else (0, None)


def identifier(name: str) -> str:
    """A property's name as CEL in Kubernetes spells it (`x-y` is `x__dash__y`, `in` is `__in__`)."""
    if name in (ITEM, VALUE):
        return name
    if name in _RESERVED:
        return f"__{name}__"
    for plain, escaped in (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")):
        name = name.replace(plain, escaped)
    return name
