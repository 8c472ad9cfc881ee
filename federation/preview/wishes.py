"""The documents of a plan, each as the hub would store it: asked by a dry run with the user's own rights."""

import contextlib
import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from federation.core import differences, times
from federation.federating import rendering
from federation.federating.catalogue import title
from federation.joining import answers, applying
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure, Invalid
from federation.model.failures import Failure, FailureKind
from federation.model.resources import CRDS, NAMESPACES, SECRETS, ObjectName, Resource
from federation.preview import writing
from federation.preview.writing import Way

Document = Mapping[str, Any]

_KUSTOMIZE = "kustomize.config.k8s.io"
_UNASKED = {
    FailureKind.TYPE_MISSING: "not checked by the hub: its type does not exist there yet",
    FailureKind.NAMESPACE_MISSING: "not checked by the hub: its namespace does not exist there yet",
    FailureKind.RIGHT_MISSING: "not checked by the hub: your rights do not allow a dry run",
}


@dataclass(frozen=True, slots=True)
class Given:
    """One document of the user's, from `source` (file:line)."""

    source: str
    document: Document


@dataclass(frozen=True, slots=True)
class Wish:
    """One document, and what it means at the hub: the object `before` and `after`; None: there is none.

    `note` is what could not be checked. `secret`: neither its values nor the hub's own words may be shown.
    """

    given: Given
    resource: Resource
    where: ObjectName
    before: Document | None
    after: Document | None
    way: Way = writing.OURS
    delete: bool = False
    note: str = ""
    secret: bool = False

    @property
    def moves(self) -> bool:
        """Whether it changes anything at the hub."""
        if self.before is None or self.after is None or self.delete:
            return self.before is not None or self.after is not None
        return bool(differences.of_objects(self.before, self.after))

    @property
    def label(self) -> str:
        """How messages name it."""
        return applying.label(self.resource, self.where)


def is_for_the_hub(document: Document) -> bool:
    """Whether a document is to be applied: not what kustomize reads itself, or what is marked as local."""
    if str(document.get("apiVersion", "")).partition("/")[0] == _KUSTOMIZE:
        return False
    metadata = document.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return not (isinstance(annotations, dict) and annotations.get(rendering.LOCAL) == "true")


def resource_of(given: Given, resources: Iterable[Resource]) -> Resource:
    """The resource of a document. Raises Invalid where it is none of these."""
    api_version, kind = given.document.get("apiVersion"), given.document.get("kind")
    for each in resources:
        if (each.api_version, each.kind) == (api_version, kind):
            return each
    raise Invalid(given.source, f"the hub serves no {kind} of {api_version}")


def defined(documents: Iterable[Document]) -> list[Resource]:
    """The resources that CustomResourceDefinitions among the documents define, which the hub may not serve yet."""
    found = []
    for document in documents:
        spec = document.get("spec")
        if document.get("kind") != CRDS.kind or not isinstance(spec, dict):
            continue
        names = spec.get("names") or {}
        for version in spec.get("versions") or ():
            with contextlib.suppress(TypeError, KeyError, AttributeError):  # the hub says what is wrong with it
                namespaced = spec.get("scope") == "Namespaced"
                found.append(Resource(spec["group"], version["name"], names["kind"], names["plural"], namespaced))
    return found


def named(given: Given, *, namespaced: bool, namespace: str) -> Given:
    """The document with its namespace; `namespace` where it names none. Raises Invalid without a name."""
    meta = given.document.get("metadata")
    if not isinstance(meta, dict) or not isinstance(meta.get("name"), str) or not meta["name"]:
        raise Invalid(given.source, f"{title(given.document)}: metadata.name is missing")
    own = {key: value for key, value in meta.items() if key not in {"managedFields", "resourceVersion", "uid"}}
    own.pop("namespace", None)
    if namespaced:
        own["namespace"] = meta.get("namespace") or namespace
    content = {key: value for key, value in given.document.items() if key != "status"}
    return Given(given.source, {**content, "metadata": own})


async def ask(
    host: Connection, given: Given, resource: Resource, *, secret: bool, manager: str = "", delete: bool = False
) -> Wish:
    """What a document would do at the hub. Raises ApiFailure where the hub refuses it."""
    meta = given.document["metadata"]
    where = ObjectName(meta.get("namespace", ""), meta["name"])
    found = await find(host, resource, where)
    if delete:
        return await _deletion(host, given, resource, where, found, secret=secret)
    by = writing.way(found, manager)
    answer = await writing.write(host, resource, given.document, by, before=found, secret=secret, dry_run=True)
    if isinstance(answer, Failure):
        note = _unasked(answer, host, f"{given.source}: {applying.label(resource, where)}")
        after = writing.emulated(found, given.document)
        return Wish(given, resource, where, found, after, by, note=note, secret=secret)
    doing = f"{host.name}: plan {applying.label(resource, where)}"
    stored = answers.kubernetes_object(answer.json(doing), doing)
    return Wish(given, resource, where, found, stored, by, secret=secret)


async def find(host: Connection, resource: Resource, where: ObjectName) -> dict[str, Any] | None:
    """An object of the hub; None, too, where its type does not exist there yet."""
    try:
        return await applying.find(host, resource, where)
    except ApiFailure as error:
        if error.failure.kind is not FailureKind.TYPE_MISSING:
            raise
        return None


async def _deletion(
    host: Connection,
    given: Given,
    resource: Resource,
    where: ObjectName,
    found: dict[str, Any] | None,
    *,
    secret: bool,
) -> Wish:
    if found is None:
        return Wish(given, resource, where, None, None, delete=True, note="there is no such object", secret=secret)
    answer = await writing.delete(host, resource, found, secret=secret, dry_run=True)
    note = ""
    if isinstance(answer, Failure):
        note = _unasked(answer, host, f"{given.source}: delete {applying.label(resource, where)}")
    return Wish(given, resource, where, found, deleted(found), delete=True, note=note, secret=secret)


def deleted(found: Document) -> Document | None:
    """The object when somebody has deleted it; None where nothing holds it."""
    meta = found["metadata"]
    if not meta.get("finalizers"):
        return None
    return {**found, "metadata": {"deletionTimestamp": times.rfc3339(time.time()), **meta}}


def _unasked(failure: Failure, host: Connection, doing: str) -> str:
    note = _UNASKED.get(failure.kind)
    if note is None:
        raise ApiFailure(failure, f"{host.name}: {doing}")
    return note


def is_secret(resource: Resource, of_secrets: Iterable[Resource]) -> bool:
    """Whether objects of this resource hold a Secret's values; `of_secrets` are the federated types of Secrets."""
    named = resource.qualified in {each.qualified for each in of_secrets}
    return resource == SECRETS or named or resource.kind == f"Federated{SECRETS.kind}"  # enabled or not


def digest(document: Document) -> str:
    """A digest of a document, whatever the order of its fields."""
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def without_namespaces(wishes: Sequence[Wish]) -> frozenset[str]:
    """The hub's namespaces that are deleted, with every federated object in them."""
    return frozenset(each.where.name for each in wishes if each.delete and each.resource == NAMESPACES)


def once(wishes: Sequence[Wish]) -> Sequence[Wish]:
    """The same. Raises Invalid where two documents are of one object."""
    seen: dict[tuple[str, ObjectName], Wish] = {}
    for each in wishes:
        other = seen.setdefault((each.resource.qualified, each.where), each)
        if other is not each:
            raise Invalid(each.given.source, f"{each.label} is in {other.given.source}, too")
    return wishes
