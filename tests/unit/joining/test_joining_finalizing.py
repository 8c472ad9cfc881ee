"""The policy that lets the host's API server add our finalizer: where it is applied, and what other hosts get."""

from typing import Any, cast

import orjson
import pytest

from federation.joining import finalizing
from federation.joining.finalizing import Policy
from federation.kube.connection import Answer, Connection
from federation.model.failures import Failure, FailureKind

GROUP = "/apis/admissionregistration.k8s.io/v1"
POLICY = f"{GROUP}/mutatingadmissionpolicies/kubefed-sync-finalizer.sys"
BINDING = f"{GROUP}/mutatingadmissionpolicybindings/kubefed-sync-finalizer.sys"
KINDS = ("validatingadmissionpolicies", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings")
OBJECT = {
    "kind": "MutatingAdmissionPolicy",
    "apiVersion": "admissionregistration.k8s.io/v1",
    "metadata": {"name": "one"},
}
FORBIDDEN = Failure(FailureKind.RIGHT_MISSING, "cannot patch resource", 403)
NOT_FOUND = Failure(FailureKind.NOT_FOUND, "not found", 404)
UNKNOWN = Failure(FailureKind.TYPE_MISSING, "the server does not know it", 404)


class Host:
    """A host that serves some kinds of admissionregistration.k8s.io/v1, and stores what is applied."""

    name = "host"

    def __init__(self, *kinds: str, refuses: Failure | None = None) -> None:
        self.kinds = kinds
        self.refuses = refuses
        self.stored: set[str] = set()
        self.said: list[str] = []

    async def request(self, method: str, path: str, **_: Any) -> Answer | Failure:
        where = path.partition("?")[0]
        if where == GROUP:
            resources = {"resources": [{"name": name} for name in self.kinds]}
            return _answer(200, resources) if self.kinds else UNKNOWN
        if method == "GET":
            return _answer(200, OBJECT) if where in self.stored else NOT_FOUND
        if where.split("/")[4] not in self.kinds:
            return UNKNOWN
        if self.refuses is not None:
            return self.refuses
        if method == "DELETE":
            known = where in self.stored
            self.stored.discard(where)
            return _answer(200, OBJECT) if known else NOT_FOUND
        if "dryRun" not in path:
            self.stored.add(where)
        return _answer(201, OBJECT)

    async def install(self, policy: Policy, *, dry_run: bool = False) -> None:
        host = cast("Connection", self)
        await finalizing.install(host, "sys", "kubefed-controller", policy, self.said.append, dry_run=dry_run)


def _answer(code: int, body: dict[str, Any]) -> Answer:
    return Answer(code, orjson.dumps(body))


async def test_a_host_that_serves_it_gets_it() -> None:
    host = Host(*KINDS)
    await host.install(Policy.KEEP)
    assert (host.stored, host.said) == (set(), [])
    await host.install(Policy.AUTO, dry_run=True)
    assert host.stored == set()
    assert all(text.endswith("(dry run)") for text in host.said)
    host.said.clear()
    await host.install(Policy.AUTO)
    assert host.stored == {POLICY, BINDING}
    assert host.said[-1].startswith("from now on host's API server adds the finalizer")
    host.said.clear()
    await host.install(Policy.KEEP)
    assert len(host.said) >= 2, "what is installed is brought up to date"
    await host.install(Policy.FALSE, dry_run=True)
    assert host.stored == {POLICY, BINDING}
    await host.install(Policy.FALSE)
    assert host.stored == set()


@pytest.mark.parametrize("kinds", [(), KINDS[:1]], ids=["no-such-group", "an-older-server"])
async def test_an_older_host_gets_nothing_and_no_error(kinds: tuple[str, ...]) -> None:
    host = Host(*kinds)
    for policy in (Policy.KEEP, Policy.AUTO, Policy.FALSE):
        await host.install(policy)
    assert (host.stored, host.said) == (set(), [])


async def test_a_user_without_the_right_is_told_and_nothing_else_fails() -> None:
    host = Host(*KINDS, refuses=FORBIDDEN)
    await host.install(Policy.AUTO)
    assert host.stored == set()
    (text,) = host.said
    assert text.startswith("warning: host: the API server will not add the finalizer")
    assert "cannot patch resource" in text


def test_every_control_plane_of_a_host_has_its_own() -> None:
    names = {
        (each["kind"], each["metadata"]["name"])
        for namespace in ("one", "two")
        for each in finalizing.manifests(namespace, "kubefed-controller")
    }
    assert len(names) == 4
