"""A kept plan: it holds no value of a Secret, and says what has moved since."""

import dataclasses
from typing import Any

import orjson
import pytest

from federation.model import marks
from federation.model.errors import Invalid
from federation.model.federated import Metadata, StoredObject
from federation.model.resources import Key, ObjectName, Resource
from federation.preview import saved
from federation.preview.changes import Change, Findings, Kind
from federation.preview.hub import Hub
from federation.preview.making import How, Made
from federation.preview.saved import Sources
from federation.preview.wishes import Given, Wish

TYPES = "types.kubefed.io"
CONFIGMAPS = Resource(TYPES, "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True)
SECRETS = Resource(TYPES, "v1beta1", "FederatedSecret", "federatedsecrets", namespaced=True)
CANARY = "aHVudGVyMg=="
HOW = How()
SOURCES = Sources(("apps",))


def document(resource: Resource, name: str, data: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop"}
    kind = {"apiVersion": resource.api_version, "kind": resource.kind}
    return {**kind, "metadata": metadata, "spec": {"template": {"data": data}}}


def wish(resource: Resource, name: str, data: dict[str, str], *, source: str = "apps/a.yaml:1") -> Wish:
    given = Given(source, document(resource, name, data))
    before = {**given.document, "metadata": {**given.document["metadata"], "uid": "u", "generation": 1}, "spec": {}}
    return Wish(given, resource, ObjectName("shop", name), before, given.document, secret=resource is SECRETS)


def made(**changes: Any) -> Made:
    findings = Findings()
    findings.add(Key("configmaps", "shop", "web"), "m1", Change(Kind.CHANGE))
    uid = {marks.IDENTITY_ANNOTATION: "one"}
    clusters = {"m1": StoredObject(Metadata(name="m1", annotations=uid))}
    seen = {"m1": {("configmaps", ObjectName("shop", "web")): "stamp"}}
    base = Made(
        Hub("hub", clusters=clusters),
        [wish(CONFIGMAPS, "web", {"a": "b"}), wish(SECRETS, "db", {"password": CANARY})],
        findings,
        seen=seen,
    )
    return dataclasses.replace(base, **changes)


def another_object() -> Made:
    other = wish(CONFIGMAPS, "web", {"a": "b"})
    assert other.before is not None
    before = {**other.before, "metadata": {**other.before["metadata"], "generation": 2}}
    return made(wishes=[dataclasses.replace(other, before=before), made().wishes[1]])


def another_outcome() -> Made:
    findings = Findings()
    findings.add(Key("configmaps", "shop", "web"), "m1", Change(Kind.DELETE))
    return made(findings=findings)


def another_cluster() -> Made:
    uid = {marks.IDENTITY_ANNOTATION: "two"}
    return made(hub=Hub("hub", clusters={"m1": StoredObject(Metadata(name="m1", annotations=uid))}))


@pytest.mark.parametrize(
    ("now", "what"),
    [
        (made(), ""),
        (another_object(), "hub: federatedconfigmap shop/web has changed"),
        (made(seen={"m1": {("configmaps", ObjectName("shop", "web")): ""}}), "m1: configmaps shop/web has changed"),
        (made(silent={"m1": "away"}), "m1: it does not answer any more"),
        (another_cluster(), "m1: it has joined, left, or is another cluster"),
        (made(hub=Hub("other")), "this is another hub than the one that was planned for"),
        (another_outcome(), "the controller would do something else now"),
    ],
)
def test_what_has_moved_is_named(now: Made, what: str) -> None:
    kept = saved.decode(saved.encode(made(), HOW, SOURCES), "a.plan")
    assert saved.moved(kept, now).message == what


def test_no_value_of_a_secret_is_kept() -> None:
    content = saved.encode(made(), HOW, SOURCES)
    assert CANARY.encode() not in content
    assert b'"password' not in content or b".spec.template.data" in content


def test_a_secret_is_read_again_and_must_be_the_same() -> None:
    kept = saved.decode(saved.encode(made(), HOW, SOURCES), "a.plan")
    same, other = ([Given("again", document(SECRETS, "db", {"password": each}))] for each in (CANARY, "bmV3"))
    found = saved.documents(kept, lambda files: same)
    assert [each.document["metadata"]["name"] for each in found] == ["web", "db"]
    with pytest.raises(Invalid, match="another document than the one that was planned"):
        saved.documents(kept, lambda files: other)
    with pytest.raises(Invalid, match="not there any more"):
        saved.documents(kept, lambda files: [])


@pytest.mark.parametrize("sources", [SOURCES, Sources(kustomization="overlays/prod")])
def test_it_is_read_again_where_it_came_from(sources: Sources) -> None:
    kept = saved.decode(saved.encode(made(), HOW, sources), "a.plan")
    asked: list[Sources] = []

    def read(found: Sources) -> list[Given]:
        asked.append(found)
        return [Given("again", document(SECRETS, "db", {"password": CANARY}))]

    saved.documents(kept, read)
    assert asked == [sources]


def test_a_secret_from_stdin_is_not_kept() -> None:
    with pytest.raises(Invalid, match="give it as a file"):
        saved.encode(made(wishes=[wish(SECRETS, "db", {"p": CANARY}, source="<stdin>:1")]), HOW, Sources(("-",)))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", orjson.dumps({"apiVersion": "v1", "kind": "Pod"})])
def test_what_is_no_plan_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid, match="is not a plan of fedctl"):
        saved.decode(content, "a.plan")
