"""Whatever comes from outside, for some seconds (for a fifth of SOAK_MINUTES in `make soak`): a run names its seed.

The property: no exception leaves, the loop turns, memory stays, everybody else is served.
"""

import asyncio
import base64
import json as stdlib
import os
import random
import resource
import time
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from federation.controllers.copies import Copies
from federation.controllers.fanout import Fanout
from federation.controllers.membertriggers import CopiesSink
from federation.controllers.world import TypeState, World
from federation.core import jwt
from federation.kube import kubeconfig
from federation.kube.connection import Connection
from federation.kube.endpoint import Endpoint
from federation.kube.gates import Gate, Gatekeeper
from federation.kube.members import MemberWriter
from federation.model import bounds
from federation.model.errors import Unusable
from federation.model.failures import Failure
from federation.model.federated import FederatedType
from federation.model.resources import ObjectName, Resource
from federation.runtime.tasks import Tasks
from tests import nasty
from tests.fakes import PROOF
from tests.unit.controllers.rig import WEB, Rig
from tests.unit.kube import test_gates as gates
from tests.unit.kube.servers import serving
from tests.unit.kube.test_listing import BLOCKED, Turning
from tests.unit.virtualtime import virtual

SECONDS = float(os.environ.get("SOAK_MINUTES") or 0) * 60 / 5 or 5.0
"""Seconds of CPU for the evil member; hub objects get a fifth of them."""
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
FEDERATED = Resource("types.kubefed.io", "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True)
ENABLED = FederatedType("configmaps", CONFIGMAPS, FEDERATED)
WHERE = ObjectName("ns", "n1")
BUGS = {"loop failed", "task died", "push failed", "reconcile failed"}
GROWTH = 300 << 10
"""kB by which the process may grow, the evil server that it plays included."""


def _seed() -> int:
    given = os.environ.get("FEDERATION_SEED")
    return int(given) if given else random.SystemRandom().randrange(10**6)


def _bugs(logs: Iterable[Any]) -> list[Any]:
    return [entry for entry in logs if entry["event"] in BUGS]


async def _ask(gate: Gate, roll: random.Random) -> Any:
    """One question of the controller's to its member."""
    writer: MemberWriter = gate.writer
    body = orjson.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n1", "namespace": "ns"}})
    match roll.randrange(11):
        case 0:
            return await gate.identify(2.0)
        case 1:
            return await gate.version()
        case 2:
            return await gate.topology()
        case 3:
            found = await gate.discover()
            return found if isinstance(found, Failure) or found is None else found.versions("example.com", "widgets")
        case 4:
            return await gate.renew_token(3600)
        case 5:
            return await writer.apply(CONFIGMAPS, WHERE, body, force=True)
        case 6:
            return await writer.delete(CONFIGMAPS, WHERE, "u", {}, PROOF)
        case 7:
            return await writer.read(CONFIGMAPS, WHERE)
        case 8:
            return await writer.read_replicas(DEPLOYMENTS, WHERE)
        case 9:
            return await writer.read_whole(DEPLOYMENTS, WHERE)
    return await writer.would_create(CONFIGMAPS, WHERE, body)


def _fit(answer: Any) -> None:
    """What is believed of a member is in its form."""
    if isinstance(answer, Failure):
        assert answer.message.isprintable()
        assert len(answer.message) < 1_500
        assert answer.retry_after is None or bounds.SHORTEST_WAIT <= answer.retry_after <= bounds.LONGEST_WAIT
    elif isinstance(answer, str):
        assert answer.isprintable()
        assert len(answer) <= jwt.LONGEST
    elif isinstance(answer, tuple):
        assert all(str(each).isprintable() for each in answer)


async def _evil(seed: int) -> None:
    """One member that is evil, watched and asked by several at once, beside one that is honest."""
    evil, roll = nasty.Evil(seed), random.Random(seed)

    async def honest(_: web.BaseRequest) -> web.Response:
        return web.json_response(nasty.held("n1"))

    secret = {"token": base64.b64encode(nasty.token().encode()).decode()}
    ends = time.process_time() + SECONDS
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tasks, served = Tasks(), 0
    async with gates.serving(evil) as bad, serving(honest) as good, Turning() as turning:
        gate = Gatekeeper(nasty.US).open("evil", {**gates.PLACE, "apiEndpoint": bad}, secret)
        other = Connection("honest", Endpoint(good))
        state, world = TypeState(ENABLED), World()
        sink = CopiesSink(
            "evil", nasty.US, state, Copies(), wake=lambda *_, **__: None, fanout=Fanout(world, lambda *_, **__: None)
        )
        for at in range(3):
            watch = gate.watch(ENABLED, sink, lambda watch: watch.kick(), lambda: None)
            tasks.keep(watch.run, f"watch:{at}")

        async def ask() -> None:
            while time.process_time() < ends:
                _fit(await _ask(gate, roll))

        async def be_served() -> None:
            nonlocal served
            while time.process_time() < ends:
                answer = await other.request("GET", "/api/v1/namespaces/ns/configmaps/n1", deadline=30.0)
                assert not isinstance(answer, Failure), answer
                served += 1
                await asyncio.sleep(0.02)

        await asyncio.gather(be_served(), *(ask() for _ in range(4)))
        await tasks.cancel()
        await gate.close()
        await other.close()
    assert evil.asked > 50
    assert served > 20
    assert turning.longest < BLOCKED
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH


@pytest.mark.timeout(20 * SECONDS + 300)
async def test_an_evil_member_hurts_nobody_else() -> None:
    seed = _seed()
    print(f"seed {seed}")  # noqa: T201 - the one thing that a failing run must say
    with capture_logs() as logs:
        await _evil(seed)
    assert not _bugs(logs)


def _specs(seed: int) -> Iterator[Any]:
    spoiler = nasty.Spoiler(seed)
    good = {
        "template": {"metadata": {"labels": {"a": "b"}}, "data": {"a": "b"}, "binaryData": {"x": "eA=="}},
        "placement": {"clusters": [{"name": "m1"}], "clusterSelector": {"matchLabels": {"a": "b"}}},
        "overrides": [
            {"clusterName": "m1", "clusterOverrides": [{"op": "add", "path": "/data/b", "value": {"c": [1]}}]}
        ],
        "retainReplicas": False,
    }
    ends = time.process_time() + SECONDS / 5
    while time.process_time() < ends:
        spec: Any = good
        for _ in range(spoiler.roll.randrange(1, 4)):
            spec = spoiler.spoil(spec)
        try:
            yield orjson.loads(spoiler.encoded({"spec": spec}))["spec"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue  # no JSON: the hub would not have taken it


@pytest.mark.timeout(20 * SECONDS + 300)
def test_whatever_a_crd_lets_in_is_a_condition_of_its_own_object() -> None:
    seed = _seed()
    print(f"seed {seed}")  # noqa: T201

    @virtual
    async def test() -> None:
        count = 0
        async with Rig("m1") as rig:
            for spec in _specs(seed):
                try:
                    orjson.dumps(spec)
                except TypeError:
                    continue  # too deep for the hub that is played here
                rig.hub.objects.pop((FEDERATED.qualified, WEB), None)
                rig.hub.put(FEDERATED, WEB, spec=spec)
                await asyncio.sleep(0.1)
                count += 1
                stored = rig.stored()
                assert stored is not None
                rig.hub.put(FEDERATED, WEB, metadata={"annotations": {"kubefed.io/deleteoption": str(spec)[:99]}})
                await asyncio.sleep(0.1)
            good = ObjectName("ns", "good")
            rig.put(good)
            await asyncio.sleep(5)
            assert rig.data("m1", name=good) == "b"
        assert count > 5

    with capture_logs() as logs:
        test()
    assert not _bugs(logs)


_KEYS = """clusters users contexts name cluster user context server token current-context certificate-authority-data
    client-certificate-data client-key-data proxy-url tls-server-name x"""
_WORDS = ["https://h", "*", "AAAA", "token"]
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(_WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS.split()), inner, max_size=5),
    max_leaves=14,
)
texts = st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.b64encode(raw).decode())


@example({"apiEndpoint": "https://h", "disabledTLSValidations": [[]]}, {"token": "AAAA"})
@example({"apiEndpoint": "https://h", "disabledTLSValidations": "*"}, {"token": "AAAA"})
@given(
    st.dictionaries(st.sampled_from(["apiEndpoint", "caBundle", "proxyURL", "disabledTLSValidations"]), json | texts),
    st.dictionaries(st.sampled_from(["token", "kubeconfig"]), texts)
    | json.map(lambda value: {"kubeconfig": base64.b64encode(stdlib.dumps(value).encode()).decode()}),
)
def test_any_stored_credentials_are_usable_or_said_to_be_none(spec: dict[str, Any], secret: dict[str, str]) -> None:
    try:
        connection = Connection("m1", kubeconfig.stored(spec, secret))
    except Unusable:
        return
    header = connection.endpoint.credentials.header
    assert header.isascii()
    assert header.isprintable()
