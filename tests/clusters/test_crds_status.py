"""The status that a federated object has before any controller has seen it, on a real API server: for kstatus.

Each way an object can come to be, before and after its CRD had the default; and that the default would do nothing where
one would look for it first, at observedGeneration.
"""

import copy
import ssl
import time
from collections.abc import Iterator

import pytest

from e2e.demo import checkout
from federation.playground.clusters import Playground
from tests import gitops
from tests.clusters.crds_server import DEFINITIONS, Object, Server
from typegen import federate
from typegen.model import Options

OBJECTS = "/apis/unseen.example.com/v1beta1/namespaces/default/federatedwebsites"
UNSEEN = {"observedGeneration": -1}


def status(crd: Object) -> Object:
    found: Object = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    return found


@pytest.fixture(scope="module")
def crd() -> Object:
    (definition,) = checkout.documents(gitops.FOLDER / "crds")
    return federate.from_crd(definition, Options(federated_group="unseen.example.com")).crd


@pytest.fixture
def server(playground: Playground, trust: ssl.SSLContext, crd: Object) -> Iterator[Server]:
    made = Server(playground.clusters["m3"], trust)
    yield made
    for stored in made.get(OBJECTS)["items"]:
        made.call("DELETE", f"{OBJECTS}/{stored['metadata']['name']}")
    made.remove([crd])
    for _ in range(200):
        if made.call("GET", f"{DEFINITIONS}/{crd['metadata']['name']}").code == 404:
            return
        time.sleep(0.05)
    raise AssertionError("the CRD of the test before is still there")


def website(name: str, **more: object) -> Object:
    template = {"spec": {"domain": "shop.example.com", "image": "registry.example.com/landing:7"}}
    kind = {"apiVersion": "unseen.example.com/v1beta1", "kind": "FederatedWebsite"}
    return {**kind, "metadata": {"name": name}, "spec": {"template": template}, **more}


def shown(server: Server, name: str) -> object:
    """Its status by GET, which list and watch show as well."""
    (listed,) = [each for each in server.get(OBJECTS)["items"] if each["metadata"]["name"] == name]
    stored = server.get(f"{OBJECTS}/{name}")
    assert stored.get("status") == listed.get("status")
    return stored.get("status")


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="none"),
        pytest.param({"status": None}, id="null"),
        pytest.param({"status": {}}, id="empty"),
        pytest.param({"status": {"observedGeneration": 1, "conditions": []}}, id="what-somebody-claims"),
    ],
)
def test_a_new_object_says_that_nobody_has_seen_it(server: Server, crd: Object, more: Object) -> None:
    server.establish([crd])
    created = server.call("POST", OBJECTS, website("new", **more))
    assert (created.code, created.body["status"]) == (201, UNSEEN)
    assert gitops.kstatus(server.get(f"{OBJECTS}/new")) == "InProgress"
    applied = server.apply(OBJECTS, website("applied"))
    assert applied.code == 201
    assert shown(server, "applied") == UNSEEN
    version = [server.apply(OBJECTS, website("applied")).body["metadata"]["resourceVersion"] for _ in range(3)]
    assert len(set(version)) == 1, "repeated applies write the default at most once"
    assert server.get(f"{OBJECTS}/applied")["metadata"]["generation"] == 1


def test_objects_of_the_time_before_the_default(server: Server, crd: Object) -> None:
    """One without a status is shown with it; one that KubeFed has written stays as it is."""
    before = copy.deepcopy(crd)
    del status(before)["default"]
    server.establish([before])
    for name in ("unseen", "seen"):
        assert server.call("POST", OBJECTS, website(name)).code == 201
    kubefeds = {"clusters": [{"name": "cluster1"}]}
    patched = server.call("PATCH", f"{OBJECTS}/seen/status", {"status": kubefeds}, "merge-patch+json")
    assert patched.code == 200
    assert shown(server, "unseen") is None
    assert gitops.kstatus(server.get(f"{OBJECTS}/unseen")) == "Current", "which is why there is a default"
    server.establish([crd])
    for _ in range(100):
        if shown(server, "unseen") == UNSEEN:
            break
        time.sleep(0.05)
    assert (shown(server, "unseen"), shown(server, "seen")) == (UNSEEN, kubefeds)


def test_a_default_at_the_field_alone_would_do_nothing(server: Server, crd: Object) -> None:
    deeper = copy.deepcopy(crd)
    del status(deeper)["default"]
    status(deeper)["properties"]["observedGeneration"]["default"] = -1
    server.establish([deeper])
    assert server.call("POST", OBJECTS, website("new")).code == 201
    assert shown(server, "new") is None
    stored = server.get(f"{DEFINITIONS}/{crd['metadata']['name']}")
    assert status(stored)["properties"]["observedGeneration"]["default"] == -1
