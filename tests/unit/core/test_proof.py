"""What of the hub's live answers proves a removal, and what does not."""

import ast
from pathlib import Path

import msgspec
import orjson
import pytest

from federation.core import classification, proof
from federation.core.proof import Absent, Answer, Cause, Doubt, Live, Proof
from federation.model.failures import Failure, FailureKind
from federation.model.federated import BrokenMetadata, Metadata
from federation.model.plan import Basis
from federation.model.resources import ObjectName, Resource

WEB = Metadata(name="web", namespace="ns", uid="u1", resource_version="7", generation=2, annotations={"a": "b"})
GOING = msgspec.structs.replace(WEB, deletion_timestamp="2026-01-01T00:00:00Z", generation=3)
GONE_UNSEEN = msgspec.structs.replace(WEB, deletion_timestamp=proof.GONE_UNSEEN)
NS = Metadata(name="ns", namespace="ns", uid="u2", resource_version="5", generation=1)
NS_GOING = msgspec.structs.replace(NS, deletion_timestamp="2026-01-01T00:00:00Z")
CLUSTER = Metadata(name="m1", uid="u3", resource_version="9", labels={"region": "eu"})
AWAY = Failure(FailureKind.UNREACHABLE, "connection refused")
UNSERVED = Failure(FailureKind.TYPE_MISSING, "404", 404)
NAMELESS = Failure(FailureKind.NOT_FOUND, "the proxy answers 404", 404)
FEDERATED = Resource("types.kubefed.io", "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True)


def moved(meta: Metadata, **changes: object) -> Metadata:
    """The same object after one more write."""
    changes.setdefault("resource_version", str(int(meta.resource_version) + 10))
    return msgspec.structs.replace(meta, **changes)


def cause(judged: Proof | Doubt) -> Cause | None:
    return judged.cause if isinstance(judged, Doubt) else None


@pytest.mark.parametrize(
    ("planned", "live", "expected"),
    [
        pytest.param(WEB, WEB, None, id="as-it-was"),
        pytest.param(WEB, moved(WEB), None, id="its-status-was-written"),
        pytest.param(WEB, moved(WEB, labels={"x": "y"}), None, id="its-labels-say-nothing"),
        pytest.param(WEB, moved(WEB, generation=3), Cause.STALE, id="its-spec-has-changed"),
        pytest.param(WEB, moved(WEB, annotations={}), Cause.STALE, id="its-annotations-have-changed"),
        pytest.param(WEB, moved(WEB, uid="u9"), Cause.STALE, id="made-anew"),
        pytest.param(WEB, moved(WEB, deletion_timestamp="now"), Cause.STALE, id="its-deletion-has-begun"),
        pytest.param(WEB, Absent.ABSENT, Cause.STALE, id="it-is-gone"),
        pytest.param(WEB, msgspec.structs.replace(WEB, resource_version="6"), Cause.OLDER, id="the-hub-went-back"),
        pytest.param(WEB, moved(WEB, uid="u0", resource_version="6"), Cause.OLDER, id="another-one-and-older"),
        pytest.param(WEB, AWAY, Cause.SILENT, id="the-hub-is-away"),
        pytest.param(WEB, UNSERVED, Cause.SILENT, id="its-type-is-not-served"),
        pytest.param(WEB, NAMELESS, Cause.SILENT, id="a-404-that-names-nothing"),
        pytest.param(WEB, None, Cause.SILENT, id="nobody-asked"),
        pytest.param(None, Absent.ABSENT, None, id="there-is-none"),
        pytest.param(None, WEB, Cause.STALE, id="there-is-one"),
        pytest.param(None, NAMELESS, Cause.SILENT, id="there-may-be-one"),
    ],
)
def test_the_federated_object(planned: Metadata | None, live: Answer | None, expected: Cause | None) -> None:
    judged = proof.judge(Basis(planned), Live(live))
    assert cause(judged) is expected
    assert not isinstance(judged, Doubt) or judged.moved == ({"object"} if expected is Cause.STALE else set())


@pytest.mark.parametrize(
    ("planned", "live", "expected"),
    [
        pytest.param(GOING, GOING, None, id="it-is-being-deleted"),
        pytest.param(GOING, moved(GOING), None, id="and-was-written-since"),
        pytest.param(GOING, moved(GOING, annotations={"kubefed.io/orphan": "true"}), Cause.STALE, id="leave-them-now"),
        pytest.param(GOING, moved(WEB, uid="u9"), Cause.STALE, id="made-anew"),
        pytest.param(GOING, Absent.ABSENT, Cause.STALE, id="its-finalizers-were-taken-off"),
        pytest.param(GOING, moved(WEB), Cause.STALE, id="never-heard-of-a-deletion"),
        pytest.param(GONE_UNSEEN, Absent.ABSENT, None, id="gone-before-our-finalizer-counted"),
        pytest.param(GONE_UNSEEN, moved(WEB, uid="u9"), Cause.STALE, id="gone-and-made-anew"),
        pytest.param(GOING, AWAY, Cause.SILENT, id="the-hub-is-away"),
    ],
)
def test_its_own_deletion(planned: Metadata, live: Answer, expected: Cause | None) -> None:
    assert cause(proof.judge(Basis(planned), Live(live), deletion=True)) is expected


@pytest.mark.parametrize(
    ("planned", "live", "expected"),
    [
        pytest.param(NS, moved(NS), None, id="as-it-was"),
        pytest.param(NS, moved(NS, annotations={"x": "y"}), None, id="its-annotations-say-nothing"),
        pytest.param(NS, moved(NS, generation=2), Cause.STALE, id="its-placement-has-changed"),
        pytest.param(NS, Absent.ABSENT, Cause.STALE, id="it-is-gone"),
        pytest.param(NS_GOING, moved(NS_GOING), None, id="being-deleted"),
        pytest.param(NS_GOING, Absent.ABSENT, None, id="being-deleted-and-gone-now"),
        pytest.param(NS_GOING, moved(NS, uid="u9"), Cause.STALE, id="deleted-and-made-again"),
        pytest.param(None, Absent.ABSENT, None, id="there-is-none"),
        pytest.param(None, NS, Cause.STALE, id="there-is-one"),
        pytest.param(None, UNSERVED, Cause.SILENT, id="its-type-is-not-served"),
        pytest.param(NS, AWAY, Cause.SILENT, id="the-hub-is-away"),
    ],
)
def test_the_federated_namespace(planned: Metadata | None, live: Answer, expected: Cause | None) -> None:
    judged = proof.judge(Basis(WEB, planned, unfederated=planned is None), Live(WEB, live))
    assert cause(judged) is expected
    assert not isinstance(judged, Doubt) or judged.moved == ({"namespace"} if expected is Cause.STALE else set())


@pytest.mark.parametrize(
    ("live", "known", "expected"),
    [
        pytest.param(CLUSTER, "9", None, id="as-they-were"),
        pytest.param(moved(CLUSTER), "9", None, id="its-status-was-written"),
        pytest.param(moved(CLUSTER, labels={}), "9", Cause.STALE, id="its-labels-have-changed"),
        pytest.param(CLUSTER, "12", Cause.OLDER, id="the-hub-went-back"),
        pytest.param(Absent.ABSENT, "9", Cause.STALE, id="it-has-left"),
        pytest.param(BrokenMetadata(name="m1", why="odd"), "9", Cause.SILENT, id="it-cannot-be-read"),
        pytest.param(AWAY, "9", Cause.SILENT, id="the-hub-is-away"),
    ],
)
def test_the_labels_of_the_cluster(live: Answer, known: str, expected: Cause | None) -> None:
    judged = proof.judge(Basis(WEB, labels={"region": "eu"}), Live(WEB, cluster=live), known_cluster=known)
    assert cause(judged) is expected


def test_what_has_moved_is_taken_in_though_another_answer_is_missing() -> None:
    judged = proof.judge(Basis(WEB, NS), Live(moved(WEB, generation=3), AWAY))
    assert cause(judged) is Cause.STALE
    assert isinstance(judged, Doubt)
    assert judged.moved == {"object"}


def test_a_hub_that_went_back_says_nothing_else() -> None:
    """What it shows beside is as old: its watch, which notices, takes that in."""
    judged = proof.judge(Basis(WEB, moved(NS)), Live(moved(WEB, generation=3), NS))
    assert cause(judged) is Cause.OLDER


@pytest.mark.parametrize(
    ("known", "live", "expected"),
    [
        pytest.param(CLUSTER, moved(CLUSTER), None, id="as-it-was"),
        pytest.param(CLUSTER, moved(CLUSTER, labels={}), Cause.STALE, id="its-labels-have-changed"),
        pytest.param(CLUSTER, moved(CLUSTER, generation=1), Cause.STALE, id="its-spec-has-changed"),
        pytest.param(CLUSTER, moved(CLUSTER, deletion_timestamp="now"), Cause.STALE, id="it-is-leaving"),
        pytest.param(CLUSTER, Absent.ABSENT, Cause.STALE, id="it-has-left"),
        pytest.param(None, CLUSTER, Cause.STALE, id="it-is-new"),
        pytest.param(CLUSTER, AWAY, Cause.SILENT, id="the-hub-is-away"),
        pytest.param(CLUSTER, msgspec.structs.replace(CLUSTER, resource_version="3"), Cause.OLDER, id="it-went-back"),
    ],
)
def test_an_object_of_the_system_namespace(known: Metadata | None, live: Answer, expected: Cause | None) -> None:
    doubt = proof.unchanged("KubeFedCluster m1", known, live)
    assert (doubt.cause if doubt is not None else None) is expected
    assert doubt is None or bool(doubt.moved) == (expected is Cause.STALE)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(moved(WEB), WEB, True, id="a-later-version"),
        pytest.param(WEB, WEB, False, id="the-same"),
        pytest.param(WEB, moved(WEB), False, id="an-older-one"),
        pytest.param(moved(WEB, uid="u9"), WEB, True, id="made-anew"),
        pytest.param(moved(WEB, resource_version="abc"), WEB, True, id="versions-that-cannot-be-compared"),
    ],
)
def test_only_what_is_newer_is_taken_in(one: Metadata, other: Metadata, *, expected: bool) -> None:
    assert proof.newer(one, other) is expected


@pytest.mark.parametrize(
    ("details", "absent"),
    [
        pytest.param(
            {"name": "web", "group": "types.kubefed.io", "kind": "federatedconfigmaps"}, True, id="it-says-so"
        ),
        pytest.param(
            {"name": "other", "group": "types.kubefed.io", "kind": "federatedconfigmaps"}, False, id="another"
        ),
        pytest.param({"name": "web", "group": "apps", "kind": "deployments"}, False, id="of-another-type"),
        pytest.param({"name": "web"}, False, id="of-no-type"),
        pytest.param({}, False, id="no-details"),
        pytest.param({"name": 7, "kind": ["x"], "group": None}, False, id="odd-details"),
    ],
)
def test_a_404_counts_only_where_it_names_the_object(details: dict[str, object], *, absent: bool) -> None:
    status = {"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found", "details": details}
    failure = classification.classify(404, "application/json", orjson.dumps(status), secret=False)
    answer = proof.answered(failure, FEDERATED, ObjectName("ns", "web"))
    assert (answer is Absent.ABSENT) is absent


def test_a_server_that_does_not_serve_the_type_shows_no_absence() -> None:
    status = {
        "kind": "Status",
        "code": 404,
        "reason": "NotFound",
        "message": "the server could not find the requested resource",
        "details": {},
    }
    failure = classification.classify(404, "application/json", orjson.dumps(status), secret=False)
    plain = classification.classify(404, "text/plain", b"404 page not found\n", secret=False)
    for each in (failure, plain):
        assert proof.answered(each, FEDERATED, ObjectName("ns", "web")) is each


def test_only_the_hubs_word_makes_a_proof() -> None:
    """Whoever removes something needs a Proof. One module judges, one knows of the contact; dry runs remove nothing.

    What an agent removes in its own member is judged by work.holding.
    """
    root = Path(proof.__file__).parents[1]
    makers = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"Proof", "proof.Proof"}
    }
    assert makers == {"core/proof.py", "controllers/proofs.py", "preview/rehearsing.py", "work/holding.py"}
