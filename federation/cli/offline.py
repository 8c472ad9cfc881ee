"""`fedctl federate -f`: documents in, documents out, in their order, without a cluster. Errors name file and line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from federation.cli import reading
from federation.cli.reading import Document
from federation.federating import catalogue, places, rendering
from federation.federating.catalogue import Catalogue
from federation.federating.wishes import Wish
from federation.model.errors import Invalid
from federation.model.federated import FederatedType
from federation.model.marks import SYSTEM_NAMESPACE
from typegen import definitions
from typegen import federate as typegen_federate
from typegen.model import Options
from typegen.model import Unusable as NotFederable


@dataclass(slots=True)
class Made:
    """What is printed on stdout, and the lines for stderr."""

    documents: list[Mapping[str, Any]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def federate(
    files: Iterable[str],
    types: Iterable[str],
    wish: Wish,
    *,
    enable: bool = False,
    namespace: str = SYSTEM_NAMESPACE,
) -> Made:
    """Federate the documents of `files`. Raises Invalid with file and line.

    `enable` also makes federated types for the target CRDs among the input, before everything else; `namespace` is the
    host's system namespace, where their FederatedTypeConfigs belong. Without any type (no `types`, none among the
    input), KubeFed's names are assumed, as by kubefedctl.
    """
    documents = reading.every(files)
    if not documents:
        raise Invalid("-f", "the files hold no document")
    given = reading.every(types)
    made = Made()
    found = types_in([*given, *documents])
    if enable:
        for generated in _generated([*given, *documents], found, namespace):
            made.documents += generated.manifests
            made.remarks += [f"warning: {generated.target.qualified}: {each}" for each in generated.cautions]
            found.append(catalogue.type_of(generated.type_config))
    known = Catalogue.of(found)
    assume = not known and not given
    if assume:
        made.remarks.append("note: no types among the files: KubeFed's names are assumed; give your types with --types")
    _render(documents, known, wish, made, assume=assume)
    return made


def types_in(documents: Iterable[Document], *, tolerant: bool = False) -> list[FederatedType]:
    """The types of the FederatedTypeConfigs among the documents.

    Raises Invalid with file and line for an invalid one; with `tolerant` it is left out, for the caller to report.
    """
    found = []
    for document in documents:
        if catalogue.is_type(document.value):
            try:
                found.append(catalogue.type_of(document.value))
            except Invalid as error:
                if not tolerant:
                    raise located(document, error) from None
    return found


def located(document: Document, error: Invalid) -> Invalid:
    """The same error with file and line before it."""
    where = document.at(*places.steps(document.value, error.field))
    return Invalid(f"{where}: {catalogue.title(document.value)}", str(error))


def _render(documents: Sequence[Document], known: Catalogue, wish: Wish, made: Made, *, assume: bool) -> None:
    taken = {rendering.key(document.value) for document in documents}
    unknown: dict[str, str] = {}
    federated: list[Mapping[str, Any]] = []
    for document in documents:
        try:
            done = rendering.one(document.value, known, wish, assume=assume)
            rendering.refuse_twice(done, taken)
        except Invalid as error:
            raise located(document, error) from None
        if done.unknown:
            unknown.setdefault(f"{document.value['apiVersion']} {document.value['kind']}", document.at())
        made.documents += done.documents
        federated += done.federated
        title = catalogue.title(document.value)
        made.remarks += [f"warning: {document.at()}: {title}: {remark}" for remark in done.remarks]
    if unknown:
        kind, where = next(iter(unknown.items()))
        more = f" (and {len(unknown) - 1} more kinds)" if len(unknown) > 1 else ""
        raise Invalid(
            where,
            f"{kind} has no federated type{more}: give its type's file with --types (typegen write makes one), "
            f"annotate the document with {rendering.LOCAL}: 'true', or leave it out",
        )
    if not federated:
        made.remarks.append("note: there was nothing to federate")
    standing = [document.value for document in documents]
    for namespace in rendering.homeless([*federated, *standing], known):
        made.remarks.append(
            f"note: no FederatedNamespace {namespace} among the files: without one at the host nothing in it is placed"
        )


def _generated(documents: Iterable[Document], found: Sequence[FederatedType], namespace: str) -> list[Any]:
    """typegen's types for the target CRDs that no FederatedTypeConfig names yet."""
    named = {each.name for each in found}
    federated = {each.federated.qualified for each in found}
    owners = {each.federated.qualified: each.name for each in found}
    made = []
    for document in documents:
        crd = document.value
        qualified = definitions.qualified(crd) if definitions.is_definition(crd) else ""
        group = qualified.partition(".")[2]
        if not qualified or qualified in named | federated or group.endswith("kubefed.io"):
            continue
        try:
            made.append(typegen_federate.from_crd(crd, Options(system_namespace=namespace)))
        except NotFederable as error:
            raise Invalid(document.at("spec"), str(error)) from None
        owner = owners.setdefault(made[-1].federated.qualified, qualified)
        if owner != qualified:
            raise Invalid(
                document.at("spec"),
                f"{qualified} would be federated as {made[-1].federated.qualified}, which is already the federated "
                f"type of {owner}: make one of them with typegen write --name",
            )
        named.add(qualified)
    return made
