"""Whatever a member's writer is asked to do over DryRuns, nothing that it sends can write."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from federation.core.proof import Proof
from federation.kube import dryruns
from federation.kube.connection import Answer, Connection
from federation.kube.members import MemberWriter
from federation.model.failures import Failure
from federation.model.resources import ObjectName, Resource

CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
WEB = ObjectName("ns", "web")
PROOF = Proof(by="test")
Sent = list[tuple[str, str, Mapping[str, str], Any]]

WRITES: dict[str, Callable[[MemberWriter], Coroutine[Any, Any, object]]] = {
    "apply": lambda member: member.apply(CONFIGMAPS, WEB, b"{}", force=True),
    "apply-by-another": lambda member: member.apply(CONFIGMAPS, WEB, b"{}", force=False, manager="other", whole=True),
    "dry-apply": lambda member: member.apply(CONFIGMAPS, WEB, b"{}", force=True, dry_run=True),
    "patch": lambda member: member.patch(CONFIGMAPS, WEB, []),
    "let-go": lambda member: member.let_go(CONFIGMAPS, WEB, [], PROOF),
    "would-create": lambda member: member.would_create(CONFIGMAPS, WEB, b"{}"),
    "would-become": lambda member: member.would_become(CONFIGMAPS, WEB, []),
    "delete": lambda member: member.delete(CONFIGMAPS, WEB, "u", {"propagationPolicy": "Orphan"}, PROOF),
    "delete-version": lambda member: member.delete(CONFIGMAPS, WEB, "u", {}, PROOF, version="3"),
}


class Recorder:
    def __init__(self) -> None:
        self.sent: Sent = []

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        **_: Any,
    ) -> Answer | Failure:
        self.sent.append((method, path, params or {}, orjson.loads(body) if body else None))
        return Answer(200, b'{"metadata": {"name": "web"}}')


@pytest.mark.parametrize("write", WRITES)
def test_every_write_is_a_dry_run(write: str) -> None:
    recorder = Recorder()
    asyncio.run(WRITES[write](dryruns.writer(cast("Connection", recorder), "kubefed-0123abcd")))
    ((method, path, params, body),) = recorder.sent
    if method == "DELETE":  # of a request with a body the API server does not read the query
        assert body["dryRun"] == ["All"]
        assert body["preconditions"]["uid"] == "u"
    else:
        query = parse_qs(urlsplit(path).query)
        assert [*query.get("dryRun", []), *([params["dryRun"]] if "dryRun" in params else [])] == ["All"]


def test_reads_are_sent_as_they_are() -> None:
    recorder = Recorder()
    asyncio.run(dryruns.writer(cast("Connection", recorder), "kubefed-0123abcd").read(CONFIGMAPS, WEB))
    assert recorder.sent == [("GET", "/api/v1/namespaces/ns/configmaps/web", {}, None)]


def test_a_delete_without_options_is_a_dry_run() -> None:
    recorder = Recorder()
    asyncio.run(dryruns.DryRuns(cast("Connection", recorder)).request("DELETE", "/x"))
    assert recorder.sent[0][3]["dryRun"] == ["All"]
