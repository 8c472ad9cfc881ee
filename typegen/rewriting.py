"""Rewrite one CEL expression so that it has the same meaning without defaults as with them; see typegen.rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from typegen import cel
from typegen.cel import EITHER, VALUE, Chain
from typegen.defaults import Context, literal

_ABSENT = object()


class Unclear(Exception):
    """A field with a default is read in a way that cannot be rewritten; the argument names it."""


@dataclass
class Rewriting:
    """Rewrites one CEL expression for the template; `guards` are conditions under which it may be evaluated."""

    context: Context
    guards: list[str] = field(default_factory=list)

    def text(self, expression: str) -> str:
        """The expression for the template. Raises Unclear when a chain in it cannot be rewritten.

        Raises cel.Unreadable when it is not CEL.
        """
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
                raise Unclear(expression[chain.start : replaced[1]])  # it is inside a chain that is replaced itself
        return "".join([*result, expression[done:]])

    def _chain(self, chain: Chain, expression: str) -> tuple[int, int, str] | None:
        """Which part of the expression is replaced by what: (start, end, text); None for nothing."""
        if chain.base is None:
            return self._unfollowed(chain, expression)
        below = self.context.below(chain.path(len(chain.steps))) if chain.is_whole() else frozenset()
        if below and not (chain.searched and below == {VALUE}):  # `in` a map depends on its keys only
            raise Unclear(f"{_named(chain) or chain.head} as a whole")
        parents: list[int] = []
        for count in range(1, len(chain.steps) + 1):
            gone = self.context.at(chain.path(count))
            if gone is None:
                continue
            if any(step.optional for step in chain.steps):
                raise Unclear(_named(chain))
            if gone.nullable:
                further = range(count + 1, len(chain.steps) + 1)
                lower = [each for each in further if self.context.at(chain.path(each)) is not None]
                self._guard(chain, expression, [*parents, count, *lower])
                return None
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
        """A chain through fields whose defaults are not simple, to a field without a default or with such a one."""
        whole = len(chain.steps)
        value = self._value(chain, parents, whole) if parents[-1] < whole else None
        has = chain.is_presence_test()
        above = " && ".join(self._has(chain, expression, count) for count in parents)
        if has and parents[-1] == whole:
            return self._substitute(chain, expression, parents[:-1], whole, "")
        if value is _ABSENT:
            if not has:
                return None  # the target does not have the field, either, when the default applies
            start, end = chain.call_start, chain.call_end
            return start, end, f"({above} && {expression[start:end]})"
        plain = literal(value, "string" if isinstance(value, str) else "boolean")
        if plain and not has:
            reading = expression[chain.start : chain.steps[-1].end]
            return chain.start, chain.steps[-1].end, f"({above} ? {reading} : {plain})"
        self._guard(chain, expression, parents)
        return None

    def _guard(self, chain: Chain, expression: str, parents: list[int]) -> None:
        """Skip the rule while one of these fields is absent, if that condition can be put before it."""
        if chain.base != () or chain.head not in ("self", "oldSelf") or any(not step.name for step in chain.steps):
            raise Unclear(_named(chain))
        self.guards += [self._has(chain, expression, count) for count in parents]

    def _value(self, chain: Chain, parents: list[int], count: int) -> Any:
        """The target's value after `count` steps where a default applies to one of `parents`, or to the field itself.

        None when that is unknown or differs between them, _ABSENT when there is none.
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
        self, chain: Chain, expression: str, parents: list[int], count: int, default: str
    ) -> tuple[int, int, str]:
        end = chain.steps[count - 1].end
        if chain.is_presence_test() and count == len(chain.steps):
            return chain.call_start, chain.call_end, "true"
        present = " && ".join(self._has(chain, expression, each) for each in (*parents, count))
        return chain.start, end, f"({present} ? {expression[chain.start : end]} : {default})"

    def _sized(self, chain: Chain, expression: str, parents: list[int], size: str) -> tuple[int, int, str] | None:
        """`x.size()` and `size(x)` of a field whose default is not simple."""
        count = len(chain.steps)
        start, end = chain.start, chain.steps[-1].end
        if chain.method == "size":
            end = chain.method_end
        elif chain.call == "size" and chain.call_end and not chain.method:
            start, end = chain.call_start, chain.call_end
        else:
            return None
        present = " && ".join(self._has(chain, expression, each) for each in (*parents, count))
        return start, end, f"({present} ? {expression[start:end]} : {size})"

    def _unfollowed(self, chain: Chain, expression: str) -> tuple[int, int, str] | None:
        """A chain of which only names are known: it is unchanged unless a field of that name had a default."""
        for count, step in enumerate(chain.steps, 1):
            gone = self.context.named(step.name)
            if not gone:
                continue
            literals = {each.literal for each in gone}
            plain = literals.pop() if len(literals) == 1 and not any(each.nullable for each in gone) else ""
            has = chain.is_presence_test() and count == len(chain.steps)
            if not plain or step.optional or not chain.head or (has and self.context.may_be_absent(step.name)):
                raise Unclear(_named(chain))
            return self._substitute(chain, expression, [], count, plain)
        return None

    @staticmethod
    def _has(chain: Chain, expression: str, count: int) -> str:
        return f"has({expression[chain.start : chain.steps[count - 1].end]})"


def _named(chain: Chain) -> str:
    return ".".join(step.name or EITHER for step in chain.steps)
