"""What is looked at: a federated object of the hub by KIND and NAME, and the members that have, or are to have, it."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from federation.core import parsing, placement
from federation.joining import fleet, kinds, lookups
from federation.joining.errors import Refused
from federation.joining.fleet import Fleet, Member
from federation.joining.reaching import Reach
from federation.model.errors import Invalid
from federation.model.federated import FederatedType
from federation.model.resources import Key, ObjectName
from federation.preview import hub as hubs


@dataclass(frozen=True, slots=True)
class Subject:
    """One federated object as the hub has it."""

    known: Fleet
    type: FederatedType
    found: Mapping[str, Any]

    @property
    def where(self) -> ObjectName:
        """Its place at the hub."""
        metadata = self.found["metadata"]
        return ObjectName(metadata.get("namespace", ""), metadata["name"])

    @property
    def key(self) -> Key:
        """The same, with its type."""
        return Key(self.type.name, *self.where)

    @property
    def target(self) -> ObjectName:
        """Where its copies are in members."""
        return ObjectName(self.where.namespace if self.type.target.namespaced else "", self.where.name)

    @property
    def label(self) -> str:
        """How messages name it: `FederatedDeployment shop/web`."""
        return f"{self.type.federated.kind} {self.where}"

    def members(self) -> list[Member]:
        """The members that it selects, and those of which its status has a line: they may have a copy still."""
        names = self._selected() | {str(each.get("name")) for each in _lines(self.found)}
        return [each for each in self.known.members if each.name in names]

    def _selected(self) -> frozenset[str]:
        clusters = {each["metadata"]["name"]: hubs.cluster(hubs.stored(each), "") for each in self.known.clusters}
        try:
            spec = parsing.spec(orjson.dumps(self.found.get("spec") or {}), namespaces=self.type.is_namespace)
        except Invalid:
            return frozenset()
        return placement.select(spec.placement, clusters)


async def find(reach: Reach, kind: str, name: str, namespace: str) -> Subject:
    """The object. Raises Refused, with what is similar, where there is none; NotInstalled and ApiFailure."""
    known = await fleet.read(reach.host, reach.namespace)
    chosen = kinds.resolve(known.types, await kinds.served(reach.host), kind)
    where = namespace if chosen.federated.namespaced else ""
    return Subject(known, chosen, await lookups.one(reach.host, chosen.federated, where, name))


def chosen(known: Fleet, concerned: Sequence[Member], names: Iterable[str]) -> Sequence[Member]:
    """The members that are asked: those that the user names, else all that are concerned. Raises Refused."""
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if known.member(name) is None:
            every = [each.name for each in known.members]
            near = difflib.get_close_matches(name, every, n=1)
            raise Refused(
                f"no cluster {name} has joined",
                f"did you mean {near[0]}?" if near else "fedctl get clusters lists them",
            )
    return [each for each in known.members if each.name in wanted] if wanted else concerned


def _lines(found: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    lines = (found.get("status") or {}).get("clusters")
    return [each for each in lines if isinstance(each, dict)] if isinstance(lines, list) else []
