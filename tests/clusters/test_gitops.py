"""e2e/gitops on real control planes: built by the real kustomize, applied as a GitOps tool would, Ready, and healthy.

A playground of its own: the sample's clusters are called berlin, paris and tokyo, and its types are applied from git.
"""

import asyncio
import base64
import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from e2e.demo import checkout
from federation.cli import reading
from federation.joining import applying, contents, discovery, setup, tokens
from federation.joining.contexts import Contexts
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName, Resource
from federation.playground import access
from federation.playground.clusters import Playground
from tests import gitops
from tests.clusters import kustomize, sessions
from tests.clusters.fedctl import fedctl
from tests.clusters.harness import CONFIGMAPS, DEPLOYMENTS, Api, Controller, eventually
from tests.clusters.steps import Unlike

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
MEMBERS = ("berlin", "paris", "tokyo")
Document = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """Control planes with the API installed and members joined: what comes before git."""

    playground: Playground
    host: Api
    members: dict[str, Api]
    directory: Path


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with sessions.directory() as directory:
        # Its own kube-controller-manager puts the controller's role together from those that types bring.
        made = Playground.up(directory, ("host", *MEMBERS), controller_manager=["host"], report=lambda _: None)
        account, settings = "kubefed-controller", setup.NOTHING_HELD
        asyncio.run(
            setup.everything(str(made.kubeconfig), "host", MEMBERS, (), service_account=account, settings=settings)
        )
        yield made


@pytest.fixture
async def stage(federation: Playground, tmp_path: Path) -> AsyncIterator[Stage]:
    async with contextlib.AsyncExitStack() as stack:
        apis = {name: await stack.enter_async_context(Api(each)) for name, each in federation.clusters.items()}
        yield Stage(federation, apis.pop("host"), apis, tmp_path)


def documents(path: Path) -> list[Document]:
    return [dict(document) for document in checkout.documents(path)]


async def apply(to: Api, wanted: list[Document]) -> list[tuple[Resource, Document]]:
    """Server-side apply, CRDs and Namespaces first as every GitOps tool does; the resources with the documents."""
    first = ("CustomResourceDefinition", "Namespace")
    ordered = sorted(wanted, key=lambda each: each["kind"] not in first)
    done = []
    for document in ordered:
        if document["kind"] not in first:
            await _established(to, ordered)
        served = await discovery.read(to.connection)
        found = next(
            each
            for each in served.all
            if (each.api_version, each.kind) == (document["apiVersion"], document["kind"]) and "/" not in each.plural
        )
        resource = contents.resource(found)
        await to.apply(resource, document, manager="gitops")
        done.append((resource, document))
    return done


async def _established(to: Api, wanted: list[Document]) -> None:
    names = [each["metadata"]["name"] for each in wanted if each["kind"] == "CustomResourceDefinition"]
    if names:
        await applying.wait_established(to.connection, names)


async def reachable(stage: Stage, cluster: Document) -> Document:
    """The sample's KubeFedCluster with this playground's address, authority and token in the place of example.com's."""
    name = cluster["metadata"]["name"]
    joined = await stage.host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, name)
    assert joined is not None
    endpoint = {key: joined["spec"][key] for key in ("apiEndpoint", "caBundle", "secretRef")}
    assert base64.b64decode(endpoint["caBundle"]).startswith(b"-----BEGIN CERTIFICATE")
    return {**cluster, "spec": {**cluster["spec"], **endpoint}}


async def controller(stage: Stage) -> Controller:
    """A controller with the rights of its own service account and nothing more."""
    async with Contexts(str(stage.playground.kubeconfig)) as contexts:
        account = ObjectName(SYSTEM_NAMESPACE, "kubefed-controller")
        token = (await tokens.request(await contexts.open("host"), account)).token
    kubeconfig = stage.directory / "controller.kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_bytes(access.kubeconfig([replace(stage.playground.clusters["host"], token=token)]))
    return Controller(kubeconfig, stage.directory)


async def healthy(stage: Stage, resource: Resource, document: Document) -> None:
    """Current for kstatus and Healthy for Argo CD, by the object as it is stored."""
    metadata = document["metadata"]

    async def reported() -> object:
        stored = await stage.host.get(resource, metadata.get("namespace", ""), metadata["name"]) or {}
        current = bool(stored) and gitops.kstatus(stored) == "Current"
        return stored if current and gitops.argo(stored)[0] == "Healthy" else Unlike(stored.get("status") or {})

    await eventually(reported, within=40.0, seen=f"{resource.kind} {metadata['name']} healthy")


async def test_the_sample_repository_from_git_to_the_members(stage: Stage) -> None:
    built = await asyncio.to_thread(kustomize.build, gitops.FOLDER / "apps")
    assert built.returncode == 0, built.stderr
    apps = stage.directory / "apps.yaml"
    apps.write_text(built.stdout)
    types, clusters = gitops.FOLDER / "types", gitops.FOLDER / "clusters"
    checked = await asyncio.to_thread(fedctl, "validate", str(apps), str(types), str(clusters))
    assert (checked.code, checked.out) == (0, ""), checked.out

    for api in (stage.host, *stage.members.values()):
        await apply(api, documents(gitops.FOLDER / "crds"))
    await apply(stage.host, documents(types))
    for member in stage.members.values():
        await apply(member, documents(types / "members" / "rbac.yaml"))
    await apply(stage.host, [await reachable(stage, each) for each in documents(clusters)])
    running = await controller(stage)
    try:
        running.start()
        applied = await apply(stage.host, documents(apps))
        for resource, document in applied:
            if document["kind"].startswith("Federated"):
                await healthy(stage, resource, document)
        await healthy(stage, KUBEFED_CLUSTERS, documents(clusters / "berlin.yaml")[0])
    finally:
        running.kill()

    await as_built(stage)


async def as_built(stage: Stage) -> None:
    """What kustomize made of apps/blog, in the members: placed, overridden, with the hashed name of its ConfigMap."""
    held = {}
    for name, member in stage.members.items():
        web = await member.get(DEPLOYMENTS, "blog", "web")
        held[name] = (
            web["spec"]["replicas"] if web else None,
            await member.get(CONFIGMAPS, "blog", "banner") is not None,
            await member.get(DEPLOYMENTS, "shop", "web") is not None,
        )
        if web is not None:
            settings = web["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"]
            assert settings.startswith("settings-"), "the hash that kustomize put on the name"
            found = await member.get(CONFIGMAPS, "blog", settings)
            assert found is not None
            assert found["data"] == {"currency": "EUR", "debug": "off"}
    assert held == {"berlin": (5, False, True), "paris": (2, False, True), "tokyo": (None, True, False)}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The sample's apps, to be changed."""
    return Path(shutil.copytree(gitops.FOLDER / "apps", tmp_path / "apps"))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param("blog/web.yaml", "/spec/replicas", "/speck/replicas", "has no member", id="override"),
        pytest.param("blog/everything-else.yaml", "kind: ConfigMap", "kind: Other", "not federated", id="unknown"),
        pytest.param("blog/web.yaml", "placement:", "place:", "spec.place: is not known", id="configuration"),
    ],
)
def test_what_is_wrong_fails_the_build(copied: Path, file: str, old: str, new: str, message: str) -> None:
    text = (copied / file).read_text()
    assert old in text
    (copied / file).write_text(text.replace(old, new))
    built = kustomize.build(copied)
    assert (built.returncode, built.stdout) == (1, "")
    assert message in built.stderr


@pytest.mark.parametrize("folder", ["crds", "types", "clusters", "apps/shop"])
def test_the_demo_reads_the_sample_as_kustomize_does(folder: str) -> None:
    built = kustomize.build(gitops.FOLDER / folder)
    assert built.returncode == 0, built.stderr
    by_kustomize = [document.value for document in reading.parse(built.stdout, "built")]
    by_demo = documents(gitops.FOLDER / folder)
    assert len(by_demo) == len(by_kustomize)
    assert all(document in by_kustomize for document in by_demo)


def test_kustomize_and_fedctl_federate_alike(copied: Path) -> None:
    built = kustomize.build(copied / "blog")
    plain = kustomize.build(copied / "blog" / "plain")
    assert (built.returncode, plain.returncode) == (0, 0), built.stderr + plain.stderr
    file = copied.parent / "plain.yaml"
    file.write_text(plain.stdout)
    made = fedctl("federate", "-f", str(file))
    assert made.code == 0, made.err
    by_function, by_verb = _parsed(built.stdout), _parsed(made.out)
    assert by_verb["FederatedNamespace blog"] == by_function["FederatedNamespace blog"]
    assert by_verb["Namespace blog"] == by_function["Namespace blog"]
    for kind in ("FederatedConfigMap settings", "FederatedDeployment web"):
        assert by_verb[kind]["spec"]["template"] == by_function[kind]["spec"]["template"]
    assert by_verb.keys() == by_function.keys() - {"FederatedConfigMap banner"}


def _parsed(text: str) -> dict[str, Document]:
    """The documents by kind and name, the hashes that kustomize makes of each content written as `HASH`."""
    hashed = re.sub(r"\bsettings-[a-z0-9]{10}\b", "settings-HASH", text)
    found = [document.value for document in reading.parse(hashed, "built")]
    return {f"{each['kind']} {each['metadata']['name'].removesuffix('-HASH')}": each for each in found}
