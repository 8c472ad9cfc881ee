"""CRDs in the manner of a dozen projects: what is said of each, and their samples under the offline check."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.unit.typegen import projects
from tests.unit.typegen.projects import Project, Sample
from typegen import descriptions, structural, validation
from typegen.cli import main

PROJECTS = projects.load()
BY_RULE = {
    ("delivery", "both"),
    ("composing", "big"),
    ("gateways", "exact"),
    ("gateways", "slash"),
    ("gateways", "many"),
}
"""Samples that only a CEL rule refuses: the server's to say."""
SAMPLES = [
    pytest.param(project, sample, id=f"{project.name}-{sample.name}")
    for project in PROJECTS.values()
    for sample in project.samples
]


def root(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = project.made.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


@pytest.mark.parametrize(("project", "sample"), SAMPLES)
def test_samples_wrapped_are_what_the_samples_are(project: Project, sample: Sample) -> None:
    problems = [str(problem) for problem in validation.resource(root(project), sample.wrapped(project.made))]
    by_server = (project.name, sample.name) in BY_RULE
    if sample.refused and not by_server:
        assert problems, sample.refused
    else:
        assert problems == []


@pytest.mark.parametrize("name", PROJECTS)
def test_structural_and_small(name: str) -> None:
    crd = PROJECTS[name].made.crd
    assert structural.violations(root(PROJECTS[name])) == []
    assert descriptions.size(crd) < descriptions.ANNOTATION_LIMIT
    for word in ("kind", "listKind", "plural", "singular"):
        assert len(crd["spec"]["names"][word]) <= 63


SAID = {
    "certificates": [
        "columns: Ready left out, each cluster has a status of its own",
        "columns: Revision left out, a template has no .metadata.generation",
    ],
    "composing": ["columns: SYNCED left out, each cluster has a status of its own"],
    "constraints": [
        "spec.template.spec: not checked, it is object in v1, anything in v1alpha1",
        "spec.template: unknown fields are kept for every version, as v1alpha1 keeps them",
    ],
    "delivery": [
        "columns: Ready left out, each cluster has a status of its own",
    ],
    "fleet": [
        "columns: Phase left out, each cluster has a status of its own",
        "selectableFields: .status.phase left out, each cluster has its own",
    ],
    "flows": ["columns: Status left out, each cluster has a status of its own"],
    "gateways": [],
    "legacy": ["spec.template.spec.retention: not checked from here on: type is missing"],
    "longest": [],
    "monitoring": ["columns: Paused left out, each cluster has a status of its own"],
    "pipelines": [],
    "policing": ["columns: MESSAGE left out, the federated type has a column of that name"],
    "routing": [],
    "snapshots": [],
    "serving": ["columns: URL, Ready left out, each cluster has a status of its own"],
}
"""All that is said of each: a new word here is a thing that is no longer carried."""


@pytest.mark.parametrize("name", PROJECTS)
def test_what_is_not_carried_is_said_and_nothing_else(name: str) -> None:
    message = sorted(str(caution) for caution in PROJECTS[name].made.cautions)
    assert len(message) == len(SAID[name])
    for text, wanted in zip(message, SAID[name], strict=True):
        assert text.startswith(wanted)


def test_names_columns_and_selectable_fields() -> None:
    crd = PROJECTS["certificates"].made.crd
    version = crd["spec"]["versions"][0]
    columns = {column["name"]: column["jsonPath"] for column in version["additionalPrinterColumns"]}
    assert list(columns) == ["APPLIED", "REASON", "Secret", "Issuer", "Owner", "AGE", "MESSAGE"]
    assert columns["Secret"] == ".spec.template.spec.secretName"
    assert columns["Owner"] == ".spec.template.metadata.labels['owner']"
    assert version["selectableFields"] == [
        {"jsonPath": ".spec.template.spec.issuerRef.group"},
        {"jsonPath": ".spec.template.spec.issuerRef.name"},
    ]
    assert crd["spec"]["names"]["categories"] == ["federated", "certificates"]
    assert crd["spec"]["names"]["shortNames"] == ["fcert", "fcerts"]


def test_the_status_of_a_member_is_described_and_never_refused() -> None:
    status = root(PROJECTS["fleet"])["properties"]["status"]["properties"]["clusters"]["items"]["properties"]
    remote = status["remoteStatus"]
    assert remote["properties"]["phase"] == {"type": "string"}
    for value in ({"phase": "Other", "replicas": 3}, {}, {"ready": True, "more": [1]}):
        assert list(validation.problems(remote, value)) == []


def test_two_services_are_a_clash_with_a_way_out(tmp_path: Path) -> None:
    core = {**PROJECTS["serving"].crd, "metadata": {"name": "services.core.example.com"}}
    core["spec"] = {**core["spec"], "group": "core.example.com"}
    (tmp_path / "core.json").write_text(json.dumps(core))
    sources = [str(projects.HERE / "serving.yaml"), str(tmp_path / "core.json")]
    clash = CliRunner().invoke(main, ["write", *sources])
    assert clash.exit_code == 1
    way_out = "services.serving.example.com=FederatedServingService"
    assert f"--name {way_out}" in clash.stderr
    solved = CliRunner().invoke(main, ["write", *sources, "--name", way_out])
    assert solved.exit_code == 0
    assert "metadata: short name fksvc left out, services.core.example.com has it" in solved.stderr
