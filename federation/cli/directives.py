"""Files for `enable -f` and `disable -f`: KubeFed's EnableTypeDirective or, new here, a CustomResourceDefinition."""

from collections.abc import Iterable

from federation.cli import reading
from federation.cli.reading import Document
from federation.joining.enabling import Request
from federation.model.errors import Invalid

KIND = "EnableTypeDirective"
_FIELDS = {
    "apiVersion": None,
    "kind": None,
    "metadata": reading.ANYTHING,
    "spec": {"targetVersion": None, "federatedGroup": None, "federatedVersion": None},
}


def requests(files: Iterable[str]) -> list[Request]:
    """One request for every document. Raises Invalid naming file and line."""
    found = [_request(document) for name in files for document in reading.read(name)]
    if not found:
        raise Invalid("-f", "the file holds no document")
    return found


def _request(document: Document) -> Request:
    kind, version = document.value.get("kind"), str(document.value.get("apiVersion", ""))
    if kind == "CustomResourceDefinition" and version.startswith("apiextensions.k8s.io/"):
        return Request(name=_name(document), crd=document.value)
    if kind != KIND or not version.startswith("core.kubefed.io/"):
        what = f"{version} {kind}" if kind else "a document without kind"
        raise Invalid(document.at(), f"expected {KIND} of core.kubefed.io or a CustomResourceDefinition, not {what}")
    reading.refuse_unknown(document, _FIELDS)
    spec = document.value.get("spec") or {}
    for field, value in spec.items():
        if value is not None and not isinstance(value, str):
            raise Invalid(document.at("spec", field), f"spec.{field} must be a string")
    return Request(
        name=_name(document),
        version=spec.get("targetVersion") or "",
        federated_group=spec.get("federatedGroup") or "",
        federated_version=spec.get("federatedVersion") or "",
    )


def _name(document: Document) -> str:
    metadata = document.value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise Invalid(document.at("metadata"), "metadata.name is required and must be a string")
    return name
