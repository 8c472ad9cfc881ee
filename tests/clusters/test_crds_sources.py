"""typegen's command line against a real API server: as a source, and as what must take what was written."""

import json
import random
import ssl
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from e2e.bench import typegen_bench
from federation.cli import generator
from federation.playground.access import kubeconfig
from federation.playground.clusters import Playground
from tests.clusters.crds_server import DEFINITIONS, Server
from typegen import definitions, descriptions, federate
from typegen.cli import main

CRDS = Path(__file__).parents[1] / "unit/typegen/crds"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@pytest.fixture(scope="module")
def server(playground: Playground, trust: ssl.SSLContext) -> Server:
    return Server(playground.clusters["m3"], trust)


@pytest.fixture
def context(playground: Playground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a context that reaches m3, by a kubeconfig of this test's own."""
    (tmp_path / "kubeconfig").write_bytes(kubeconfig([playground.clusters["m3"]]))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    loaded = yaml.safe_load((tmp_path / "kubeconfig").read_text())
    return str(loaded["contexts"][0]["name"])


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False, obj=generator.opened)


def test_crds_of_a_cluster_are_those_of_its_files(server: Server, context: str, tmp_path: Path) -> None:
    shop = yaml.safe_load((CRDS / "shops.yaml").read_text())
    server.establish([shop])
    try:
        only = ("--only", "shops.features.example.com")
        assert run("write", "--context", context, *only, "-o", str(tmp_path / "a")).exit_code == 0
        assert run("check", str(tmp_path / "a"), str(CRDS), *only).exit_code == 0
    finally:
        server.remove([shop])


def test_built_in_types_of_a_cluster_and_of_its_saved_documents(server: Server, context: str, tmp_path: Path) -> None:
    for name, path in (("openapi.json", "/openapi/v3/apis/apps/v1"), ("discovery.json", "/apis/apps/v1")):
        (tmp_path / name).write_text(json.dumps(server.get(path)))
    saved = (str(tmp_path / "discovery.json"), "--openapi", str(tmp_path / "openapi.json"))
    only = ("--only", "Deployment", "--only", "deployments.apps")
    live = run("write", "--context", context, *only)
    assert live.exit_code == 0, live.stderr
    assert live.stdout == run("write", *saved, *only).stdout
    crd = next(yaml.safe_load_all(live.stdout))
    assert crd["spec"]["names"]["shortNames"] == ["fdeploy"]
    assert server.apply(DEFINITIONS, crd, dryRun="All").code in (200, 201)


def test_every_built_in_type_is_made_or_refused_with_a_reason(server: Server, context: str) -> None:
    found = json.loads(run("list", "--context", context, "-o", "json").stdout)
    made = {each["type"] for each in found if "federatedKind" in each}
    assert {"configmaps", "secrets", "deployments.apps", "jobs.batch", "horizontalpodautoscalers.autoscaling"} <= made
    reasons = {each["type"]: each["reason"] for each in found if "reason" in each}
    assert "cannot be listed" in reasons["tokenreviews.authentication.k8s.io"]
    assert "would both have the kind FederatedEvent" in reasons["events"]
    assert not any(name.endswith("kubefed.io") for name in made)


def test_the_document_of_openapi_version_2_is_enough(server: Server, tmp_path: Path) -> None:
    document = server.get("/openapi/v2")
    (tmp_path / "v2.json").write_text(json.dumps(document))
    result = run(
        "write", "--openapi", str(tmp_path / "v2.json"), "--group", "apps", "--group", "core", "--exclude", "event"
    )
    assert result.exit_code == 1, "what can never be federated is refused, the rest is written"
    made = [each for each in yaml.safe_load_all(result.stdout) if each["kind"] == definitions.CRD_KIND]
    assert {"federateddeployments", "federatedconfigmaps"} <= {each["spec"]["names"]["plural"] for each in made}
    for crd in made:
        assert server.apply(DEFINITIONS, crd, dryRun="All").code in (200, 201), crd["metadata"]["name"]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        pytest.param("nowhere", {}, "context nowhere: the kubeconfig cannot be used", id="no-such-context"),
        pytest.param("", {"token": "wrong"}, "401", id="credentials"),
        pytest.param("", {"server": "https://127.0.0.1:1"}, "cannot connect", id="nobody-there"),
    ],
)
def test_a_cluster_that_cannot_be_read_is_one_clear_error(
    context: str, tmp_path: Path, name: str, change: dict[str, str], message: str
) -> None:
    config = yaml.safe_load((tmp_path / "kubeconfig").read_text())
    config["users"][0]["user"].update({key: value for key, value in change.items() if key == "token"})
    config["clusters"][0]["cluster"].update({key: value for key, value in change.items() if key == "server"})
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    result = run("list", "--context", name or context)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    lines = [line.partition(":")[0] for line in result.stderr.splitlines()]
    assert lines == (["error"] if name else ["error", "next"])


@pytest.mark.parametrize("size", [300_000, 700_000])
def test_a_big_crd_is_applied_as_kubectl_apply_would(server: Server, size: int) -> None:
    made = federate.from_crd(typegen_bench.crd(7, size, random.Random(7)))
    assert "descriptions are" in str(made.cautions)
    metadata = {**made.crd["metadata"], "annotations": {**made.crd["metadata"]["annotations"]}}
    metadata["annotations"][LAST_APPLIED] = json.dumps(made.crd, separators=(",", ":"))
    assert descriptions.size(made.crd) > descriptions.ROOM / 4
    answer = server.create(DEFINITIONS, {**made.crd, "metadata": metadata})
    assert answer.code == 201, answer.body
