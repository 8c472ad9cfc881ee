"""What a run of typegen is told: by flags, or by a typegen.yaml in git that repeats everything.

Flow: flags and file -> `Settings` -> gathering (which types, under which names) -> bundle (what is written).
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

from typegen import documents, validation
from typegen.model import ApiResource, Options, Unusable

FILE = "typegen.yaml"
CORE = "core"
"""How the API group without a name is called on the command line."""

_OPTIONS = {
    "version": "version",
    "federatedGroup": "federated_group",
    "federatedVersion": "federated_version",
    "systemNamespace": "system_namespace",
    "descriptions": "descriptions",
    "templates": "templates",
}
_TYPE_OPTIONS = {
    "kind": "federated_kind",
    "plural": "federated_plural",
    "version": "version",
    "descriptions": "descriptions",
    "optional": "optional",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """One run. `types` holds what differs for single types: fields of Options by the target's `plural.group`."""

    sources: tuple[str, ...] = ()
    output: str = "-"
    only: frozenset[str] = frozenset()
    groups: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)
    types: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def choosing(self) -> bool:
        """Whether anything says which types are wanted: built-in types are never taken all together."""
        return bool(self.only or self.groups)

    def options_for(self, qualified: str) -> Options:
        """The options for one target, by its `plural.group`."""
        own = self.types.get(qualified)
        return dataclasses.replace(self.options, **own) if own else self.options

    def selects(self, resource: ApiResource) -> bool:
        """Whether this type is wanted."""
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
    chosen = {ours: content[theirs] for theirs, ours in _OPTIONS.items() if theirs in content}
    if "templates" in chosen:
        chosen["templates"] = str(base / chosen["templates"])
    return Settings(
        sources=tuple(source if source == documents.STDIN else str(base / source) for source in content["sources"]),
        output=str(base / content.get("output", "federated")),
        only=frozenset(name.lower() for name in content.get("only", ())),
        groups=tuple(content.get("groups", ())),
        exclude=tuple(pattern.lower() for pattern in content.get("exclude", ())),
        options=Options(**chosen),
        types={
            name.lower(): {
                _TYPE_OPTIONS[key]: tuple(value) if isinstance(value, list) else value for key, value in own.items()
            }
            for name, own in (content.get("types") or {}).items()
        },
    )


@functools.cache
def schema() -> dict[str, Any]:
    """The JSON schema of typegen.yaml, for editors too."""
    text = (resources.files("typegen") / "settings.schema.json").read_text(encoding="utf-8")
    return _structural(json.loads(text))


def _structural(node: dict[str, Any]) -> dict[str, Any]:
    """JSON schema's `additionalProperties: false` is what a structural schema means by saying nothing."""
    result = {key: value for key, value in node.items() if key != "additionalProperties" or value is not False}
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = _structural(result[key])
    if "properties" in result:
        result["properties"] = {name: _structural(child) for name, child in result["properties"].items()}
    return result
