"""The types of a source, for `typegen diff`: every served version's schema, and the federated type."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from typegen import definitions, federate, openapi
from typegen.affected import Kind
from typegen.documents import Found
from typegen.model import Generated, Unusable
from typegen.settings import Settings
from typegen.upgrades import Form


@dataclass(frozen=True, slots=True)
class Forms:
    """The types of one source, by `plural.group`; `refused` are messages about what cannot be read as a type."""

    forms: dict[str, Form] = field(default_factory=dict)
    made: dict[str, Generated] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def read(found: Iterable[Found], settings: Settings) -> Forms:
    """The types among the documents that `settings` selects."""
    result = Forms()
    for each in found:
        try:
            if definitions.is_definition(each.document):
                _definition(each, settings, result)
            elif openapi.is_document(each.document):
                _built_in(each, settings, result)
        except Unusable as error:
            result.refused.append(f"{each.source}: {error}")
    return result


def _definition(found: Found, settings: Settings, result: Forms) -> None:
    options = settings.options_for(definitions.qualified(found.document))
    resource = definitions.resource(found.document, options)
    if not settings.selects(resource):
        return
    versions = definitions.versions(found.document)
    schemas = {version.name: version.schema or {} for version in versions if version.served}
    storage = next((version.name for version in versions if version.storage), "")
    result.forms[resource.qualified] = Form(resource, schemas, storage)
    result.made[resource.qualified] = federate.generate(definitions.target(found.document, options), options)


def _built_in(found: Found, settings: Settings, result: Forms) -> None:
    if not settings.choosing:
        raise Unusable("name the built-in types to take from an OpenAPI document with --only or --group")
    for resource in openapi.resources(found.document):
        if settings.selects(resource):
            target = openapi.target(found.document, resource)
            known = result.forms.get(resource.qualified)
            schemas = {**(known.schemas if known else {}), resource.version: target.schema or {}}
            result.forms[resource.qualified] = Form(resource, schemas)
            result.made[resource.qualified] = federate.generate(target, settings.options_for(resource.qualified))


def kinds(old: Forms, new: Forms) -> Iterator[Kind]:
    """The federated types of either source, with the schema that each makes of it."""
    for name in sorted({*old.made, *new.made}):
        federated = (new.made.get(name) or old.made[name]).federated
        before, after = (made.crd if made else None for made in (old.made.get(name), new.made.get(name)))
        yield Kind(
            name,
            federated.api_version,
            federated.kind,
            *(
                crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] if crd else None  # one version, see the frame
                for crd in (before, after)
            ),
        )
