"""Take out of a member's error text what may be somebody's data, before anybody sees it.

An API server quotes what it refuses: a Secret's values in apply's type errors, whole objects in patch errors, pod
environments in immutability errors, whatever a webhook likes to echo. `scrub` runs once, where a Failure is made; after
it a message may go to status, events and logs. A text is cut before anything is searched in it,
and every pattern takes linear time: it may be megabytes that somebody made up.
"""

import re

from federation.model import bounds

MORE = "…"

_PEM = re.compile(r"-----BEGIN [^-]*-----.*?(?:-----END [^-]*-----|\Z)", re.DOTALL)
_REFUSED_VALUE = re.compile(
    r"(?:Invalid|Unsupported|Duplicate) value: |\bgot (?=[&*{\[\"`(]|\w+[.\[{])|patch: (?=[\"{])"
)
_LITERAL = re.compile(r"-?\d+(?:\.\d+)?(?![\w.])|true\b|false\b|null\b")
_GO_TYPE = re.compile(r"(?:interface \{\}|\[\w*\]|[&\w.*/])*(?=[{\[(])")
_SENTENCE = re.compile(r"[A-Za-z][\w.,;'<>/-]* [\w'<(]")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)')
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_CREDENTIAL = re.compile(
    r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}|\b(password|passwd|secret|token|api[-_]?key)=[^\s,;&]+"
)
_JWT = re.compile(r"\beyJ[\w-]{6,}(?:\.[\w-]*)*")
_PADDED = re.compile(r"(?<![\w+/-])[A-Za-z0-9+/_-]{6,}={1,2}(?![\w=])")
_RUN = re.compile(r"[A-Za-z0-9+/_-]{32,}")
_HEX = re.compile(r"(?<!sha256:)\b[0-9a-f]{32,}\b")
_DUMP = re.compile(r"\{|\bmap\[")
_LONGEST_PATH = 200
_NAME_QUOTED = 66  # a name of 63 characters and its quotes
_CLOSING = {"{": "}", "[": "]", "(": ")"}

_TYPED = re.compile(r"failed to (?:create typed|convert) \w+ object")
_TYPED_PATH = re.compile(r"\): (\.\S*): expected ")
_RIGHT = re.compile(
    r'\bcannot [a-z]{1,20} resource "[a-z0-9/.-]{1,100}" in API group "[a-z0-9.-]{0,253}"'
    r'(?: in the namespace "[a-z0-9.-]{1,63}"| at the cluster scope)?'
)
_SEGMENT = re.compile(
    r"(?:\.?[A-Za-z_][\w-]{0,62}(?:/[\w.-]{1,63})?"
    r'|\[(?:[\w.-]{1,63}|\w{1,63}="[\w.-]{0,63}")\])(?=[.\[]|\Z)'
)


def scrub(message: str, *, secret: bool, limit: int = bounds.LONGEST_SHOWN) -> str:
    """The message on one line of at most `limit` characters, with values cut to `…`.

    Of errors about Secrets only what is known to be free of values is left: the path that apply expected another type
    at, and the right that RBAC missed; often nothing, because the caller has code, reason and fields to report.
    """
    message = message[: bounds.LONGEST_TEXT]
    text = _of_secret(message) if secret else _of_other(message)
    return text if len(text) <= limit else text[: limit - 1] + MORE


def field(path: str, *, secret: bool) -> str:
    """A cause's field path. For Secrets only as far as it is made of plain names: a refused key is in its own path."""
    path = path[:_LONGEST_PATH]
    if not secret:
        return line(path)
    end = 0
    while match := _SEGMENT.match(path, end):
        end = match.end()
    return path if end == len(path) else path[:end] + MORE


def below(path: str, name: str) -> str:
    """The path of a member; one that is longer than `field` shows grows no more.

    Somebody's name of half a megabyte would stand in the path of each of its thousands of members otherwise.
    """
    if len(path) > _LONGEST_PATH:
        return path
    name = name[: _LONGEST_PATH + 1]
    return f"{path}.{name}" if path else name


def reason(text: object) -> str:
    """A reason such as NotFound; anything else that a server put in its place is dropped."""
    return text if isinstance(text, str) and text.isascii() and text.isalpha() and len(text) <= 64 else ""


def _of_secret(message: str) -> str:
    if typed := _TYPED.match(message):
        where = _TYPED_PATH.search(message)
        return typed[0] + (f": {field(where[1], secret=True)}" if where else "")
    right = _RIGHT.search(message)
    return right[0] if right else ""


def _of_other(message: str) -> str:
    text = _PEM.sub(MORE, message)
    first, *rest = text.split("\n")
    # What follows on indented or signed lines is a diff of two objects.
    text = " ".join([first, *(line for line in rest if line and not line[0].isspace() and line[0] not in "+-@}")])
    text = line(text, bounds.LONGEST_TEXT)
    text = _cut_values(text)
    text = _cut_dumps(text)
    text = _QUOTED.sub(lambda found: found[0] if len(found[0]) <= _NAME_QUOTED else f'"{MORE}"', text)
    text = _USERINFO.sub(f"{MORE}@", text)
    text = _CREDENTIAL.sub(lambda found: f"{found[1] or found[2]} {MORE}", text)
    text = _JWT.sub(MORE, text)
    text = _PADDED.sub(MORE, text)
    text = _HEX.sub(MORE, text)
    return _RUN.sub(lambda found: MORE if _looks_random(found[0]) else found[0], text)


def line(text: str, limit: int = bounds.LONGEST_SHOWN) -> str:
    """Any text from outside on one line of at most `limit` characters, fit for a terminal and for a status.

    Control and invisible characters could move a terminal's cursor or hide text; half a surrogate pair is no text.
    """
    text = text[: 4 * limit]
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + MORE


def _cut_values(text: str) -> str:
    """Cut what follows `Invalid value: ` and its like, up to the sentence that says what is wrong with it."""
    parts: list[str] = []
    start = 0
    while match := _REFUSED_VALUE.search(text, start):
        parts.append(text[start : match.end()])
        start = match.end()
        if literal := _LITERAL.match(text, start):
            parts.append(literal[0])
            start = literal.end()
            continue
        end = _end_of_value(text, start)
        if end > start:
            parts.append(MORE)
            start = end
    return "".join([*parts, text[start:]])


def _cut_dumps(text: str) -> str:
    """Cut `{...}` and `map[...]` wherever they stand: JSON and Go's printed structs."""
    parts: list[str] = []
    start = 0
    while match := _DUMP.search(text, start):
        begin = match.end() - 1
        parts.append(text[start : begin + 1])
        end = _end_of_brackets(text, begin)
        parts.append(MORE if end - begin > 2 else "")
        if end > begin + 1 and text[end - 1] == _CLOSING[text[begin]]:
            parts.append(text[end - 1])
        start = end
    return "".join([*parts, text[start:]])


def _end_of_value(text: str, start: int) -> int:
    """Where a printed value ends: a quoted string, a struct, or a bare word before `: `; `start` when there is none."""
    if start < len(text) and text[start] in "\"'`":
        return _end_of_string(text, start)
    if (prefix := _GO_TYPE.match(text, start)) is not None and prefix.end() < len(text):
        return _end_of_brackets(text, prefix.end())
    if _SENTENCE.match(text, start):
        return start  # a CEL rule over an object: no value is printed, its message follows at once
    found = text.find(": ", start)
    return len(text) if found < 0 else found


def _end_of_brackets(text: str, start: int) -> int:
    """The index after the bracket that closes the one at `start`, or the end of a text that was cut short."""
    open_brackets: list[str] = []
    position = start
    while position < len(text):
        char = text[position]
        if char in '"`':
            position = _end_of_string(text, position)
            continue
        if char in _CLOSING:
            open_brackets.append(_CLOSING[char])
        elif open_brackets and char == open_brackets[-1]:
            open_brackets.pop()
            if not open_brackets:
                return position + 1
        position += 1
    return len(text)


def _end_of_string(text: str, start: int) -> int:
    quote = text[start]
    position = start + 1
    while position < len(text):
        if text[position] == "\\" and quote != "`":
            position += 1
        elif text[position] == quote:
            return position + 1
        position += 1
    return len(text)


def _looks_random(run: str) -> bool:
    return any(c.isdigit() for c in run) and any(c.isupper() for c in run) and any(c.islower() for c in run)
