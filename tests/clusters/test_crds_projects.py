"""CRDs in the manner of a dozen projects on a real API server: established, samples judged as the target judges them.

The target's own CRD is installed beside the federated one, so that both answer. Not so a conversion webhook (there is
none to call) and what is older than apiextensions v1.
"""

import ssl
from collections.abc import Iterator

import pytest

from federation.playground.clusters import Playground
from tests.clusters.crds_server import DEFINITIONS, Answer, Object, Server
from tests.unit.typegen import projects
from tests.unit.typegen.projects import Project, Sample
from typegen import definitions

PROJECTS = projects.load()
APPLIED = [project for project in PROJECTS.values() if project.crd["apiVersion"] == definitions.API_VERSION]
SAMPLES = [
    pytest.param(project, sample, id=f"{project.name}-{sample.name}")
    for project in PROJECTS.values()
    for sample in project.samples
]


def without_webhook(crd: Object) -> Object:
    return {**crd, "spec": {key: value for key, value in crd["spec"].items() if key != "conversion"}}


@pytest.fixture(scope="module")
def server(playground: Playground, trust: ssl.SSLContext) -> Iterator[Server]:
    bare = Server(playground.clusters["m3"], trust)
    everything = [*(without_webhook(each.crd) for each in APPLIED), *(each.made.crd for each in PROJECTS.values())]
    bare.establish(everything)
    yield bare
    bare.remove(everything)


def path_of(api_version: str, plural: str, *, namespaced: bool) -> str:
    return f"/apis/{api_version}{'/namespaces/default' if namespaced else ''}/{plural}"


def wrapped(server: Server, project: Project, sample: Sample, *, named: bool) -> Answer:
    made = project.made
    path = path_of(made.federated.api_version, made.federated.plural, namespaced=made.federated.namespaced)
    return server.create(path, sample.wrapped(made, named=named))


@pytest.mark.parametrize("name", PROJECTS)
def test_the_server_keeps_every_word(server: Server, name: str) -> None:
    crd = PROJECTS[name].made.crd
    stored = server.get(f"{DEFINITIONS}/{crd['metadata']['name']}")
    assert {each["type"] for each in stored["status"]["conditions"]} == {"Established", "NamesAccepted"}
    assert stored["spec"]["versions"] == crd["spec"]["versions"]
    assert stored["spec"]["names"] == crd["spec"]["names"]


@pytest.mark.parametrize(("project", "sample"), SAMPLES)
def test_a_sample_is_judged_as_the_target_judges_it(server: Server, project: Project, sample: Sample) -> None:
    target = project.made.target
    if project in APPLIED:
        path = path_of(sample.document["apiVersion"], target.plural, namespaced=target.namespaced)
        own = server.create(path, sample.document)
        assert own.code == (422 if sample.refused else 201), own.body
    answer = wrapped(server, project, sample, named=True)
    assert answer.code == (422 if sample.refused else 201), answer.body
    if sample.refused:
        assert sample.refused in str(answer.causes)


@pytest.mark.parametrize(("project", "sample"), SAMPLES)
def test_without_a_version_it_is_the_preferred_one(server: Server, project: Project, sample: Sample) -> None:
    preferred = sample.document["apiVersion"] == project.made.target.api_version
    answer = wrapped(server, project, sample, named=False)
    if preferred:
        assert answer.code == (422 if sample.refused else 201), answer.body
