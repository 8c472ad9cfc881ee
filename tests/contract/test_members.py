"""A simulated member is what a real kube-apiserver is, as far as federation leans on it: the same cases on both."""

import base64
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from federation.playground import binaries
from federation.playground.access import LocalCluster
from federation.playground.clusters import Playground
from tests.contract.members import CORE, MERGE, METADATA, METADATA_LIST, Member, Object, Pair, plain, until

pytestmark = pytest.mark.clusters

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
AUTHENTICATION = "/apis/authentication.k8s.io/v1"


@pytest.fixture(scope="module")
def real(ground: Path, server: LocalCluster) -> Pair:
    playground = Playground.up(ground, ("m1", "m2"), report=lambda _: None)
    etcd = next(row.url for row in playground.status() if row.process == "etcd" and not row.cluster)
    return Pair(Member.of(server), Member.of(playground.clusters["m2"]), etcd, lambda: playground.restart("m2"))


@pytest.fixture(scope="module")
def many(ground: Path, simulated: LocalCluster) -> Pair:
    playground = Playground.open(ground, report=lambda _: None)
    etcd = next(row.url for row in playground.status() if row.process == "etcd" and row.cluster)
    return Pair(Member.of(simulated), Member.of(playground.clusters["s10"]), etcd, lambda: None)


@pytest.fixture(params=["real", "many"])
def pair(request: pytest.FixtureRequest) -> Pair:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Pair)
    return found


def config(name: str = "web", labels: dict[str, str] | None = None, **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels or {}},
        "data": data or {"a": "b"},
    }


def deployment(**spec: Any) -> Object:
    pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    body = {"selector": {"matchLabels": {"app": "web"}}, "template": pod, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": body}


# -- what it says of itself ------------------------------------------------------------------------------------------


def test_version_and_health(pair: Pair) -> None:
    assert pair.one.get("/version")["gitVersion"].startswith(binaries.KUBERNETES_VERSION.rpartition(".")[0])
    for path in ("/healthz", "/livez", "/readyz"):
        assert pair.one.get(path) == {"text": "ok"}


def test_it_has_the_namespaces_of_a_new_cluster_and_they_are_its_own(pair: Pair) -> None:
    one, other = (
        {item["metadata"]["name"]: item for item in member.get(f"{CORE}/namespaces")["items"]}
        for member in (pair.one, pair.other)
    )
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        assert one[name]["metadata"]["uid"] != other[name]["metadata"]["uid"]
        assert one[name]["metadata"]["labels"] == {"kubernetes.io/metadata.name": name}
    for name in ("default", "kube-system"):
        assert pair.one.ask("DELETE", f"{CORE}/namespaces/{name}")[0] == 403


@pytest.mark.parametrize("path", ["/api", "/apis", "/api/v1", "/apis/apps/v1", "/apis/rbac.authorization.k8s.io/v1"])
def test_discovery_is_the_same(real: Pair, many: Pair, path: str) -> None:
    def groups(found: Object) -> Object:
        found.pop("serverAddressByClientCIDRs", None)
        own = [each for each in found.get("groups", ()) if each["name"].endswith(".example.com")]  # of other tests
        return found | {"groups": [each for each in found.get("groups", ()) if each not in own]}

    assert groups(many.one.get(path)) == groups(real.one.get(path))


def test_built_in_schemas_are_the_same(real: Pair, many: Pair) -> None:
    shapes = [each.one.get("/openapi/v3")["paths"] for each in (real, many)]
    for path in ("api/v1", "apis/apps/v1"):
        assert shapes[0][path] == shapes[1][path]  # by hash


# -- writing ---------------------------------------------------------------------------------------------------------


def story(member: Member) -> list[Any]:
    """Somebody creates, we apply, another one is refused and then forces, we leave a field out."""
    namespace = member.namespace().replace(CORE, "/apis/apps/v1")
    told: list[Any] = [member.create(f"{namespace}/deployments", deployment(replicas=2), fieldManager="human")]
    where = f"{namespace}/deployments/web"
    told += member.apply(where, deployment(replicas=3), "us")
    told += member.apply(where, deployment(replicas=3), "us", force="true")
    told += member.apply(where, deployment(replicas=4, paused=True), "them")
    told += member.apply(where, deployment(replicas=4, paused=True), "them", force="true")
    told += member.apply(where, deployment(), "us", force="true")
    told.append(member.ask("PATCH", where, {"spec": {"replicas": 9}}, kind=MERGE, fieldManager="human"))
    told.append(member.get(where))
    return told


def test_applies_conflicts_and_ownership_are_the_same(real: Pair, many: Pair) -> None:
    simulated, told = plain(story(many.one)), plain(story(real.one))
    assert simulated == told
    assert [each for each in told if isinstance(each, int)] == [409, 200, 409, 200, 200]
    refused = told[2]
    assert {cause["reason"] for cause in refused["details"]["causes"]} == {"FieldManagerConflict"}
    assert {entry["manager"] for entry in told[-1]["metadata"]["managedFields"]} == {"us", "them", "human"}


def test_a_dry_run_stores_nothing_and_tells_no_watch(pair: Pair) -> None:
    where = f"{pair.one.namespace()}/configmaps"
    version = pair.one.get(where)["metadata"]["resourceVersion"]
    with pair.one.watch(where, resourceVersion=version) as events:
        code, made = pair.one.apply(f"{where}/web", config(), "us", dryRun="All")
        assert (code, made["data"]) == (201, {"a": "b"})
        assert pair.one.ask("GET", f"{where}/web")[0] == 404
        pair.one.create(where, config("real"))
        assert next(events)["object"]["metadata"]["name"] == "real"


def test_a_delete_names_whom_it_means(pair: Pair) -> None:
    where = f"{pair.one.namespace()}/configmaps"
    uid = pair.one.create(where, config())["metadata"]["uid"]

    def delete(meant: str) -> int:
        return pair.one.ask("DELETE", f"{where}/web", {"preconditions": {"uid": meant}})[0]

    assert delete("11111111-1111-1111-1111-111111111111") == 409
    assert delete(uid) == 200
    assert pair.one.ask("GET", f"{where}/web")[0] == 404


def test_a_write_to_an_old_version_is_refused(pair: Pair) -> None:
    where = f"{pair.one.namespace()}/configmaps"
    old = pair.one.create(where, config())
    assert pair.one.ask("PUT", f"{where}/web", {**old, "data": {"a": "c"}})[0] == 200
    code, said = pair.one.ask("PUT", f"{where}/web", {**old, "data": {"a": "d"}})
    assert (code, said["reason"]) == (409, "Conflict")


def test_what_has_no_namespace_is_refused(real: Pair, many: Pair) -> None:
    said = [each.one.apply(f"{CORE}/namespaces/none/configmaps/web", config(), "us") for each in (real, many)]
    assert said[0] == said[1]
    assert (said[0][0], said[0][1]["details"]) == (404, {"name": "none", "kind": "namespaces"})


def test_what_is_on_its_way_out_takes_nothing_new(real: Pair, many: Pair) -> None:
    said = []
    for each in (real, many):
        namespace = each.one.namespace()
        each.one.create(
            f"{namespace}/configmaps",
            {**config("held"), "metadata": {"name": "held", "finalizers": ["example.com/held"]}},
        )
        assert each.one.ask("DELETE", namespace)[1]["status"]["phase"] == "Terminating"
        code, refused = each.one.apply(f"{namespace}/configmaps/web", config(), "us")
        said.append((code, refused["reason"], [cause["reason"] for cause in refused["details"]["causes"]]))
    assert said == [(403, "Forbidden", ["NamespaceTerminating"])] * 2


def test_services_get_an_address(pair: Pair) -> None:
    where = f"{pair.one.namespace()}/services"
    made = pair.one.create(where, {"metadata": {"name": "web"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}})
    assert made["spec"]["clusterIP"].startswith("10.0.")
    assert 30000 <= made["spec"]["ports"][0]["nodePort"] < 32768


# -- watching --------------------------------------------------------------------------------------------------------


def test_a_watch_by_label_sees_a_label_go(pair: Pair) -> None:
    where, query = f"{pair.one.namespace()}/configmaps", {"labelSelector": "ours"}
    pair.one.create(where, config("before", {"ours": "1"}))
    listed = pair.one.get(where, **query)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["before"]
    version = listed["metadata"]["resourceVersion"]
    with pair.one.watch(where, resourceVersion=version, **query) as events:
        pair.one.create(where, config("stranger"))
        pair.one.create(where, config("web", {"ours": "1"}))
        pair.one.ask("PATCH", f"{where}/web", {"metadata": {"labels": {"ours": "2"}}}, kind=MERGE)
        pair.one.ask("PATCH", f"{where}/web", {"metadata": {"labels": {"ours": None}}}, kind=MERGE)
        pair.one.ask("PATCH", f"{where}/stranger", {"metadata": {"labels": {"ours": "1"}}}, kind=MERGE)
        pair.one.ask("DELETE", f"{where}/before")
        seen = [next(events) for _ in range(5)]
    assert [(each["type"], each["object"]["metadata"]["name"]) for each in seen] == [
        ("ADDED", "web"),
        ("MODIFIED", "web"),
        ("DELETED", "web"),
        ("ADDED", "stranger"),
        ("DELETED", "before"),
    ]
    versions = [int(each["object"]["metadata"]["resourceVersion"]) for each in seen]
    assert versions == sorted(versions)
    assert versions[0] > int(version)


def test_a_quiet_watch_gets_bookmarks(pair: Pair) -> None:
    where, elsewhere = (f"{pair.one.namespace()}/configmaps" for _ in range(2))
    version = pair.one.get(where)["metadata"]["resourceVersion"]
    # kube-apiserver sends one shortly before the end of a watch, too.
    with pair.one.watch(where, timeoutSeconds="6", allowWatchBookmarks="true", resourceVersion=version) as events:
        made = pair.one.create(elsewhere, config())
        told = list(events)
    assert {event["type"] for event in told} == {"BOOKMARK"}
    assert int(told[-1]["object"]["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])


def test_a_watch_can_begin_with_what_is_there(pair: Pair) -> None:
    where = f"{pair.one.namespace()}/configmaps"
    pair.one.create(where, config())
    query = {"sendInitialEvents": "true", "allowWatchBookmarks": "true", "resourceVersionMatch": "NotOlderThan"}
    with pair.one.watch(where, **query) as events:
        added, end = next(events), next(events)
        assert (added["type"], added["object"]["metadata"]["name"], end["type"]) == ("ADDED", "web", "BOOKMARK")
        assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        pair.one.create(where, config("next"))
        assert next(event for event in events if event["type"] != "BOOKMARK")["object"]["metadata"]["name"] == "next"


def test_of_an_object_only_its_metadata(pair: Pair) -> None:
    where = f"{pair.one.namespace()}/configmaps"
    pair.one.create(where, config())
    found = pair.one.ask("GET", f"{where}/web", accept=METADATA)[1]
    assert (found["kind"], "data" in found) == ("PartialObjectMetadata", False)
    assert found["metadata"] == pair.one.get(f"{where}/web")["metadata"]
    listed = pair.one.ask("GET", where, accept=METADATA_LIST)[1]
    assert listed["kind"] == "PartialObjectMetadataList"
    assert [item["metadata"] for item in listed["items"]] == [found["metadata"]]
    with pair.one.watch(where, accept=METADATA, resourceVersion=listed["metadata"]["resourceVersion"]) as events:
        code, applied = pair.one.ask("PATCH", f"{where}/web", {"data": {"c": "d"}}, kind=MERGE, accept=METADATA)
        event = next(events)
    assert (code, applied["kind"], event["type"]) == (200, "PartialObjectMetadata", "MODIFIED")
    assert event["object"] == applied


def test_lists_come_in_pages(pair: Pair) -> None:
    where = f"{pair.one.namespace()}/configmaps"
    for number in range(5):
        pair.one.create(where, config(f"c{number}"))
    page = pair.one.get(where, limit="2")
    names = []
    while True:
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue")
        if not token:
            break
        pair.one.create(where, config(f"later-{len(names)}"))
        page = pair.one.get(where, limit="2", **{"continue": token})
    assert names == ["c0", "c1", "c2", "c3", "c4"]


def test_a_version_that_is_too_old_is_gone(pair: Pair) -> None:
    where = f"{pair.other.namespace()}/configmaps"
    made = [pair.other.create(where, config(name)) for name in ("one", "two", "three")]
    old, _, now = (each["metadata"]["resourceVersion"] for each in made)
    with pair.other.watch(where, resourceVersion=old) as events:
        assert next(events)["object"]["metadata"]["name"] == "two"
    body = json.dumps({"revision": now, "physical": True}).encode()
    with urllib.request.urlopen(f"{pair.etcd}/v3/kv/compaction", body) as answer:  # noqa: S310 - http://127.0.0.1
        assert answer.status == 200
    pair.forget()  # kube-apiserver's watch cache would still know
    with pair.other.watch(where, resourceVersion=old) as events:
        event = next(events)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


# -- custom types ----------------------------------------------------------------------------------------------------


def crd(plural: str, kind: str) -> Object:
    spec = {
        "type": "object",
        "properties": {"size": {"type": "integer", "maximum": 9}, "tone": {"type": "string", "default": "low"}},
    }
    schema = {"type": "object", "properties": {"spec": spec | {"required": ["size"]}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "kind": kind}
    return {
        "metadata": {"name": f"{plural}.members.example.com"},
        "spec": {"group": "members.example.com", "scope": "Namespaced", "versions": [version], "names": names},
    }


def served(member: Member, plural: str, kind: str) -> None:
    code, said = member.ask("POST", CRDS, crd(plural, kind))
    assert code in (201, 409), said
    until(lambda: member.ask("GET", f"/apis/members.example.com/v1/{plural}")[0] == 200)


def test_custom_types_are_validated_pruned_and_defaulted(real: Pair, many: Pair) -> None:
    told = []
    for member in (real.one, many.one):
        served(member, "horns", "Horn")
        where = member.namespace().replace(CORE, "/apis/members.example.com/v1") + "/horns"
        kind = {"apiVersion": "members.example.com/v1", "kind": "Horn", "metadata": {"name": "web"}}
        told.append(
            plain(
                [
                    member.ask("POST", where, kind | {"spec": {"size": 10}}),
                    member.ask("POST", where, kind | {"spec": {"size": 9, "unknown": 1}}, fieldManager="human"),
                    member.apply(f"{where}/web", kind | {"spec": {"size": 8}}, "us"),
                    member.apply(f"{where}/web", kind | {"spec": {"size": 8}}, "us", force="true"),
                ]
            )
        )
    assert told[0] == told[1]
    assert [code for code, _ in told[0]] == [422, 201, 409, 200]
    assert told[0][1][1]["spec"] == {"size": 9, "tone": "low"}


def test_objects_of_custom_types_are_the_members_own(pair: Pair) -> None:
    for member in (pair.one, pair.other):
        served(member, "reeds", "Reed")
    where = pair.one.namespace().replace(CORE, "/apis/members.example.com/v1") + "/reeds"
    pair.one.create(where, {"apiVersion": "members.example.com/v1", "kind": "Reed", "metadata": {"name": "web"}})
    assert len(pair.one.get("/apis/members.example.com/v1/reeds")["items"]) >= 1
    assert pair.other.get("/apis/members.example.com/v1/reeds")["items"] == []


def stored(etcd: str, end: str) -> bytes:
    """The value of the one key that ends like this."""

    def within(body: Object) -> list[Object]:
        with urllib.request.urlopen(f"{etcd}/v3/kv/range", json.dumps(body).encode()) as answer:  # noqa: S310 - 127.0.0.1
            return list(json.loads(answer.read())["kvs"])

    everything = base64.b64encode(b"\0").decode()
    keys = [each["key"] for each in within({"key": everything, "range_end": everything, "keys_only": True})]
    (key,) = [key for key in keys if base64.b64decode(key).endswith(end.encode())]
    return base64.b64decode(within({"key": key})[0]["value"])


def test_what_a_custom_types_text_takes_in_etcd(pair: Pair) -> None:
    """By this core.budget counts: a status is stored as JSON that may stand in HTML."""
    served(pair.one, "flutes", "Flute")
    namespace = pair.one.namespace().replace(CORE, "/apis/members.example.com/v1")
    text = '<>&"\\é「 \u2028\u2029'
    kind = {"apiVersion": "members.example.com/v1", "kind": "Flute", "metadata": {"name": "web"}}
    pair.one.create(f"{namespace}/flutes", kind | {"spec": {"size": 1, "tone": text}})
    found = stored(pair.etcd, f"{namespace.rpartition('/')[2]}/web")
    expected = '"<>&\\"\\\\é「 \u2028\u2029"'
    for character in "<>&\u2028\u2029":
        expected = expected.replace(character, f"\\u{ord(character):04x}")
    assert f'"tone":{expected}'.encode() in found


# -- members among each other ----------------------------------------------------------------------------------------


def test_one_name_in_two_members_is_two_objects(pair: Pair) -> None:
    namespace = pair.one.namespace()
    pair.other.create(f"{CORE}/namespaces", {"metadata": {"name": namespace.rpartition("/")[2]}})
    where = f"{namespace}/configmaps"
    version = pair.other.get(where)["metadata"]["resourceVersion"]
    with pair.other.watch(where, resourceVersion=version) as events:
        mine = pair.one.create(where, config("web", None, whose="one"))
        assert pair.other.get(where)["items"] == []
        pair.one.create(where, config("only-one"))
        theirs = pair.other.create(where, config("web", None, whose="other"))
        event = next(events)  # its own, though the other's came first
    assert mine["metadata"]["uid"] != theirs["metadata"]["uid"]
    assert (event["object"]["metadata"]["uid"], event["object"]["data"]) == (
        theirs["metadata"]["uid"],
        {"whose": "other"},
    )
    assert pair.one.ask("DELETE", where)[0] == 200
    assert pair.one.get(where)["items"] == []
    assert [item["data"] for item in pair.other.get(where)["items"]] == [{"whose": "other"}]
    assert pair.other.get(f"{where}/web")["metadata"]["resourceVersion"] == theirs["metadata"]["resourceVersion"]
    names = [item["metadata"]["namespace"] for item in pair.other.get(f"{CORE}/configmaps")["items"]]
    assert names.count(namespace.rpartition("/")[2]) == 1


# -- what only a simulated member has --------------------------------------------------------------------------------


def test_a_deleted_namespace_goes_away_with_all_in_it(many: Pair) -> None:
    """As with a kube-controller-manager, which a real cluster has beside it."""
    served(many.one, "flutes", "Flute")
    namespace = many.one.namespace()
    name = namespace.rpartition("/")[2]
    many.other.create(f"{CORE}/namespaces", {"metadata": {"name": name}})
    flutes = namespace.replace(CORE, "/apis/members.example.com/v1") + "/flutes"
    held = {"metadata": {"name": "held", "finalizers": ["example.com/held"]}}
    for member in (many.one, many.other):
        member.create(f"{namespace}/configmaps", held)
        member.create(flutes, {"apiVersion": "members.example.com/v1", "kind": "Flute", "metadata": {"name": "web"}})
    assert many.one.ask("DELETE", namespace)[0] == 200
    until(lambda: many.one.get(flutes)["items"] == [])
    assert many.one.get(namespace)["status"]["phase"] == "Terminating"
    # One type is removed after the other, in no order.
    until(lambda: "deletionTimestamp" in many.one.get(f"{namespace}/configmaps/held")["metadata"])
    many.one.ask("PATCH", f"{namespace}/configmaps/held", {"metadata": {"finalizers": None}}, kind=MERGE)
    until(lambda: many.one.ask("GET", namespace)[0] == 404)
    assert many.other.get(namespace)["status"]["phase"] == "Active"
    assert len(many.other.get(flutes)["items"]) == 1
    many.one.create(f"{CORE}/namespaces", {"metadata": {"name": name}})
    assert many.one.get(f"{namespace}/configmaps")["items"] == []


def test_types_are_shared_by_all_simulated_members(many: Pair) -> None:
    served(many.one, "drums", "Drum")
    assert many.other.ask("GET", f"{CRDS}/drums.members.example.com")[0] == 200


# -- tokens ----------------------------------------------------------------------------------------------------------


def account(member: Member, namespace: str, name: str) -> Object:
    return member.create(f"{namespace}/serviceaccounts", {"metadata": {"name": name}})


def token(member: Member, namespace: str, name: str, **spec: Any) -> str:
    path = f"{namespace}/serviceaccounts/{name}/token"
    made = member.create(path, {"spec": {"expirationSeconds": 3600, **spec}})
    return str(made["status"]["token"])


def whoami(member: Member, bearer: str) -> tuple[int, str]:
    code, said = member.as_bearer(bearer).ask("POST", f"{AUTHENTICATION}/selfsubjectreviews", {})
    return code, said.get("status", {}).get("userInfo", {}).get("username", "") if code == 201 else ""


def test_nobody_enters_without_a_token(pair: Pair) -> None:
    for bearer in ("", "wrong", "a.b.c"):
        assert whoami(pair.one, bearer) == (401, "")


def test_a_token_is_of_its_member_only(pair: Pair) -> None:
    """Even where the other one has a namespace and an account of the same names."""
    namespace = pair.one.namespace()
    name = namespace.rpartition("/")[2]
    account(pair.one, namespace, "robot")
    bearer = token(pair.one, namespace, "robot")
    user = f"system:serviceaccount:{name}:robot"
    assert whoami(pair.one, bearer) == (201, user)
    assert whoami(pair.other, bearer) == (401, "")
    pair.other.create(f"{CORE}/namespaces", {"metadata": {"name": name}})
    account(pair.other, namespace, "robot")
    assert whoami(pair.one, bearer) == (201, user)
    assert whoami(pair.other, bearer) == (401, "")


def test_a_token_ends_with_its_account_or_with_what_it_is_bound_to(pair: Pair) -> None:
    namespace = pair.one.namespace()
    bearers = {}
    for name in ("leaves", "stays", "loses"):
        account(pair.one, namespace, name)
        secret = pair.one.create(f"{namespace}/secrets", {"metadata": {"name": name}})["metadata"]
        bound = {"apiVersion": "v1", "kind": "Secret", "name": name, "uid": secret["uid"]}
        bearers[name] = token(pair.one, namespace, name, boundObjectRef=bound)
        assert whoami(pair.one, bearers[name])[0] == 201
    assert pair.one.ask("DELETE", f"{namespace}/serviceaccounts/leaves")[0] == 200
    assert pair.one.ask("DELETE", f"{namespace}/secrets/loses")[0] == 200
    until(lambda: [whoami(pair.one, bearers[name])[0] for name in ("leaves", "loses")] == [401, 401])
    account(pair.one, namespace, "leaves")
    assert whoami(pair.one, bearers["leaves"])[0] == 401
    assert whoami(pair.one, bearers["stays"])[0] == 201


def claims(bearer: str) -> Object:
    """What a token says of itself."""
    payload = bearer.split(".")[1]
    found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert isinstance(found, dict)
    return found


def shape(found: Any) -> Any:
    """The names of claims, and which of them are within which."""
    return {key: shape(value) for key, value in found.items()} if isinstance(found, dict) else type(found).__name__


def test_an_account_renews_its_own_token_bound_to_the_same_secret(real: Pair, many: Pair) -> None:
    """As the controller does at half of a token's life."""
    shapes = []
    for member in (real.one, many.one):
        namespace = member.namespace()
        name = namespace.rpartition("/")[2]
        uid = account(member, namespace, "robot")["metadata"]["uid"]
        rbac = namespace.replace(CORE, "/apis/rbac.authorization.k8s.io/v1")
        rules = [{"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}]
        member.create(f"{rbac}/roles", {"metadata": {"name": "renews"}, "rules": rules})
        robot = {"kind": "ServiceAccount", "name": "robot", "namespace": name}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "renews"}
        member.create(f"{rbac}/rolebindings", {"metadata": {"name": "renews"}, "subjects": [robot], "roleRef": role})
        secret = member.create(f"{namespace}/secrets", {"metadata": {"name": "bound"}})["metadata"]
        bound = {"apiVersion": "v1", "kind": "Secret", "name": "bound", "uid": secret["uid"]}
        old = token(member, namespace, "robot", boundObjectRef=bound)
        until(
            lambda member=member, old=old, path=f"{namespace}/serviceaccounts/robot/token": (  # type: ignore[misc]
                member.as_bearer(old).ask("POST", path, {"spec": {}}, dryRun="All")[0] == 201
            )
        )
        new = token(member.as_bearer(old), namespace, "robot", boundObjectRef=bound, expirationSeconds=7200)
        said = claims(new)
        assert said["exp"] - said["iat"] == 7200
        assert said["kubernetes.io"]["serviceaccount"] == {"name": "robot", "uid": uid}
        assert said["kubernetes.io"]["secret"] == {"name": "bound", "uid": secret["uid"]}
        for bearer in (old, new):
            assert whoami(member, bearer) == (201, f"system:serviceaccount:{name}:robot")
        assert member.ask("DELETE", f"{namespace}/secrets/bound")[0] == 200
        until(lambda member=member, new=new, old=old: {whoami(member, each)[0] for each in (old, new)} == {401})  # type: ignore[misc]
        shapes.append((shape(said), said["sub"].replace(name, "")))
    assert shapes[0] == shapes[1]


def test_a_token_for_somebody_else_lets_nobody_in(pair: Pair) -> None:
    namespace = pair.one.namespace()
    account(pair.one, namespace, "robot")
    assert whoami(pair.one, token(pair.one, namespace, "robot", audiences=["vault"])) == (401, "")


def test_a_token_lives_for_ten_minutes_at_least(real: Pair, many: Pair) -> None:
    told = []
    for member in (real.one, many.one):
        namespace = member.namespace()
        account(member, namespace, "robot")
        code, said = member.ask("POST", f"{namespace}/serviceaccounts/robot/token", {"spec": {"expirationSeconds": 60}})
        told.append((code, [cause["field"] for cause in said["details"]["causes"]], said["message"]))
    assert told[0] == told[1]
    assert told[0][:2] == (422, ["spec.expirationSeconds"])
