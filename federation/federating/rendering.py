"""Many documents to many, in their order: what is federated here, what passes through, and what is refused.

Called by `cli.federate` for files and by `resourcelist` for the KRM function.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from federation.federating import catalogue, wrapping
from federation.federating.catalogue import Catalogue
from federation.federating.wishes import Wish
from federation.model.errors import Invalid

Document = Mapping[str, Any]
Key = tuple[str, str, str, str]

LOCAL = "config.kubernetes.io/local-config"
"""kustomize's and kpt's mark on documents that no cluster gets."""
_LISTS = ("Kustomization", "Component")


@dataclass(frozen=True, slots=True)
class Made:
    """What one document became: itself, or its federated object, or (a Namespace) both.

    `unknown` says that nobody federates its type; the document then stands in `documents` as it was.
    """

    documents: tuple[Document, ...]
    federated: tuple[Document, ...] = ()
    remarks: tuple[str, ...] = ()
    unknown: bool = False


def one(document: Document, known: Catalogue, wish: Wish, *, assume: bool = False) -> Made:
    """What the document becomes. Raises Invalid with a path in the document.

    `assume` gives a type that the catalogue does not know KubeFed's names, instead of calling it unknown.
    """
    if not document.get("kind") or not document.get("apiVersion"):
        raise Invalid("", "has no apiVersion and kind, so it is no Kubernetes object")
    if passes(document, known):
        return Made((document,))
    type_ = known.wrapping(document)
    if type_ is None:
        if not assume:
            return Made((document,), unknown=True)
        type_ = catalogue.default_type(document)
    wrapped = wrapping.wrap(document, type_, wish)
    if type_.is_namespace:
        return Made((document, wrapped.document), (wrapped.document,), wrapped.remarks)
    return Made((wrapped.document,), (wrapped.document,), wrapped.remarks)


def passes(document: Document, known: Catalogue) -> bool:
    """Whether a document is none to federate: the federation's own, or a tool's that no cluster gets."""
    local = entries(document, "annotations").get(LOCAL) == "true"
    return local or known.is_own(document) or document.get("kind") in _LISTS


def entries(document: Document, name: str) -> Mapping[str, Any]:
    """The document's labels or annotations; none where it has no map of them."""
    metadata = document.get("metadata")
    found = metadata.get(name) if isinstance(metadata, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def key(document: Document) -> Key:
    """Which object a document is."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return (
        catalogue.group_of(document),
        str(document.get("kind")),
        str(metadata.get("namespace") or ""),
        str(metadata.get("name")),
    )


def refuse_twice(made: Made, taken: set[Key]) -> None:
    """Raise Invalid when an object that was made stands among the documents already; else remember it in `taken`."""
    for each in made.federated:
        if key(each) in taken:
            raise Invalid("", f"{catalogue.title(each)} stands in the input too: leave one of the two out")
        taken.add(key(each))


def homeless(documents: Iterable[Document], known: Catalogue) -> list[str]:
    """The namespaces that hold federated objects here but have no FederatedNamespace here, sorted."""
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
