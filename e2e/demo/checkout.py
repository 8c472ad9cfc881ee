"""A user's git working tree: e2e/gitops as `kubectl apply -k` reads it, with the edits of the steps so far.

No file is written: each file of changes/ is a JSON merge patch (RFC 7386) for the documents as they are by then, so
that whole documents are applied, as from git. Used by `stage`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from e2e.demo.clusters import DemoError
from federation.cli import reading

SAMPLE = Path(__file__).parents[1] / "gitops"
HERE = Path(__file__).parent
APP = "apps/shop"
EDITED = ("clusters", APP)

Document = Mapping[str, Any]
_KUSTOMIZATION = "kustomization.yaml"
_KNOWN = frozenset({"apiVersion", "kind", "resources"})


class Checkout:
    """Documents by kind, namespace and name: those of the sample that the demo changes, as edited so far."""

    def __init__(self) -> None:
        found = (each for folder in EDITED for each in documents(SAMPLE / folder))
        self._now: dict[tuple[str, str, str], Document] = {_identity(each): each for each in found}

    def read(self, path: str) -> list[Document]:
        """The documents of a folder or file, of the sample or of the demo's own, with every edit made so far."""
        inside = SAMPLE / path
        found = documents(inside if inside.exists() else HERE / path)
        return [self._now.get(_identity(each), each) for each in found]

    def edit(self, path: str) -> list[Document]:
        """Apply a file of changes/ to the tree; the documents that result, also new ones."""
        for patch in documents(HERE / path):
            self._now[_identity(patch)] = merged(self._now.get(_identity(patch), {}), patch)
        return self.read(path)


def documents(path: Path) -> Iterator[Document]:
    """The objects of a YAML file, or of the files and folders that a folder's kustomization lists, in its order.

    Raises DemoError when the kustomization would change them.
    """
    if not path.is_dir():
        for document in reading.read(str(path)):
            yield document.value
        return
    (kustomization,) = reading.read(str(path / _KUSTOMIZATION))
    more = sorted(set(kustomization.value) - _KNOWN)
    if more:
        raise DemoError(f"{path.name}/ to be applied as it is", f"{', '.join(more)} in its {_KUSTOMIZATION}: build it")
    for resource in kustomization.value["resources"]:
        yield from documents(path / resource)


def merged(value: Any, patch: Any) -> Any:
    """`value` changed by a JSON merge patch (RFC 7386); neither is altered."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(value) if isinstance(value, Mapping) else {}
    for key, inner in patch.items():
        if inner is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), inner)
    return result


def _identity(document: Document) -> tuple[str, str, str]:
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]
