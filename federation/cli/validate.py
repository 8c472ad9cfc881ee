"""`fedctl validate`: check federated YAML in git as a hub would, without a hub, by federation.federating."""

import pathlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from federation.cli import options
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.cli.reading import Document
    from federation.federating.catalogue import Catalogue
    from federation.federating.findings import Finding, Located
    from federation.federating.members import Served
    from federation.federating.schemas import Kinds

EXAMPLES = """
  fedctl validate .                                   # types/, clusters/ and apps/ of one repository
  fedctl validate apps/ --types types/ --clusters east,west
  fedctl validate . --output sarif > federation.sarif
  fedctl validate . --served east=clusters/east/crds  # the objects for east against its own CRDs
"""


@click.command("validate", cls=Verb, examples=EXAMPLES)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--types",
    multiple=True,
    metavar="PATH",
    help="Where the types' files are (federated CRDs, FederatedTypeConfigs) when they are not below PATH.",
)
@click.option(
    "--clusters",
    multiple=True,
    metavar="NAMES",
    help="The clusters there are, besides the KubeFedClusters among the files: other names are then errors.",
)
@click.option(
    "--served",
    multiple=True,
    metavar="CLUSTER=PATH",
    help="What a cluster serves: its CRDs, or OpenAPI v3 documents saved by kubectl get --raw. May be repeated.",
)
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@options.output("text", "github", "sarif", default="text")
def command(
    *,
    paths: tuple[str, ...],
    types: tuple[str, ...],
    clusters: tuple[str, ...],
    served: tuple[str, ...],
    strict: bool,
    output: str,
) -> int:
    """Check the federated objects in PATH (files, folders, -) against their types, offline.

    Each is checked against the schema of its type and by the controller's own rules; every override is applied, and the
    result is checked as well. Every message has file, line and field. CEL rules are not checked, but listed: only an
    API server can check them. With --served, the objects for a cluster are also checked against what that cluster
    serves. Exit code 1 with errors, 2 when PATH or the types cannot be read.
    """
    from federation import __version__  # noqa: PLC0415
    from federation.federating import findings, formats  # noqa: PLC0415

    found, notes = check(paths, types, clusters, served)
    if output == "sarif":
        click.echo(formats.sarif(found, notes, __version__))
    else:
        for line in formats.github(found) if output == "github" else formats.text(found):
            click.echo(line)
        for note in notes:
            options.report(note)
    return 1 if findings.failed(found) or (strict and found) else 0


def check(
    paths: Sequence[str], types: Sequence[str], clusters: Sequence[str], served: Sequence[str] = ()
) -> tuple[list["Located"], list[str]]:
    """Every finding, by file and line, and notes about what was checked and what was not.

    Raises Invalid for a path that does not exist and for types' files that cannot be used.
    """
    from federation.cli import offline, reading  # noqa: PLC0415
    from federation.federating import members, together, validating, wishes  # noqa: PLC0415
    from federation.federating.catalogue import Catalogue as Known  # noqa: PLC0415
    from federation.model.errors import Invalid  # noqa: PLC0415

    of_clusters = _by_cluster(served)
    apart = [path for each in of_clusters.values() for path in each]
    for name in (*paths, *types, *apart):
        if name != "-" and not pathlib.Path(name).exists():
            raise Invalid(name, "does not exist")
    documents, found = _read(paths, apart)
    given = reading.every(types)
    every = [*given, *documents]
    known = Known.of([*offline.types_in(given), *offline.types_in(documents, tolerant=True)])
    kinds = _kinds(every, known)
    for document in documents:
        found += [_located(document, each) for each in validating.document(document.value, known, kinds)]
    there = together.fleet([each.value for each in every], wishes.clusters(clusters, "--clusters"))
    serves = {cluster: _served(cluster, each, known) for cluster, each in of_clusters.items()}
    for document in documents if serves else ():
        found += [_located(document, each) for each in members.document(document.value, known, there, serves)]
    values = [document.value for document in documents]
    homes = [document.value for document in given if known.federating(document.value) is not None]
    for index, each in together.documents([*values, *homes], known, there):
        if index < len(documents):
            found.append(_located(documents[index], each))
    notes = _notes(documents, kinds, sum(known.federating(value) is not None for value in values))
    return sorted(set(found)), notes


def _by_cluster(options: Iterable[str]) -> dict[str, list[str]]:
    """CLUSTER=PATH, as often as it is given. Raises Invalid."""
    from federation.model.errors import Invalid  # noqa: PLC0415

    found: dict[str, list[str]] = {}
    for option in options:
        cluster, _, path = option.partition("=")
        if not cluster or not path:
            raise Invalid("--served", f"expected CLUSTER=PATH, found {option}")
        found.setdefault(cluster, []).append(path)
    return found


def _served(cluster: str, paths: Iterable[str], known: "Catalogue") -> "Served":
    """What the cluster serves according to these files. Raises Invalid."""
    from federation.federating import members  # noqa: PLC0415
    from federation.model.errors import Invalid  # noqa: PLC0415
    from typegen import documents  # noqa: PLC0415 (for megabytes of OpenAPI: faster, without lines)
    from typegen.model import Unusable  # noqa: PLC0415

    try:
        return members.served((each.document for each in documents.read(paths)), known)
    except Unusable as error:
        raise Invalid(f"--served {cluster}", str(error)) from None


def _read(paths: Iterable[str], apart: Iterable[str]) -> tuple[list["Document"], list["Located"]]:
    from federation.cli import reading  # noqa: PLC0415
    from federation.federating.findings import Located, Rule, Severity  # noqa: PLC0415
    from federation.model.errors import Invalid  # noqa: PLC0415

    documents: list[Document] = []
    found = []
    left_out = {pathlib.Path(name).resolve() for name in reading.files(apart)}  # the clusters' own, not the hub's
    for name in reading.files(paths):
        if name != "-" and pathlib.Path(name).resolve() in left_out:
            continue
        try:
            documents += [each for one in reading.read(name) for each in reading.flattened(one)]
        except Invalid as error:
            file, _, line = error.field.rpartition(":")
            where = (file, int(line)) if file and line.isdigit() else (error.field, 1)
            found.append(Located(*where, "", error.message, Severity.ERROR, Rule.SYNTAX))
    return documents, found


def _kinds(documents: Sequence["Document"], known: "Catalogue") -> "Kinds":
    """The federated kinds, from their CRDs among the files, else made from their targets' CRDs; and the core kinds."""
    from federation.federating import schemas  # noqa: PLC0415
    from federation.model.errors import Invalid  # noqa: PLC0415
    from typegen import definitions, templates  # noqa: PLC0415

    crds = [each for each in documents if definitions.is_definition(each.value)]
    federated = {each.federated.qualified for each in known.targets.values()}
    targets = {each.name: each for each in known.targets.values()}
    kinds = schemas.of(templates.core_crds())
    for crd in sorted(crds, key=lambda each: definitions.qualified(each.value) in federated):
        name = definitions.qualified(crd.value)
        try:
            if name in federated:
                kinds |= schemas.of([crd.value])
            elif name in targets:
                kinds |= schemas.of_target(crd.value, targets[name])
        except Invalid as error:
            raise Invalid(crd.at("spec"), error.message) from None
    return kinds


def _located(document: "Document", finding: "Finding") -> "Located":
    from federation.federating import catalogue, places  # noqa: PLC0415
    from federation.federating.findings import Located  # noqa: PLC0415

    file, _, line = document.at(*places.steps(document.value, finding.path)).rpartition(":")
    title = catalogue.title(document.value)
    return Located(file, int(line), finding.path, finding.message, finding.severity, finding.rule, title)


def _notes(documents: Sequence["Document"], kinds: "Kinds", checked: int) -> list[str]:
    notes = [f"{checked} federated object{'' if checked == 1 else 's'} checked"]
    used = {(str(each.value.get("apiVersion")), str(each.value.get("kind"))) for each in documents}
    for key in sorted(used & kinds.keys()):
        rules = kinds[key].unchecked
        if rules:
            some = ", ".join(rules[:3]) + (f" and {len(rules) - 3} more" if len(rules) > 3 else "")
            notes.append(f"note: {key[1]}: CEL rules are checked by the API server only: {some}")
    return notes
