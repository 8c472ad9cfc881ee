"""Federate single documents: which become federated objects, which stay as they are, and which are refused.

Called by `cli.offline` for files and by `resourcelist` for the KRM function.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from federation.federating import catalogue, outdated, wrapping
from federation.federating.catalogue import Catalogue
from federation.federating.wishes import Wish
from federation.model.errors import Invalid

Document = Mapping[str, Any]
Key = tuple[str, str, str, str]

LOCAL = "config.kubernetes.io/local-config"
"""The annotation by which kustomize and kpt mark documents that are not applied to a cluster."""
_LISTS = ("Kustomization", "Component")


@dataclass(frozen=True, slots=True)
class Made:
    """The result for one document: itself, or its federated object, or (for a Namespace) both.

    `unknown`: its type is not federated; then it is in `documents` unchanged.
    """

    documents: tuple[Document, ...]
    federated: tuple[Document, ...] = ()
    remarks: tuple[str, ...] = ()
    unknown: bool = False


def one(document: Document, known: Catalogue, wish: Wish, *, assume: bool = False) -> Made:
    """Federate one document. Raises Invalid with a path in the document.

    With `assume`, a type that is not in the catalogue gets KubeFed's names instead of being `unknown`.
    """
    if not document.get("kind") or not document.get("apiVersion"):
        raise Invalid("", "has no apiVersion and kind, so it is not a Kubernetes object")
    _refuse_old(outdated.document(document), ("apiVersion", "kind"))
    if passes(document, known):
        return Made((document,), remarks=tuple(_remarks_on_old(document, known)))
    type_ = known.wrapping(document)
    if assume or type_ is not None or _is_replaced(document, known):
        _refuse_old(outdated.plain(document))
    if type_ is None:
        if not assume:
            return Made((document,), unknown=True)
        type_ = catalogue.default_type(document)
    wrapped = wrapping.wrap(document, type_, wish)
    remarks = (*wrapped.remarks, *(f"{old.path}: {old.message}" for old in outdated.plain(document)))
    if type_.is_namespace:
        return Made((document, wrapped.document), (wrapped.document,), remarks)
    return Made((wrapped.document,), (wrapped.document,), remarks)


def _refuse_old(found: Iterable[outdated.Old], paths: tuple[str, ...] = ()) -> None:
    """Raise Invalid, with all messages, for what is so old that no server accepts it; only at `paths`, if given."""
    old = [each for each in found if each.refused and (not paths or each.path in paths)]
    if old:
        more = "".join(f"; {each.path}: {each.message}" for each in old[1:])
        raise Invalid(old[0].path, f"{old[0].message}{more}")


def _remarks_on_old(document: Document, known: Catalogue) -> Iterable[str]:
    """What the hub will refuse, or not keep, of a federated object that stays as it is."""
    type_ = known.federating(document)
    if type_ is None and not catalogue.looks_federated(document):
        return
    target = (type_.target.api_version, type_.target.kind) if type_ is not None else None
    for old in (*outdated.document(document), *outdated.federated(document, target)):
        yield f"{old.path}: {old.message}"
    if "status" in document:
        yield "status: only the controller writes it, the API server ignores it here: leave it out"


def _is_replaced(document: Document, known: Catalogue) -> bool:
    """Whether the document's API is old, and the kind is federated in the API that has replaced it."""
    kind = str(document.get("kind"))
    now = outdated.replacement(str(document.get("apiVersion")), kind)
    return bool(now) and (now.rpartition("/")[0], kind) in known.targets


def passes(document: Document, known: Catalogue) -> bool:
    """Whether a document stays as it is: it belongs to the federation itself, or is for a tool and not a cluster."""
    local = entries(document, "annotations").get(LOCAL) == "true"
    return local or known.is_own(document) or document.get("kind") in _LISTS


def entries(document: Document, name: str) -> Mapping[str, Any]:
    """The document's labels or annotations; {} where they are not a map."""
    metadata = document.get("metadata")
    found = metadata.get(name) if isinstance(metadata, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def key(document: Document) -> Key:
    """The identity of a document's object: group, kind, namespace, name."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return (
        catalogue.group_of(document),
        str(document.get("kind")),
        str(metadata.get("namespace") or ""),
        str(metadata.get("name")),
    )


def refuse_twice(made: Made, taken: set[Key]) -> None:
    """Raise Invalid when a federated object is also in the input; else add it to `taken`."""
    for each in made.federated:
        if key(each) in taken:
            raise Invalid("", f"{catalogue.title(each)} is in the input, too: leave one of the two out")
        taken.add(key(each))


def homeless(documents: Iterable[Document], known: Catalogue) -> list[str]:
    """The namespaces of federated objects among the documents without a FederatedNamespace among them, sorted."""
    used: set[str] = set()
    homes: set[str] = set()
    for document in documents:
        type_ = known.federating(document)
        if type_ is None and not catalogue.looks_federated(document):
            continue
        namespace = key(document)[2]
        if (type_ is not None and type_.is_namespace) or document.get("kind") == "FederatedNamespace":
            homes.add(namespace)
        elif namespace:
            used.add(namespace)
    return sorted(used - homes)
