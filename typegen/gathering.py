"""From documents to federated types: who is wanted, what each becomes, and what stands in the way of the others.

One bad type never stops the rest. The outcome does not depend on the order of the documents: types are sorted by name,
and of two that clash neither is made. Each type becomes text at once: 500 CRDs as Python objects would fill a gigabyte.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from typegen import clashes, definitions, discovery, federate, names, openapi, writing
from typegen.documents import Found
from typegen.model import ApiResource, Caution, Generated, Options, Unusable
from typegen.settings import Settings

OWN_GROUPS = frozenset({"core.kubefed.io", "scheduling.kubefed.io", "types.kubefed.io"})
TARGET_ANNOTATION = "types.kubefed.io/target"
"""What the frame writes on every federated CRD."""

_NEEDED = {"list": "listed", "post": "created", "patch": "patched", "delete": "deleted"}
"""What the controller does with a target, by OpenAPI's word for it."""


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """A type that was wanted and cannot be made; `name` is `plural.group`, or "" when not even that can be read."""

    name: str
    source: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Piece:
    """One federated type, ready to be written: its names, what could not be carried over, and its file's text."""

    source: str
    target: ApiResource
    federated: ApiResource
    cautions: tuple[Caution, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """What came of all documents, each part sorted by name."""

    made: tuple[Piece, ...] = ()
    refused: tuple[Refusal, ...] = ()


def gather(found: Iterable[Found], settings: Settings) -> Gathered:
    """The federated types for what `settings` selects among the documents."""
    made: dict[str, Piece] = {}
    refused: set[Refusal] = set()
    seen: set[ApiResource] = set()
    for outcome in _outcomes(found, settings, seen):
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
    refused |= set(_unknown(settings, seen, {refusal.name for refusal in refused}))
    clashing = clashes.refused(made.values())
    refused |= {Refusal(name, made.pop(name).source, reason) for name, reason in clashing.items()}
    kept = [made[name] for name in sorted(made)]
    for name, taken in clashes.short_names(kept).items():
        made[name] = _without(made[name], taken)
    return Gathered(tuple(made[name] for name in sorted(made)), tuple(sorted(refused)))


def _unknown(settings: Settings, seen: Iterable[ApiResource], refused: set[str]) -> Iterator[Refusal]:
    """What was named and is nowhere in the sources: more likely misspelt than meant."""
    resources = list(seen)
    known = {name for resource in resources for name in resource.names} | refused
    for name in sorted(settings.only - known):
        yield Refusal("", "--only", f"no type in the sources is called {name}")
    qualified = {resource.qualified for resource in resources} | refused
    for name in sorted(set(settings.types) - qualified):
        yield Refusal("", "types", f"no type in the sources is called {name}")


def _without(piece: Piece, taken: Mapping[str, str]) -> Piece:
    left = tuple(name for name in piece.federated.short_names if name not in taken)
    cautions = tuple(
        Caution("metadata", f"short name {name} left out, {owner} has it") for name, owner in taken.items()
    )
    federated = replace(piece.federated, short_names=left)
    return replace(
        piece,
        federated=federated,
        cautions=(*piece.cautions, *cautions),
        text=writing.renamed(piece.text, piece.target, federated, (*piece.cautions, *cautions)),
    )


def _outcomes(found: Iterable[Found], settings: Settings, seen: set[ApiResource]) -> Iterator[Piece | Refusal]:
    later = []
    known: dict[tuple[str, str], ApiResource] = {}
    for each in found:
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
    """Whether this is a federated type itself, or one of KubeFed's own: a hub as a source has them all."""
    annotations = (crd.get("metadata") or {}).get("annotations") or {}
    return TARGET_ANNOTATION in annotations or resource.group in (options.federated_group, *OWN_GROUPS)


def _piece(source: str, generated: Generated) -> Piece:
    return Piece(source, generated.target, generated.federated, generated.cautions, writing.text(generated))


def _built_ins(
    found: Iterable[Found],
    known: Mapping[tuple[str, str], ApiResource],
    settings: Settings,
    seen: set[ApiResource],
) -> Iterator[Piece | Refusal]:
    """The built-in types of all OpenAPI documents together: the versions of a type may stand in several of them."""
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
    """Of each type that is wanted one version: the one asked for, else the one Kubernetes prefers."""
    best: dict[str, ApiResource] = {}

    def rank(resource: ApiResource) -> tuple[bool, tuple[int, int, int, str]]:
        asked = settings.options_for(resource.qualified).version
        return (resource.version != asked, names.priority(resource.version))

    for resource in resources:
        if settings.selects(resource) and resource.group not in OWN_GROUPS:
            best[resource.qualified] = min(best.get(resource.qualified, resource), resource, key=rank)
    return [best[name] for name in sorted(best)]
