"""The settings of a run of typegen: from flags, or from a typegen.yaml in git.

Flags and file become `Settings`, by which gathering selects and names types, and bundle writes files.
"""

import dataclasses
import fnmatch
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from typegen import documents, userroles, validation
from typegen.model import ApiResource, Options, Unusable

FILE = "typegen.yaml"
CORE = "core"
"""The name on the command line of the API group without a name."""

_OPTIONS = {
    "version": "version",
    "federatedGroup": "federated_group",
    "federatedVersion": "federated_version",
    "systemNamespace": "system_namespace",
    "memberAccount": "member_account",
    "scope": "scope",
    "aggregateTo": "aggregate_to",
    "descriptions": "descriptions",
    "templates": "templates",
}
_TYPE_OPTIONS = {
    "kind": "federated_kind",
    "plural": "federated_plural",
    "version": "version",
    "descriptions": "descriptions",
    "optional": "optional",
    "aggregateTo": "aggregate_to",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one run. `types` has the fields of Options that differ for single types, by `plural.group`."""

    sources: tuple[str, ...] = ()
    output: str = "-"
    only: frozenset[str] = frozenset()
    groups: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)
    types: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def choosing(self) -> bool:
        """Whether types are selected by name or group; without that, built-in types are not used."""
        return bool(self.only or self.groups)

    def options_for(self, qualified: str) -> Options:
        """The options for one target, by its `plural.group`."""
        own = self.types.get(qualified)
        return dataclasses.replace(self.options, **own) if own else self.options

    @property
    def federated_groups(self) -> frozenset[str]:
        """The API groups that types are federated in."""
        own = (each.get("federated_group") for each in self.types.values())
        return frozenset({self.options.federated_group, *filter(None, own)})

    def selects(self, resource: ApiResource) -> bool:
        """Whether this type is selected."""
        names = resource.names
        if self.only and self.only.isdisjoint(names):
            return False
        group = resource.group or CORE
        if self.groups and not any(fnmatch.fnmatchcase(group, wanted) for wanted in self.groups):
            return False
        return not any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in self.exclude)


def named(text: str) -> tuple[str, dict[str, Any]]:
    """`services.serving.knative.dev=FederatedKnativeService[/PLURAL]` as a target and its options.

    Raises Unusable when it is not of that form.
    """
    target, equals, name = text.partition("=")
    kind, _, plural = name.partition("/")
    if not (target and equals and kind):
        raise Unusable(f"--name {text!r} is not of the form PLURAL.GROUP=KIND or PLURAL.GROUP=KIND/PLURAL")
    return target.lower(), {"federated_kind": kind, **({"federated_plural": plural} if plural else {})}


def load(path: str) -> Settings:
    """The settings of a typegen.yaml; its paths are relative to itself. Raises Unusable naming file and field."""
    found = list(documents.read([path]))
    if len(found) != 1:
        raise Unusable(f"{path}: {len(found)} documents, expected one")
    content = found[0].document
    wrong = next(validation.problems(schema(), content), None)
    if wrong is not None:
        raise Unusable(f"{path}: {wrong}")
    base = Path(path).parent
    chosen = _chosen(content, _OPTIONS)
    if "templates" in chosen:
        chosen["templates"] = str(base / chosen["templates"])
    return Settings(
        sources=tuple(source if source == documents.STDIN else str(base / source) for source in content["sources"]),
        output=str(base / content.get("output", "federated")),
        only=frozenset(name.lower() for name in content.get("only", ())),
        groups=tuple(content.get("groups", ())),
        exclude=tuple(pattern.lower() for pattern in content.get("exclude", ())),
        options=Options(**chosen),
        types={name.lower(): _chosen(own, _TYPE_OPTIONS) for name, own in (content.get("types") or {}).items()},
    )


def _chosen(content: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """The fields of Options that a part of the file sets."""
    found = {ours: content[theirs] for theirs, ours in known.items() if theirs in content}
    if "aggregate_to" in found:
        found["aggregate_to"] = userroles.parse(found["aggregate_to"], "aggregateTo")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}


@functools.cache
def schema() -> dict[str, Any]:
    """The JSON schema of typegen.yaml, for editors too."""
    text = (resources.files("typegen") / "settings.schema.json").read_text(encoding="utf-8")
    return _structural(json.loads(text))


def _structural(node: dict[str, Any]) -> dict[str, Any]:
    """Without JSON schema's `additionalProperties: false`, which is the default of a structural schema."""
    result = {key: value for key, value in node.items() if key != "additionalProperties" or value is not False}
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = _structural(result[key])
    if "properties" in result:
        result["properties"] = {name: _structural(child) for name, child in result["properties"].items()}
    return result
