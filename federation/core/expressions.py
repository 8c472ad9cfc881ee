"""Expressions in gates and works: CEL on an object of a member, as `object`. The only module that knows cel-python.

cel-python is an extra (`pip install 'kubefed-successor[cel]'`); without it an expression is an error that says so.
Whoever may write a FederatedRollout writes expressions, and the controller evaluates them: so they are short, macros
(all, exists, map, ...) cannot be nested, and objects are of a bounded size. Calls take milliseconds to seconds of CPU:
callers use a thread. Messages never have values of the object.
"""

import functools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from federation.core import checks
from federation.model.errors import Invalid

LONGEST = 1_000
"""Characters of an expression."""
LARGEST = 64 << 10
"""Bytes of an object."""
_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter", "reduce", "min"})
_COMPILED = 256
_MISSING = "CEL expressions need the extra cel: pip install 'kubefed-successor[cel]'"
_SHOWN = 100

Object = Mapping[str, Any]


def problem(texts: Sequence[str]) -> str:
    """Why one of the expressions cannot be used; "" where all can."""
    for text in texts:
        try:
            _compiled(text)
        except Invalid as error:
            return f"expression {checks.quote(text, _SHOWN)} {error.message}"
    return ""


def unmet(texts: Sequence[str], item: Object, size: int) -> str:
    """Why the expressions are not all true of an object of so many bytes; "" where they are."""
    if texts and size > LARGEST:
        return f"its {size >> 10} KiB are more than the {LARGEST >> 10} that expressions are evaluated on"
    for text in texts:
        if why := _unmet(text, item):
            return f"expression {checks.quote(text, _SHOWN)} {why}"
    return ""


def text(expression: str, item: Object, *, result: bool) -> str:
    """The text that an expression on the object gives, where `result` is what was found of it; "" where it gives none.

    It is shown to people who may not read the object: whoever writes the expression decides what is in it.
    """
    try:
        program = _compiled(expression)
    except Invalid:
        return ""
    import celpy  # noqa: PLC0415 - an extra

    try:
        found = program.evaluate({"object": celpy.json_to_cel(item), "result": celpy.celtypes.BoolType(result)})
    except (celpy.CELEvalError, ValueError, TypeError, OverflowError, RecursionError):
        return ""
    return str(found) if isinstance(found, str) else ""


def _unmet(text: str, item: Object) -> str:
    try:
        program = _compiled(text)
    except Invalid as error:
        return error.message
    import celpy  # noqa: PLC0415 - an extra

    try:
        result = program.evaluate({"object": celpy.json_to_cel(item)})
    except (celpy.CELEvalError, ValueError, TypeError, OverflowError, RecursionError):
        # Its message may quote the object.
        return "cannot be evaluated: a field is missing or of another type; use has(object.status.x) first"
    if not isinstance(result, celpy.celtypes.BoolType):
        return "is neither true nor false"
    return "" if result else "is not true"


@functools.lru_cache(maxsize=_COMPILED)
def _compiled(text: str) -> Any:
    """The expression, ready to be evaluated. Raises Invalid."""
    if len(text) > LONGEST:
        raise Invalid("", f"is longer than {LONGEST} characters")
    environment = _environment()
    import celpy  # noqa: PLC0415 - an extra

    try:
        tree = environment.compile(text)
        if _depth(tree) > 1:
            raise Invalid("", "has a macro (all, exists, map, ...) within another: that could take for ever")
        return environment.program(tree, functions={"hasConditions": _has_conditions})
    except (celpy.CELParseError, RecursionError) as error:
        raise Invalid("", "is not CEL") from error


def _has_conditions(found: object) -> Any:
    """`hasConditions(object.status)` of Open Cluster Management's rules: whether there is a list of them, not empty."""
    import celpy  # noqa: PLC0415 - an extra

    conditions = found["conditions"] if isinstance(found, celpy.celtypes.MapType) and "conditions" in found else None
    return celpy.celtypes.BoolType(isinstance(conditions, celpy.celtypes.ListType) and len(conditions) > 0)


@functools.lru_cache(maxsize=1)
def _environment() -> Any:
    try:
        import celpy  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise Invalid("", f"is not evaluated: {_MISSING}") from error
    # It sets the limit for the whole process, where decoders count on it to notice what nests too deep.
    limit = sys.getrecursionlimit()
    try:
        return celpy.Environment()
    finally:
        sys.setrecursionlimit(limit)


def _depth(tree: Any) -> int:
    """How deep macros are nested: the tree's nodes are calls of a member by its name, with arguments."""
    deepest, todo = 0, [(tree, 0)]
    while todo:
        node, depth = todo.pop()
        children = getattr(node, "children", None)
        if children is None:
            continue
        if node.data == "member_dot_arg" and str(children[1]) in _MACROS:
            depth += 1
            deepest = max(deepest, depth)
        todo += [(child, depth) for child in children]
    return deepest
