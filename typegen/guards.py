"""CEL rules that only some versions of a target have, for a template that takes all of them.

A rule below the template's root does not see apiVersion. What stands on a path of plain fields is said at the root
instead, with the version and the fields on its way as conditions; what stands inside a list or a map is left out, and
so is a rule that reads what is no longer checked (it would not compile) or no longer bounded (it would cost too much).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from typegen import cel, rules
from typegen.defaults import identifier
from typegen.model import ApiResource, Caution

Rule = dict[str, Any]
_HAS = re.compile(r"\bhas\(\s*$")
_PLAIN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_WHOLE = re.compile(r"\b(?:self|oldSelf)\b(?!\s*[.\[])")


@dataclass(frozen=True, slots=True)
class Leftover:
    """A rule of one version at `path` ("" is the template itself)."""

    version: str
    path: str
    rule: Rule


def api_version(target: ApiResource, version: str) -> str:
    """As an object of that version says it."""
    return f"{target.group}/{version}" if target.group else version


def reaches(found: Iterable[Rule], path: str, places: Iterable[str]) -> bool:
    """Whether one of the rules at `path` reads the value of one of the `places` at or below it, or something in it."""
    below = [
        place
        for place in places
        if not path or place == path or place.startswith((f"{path}.", f"{path}[", f"{path}{{"))
    ]
    relative = [tuple(_steps(place[len(path) :])) for place in below]
    return bool(relative) and any(
        _reads(text, relative)
        for rule in found
        for text in (str(rule.get("rule", "")), str(rule.get("messageExpression", "")))
    )


def _reads(expression: str, places: Sequence[cel.Steps]) -> bool:
    if () in places or _WHOLE.search(cel.code(expression)):
        return True
    names = {place[-1] for place in places}
    for chain in cel.chains(expression):
        if chain.base is None:
            if any(step.name in names for step in chain.steps):
                return True
            continue
        read = chain.path(len(chain.steps))
        asked = bool(_HAS.search(expression, 0, chain.start)) and not chain.method
        for place in places:
            depth = min(len(place), len(read))
            if not all(other in (one, cel.EITHER) for one, other in zip(place[:depth], read, strict=False)):
                continue
            if len(read) > len(place) or (len(read) == len(place) and not asked):
                return True
            if len(read) < len(place) and not asked and not chain.method:
                return True  # an object as a whole, with the place somewhere in it
    return False


def _steps(place: str) -> Iterator[str]:
    for name, inside in re.findall(r"([^.\[\]{}]+)|(\[\]|\{\})", place):
        yield inside or identifier(name)


@dataclass
class Guards:
    """The versions of one target, the first of `versions` being what a template without apiVersion is."""

    target: ApiResource
    versions: Sequence[str]
    freed: set[str]
    changed: set[str]
    cautions: set[Caution] = field(default_factory=set)

    def at_root(self, leftover: Leftover) -> Rule | None:
        """The rule for the template's root; None when it is left out, with a caution."""
        rule, path = leftover.rule, leftover.path
        reason = self._why_not(leftover)
        if reason:
            self._left_out(leftover, reason)
            return None
        steps = [identifier(step) for step in path.split(".") if step]
        moved = rules.below(rule, "".join(f".{step}" for step in steps), whole=True)
        present = [f"has({'.'.join(('self', *steps[:count]))})" for count in range(1, len(steps) + 1)]
        if "oldSelf" in cel.code(str(rule.get("rule"))):
            present += [each.replace("has(self", "has(oldSelf") for each in present]
        condition = " && ".join([self._applies(leftover.version, "self"), *present])
        # Without it the message would name the template as a whole.
        where = {"fieldPath": f".{path}"} if path and "fieldPath" not in rule and _PLAIN.fullmatch(path) else {}
        return {**moved, **where, "rule": f"!({condition}) || ({moved['rule']})"}

    def _why_not(self, leftover: Leftover) -> str:
        path = leftover.path
        if "[" in path or "{" in path:
            return "inside a list or a map a rule cannot tell versions apart"
        if any(path == place or path.startswith(f"{place}.") for place in self.freed if place):
            return "what it reads is not checked"
        if reaches([leftover.rule], path, self.freed | self.changed):
            return "it reads what differs between versions"
        return "it looks for an old value that may be absent" if leftover.rule.get("optionalOldSelf") else ""

    def federated(self, by_version: Mapping[str, Sequence[Rule]]) -> list[Rule]:
        """The rules for the federated object's root, those of single versions under their condition."""
        first = by_version[self.versions[0]]
        common = [rule for rule in first if all(rule in found for found in by_version.values())]
        result = list(common)
        for version, found in by_version.items():
            condition = self._applies(version, "self.spec.template")
            for rule in found:
                if rule in common:
                    continue
                if reaches([rule], "", self.freed | self.changed):
                    self._left_out(Leftover(version, "", rule), "it reads what differs between versions")
                else:
                    result.append({**rule, "rule": f"!({condition}) || ({rule['rule']})"})
        return result

    def _applies(self, version: str, template: str) -> str:
        field_ = f"{template}.apiVersion"
        if version != self.versions[0]:
            return f"has({field_}) && {field_} == '{api_version(self.target, version)}'"
        others = ", ".join(f"'{api_version(self.target, each)}'" for each in self.versions[1:])
        return f"!(has({field_}) && {field_} in [{others}])"

    def _left_out(self, leftover: Leftover, reason: str) -> None:
        text = rules.brief(str(leftover.rule.get("rule")))
        self.cautions.add(Caution(leftover.path or ".", f"CEL rule of {leftover.version} left out, {reason}: {text}"))
