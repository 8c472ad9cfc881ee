"""remoteStatus of members that run another version of a type, on a real hub: one that does not fit spoils no status.

The federated CRD has the target's status schema, loosened: what a member calls its status may still be of other types.
"""

import ssl
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import orjson
import pytest

from federation.controllers import statuswrites
from federation.controllers.statuswrites import StatusUpdate
from federation.core import summary
from federation.kube.connection import MERGE_PATCH
from federation.kube.hub import HubWriter
from federation.model.conditions import Reason
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata
from federation.model.resources import ObjectName, Resource
from federation.model.status import ClusterStatus, Status
from federation.playground.clusters import Playground
from tests.clusters.crds_server import Server
from tests.clusters.harness import Api, eventually
from typegen import federate
from typegen.model import Generated

GROUP = "remote.example.com"
PRINT = "abcdefgh.ijklmnop"


def dials(replicas: str) -> Generated:
    """The federated type of a CRD whose summary.replicas is of this type."""
    below = {"replicas": {"type": replicas}, "parts": {"type": "array", "items": {"type": "string", "maxLength": 3}}}
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object"}, "status": {"type": "object", "properties": below}},
    }
    return federate.from_crd(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"dials.{GROUP}"},
            "spec": {
                "group": GROUP,
                "names": {"kind": "Dial", "plural": "dials"},
                "scope": "Namespaced",
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
            },
        }
    )


@pytest.fixture(scope="module")
def served(playground: Playground, trust: ssl.SSLContext) -> Iterator[Server]:
    bare = Server(playground.clusters["host"], trust)
    yield bare
    bare.remove([dials("integer").crd])


@pytest.fixture
def server(served: Server) -> Server:
    served.establish([dials("integer").crd])
    return served


def line(name: str, remote: Any = None) -> ClusterStatus:
    raw = msgspec.UNSET if remote is None else msgspec.Raw(orjson.dumps(remote))
    return ClusterStatus(name, fingerprint=PRINT, remote_status=raw)


class Hub:
    """The hub's status of one federated Dial, written as the controller writes it."""

    def __init__(self, api: Api, namespace: str) -> None:
        made = dials("integer").federated
        self.resource = Resource(made.group, made.version, made.kind, made.plural, namespaced=True)
        self.api = api
        self.where = ObjectName(namespace, "a")
        self.refused: list[Failure] = []
        self.previous = Status()

    async def create(self) -> None:
        body = {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {"name": self.where.name},
            "spec": {"template": {}, "placement": {"clusters": [{"name": "m1"}]}},
        }
        await self.api.create(
            Resource("", "v1", "Namespace", "namespaces", namespaced=False),
            {"metadata": {"name": self.where.namespace}},
        )
        await self.api.create(self.resource, body, self.where.namespace)

    async def write(self, *lines: ClusterStatus) -> Status | Failure:
        def fold(clusters: Sequence[ClusterStatus]) -> Status:
            return summary.fold(
                self.previous,
                generation=1,
                reason=Reason.OK,
                message="",
                clusters=clusters,
                selected={each.name for each in lines},
                now="2026-01-01T00:00:00Z",
            )

        written = await statuswrites.write(self._write, StatusUpdate(self.previous, lines, fold))
        if isinstance(written, Status):
            self.previous = written
        return written

    async def _write(self, body: bytes) -> Metadata | Failure:
        answer = await HubWriter(self.api.connection).set_status(self.resource, self.where, body)
        if isinstance(answer, Failure):
            self.refused.append(answer)
        return answer

    async def refuses(self, remote: Any) -> None:
        """Wait until the hub validates by a schema that refuses this: it serves a new one a moment later."""
        body = {"status": {"clusters": [{"name": "m1", "remoteStatus": remote}]}}
        path = f"{self.resource.path(self.where)}/status"

        async def refused() -> bool:
            answer = await self.api.connection.request(
                "PATCH", path, body=orjson.dumps(body), content_type=MERGE_PATCH, params={"dryRun": "All"}
            )
            return isinstance(answer, Failure)

        await eventually(refused)

    async def stored(self) -> dict[str, dict[str, Any]]:
        found = await self.api.get(self.resource, self.where.namespace, self.where.name)
        assert found is not None
        return {each["name"]: each for each in found["status"]["clusters"]}


async def test_an_odd_remote_status_costs_its_own_line_alone(server: Server, namespace: str) -> None:
    async with Api(server.cluster) as api:
        hub = Hub(api, namespace)
        await hub.create()
        lines = [
            line("m1", {"replicas": 1, "new": {"x": [1]}}),
            line("m2", {"replicas": "two"}),
            line("m3", {"parts": ["longer than this version's"]}),
            line("m4", {"parts": {"a": 1}}),
            line("m5"),
        ]
        assert isinstance(await hub.write(*lines), Status)
        assert [each.kind for each in hub.refused] == [FailureKind.INVALID]
        # The fingerprint that all have in common is stored once (core.sharing).
        assert await hub.stored() == {
            "m1": {"name": "m1", "fingerprint": f"{PRINT}*", "remoteStatus": {"replicas": 1, "new": {"x": [1]}}},
            "m2": {"name": "m2", "message": "its remoteStatus is left out: the hub refuses it at replicas"},
            "m3": {"name": "m3", "remoteStatus": {"parts": ["longer than this version's"]}},
            "m4": {"name": "m4", "message": "its remoteStatus is left out: the hub refuses it at parts"},
            "m5": {"name": "m5"},
        }
        found = await api.get(hub.resource, namespace, "a")
        assert found is not None
        assert {each["type"]: each["status"] for each in found["status"]["conditions"]}["Ready"] == "True"


async def test_after_an_upgrade_of_the_hub_what_does_not_fit_is_left_out(server: Server, namespace: str) -> None:
    """The list is atomic: the API server compares it as a whole, so what is stored already is no exception."""
    async with Api(server.cluster) as api:
        hub = Hub(api, namespace)
        await hub.create()
        await hub.write(line("m1", {"replicas": 1}), line("m2", {"replicas": 2}))
        server.establish([dials("string").crd])
        await hub.refuses({"replicas": 1})
        await hub.write(line("m1", {"replicas": 1}), line("m2", {"replicas": 2}), line("m3"))
        assert len(hub.refused) == 1
        stored = await hub.stored()
        assert set(stored) == {"m1", "m2", "m3"}
        assert not [name for name, each in stored.items() if "remoteStatus" in each]
        assert stored["m1"]["message"].startswith("its remoteStatus is left out")
        assert stored["m2"]["message"] == "same as m1"
        await hub.write(line("m1", {"replicas": "1"}), line("m2", {"replicas": 3}), line("m3"))
        assert len(hub.refused) == 2
        stored = await hub.stored()
        assert stored["m1"]["remoteStatus"] == {"replicas": "1"}
        assert "remoteStatus" not in stored["m2"]


async def test_one_that_is_too_large_for_the_hub_is_not_sent(server: Server, namespace: str) -> None:
    """The budget of the whole status leaves it out, and Ready says so."""
    async with Api(server.cluster) as api:
        hub = Hub(api, namespace)
        await hub.create()
        await hub.write(line("m1", {"parts": ["x" * 1_700_000]}), line("m2", {"replicas": 1}))
        assert hub.refused == []
        stored = await hub.stored()
        assert "remoteStatus" not in stored["m1"]
        assert stored["m2"]["remoteStatus"] == {"replicas": 1}
        found = await api.get(hub.resource, namespace, "a")
        assert found is not None
        ready = {each["type"]: each.get("message", "") for each in found["status"]["conditions"]}["Ready"]
        assert "1 remoteStatus are left out below: the status is full" in ready
