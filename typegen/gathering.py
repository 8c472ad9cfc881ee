"""From documents to federated types: which are selected, what is made of each, and why others cannot be made.

An invalid type never stops the others. The result does not depend on the order of the documents: types are sorted by
name, and of two that clash neither is made. Each type is converted to text at once, because 500 CRDs as Python objects
would take a gigabyte.
"""

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from typegen import clashes, definitions, discovery, federate, installed, names, openapi, writing
from typegen.documents import Found
from typegen.installed import TARGET_ANNOTATION, Hub
from typegen.model import ApiResource, Caution, Generated, Options, Unusable, short_names_taken
from typegen.settings import CORE, Settings

OWN_GROUPS = frozenset({"core.kubefed.io", "scheduling.kubefed.io", "types.kubefed.io"})

_NEEDED = {"list": "listed", "post": "created", "patch": "patched", "delete": "deleted"}
"""What the controller does with a target, by the action's name in OpenAPI."""


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """A selected type that cannot be made; `name` is `plural.group`, or "" when it cannot be read."""

    name: str
    source: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Piece:
    """One federated type: its names, what could not be carried over, and its file's text."""

    source: str
    target: ApiResource
    federated: ApiResource
    cautions: tuple[Caution, ...]
    text: str
    aggregate_to: tuple[str, ...] | None = None
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Gathered:
    """The result for all documents, each part sorted by name."""

    made: tuple[Piece, ...] = ()
    refused: tuple[Refusal, ...] = ()


def gather(found: Iterable[Found], settings: Settings) -> Gathered:
    """The federated types for what `settings` selects among the documents."""
    made: dict[str, Piece] = {}
    refused: set[Refusal] = set()
    seen: set[ApiResource] = set()
    existing = _Existing()
    for outcome in _outcomes(found, settings, seen, existing):
        if isinstance(outcome, Refusal):
            refused.add(outcome)
            continue
        name = outcome.target.qualified
        first = made.setdefault(name, outcome)
        if first.text != outcome.text:
            places = " and ".join(sorted({first.source, outcome.source}))
            refused.add(Refusal(name, places, f"{name} is defined twice and differently: leave one of them out"))
    for refusal in refused:
        made.pop(refusal.name, None)
    if not refused:  # else the field may be one of theirs
        refused |= set(_unknown_fields(settings, made))
    refused |= set(_unknown(settings, seen, {refusal.name for refusal in refused}))
    hub = existing.hub()
    for name, reason in {**clashes.refused(made.values()), **_taken(made, hub)}.items():
        refused.add(Refusal(name, made.pop(name).source, reason))
    kept = [made[name] for name in sorted(made)]
    within = clashes.short_names(kept)
    for name in sorted(made):
        taken = {**hub.short_names(made[name].federated), **within.get(name, {})}
        if taken:
            made[name] = _without(made[name], taken)
    return Gathered(tuple(made[name] for name in sorted(made)), tuple(sorted(refused)))


def _taken(made: Mapping[str, Piece], hub: Hub) -> dict[str, str]:
    """Types that conflict with CRDs of a hub among the sources, with a message what to do."""
    found = {}
    for name, piece in made.items():
        conflict = hub.conflict(piece)
        if conflict is not None:
            renaming = f"give it another name, such as --name {clashes.suggestion([piece])}"
            found[name] = f"{conflict.reason}: {conflict.hint or renaming}"
    return found


@dataclass
class _Existing:
    """The federated CRDs and FederatedTypeConfigs of a hub among the sources."""

    definitions: list[dict[str, Any]] = field(default_factory=list)
    configs: list[dict[str, Any]] = field(default_factory=list)

    def hub(self) -> Hub:
        return installed.hub(self.definitions, self.configs)

    def note(self, document: dict[str, Any], settings: Settings) -> None:
        """Keep the document's names, if a federated type could conflict with them."""
        if document.get("kind") == "FederatedTypeConfig":
            self.configs.append(document)
        elif definitions.is_definition(document):
            group = definitions.qualified(document).partition(".")[2]
            if group in settings.federated_groups:
                self.definitions.append({**document, "spec": {**document["spec"], "versions": []}})  # names are small


def _unknown(settings: Settings, seen: Iterable[ApiResource], refused: set[str]) -> Iterator[Refusal]:
    """Names that no type in the sources has, probably by a typo."""
    resources = list(seen)
    known = {name for resource in resources for name in resource.names} | refused
    for name in sorted(settings.only - known):
        yield Refusal("", "--only", f"no type in the sources is called {name}")
    qualified = {resource.qualified for resource in resources} | refused
    for name in sorted(set(settings.types) - qualified):
        yield Refusal("", "types", f"no type in the sources is called {name}")
    groups = {resource.group or CORE for resource in resources}
    for pattern in sorted(set(settings.groups)) if not refused else ():
        if not any(fnmatch.fnmatchcase(group, pattern) for group in groups):
            yield Refusal("", "--group", f"no type in the sources has a group {pattern}")


def _unknown_fields(settings: Settings, made: Mapping[str, Piece]) -> Iterator[Refusal]:
    """Optional fields that no selected type has."""
    general = [piece for name, piece in made.items() if "optional" not in settings.types.get(name, {})]
    for path in sorted(set(settings.options.optional)):
        if general and not any(path in piece.optional for piece in general):
            yield Refusal("", "--optional", f"no selected type has a field {path}")
    for name, own in settings.types.items():
        for path in sorted(set(own.get("optional", ()))):
            if name in made and path not in made[name].optional:
                yield Refusal("", f"types: {name}: optional", f"it has no field {path}")


def _without(piece: Piece, taken: Mapping[str, str]) -> Piece:
    left = tuple(name for name in piece.federated.short_names if name not in taken)
    cautions = short_names_taken(taken)
    federated = replace(piece.federated, short_names=left)
    return replace(
        piece,
        federated=federated,
        cautions=(*piece.cautions, *cautions),
        text=writing.renamed(piece.text, piece.target, federated, (*piece.cautions, *cautions)),
    )


def _outcomes(
    found: Iterable[Found], settings: Settings, seen: set[ApiResource], existing: _Existing
) -> Iterator[Piece | Refusal]:
    later = []
    known: dict[tuple[str, str], ApiResource] = {}
    for each in found:
        existing.note(each.document, settings)
        if definitions.is_definition(each.document):
            yield from _definition(each, settings, seen)
        elif openapi.is_document(each.document):
            later.append(each)
        elif discovery.is_document(each.document):
            try:
                known |= {(one.api_version, one.plural): one for one in discovery.resources(each.document)}
            except Unusable as error:
                yield Refusal("", each.source, str(error))
    yield from _built_ins(later, known, settings, seen)


def _definition(found: Found, settings: Settings, seen: set[ApiResource]) -> Iterator[Piece | Refusal]:
    name = definitions.qualified(found.document)
    try:
        options = settings.options_for(name)
        resource = definitions.resource(found.document, options)
        seen.add(resource)
        if settings.selects(resource) and not _is_ours(found.document, resource, options):
            generated = federate.generate(definitions.target(found.document, options), options)
            yield _piece(found.source, generated)
    except Unusable as error:
        yield Refusal(name, found.source, str(error))


def _is_ours(crd: Mapping[str, Any], resource: ApiResource, options: Options) -> bool:
    """Whether this is a federated type itself, or one of KubeFed's own, which a hub as a source has as well."""
    annotations = (crd.get("metadata") or {}).get("annotations") or {}
    return TARGET_ANNOTATION in annotations or resource.group in (options.federated_group, *OWN_GROUPS)


def _piece(source: str, generated: Generated) -> Piece:
    return Piece(
        source,
        generated.target,
        generated.federated,
        generated.cautions,
        writing.text(generated),
        generated.aggregate_to,
        generated.optional,
    )


def _built_ins(
    found: Iterable[Found],
    known: Mapping[tuple[str, str], ApiResource],
    settings: Settings,
    seen: set[ApiResource],
) -> Iterator[Piece | Refusal]:
    """The built-in types of all OpenAPI documents together: a type's versions may be in several of them."""
    offered: dict[ApiResource, tuple[Found, frozenset[str]]] = {}
    for each in found:
        try:
            if not settings.choosing:
                raise Unusable("name the built-in types to take from an OpenAPI document with --only or --group")
            verbs = openapi.verbs(each.document)
            for listed in openapi.resources(each.document):
                key = (listed.api_version, listed.plural)
                offered.setdefault(known.get(key, listed), (each, verbs.get(key, frozenset())))
        except Unusable as error:
            yield Refusal("", each.source, str(error))
    seen.update(offered)
    for resource in _preferred(offered, settings):
        source, verbs_there = offered[resource]
        options = settings.options_for(resource.qualified)
        try:
            missing = [done for verb, done in _NEEDED.items() if verb not in verbs_there]
            if missing:
                raise Unusable(f"{resource.qualified} cannot be federated: it cannot be {', '.join(missing)}")
            if options.version and options.version != resource.version:
                raise Unusable(f"{resource.qualified}: version {options.version} is not served, {resource.version} is")
            yield _piece(source.source, federate.from_openapi(source.document, resource, options))
        except Unusable as error:
            yield Refusal(resource.qualified, source.source, str(error))


def _preferred(resources: Iterable[ApiResource], settings: Settings) -> list[ApiResource]:
    """One version of each selected type: the one in the options, else the one that Kubernetes prefers."""
    best: dict[str, ApiResource] = {}

    def rank(resource: ApiResource) -> tuple[bool, tuple[int, int, int, str]]:
        asked = settings.options_for(resource.qualified).version
        return (resource.version != asked, names.priority(resource.version))

    for resource in resources:
        if settings.selects(resource) and resource.group not in OWN_GROUPS:
            best[resource.qualified] = min(best.get(resource.qualified, resource), resource, key=rank)
    return [best[name] for name in sorted(best)]
