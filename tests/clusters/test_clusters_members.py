"""Clusters that come, go and change while the controller runs: only the cluster itself is touched, never a restart."""

import asyncio
import base64
import dataclasses
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import pytest
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from federation.joining import tokens
from federation.model.errors import ApiFailure
from federation.model.marks import MANAGED_LABEL, SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, NODES, SECRETS, ObjectName
from federation.playground import access, pki
from federation.playground.faultproxy import FaultProxy
from federation.playground.faults import Fault
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    Api,
    eventually,
    federated_namespace,
    never,
)
from tests.clusters.steps import Federated, cluster_condition, configure, holds, make, point, writes

TEMPLATE = {"data": {"a": "b"}}
ACCOUNT = "m3-host"


@pytest.fixture
async def m3(fleet: Fleet) -> AsyncIterator[Api]:
    async with fleet.api("m3") as api:
        yield api


@pytest.fixture(scope="module", autouse=True)
def leaves(fleet: Fleet) -> Iterator[None]:
    """m3 has left when the module has ended, whatever the tests made of it."""
    yield

    async def leave() -> None:
        await fleet.join("m3")
        await fleet.unjoin("m3")

    asyncio.run(leave())


@pytest.fixture
async def third(fleet: Fleet, host: Api, quick: None) -> str:
    """m3, joined, and mended when a test before broke it."""
    await fleet.join("m3", site="third")
    await cluster_condition(host, "m3", "Ready", "True")
    return "m3"


@pytest.fixture
async def web(host: Api, namespace: str, third: str) -> Federated:
    """A federated ConfigMap in m1 and m3, settled."""
    await federated_namespace(host, namespace, ["m1", "m3"])
    return await make(host, FEDERATED_CONFIGMAPS, namespace, "web", TEMPLATE, clusters=["m1", "m3"])


async def cluster(host: Api, name: str = "m3") -> dict[str, Any]:
    return await host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, name) or {}


async def fresh_token(api: Api) -> str:
    """A token of m3's service account, as `fedctl join` asks for it: bound, or it could not be renewed."""
    return (await tokens.request(api.connection, ObjectName(SYSTEM_NAMESPACE, ACCOUNT), await binding(api))).token


async def binding(api: Api) -> tokens.Binding:
    """The Secret that the tokens of m3's service account are bound to."""
    (bound,) = await tokens.bindings(api.connection, ObjectName(SYSTEM_NAMESPACE, ACCOUNT))
    secret = await api.get(SECRETS, *bound)
    assert secret is not None
    return tokens.Binding(bound.name, secret["metadata"]["uid"])


async def renewable(fleet: Fleet, m3: Api, token: str) -> None:
    """Waits until m3 lets the account renew this token: a join has just told its policy of another Secret."""
    bound = await binding(m3)

    async def granted() -> bool:
        async with Api(fleet.playground.clusters["m3"], token=token) as own:
            try:
                await tokens.request(own.connection, ObjectName(SYSTEM_NAMESPACE, ACCOUNT), bound)
            except ApiFailure:
                return False
        return True

    await eventually(granted)


async def store(host: Api, **data: str | None) -> None:
    """Merge-patch the Secret's data; values are given in clear."""
    encoded = {key: None if text is None else base64.b64encode(text.encode()).decode() for key, text in data.items()}
    await host.patch(SECRETS, SYSTEM_NAMESPACE, ACCOUNT, {"data": encoded})


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return dict(orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def signed(key: bytes, token: str, **changed: Any) -> str:
    """The token with other claims, signed by the cluster's own key: one that is older than any we could wait for."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    head = token.split(".", maxsplit=1)[0]
    body = f"{head}.{part(orjson.dumps({**claims(token), **changed}))}"
    private = serialization.load_pem_private_key(key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(private.sign(body.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{body}.{part(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


async def others_go_on(web: Federated, m1: Api, namespace: str, value: str) -> None:
    """A change still reaches m1, while m3 is away."""
    await web.patch({"spec": {"template": {"data": {"a": value}}}})
    await holds(m1, CONFIGMAPS, namespace, "web", lambda found: found["data"] == {"a": value})
    await web.reports("m1")


async def test_a_cluster_that_joins_gets_what_selects_it(  # noqa: PLR0917 - fixtures
    fleet: Fleet, host: Api, m1: Api, m3: Api, namespace: str, quick: None
) -> None:
    """Ready with version and identity; when it leaves, its objects stay and its lines go."""
    await federated_namespace(host, namespace, [])
    home = Federated(host, FEDERATED_NAMESPACES, namespace, namespace)
    await home.change({"placement": {"clusters": None, "clusterSelector": {"matchLabels": {"site": "third"}}}})
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", TEMPLATE, placement={"clusterSelector": {}})
    assert "clusters" not in (await web.get())["status"]
    await fleet.join("m3", site="third")
    await holds(m3, CONFIGMAPS, namespace, "web")
    assert set(await web.reports("m3")) <= {"name", "fingerprint"}
    joined = await cluster(host)
    assert joined["status"]["kubernetesVersion"].startswith("v1.")
    assert joined["metadata"]["annotations"]["kubefed.io/cluster-uid"]
    before = await holds(m3, CONFIGMAPS, namespace, "web")
    await fleet.unjoin("m3")

    async def forgotten() -> bool:
        return "clusters" not in (await web.get())["status"]

    await eventually(forgotten)
    assert await m3.get(CONFIGMAPS, namespace, "web") == before
    assert before["metadata"]["labels"] == {MANAGED_LABEL: "true"}
    await web.delete()
    await web.gone()
    assert await m3.get(CONFIGMAPS, namespace, "web") == before


async def test_another_address_of_the_same_cluster_is_taken_at_once(
    fleet: Fleet, host: Api, m3: Api, web: Federated, namespace: str
) -> None:
    """spec.apiEndpoint leads through a proxy: from then on every request does, and nothing is pushed anew."""
    before = await holds(m3, CONFIGMAPS, namespace, "web")
    async with FaultProxy(fleet.playground.clusters["m3"], fleet.playground.ca) as proxy:
        home = (await cluster(host))["spec"]["apiEndpoint"]
        await point(host, "m3", {"apiEndpoint": proxy.url})

        async def followed() -> bool:
            return proxy.open_watches("configmaps") == 1

        await eventually(followed)
        await web.change({"template": {"data": {"a": "by another way"}}})
        pushed = [each.verb for each in proxy.requests.writes() if each.resource == "configmaps"]
        assert pushed == ["apply"], "it asks once more how old its token is, and pushes nothing anew"
        after = await holds(m3, CONFIGMAPS, namespace, "web")
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        await point(host, "m3", {"apiEndpoint": home})

        async def left() -> bool:
            return proxy.open_watches() == 0

        await eventually(left)
    await web.change({"template": {"data": {"a": "home again"}}})


async def test_an_address_where_nobody_is(host: Api, m1: Api, m3: Api, web: Federated, namespace: str) -> None:
    """Offline with the reason; the objects wait with ClusterNotReady, m1 goes on; mended, m3 catches up."""
    home = (await cluster(host))["spec"]["apiEndpoint"]
    await point(host, "m3", {"apiEndpoint": "https://127.0.0.1:1"})
    reported = await cluster_condition(host, "m3", "Ready", "False", reason="ClusterNotReachable")
    assert reported["message"]
    await cluster_condition(host, "m3", "Offline", "True")
    await others_go_on(web, m1, namespace, "c")
    assert (await web.reports("m3", "ClusterNotReady"))["message"]
    assert (await holds(m3, CONFIGMAPS, namespace, "web"))["data"] == {"a": "b"}
    await point(host, "m3", {"apiEndpoint": home})
    await cluster_condition(host, "m3", "Ready", "True")
    await cluster_condition(host, "m3", "Offline", "False")
    await web.settled()
    assert (await holds(m3, CONFIGMAPS, namespace, "web"))["data"] == {"a": "c"}


async def test_a_token_that_is_replaced_is_used_without_a_new_connection(
    host: Api, m3: Api, web: Federated, namespace: str
) -> None:
    """The Secret changes, pushes go on, and nothing is pushed anew."""
    await store(host, token=await fresh_token(m3))
    before = await holds(m3, CONFIGMAPS, namespace, "web")
    await web.change({"template": {"data": {"a": "c"}}})
    after = await holds(m3, CONFIGMAPS, namespace, "web")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert (await cluster_condition(host, "m3", "Ready", "True"))["reason"] == "ClusterReady"


@pytest.mark.parametrize(
    ("token", "kind", "status", "reported"),
    [
        pytest.param("wrong-but-well-formed", "Ready", "False", "401", id="a-token-nobody-knows"),
        pytest.param("two words", "ConfigMalformed", "True", "bearer token", id="no-token-at-all"),
        pytest.param(None, "ConfigMalformed", "True", "neither", id="no-token-in-the-secret"),
    ],
)
async def test_a_secret_that_cannot_be_used(  # noqa: PLR0917 - fixtures
    fleet: Fleet,
    host: Api,
    m1: Api,
    m3: Api,
    web: Federated,
    namespace: str,
    token: str | None,
    kind: str,
    status: str,
    reported: str,
) -> None:
    """That cluster is not Ready and says why, without the Secret's words; others go on; mended, all is well."""
    await store(host, token=token)
    found = await cluster_condition(host, "m3", kind, status)
    assert reported in found["message"], found
    await others_go_on(web, m1, namespace, "c")
    assert (await web.reports("m3", "ClusterNotReady"))["message"]
    if token is not None:
        for text in (str(await cluster(host)), str(await web.get()), fleet.controller.log):
            assert token not in text
    await store(host, token=await fresh_token(m3))
    await cluster_condition(host, "m3", "Ready", "True")
    await web.settled()
    assert "ConfigMalformed" not in str((await cluster(host))["status"]["conditions"])


async def test_a_secret_that_is_deleted(host: Api, m1: Api, m3: Api, web: Federated, namespace: str) -> None:
    """KubeFed stopped whole (its issue 1475): here one cluster says which Secret is missing, until it is back."""
    secret = await host.get(SECRETS, SYSTEM_NAMESPACE, ACCOUNT)
    assert secret is not None
    await host.delete(SECRETS, SYSTEM_NAMESPACE, ACCOUNT)
    found = await cluster_condition(host, "m3", "ConfigMalformed", "True")
    assert ACCOUNT in found["message"]
    await cluster_condition(host, "m3", "Ready", "Unknown")
    await others_go_on(web, m1, namespace, "c")
    metadata = {"name": ACCOUNT, "namespace": SYSTEM_NAMESPACE, "annotations": secret["metadata"]["annotations"]}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": secret["data"]}
    await host.create(SECRETS, body, SYSTEM_NAMESPACE)
    await cluster_condition(host, "m3", "Ready", "True")
    await web.settled()
    assert (await holds(m3, CONFIGMAPS, namespace, "web"))["data"] == {"a": "c"}


async def test_a_ca_that_did_not_sign_the_server(
    fleet: Fleet, host: Api, m1: Api, web: Federated, namespace: str
) -> None:
    """The server is not trusted, and no token is sent to it; a bundle that is no certificate is malformed."""
    bundle = (await cluster(host))["spec"]["caBundle"]
    stranger = base64.b64encode(pki.authority("stranger").certificate).decode()
    await point(host, "m3", {"caBundle": stranger})
    found = await cluster_condition(host, "m3", "Ready", "False")
    assert "certificate" in found["message"]
    await others_go_on(web, m1, namespace, "c")
    garbage = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n").decode()
    await point(host, "m3", {"caBundle": garbage})
    assert "PEM" in (await cluster_condition(host, "m3", "ConfigMalformed", "True"))["message"]
    await point(host, "m3", {"caBundle": bundle})
    await cluster_condition(host, "m3", "Ready", "True")
    await web.settled()


async def test_a_kubeconfig_in_the_secret(fleet: Fleet, host: Api, m3: Api, web: Federated, namespace: str) -> None:
    """With a token as data it is used; one that would run a program is refused and named."""
    seen = dataclasses.replace(fleet.playground.clusters["m3"], token=await fresh_token(m3))
    good = access.kubeconfig([seen]).decode()
    await store(host, token=None, kubeconfig=good)
    await cluster_condition(host, "m3", "Ready", "True")
    await web.change({"template": {"data": {"a": "c"}}})
    document = yaml.safe_load(good)
    document["users"][0]["user"] = {"exec": {"command": "/bin/true"}}
    await store(host, kubeconfig=yaml.safe_dump(document))
    assert "exec" in (await cluster_condition(host, "m3", "ConfigMalformed", "True"))["message"]
    await store(host, kubeconfig=None, token=await fresh_token(m3))
    await cluster_condition(host, "m3", "Ready", "True")


async def test_region_and_zones_are_its_nodes(fleet: Fleet, host: Api, m3: Api, third: str) -> None:
    """As KubeFed reads them, at the join: the nodes' topology labels."""
    await fleet.unjoin("m3")
    for number, zone in enumerate(("b", "a", "b")):
        labels = {"topology.kubernetes.io/region": "north", "topology.kubernetes.io/zone": f"north-{zone}"}
        await m3.create(
            NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"n{number}", "labels": labels}}
        )
    try:
        await fleet.join("m3")
        await cluster_condition(host, "m3", "Ready", "True")
        status = (await cluster(host))["status"]
        assert (status["region"], status["zones"]) == ("north", ["north-a", "north-b"])
        version = await m3.connection.read("/version")
        assert status["kubernetesVersion"] == version["gitVersion"]
    finally:
        for number in range(3):
            await m3.delete(NODES, "", f"n{number}")


async def test_a_cluster_under_a_second_name_is_refused_until_the_first_has_left(
    fleet: Fleet, host: Api, m3: Api, web: Federated, namespace: str
) -> None:
    """The second says under which name it is joined; objects placed in it wait; then it takes over by itself."""
    first = await cluster(host)
    metadata = {"name": "m3-again", "namespace": SYSTEM_NAMESPACE}
    body = {"apiVersion": KUBEFED_CLUSTERS.api_version, "kind": "KubeFedCluster", "metadata": metadata}
    await host.create(KUBEFED_CLUSTERS, {**body, "spec": first["spec"]}, SYSTEM_NAMESPACE)
    try:
        found = await cluster_condition(host, "m3-again", "ConfigMalformed", "True")
        assert "'m3'" in found["message"]
        await cluster_condition(host, "m3-again", "Ready", "Unknown")
        before = await holds(m3, CONFIGMAPS, namespace, "web")
        both = {"spec": {"placement": {"clusters": [{"name": "m3"}, {"name": "m3-again"}]}}}
        await Federated(host, FEDERATED_NAMESPACES, namespace, namespace).patch(both)
        await web.patch(both)
        await web.reports("m3-again", "ClusterNotReady")
        await web.reports("m3")
        fleet.controller.kill()
        fleet.controller.start()
        await never(_not_ready(host), during=1.0)
        assert await m3.get(CONFIGMAPS, namespace, "web") == before
        await host.delete(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m3")
        await cluster_condition(host, "m3-again", "Ready", "True")
    finally:
        await host.delete(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m3-again")


async def test_another_cluster_behind_a_known_name_is_not_touched(  # noqa: PLR0917 - fixtures
    fleet: Fleet, host: Api, m1: Api, m2: Api, m3: Api, web: Federated, namespace: str
) -> None:
    """m3's address leads to m2, whose token is accepted there: refused with both identities, and nothing is written."""
    home = await cluster(host)
    token = (await tokens.request(m2.connection, ObjectName(SYSTEM_NAMESPACE, "m2-host"))).token
    uid = (await cluster(host))["metadata"]["annotations"]["kubefed.io/cluster-uid"]
    counted = (await writes(m2))["APPLY", "configmaps"]
    await store(host, token=token)
    endpoint = fleet.playground.clusters["m2"].url
    await point(host, "m3", {"apiEndpoint": endpoint})
    await cluster_condition(host, "m3", "ConfigMalformed", "True", message=uid)
    await others_go_on(web, m1, namespace, "c")
    await web.reports("m3", "ClusterNotReady")
    await never(lambda: m2.get(CONFIGMAPS, namespace, "web"), during=0.5)
    assert (await writes(m2))["APPLY", "configmaps"] == counted
    await store(host, token=await fresh_token(m3))
    await point(host, "m3", {"apiEndpoint": home["spec"]["apiEndpoint"]})
    await cluster_condition(host, "m3", "Ready", "True")
    await web.settled()


async def test_a_token_past_its_half_life_is_renewed(
    fleet: Fleet, host: Api, m3: Api, web: Federated, namespace: str
) -> None:
    """Given at runtime, in the middle of a long token's wait: the Secret soon holds a younger one, which is in use."""
    key = (fleet.playground.directory / "clusters" / "m3" / "service-account.key").read_bytes()
    now = int(time.time())
    joined = await host.get(SECRETS, SYSTEM_NAMESPACE, ACCOUNT)
    assert joined is not None
    current = base64.b64decode(joined["data"]["token"]).decode()
    await renewable(fleet, m3, current)
    old = signed(key, current, iat=now - 400, nbf=now - 400, exp=now + 300)
    await store(host, token=old)

    async def stored() -> Any:
        secret = await host.get(SECRETS, SYSTEM_NAMESPACE, ACCOUNT)
        assert secret is not None
        token = base64.b64decode(secret["data"]["token"]).decode()
        return token if token != old else None

    renewed = claims(await eventually(stored, within=30.0))
    assert renewed["iat"] >= now
    assert renewed["sub"] == f"system:serviceaccount:{SYSTEM_NAMESPACE}:{ACCOUNT}"
    await web.change({"template": {"data": {"a": "c"}}})
    assert old not in fleet.controller.log


async def test_a_label_of_a_cluster_selects_at_once_and_its_annotations_do_not_matter(
    host: Api, m3: Api, web: Federated, namespace: str
) -> None:
    """A touch that no placement can see writes nothing anywhere."""
    before, at_hub = await holds(m3, CONFIGMAPS, namespace, "web"), await web.get()
    await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m3", {"metadata": {"annotations": {"note": "1"}}})
    await asyncio.sleep(0.5)
    assert await m3.get(CONFIGMAPS, namespace, "web") == before
    assert await web.get() == at_hub


async def test_health_follows_the_kubefedconfig_as_it_changes(fleet: Fleet, host: Api, m3: Api, third: str) -> None:
    """failureThreshold 5: five failed probes in a row, not four, take a cluster down; one good one brings it back."""
    async with FaultProxy(fleet.playground.clusters["m3"], fleet.playground.ca) as proxy:
        await configure(host, {"clusterHealthCheck": {"period": "300ms", "failureThreshold": 5}})
        home = (await cluster(host))["spec"]["apiEndpoint"]
        await point(host, "m3", {"apiEndpoint": proxy.url})

        async def followed() -> bool:
            return proxy.open_watches("configmaps") == 1

        await eventually(followed)
        await cluster_condition(host, "m3", "Ready", "True")

        def probes() -> list[int]:
            return [each.code for each in proxy.requests if each.path.startswith("/api/v1/namespaces/kube-system")]

        def failed() -> int:
            return probes().count(503)

        proxy.inject(Fault(kind="status", code=503, verb="get", times=4))

        async def four() -> bool:
            return failed() == 4

        async def good_again() -> bool:
            return probes()[-1] == 200

        await eventually(four)
        await eventually(good_again)  # or the next failure would be the fifth in a row
        await never(_not_ready(host), during=1.0)
        proxy.inject(Fault(kind="status", code=503, verb="get"))
        await cluster_condition(host, "m3", "Ready", "False", reason="ClusterNotReady")
        assert failed() - 4 >= 5
        proxy.clear()
        await cluster_condition(host, "m3", "Ready", "True")
        await point(host, "m3", {"apiEndpoint": home})
        await cluster_condition(host, "m3", "Ready", "True")


def _not_ready(host: Api) -> Any:
    async def seen() -> bool:
        conditions = (await cluster(host))["status"]["conditions"]
        return any(each["type"] == "Ready" and each["status"] != "True" for each in conditions)

    return seen
