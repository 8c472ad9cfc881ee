"""CRDs in the manner of a dozen projects, each file with sample objects, for tests with and without an API server.

A sample with the annotation `refused` is one that the target refuses; the annotation says at which field.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typegen import documents, federate
from typegen.model import Generated

HERE = Path(__file__).parent / "projects"


@dataclass(frozen=True)
class Sample:
    name: str
    document: dict[str, Any]
    refused: str

    def wrapped(self, made: Generated, *, named: bool = True) -> dict[str, Any]:
        """The sample inside a federated object; `named` writes its apiVersion into the template."""
        body = {key: value for key, value in self.document.items() if named or key not in ("apiVersion", "kind")}
        labels = self.document["metadata"].get("labels")
        body["metadata"] = {"labels": labels} if labels else {}
        return {
            "apiVersion": made.federated.api_version,
            "kind": made.federated.kind,
            "metadata": {"name": self.name},
            "spec": {"template": body, "placement": {"clusters": [{"name": "east"}]}},
        }


@dataclass(frozen=True)
class Project:
    name: str
    crd: dict[str, Any]
    samples: tuple[Sample, ...]

    @property
    def made(self) -> Generated:
        return federate.from_crd(self.crd)


def load() -> dict[str, Project]:
    found = {}
    for path in sorted(HERE.glob("*.yaml")):
        crd, *rest = (each.document for each in documents.read([str(path)]))
        samples = tuple(_sample(document) for document in rest)
        found[path.stem] = Project(path.stem, crd, samples)
    return found


def _sample(document: dict[str, Any]) -> Sample:
    metadata = dict(document["metadata"])
    annotations = metadata.pop("annotations", {})
    return Sample(metadata["name"], {**document, "metadata": metadata}, annotations.get("refused", ""))
