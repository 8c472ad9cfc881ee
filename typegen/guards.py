"""CEL rules that only some versions of a target have, for a template that accepts all versions.

A rule below the template's root cannot read apiVersion. A rule on a path of plain fields is moved to the root, with the
version and the existence of these fields as conditions. A rule inside a list or a map is left out, and so is one that
reads what is not checked any more (it would not compile) or has no size limit any more (it would cost too much).
"""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from typegen import cel, rules
from typegen.cel import ITEM, VALUE, Steps, identifier
from typegen.model import ApiResource, Caution

Rule = dict[str, Any]
_PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_TEMPLATE: Steps = ("spec", "template")


@dataclass(frozen=True, slots=True)
class Leftover:
    """A rule of one version at `path` (() is the template itself)."""

    version: str
    path: Steps
    rule: Rule


@dataclass(frozen=True, slots=True)
class Places:
    """Where versions differ so that a rule cannot be kept: names may hold dots, so they are steps, never joined.

    `freed` are fields that have no type any more: CEL does not know them, and cannot even ask whether they are there.
    `changed` have lost the bound that kept rules over them cheap, or the type that they are written for.
    """

    freed: set[Steps] = field(default_factory=set)
    changed: set[Steps] = field(default_factory=set)

    def below(self, path: Steps) -> "Places":
        """Those at or below a path, relative to it."""
        size = len(path)
        return Places(
            *({each[size:] for each in places if each[:size] == path} for places in (self.freed, self.changed))
        )


def shown(path: Steps) -> str:
    """A path for messages: `spec.list[].name`."""
    return "".join(step if step in (ITEM, VALUE) else f".{step}" for step in path).removeprefix(".")


def api_version(target: ApiResource, version: str) -> str:
    """An object's apiVersion in that version."""
    return f"{target.group}/{version}" if target.group else version


def reaches(found: Iterable[Rule], path: Steps, places: Places) -> bool:
    """Whether one of the rules at `path` reads the value of one of the `places` at or below it, or something in it."""
    near = places.below(path)
    freed, changed = (frozenset(map(_spelled, each)) for each in (near.freed, near.changed))
    return bool(freed or changed) and any(
        _reads(text, freed, changed)
        for rule in found
        for text in (str(rule.get("rule", "")), str(rule.get("messageExpression", "")))
    )


def _spelled(path: Steps) -> Steps:
    return tuple(identifier(step) for step in path)


def _reads(expression: str, freed: Set[Steps], changed: Set[Steps]) -> bool:
    places = freed | changed
    if () in places or any(not root.field and not root.indexed for root in cel.roots(expression)):
        return True
    names = {place[-1] for place in places}
    for chain in cel.chains(expression):
        if chain.base is None:
            if any(step.name in names for step in chain.steps):
                return True
            continue
        read = chain.path(len(chain.steps))
        tested = chain.is_presence_test()
        for place in places:
            depth = min(len(place), len(read))
            if not all(other in (one, cel.EITHER) for one, other in zip(place[:depth], read, strict=False)):
                continue
            if len(read) > len(place) or (len(read) == len(place) and (not tested or place in freed)):
                return True
            if len(read) < len(place) and not tested and not chain.method:
                return True  # an object as a whole, with the place somewhere in it
    return False


@dataclass
class Guards:
    """The versions of one target; a template without apiVersion is of the first."""

    target: ApiResource
    versions: Sequence[str]
    places: Places
    cautions: set[Caution] = field(default_factory=set)

    def at_root(self, leftover: Leftover) -> Rule | None:
        """The rule for the template's root; None, with a caution, when it is left out."""
        rule, path = leftover.rule, leftover.path
        reason = self._why_not(leftover)
        if reason:
            self._left_out(leftover, reason)
            return None
        steps = _spelled(path)
        moved = rules.below(rule, "".join(f".{step}" for step in steps), whole=True)
        moved.pop("fieldPath", None)  # which has names as they are, where CEL has them escaped
        present = [f"has({'.'.join(('self', *steps[:count]))})" for count in range(1, len(steps) + 1)]
        if any(root.name == "oldSelf" for root in cel.roots(str(rule.get("rule")))):
            present += [each.replace("has(self", "has(oldSelf") for each in present]
        condition = " && ".join([self._applies(leftover.version, "self"), *present])
        # Without fieldPath the message would name the template as a whole.
        within = str(rule.get("fieldPath", ""))
        plain = (path or within) and all(map(_PLAIN.fullmatch, path))
        where = {"fieldPath": f"{''.join(f'.{step}' for step in path)}{within}"} if plain else {}
        return {**moved, **where, "rule": cel.unless(condition, moved["rule"])}

    def _why_not(self, leftover: Leftover) -> str:
        path = leftover.path
        if ITEM in path or VALUE in path:
            return "inside a list or a map a rule cannot distinguish versions"
        if any(path[: len(place)] == place for place in self.places.freed):
            return "what it reads is not checked"
        if reaches([leftover.rule], path, self.places):
            return "it reads what differs between versions"
        return "it looks for an old value that may be absent" if leftover.rule.get("optionalOldSelf") else ""

    def federated(self, by_version: Mapping[str, Sequence[Rule]]) -> list[Rule]:
        """The rules for the federated object's root, those of single versions with a condition."""
        first = by_version[self.versions[0]]
        places = Places(*({(*_TEMPLATE, *each) for each in of} for of in (self.places.freed, self.places.changed)))
        common = [
            rule
            for rule in first
            if all(rule in found for found in by_version.values()) and not reaches([rule], (), places)
        ]
        result = list(common)
        for version, found in by_version.items():
            condition = self._applies(version, "self.spec.template")
            for rule in found:
                if rule in common:
                    continue
                if reaches([rule], (), places):
                    self._left_out(Leftover(version, (), rule), "it reads what differs between versions")
                else:
                    result.append({**rule, "rule": cel.unless(condition, rule["rule"])})
        return result

    def _applies(self, version: str, template: str) -> str:
        field_ = f"{template}.apiVersion"
        if version != self.versions[0]:
            return f"has({field_}) && {field_} == '{api_version(self.target, version)}'"
        others = ", ".join(f"'{api_version(self.target, each)}'" for each in self.versions[1:])
        return f"!(has({field_}) && {field_} in [{others}])"

    def _left_out(self, leftover: Leftover, reason: str) -> None:
        text = rules.brief(str(leftover.rule.get("rule")))
        self.cautions.add(
            Caution(shown(leftover.path) or ".", f"CEL rule of {leftover.version} left out, {reason}: {text}")
        )
