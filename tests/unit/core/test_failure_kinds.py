"""Every answer that was seen from a kube-apiserver 1.36, text by text, and what it means for what happens next."""
# ruff: noqa: E501 - servers' texts stay on one line, so that a search for one finds it

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import classification
from federation.model.conditions import PropagationStatus
from federation.model.failures import Cause, Failure, FailureKind

JSON = "application/json"


def _status(
    code: int, message: str, reason: str = "", *causes: dict[str, str], **details: Any
) -> tuple[int, str, bytes]:
    if causes:
        details["causes"] = list(causes)
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
    return code, JSON, orjson.dumps({**body, **({"reason": reason} if reason else {}), "details": details})


def _cause(field: str, reason: str = "FieldValueInvalid", message: str = "") -> dict[str, str]:
    return {"reason": reason, "message": message, "field": field}


TYPED = "failed to create typed patch object (/dup; apps/v1, Kind=Deployment): "
GONE = "uid mismatch: the provided object specified uid 1, and no existing object was found"
STALE = (
    'Operation cannot be fulfilled on configmaps "n": the object has been modified; '
    "please apply your changes to the latest version and try again"
)
DUMP = 'Job.batch "j" is invalid: spec.template: Invalid value: core.PodTemplateSpec{}: field is immutable'
GOING = (
    'Operation cannot be fulfilled on namespaces "n": The system is ensuring all content is removed from this namespace.'
    "  Upon completion, this namespace will automatically be purged by the system."
)
TERMINATING = (
    'configmaps "c" is forbidden: unable to create new content in namespace n because it is being terminated',
    "Forbidden",
    _cause("metadata.namespace", "NamespaceTerminating", "namespace n is being terminated"),
)

VERSION_GONE = "request to convert CR to an invalid group/version: shop.example.com/v1"
LAST_APPLIED = "failed to prune fields: failed to convert merged object to last applied version: .spec.colour: field not declared in schema"

ROWS = [
    ("a version in managedFields is gone", _status(500, VERSION_GONE), "UNDECLARED", "slow"),
    ("our last version lacks a field", _status(500, LAST_APPLIED), "UNDECLARED", "slow"),
    ("immutable selector", _status(422, "x", "Invalid", _cause("spec.selector")), "INVALID", "never"),
    ("job dump", _status(422, DUMP, "Invalid", _cause("spec.template")), "INVALID", "never"),
    (
        "immutable configmap",
        _status(422, 'ConfigMap "c" is invalid: data: Forbidden: field is immutable when `immutable` is set', "Invalid"),
        "INVALID",
        "never",
    ),
    (
        "port out of range",
        _status(422, "x", "Invalid", _cause("spec.ports[0].nodePort", message="Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767")),
        "INVALID",
        "never",
    ),
    (
        "address out of range",
        _status(422, "x", "Invalid", _cause("spec.clusterIPs", message='Invalid value: ["192.168.7.7"]: failed to allocate IP 192.168.7.7: the provided network does not match the current range')),
        "INVALID",
        "never",
    ),
    (
        "address taken",
        _status(422, "x", "Invalid", _cause("spec.clusterIPs", message='Invalid value: ["10.0.0.77"]: failed to allocate IP 10.0.0.77: provided IP is already allocated')),
        "INVALID",
        "slow",
    ),
    (
        "clusterIP to headless",
        _status(422, "spec.clusterIPs[0]: Invalid value: \"\": may not change once set", "Invalid"),
        "INVALID",
        "never",
    ),
    ("strict decoding", _status(400, 'strict decoding error: unknown field "spec.imagee"', "BadRequest"), "INVALID", "never"),
    (
        "namespace missing",
        _status(404, 'namespaces "n" not found', "NotFound", name="n", kind="namespaces"),
        "NAMESPACE_MISSING",
        "soon",
    ),
    (
        "object missing",
        _status(404, 'configmaps "c" not found', "NotFound", name="c", kind="configmaps"),
        "NOT_FOUND",
        "now",
    ),
    ("group missing", (404, "text/plain; charset=utf-8", b"404 page not found\n"), "TYPE_MISSING", "slow"),
    (
        "resource missing in a built-in group",
        _status(404, "the server could not find the requested resource", "NotFound"),
        "TYPE_MISSING",
        "slow",
    ),
    ("method not allowed", _status(405, "the server does not allow this method", "MethodNotAllowed"), "TYPE_MISSING", "slow"),
    ("no apply", _status(415, "the body of the request was in an unknown format", "UnsupportedMediaType"), "TYPE_MISSING", "slow"),
    ("namespace terminating", _status(403, *TERMINATING), "NAMESPACE_TERMINATING", "slow"),
    ("namespace terminating on delete", _status(409, GOING, "Conflict"), "NAMESPACE_TERMINATING", "slow"),
    (
        "quota",
        _status(403, 'pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1', "Forbidden"),
        "DENIED",
        "slow",
    ),
    (
        "limit range",
        _status(403, 'persistentvolumeclaims "p" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi', "Forbidden"),
        "DENIED",
        "slow",
    ),
    (
        "right missing",
        _status(403, 'x is forbidden: User "x" cannot patch resource "deployments" in API group "apps" in the namespace "n"', "Forbidden"),
        "RIGHT_MISSING",
        "slow",
    ),
    ("path right missing", _status(403, 'forbidden: User "x" cannot get path "/metrics"', "Forbidden"), "RIGHT_MISSING", "slow"),
    (
        "escalation",
        _status(
            403,
            'roles.rbac.authorization.k8s.io "r" is forbidden: user "u" (groups=["g"]) is attempting to grant RBAC '
            'permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["get"]}',
            "Forbidden",
        ),
        "RIGHT_MISSING",
        "slow",
    ),
    ("policy", _status(422, "configmaps \"c\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", "Invalid"), "DENIED", "slow"),
    ("webhook", _status(400, 'admission webhook "w.example.com" denied the request: no', "BadRequest"), "DENIED", "slow"),
    ("webhook says cannot", _status(403, 'admission webhook "w" denied the request: User "x" cannot patch resource "y"', "Forbidden"), "DENIED", "slow"),
    ("webhook answers 401", _status(401, 'admission webhook "w" denied the request: log in', "Unauthorized"), "DENIED", "slow"),
    ("webhook answers 500", _status(500, 'admission webhook "w" denied the request: oh', "InternalError"), "DENIED", "slow"),
    ("webhook answers 503", _status(503, 'admission webhook "w" denied the request: not now', "ServiceUnavailable"), "DENIED", "slow"),
    ("webhook answers 504", _status(504, 'admission webhook "w" denied the request: too late', "Timeout"), "DENIED", "slow"),
    ("mutating policy", _status(403, "policy 'p' with binding 'b' denied request: no such key: x", "Invalid"), "DENIED", "slow"),
    ("webhook down", _status(500, 'Internal error occurred: failed calling webhook "w": connection refused', "InternalError"), "DENIED", "slow"),
    ("bad token", _status(401, "Unauthorized", "Unauthorized"), "UNAUTHORIZED", "soon"),
    ("bad token, no Status", (401, "text/plain", b"Unauthorized"), "UNAUTHORIZED", "soon"),
    ("1 MiB", _status(422, 'ConfigMap "c" is invalid: []: Too long: may not be more than 1048576 bytes', "Invalid"), "TOO_LARGE", "never"),
    ("etcd limit", _status(500, "etcdserver: request is too large"), "TOO_LARGE", "never"),
    ("grpc limit", _status(500, "rpc error: code = ResourceExhausted desc = trying to send message larger than max"), "TOO_LARGE", "never"),
    ("body limit", _status(413, "Request entity too large: limit is 3145728", "RequestEntityTooLarge"), "TOO_LARGE", "never"),
    ("duplicate env", _status(500, TYPED + '.spec.containers[name="c"].env: duplicate entries for key [name="A"]'), "INVALID", "never"),
    ("undeclared", _status(500, TYPED + ".spec.foo: field not declared in schema"), "UNDECLARED", "slow"),
    ("wrong type", _status(500, TYPED + ".spec.n: expected numeric (int or float), got string"), "INVALID", "never"),
    ("bad base64", _status(500, "failed to convert new object (n/s; /v1, Kind=Secret) to proper version: illegal base64"), "INVALID", "never"),
    ("etcd leader", _status(500, "etcdserver: leader changed"), "UNAVAILABLE", "soon"),
    ("server timeout", _status(500, "The PATCH operation against X could not be completed", "ServerTimeout"), "UNAVAILABLE", "soon"),
    ("a 500 with a reason is not a bad manifest", _status(500, TYPED, "InternalError"), "UNAVAILABLE", "soon"),
    ("aggregated API down", _status(503, "the server is currently unable to handle the request", "ServiceUnavailable"), "UNAVAILABLE", "soon"),
    ("balancer", (502, "text/html", b"<html>bad gateway</html>"), "UNAVAILABLE", "soon"),
    ("request timeout", _status(504, "Timeout: request did not complete within requested timeout", "Timeout"), "TIMED_OUT", "soon"),
    ("throttled, plain text", (429, "text/plain", b"Too many requests, please try again later.\n"), "THROTTLED", "soon"),
    ("storage initialising", _status(429, "storage is (re)initializing", "TooManyRequests", retryAfterSeconds=1), "THROTTLED", "soon"),
    ("stale version", _status(409, STALE, "Conflict", name="n", kind="configmaps"), "VERSION_CONFLICT", "now"),
    ("create met an object", _status(409, 'configmaps "c" already exists', "AlreadyExists"), "ALREADY_EXISTS", "slow"),
    ("uid of what is gone", _status(409, GONE, "Conflict"), "UID_MISMATCH", "now"),
    (
        "uid of what was made anew",
        _status(422, "metadata.uid: Invalid value: \"1\": field is immutable", "Invalid", _cause("metadata.uid")),
        "UID_MISMATCH",
        "now",
    ),
    (
        "delete of what was made anew",
        _status(409, "Precondition failed: UID in precondition: 1, UID in object meta: 2", "Conflict"),
        "UID_MISMATCH",
        "now",
    ),
    (
        "delete of what was made anew, in other words",
        _status(409, "Operation cannot be fulfilled on ConfigMap \"c\": the UID in the precondition (1) does not match the UID in record (2). The object might have been deleted and then recreated", "Conflict"),
        "UID_MISMATCH",
        "now",
    ),
    (
        "field conflict",
        _status(409, "Apply failed with 1 conflict", "Conflict", _cause(".data.k", "FieldManagerConflict", 'conflict with "human" using v1')),
        "FIELD_CONFLICT",
        "slow",
    ),
    ("expired", _status(410, "too old resource version: 1 (2)", "Expired"), "EXPIRED", "now"),
    ("expired, no Status", (410, "text/plain", b""), "EXPIRED", "now"),
    ("a proxy's time-out", (408, "text/html", b"<html>"), "TIMED_OUT", "soon"),
    ("a proxy's limit", (413, "text/html", b"<html>"), "TOO_LARGE", "never"),
    ("a login page", (200 + 102, "text/html", b"<html>"), "UNEXPECTED", "slow"),
    ("a proxy's 403", (403, "text/html", b"<html>denied</html>"), "UNEXPECTED", "slow"),
    ("a proxy's 404", (404, "text/html", b"<html>404 page not found</html>"), "UNEXPECTED", "slow"),
    ("json that is no Status", (404, JSON, b'{"error":"x"}'), "UNEXPECTED", "slow"),
    ("json that is broken", (500, JSON, b"{"), "UNAVAILABLE", "soon"),
    ("plain http to https", (400, "text/plain", b"Client sent an HTTP request to an HTTPS server."), "UNEXPECTED", "slow"),
    ("a code of the future", _status(418, "teapot"), "UNEXPECTED", "slow"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "kind", "soon"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
@pytest.mark.parametrize("secret", [False, True], ids=["open", "secret"])
def test_rows(answer: tuple[int, str, bytes], kind: str, soon: str, secret: bool) -> None:
    failure = classification.classify(*answer, secret=secret)
    assert failure.kind is FailureKind[kind]
    assert classification.retry(failure) == soon
    assert failure.code == answer[0]
    assert failure.message
    assert len(failure.message) <= 400


def test_every_kind_has_a_retry() -> None:
    assert {classification.retry(Failure(kind, "")) for kind in FailureKind} == {"now", "soon", "slow", "never"}


def test_the_absence_of_a_namespace_asked_for_is_its_own() -> None:
    answer = _status(404, 'namespaces "n" not found', "NotFound", name="n", kind="namespaces")
    assert classification.classify(*answer, secret=False, namespaces=True).kind is FailureKind.NOT_FOUND


def test_a_conflict_names_field_and_manager_and_says_it_in_one_line() -> None:
    answer = _status(
        409,
        'Apply failed with 2 conflicts: conflicts with "human" using v1:\n- .data.k\n- .data.l',
        "Conflict",
        _cause(".data.k", "FieldManagerConflict", 'conflict with "human" using v1'),
        _cause(".data.l", "FieldManagerConflict", 'conflict with "human" with subresource "scale" using v1'),
    )
    failure = classification.classify(*answer, secret=False)
    assert failure.causes == (
        Cause(".data.k", "human", "FieldManagerConflict"),
        Cause(".data.l", "human", "FieldManagerConflict"),
    )
    assert failure.message == "conflict with human: .data.k, .data.l"


@pytest.mark.parametrize(
    ("header", "detail", "seconds"),
    [
        pytest.param("7", None, 7.0, id="header"),
        pytest.param("7", 3, 7.0, id="header-first"),
        pytest.param(None, 3, 3.0, id="details"),
        pytest.param("Fri, 31 Dec 1999 23:59:59 GMT", None, None, id="a-date-is-left-to-the-backoff"),
        pytest.param("-1", 0, None, id="nonsense"),
        pytest.param(None, "3", None, id="detail-a-string"),
    ],
)
def test_retry_after(header: str | None, detail: Any, seconds: float | None) -> None:
    answer = _status(429, "x", "TooManyRequests", retryAfterSeconds=detail)
    assert classification.classify(*answer, secret=False, retry_after=header).retry_after == seconds


def test_retry_after_without_a_status() -> None:
    assert classification.classify(503, "text/plain", b"", secret=False, retry_after="2").retry_after == 2.0


@pytest.mark.parametrize(
    ("failure", "verb", "status"),
    [
        (Failure(FailureKind.INVALID, ""), "create", PropagationStatus.CREATION_FAILED),
        (Failure(FailureKind.TIMED_OUT, ""), "create", PropagationStatus.CREATION_TIMED_OUT),
        (Failure(FailureKind.VERSION_CONFLICT, ""), "create", PropagationStatus.ALREADY_EXISTS),
        (Failure(FailureKind.ALREADY_EXISTS, ""), "create", PropagationStatus.ALREADY_EXISTS),
        (Failure(FailureKind.VERSION_CONFLICT, ""), "update", PropagationStatus.UPDATE_FAILED),
        (Failure(FailureKind.UNREACHABLE, ""), "update", PropagationStatus.UPDATE_FAILED),
        (Failure(FailureKind.TIMED_OUT, ""), "update", PropagationStatus.UPDATE_TIMED_OUT),
        (Failure(FailureKind.RIGHT_MISSING, ""), "delete", PropagationStatus.DELETION_FAILED),
        (Failure(FailureKind.TIMED_OUT, ""), "delete", PropagationStatus.DELETION_TIMED_OUT),
        (Failure(FailureKind.INVALID, ""), "release", PropagationStatus.LABEL_REMOVAL_FAILED),
        (Failure(FailureKind.TIMED_OUT, ""), "release", PropagationStatus.LABEL_REMOVAL_TIMED_OUT),
        (Failure(FailureKind.TYPE_MISSING, ""), "update", PropagationStatus.VERSION_UNAVAILABLE),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
def test_words(failure: Failure, verb: Any, status: PropagationStatus) -> None:
    assert classification.status_for(failure, verb=verb) is status


def test_helpers() -> None:
    assert classification.timed_out(2.5) == Failure(FailureKind.TIMED_OUT, "no answer within 2.5 s")
    assert classification.unreachable("dial https://u:p@h: refused").message == "dial https://…@h: refused"
    assert classification.unreachable("x", untrusted=True).kind is FailureKind.UNTRUSTED


@pytest.mark.parametrize(
    "details",
    [
        pytest.param({"causes": "x"}, id="causes-a-string"),
        pytest.param({"causes": [1, None, {"field": 7, "reason": []}]}, id="odd-causes"),
        pytest.param([], id="details-a-list"),
        pytest.param(None, id="details-null"),
    ],
)
def test_a_status_of_odd_shape_is_still_an_answer(details: Any) -> None:
    body = orjson.dumps({"kind": "Status", "code": 409, "message": {"x": 1}, "reason": 5, "details": details})
    failure = classification.classify(409, JSON, body, secret=False)
    assert (failure.kind, failure.message) == (FailureKind.VERSION_CONFLICT, "409")


@given(
    st.integers(300, 599),
    st.sampled_from([JSON, "text/plain", "text/html", ""]),
    st.binary(max_size=60) | st.builds(lambda text: _status(500, text)[2], st.text(max_size=60)),
    st.booleans(),
)
def test_no_answer_is_too_odd(code: int, content_type: str, body: bytes, secret: bool) -> None:
    failure = classification.classify(code, content_type, body, secret=secret)
    assert failure.code == code
    assert failure.message
    assert failure.concerns in ("member", "object", "race")


PORT = "spec.ports[0].nodePort"


@pytest.mark.parametrize(
    ("causes", "update", "paced"),
    [
        pytest.param([Cause(PORT, reason="FieldValueInvalid")], False, "slow", id="a-port-that-is-taken"),
        pytest.param([Cause(PORT, reason="FieldValueInvalid")], True, "slow", id="a-port-that-is-taken-at-an-update"),
        pytest.param([Cause("spec.clusterIPs", reason="FieldValueInvalid")], False, "slow", id="an-address-taken"),
        pytest.param([Cause("spec.clusterIPs[0]", reason="FieldValueInvalid")], True, "never", id="may-not-change"),
        pytest.param([Cause("spec.x", reason="FieldValueNotFound")], False, "slow", id="not-found-there"),
        pytest.param([Cause("status.storedVersions[0]", reason="FieldValueInvalid")], True, "slow", id="a-status"),
        pytest.param([Cause("spec.replicas", reason="FieldValueInvalid")], False, "never", id="a-wrong-value"),
        pytest.param([Cause("spec.statusName", reason="FieldValueRequired")], False, "never", id="not-the-status"),
        pytest.param(
            [Cause(PORT, reason="FieldValueInvalid"), Cause("spec.type", reason="FieldValueNotSupported")],
            False,
            "never",
            id="one-wrong-value-is-enough",
        ),
        pytest.param([], False, "never", id="nothing-is-said"),
    ],
)
def test_a_refusal_over_what_the_cluster_holds_besides_is_worth_waiting(
    causes: list[Cause], update: bool, paced: str
) -> None:
    """Only what the object itself says is wrong in whichever state the cluster is."""
    failure = Failure(FailureKind.INVALID, "x", 422, "Invalid", tuple(causes))
    assert classification.retry(failure, update=update) == paced
    assert classification.may_be_immutable(failure), "the user's leave to recreate counts all the same"


def test_what_an_apply_did_not_find_is_something_that_the_object_refers_to() -> None:
    code, content_type, body = _status(
        404,
        'rolebindings.rbac.authorization.k8s.io "missing" not found',
        "NotFound",
        name="missing",
        group="rbac.authorization.k8s.io",
        kind="rolebindings",
    )
    failure = classification.classify(code, content_type, body, secret=False)
    assert failure.kind is FailureKind.NOT_FOUND
    meant = classification.of_apply(failure)
    assert (meant.concerns, classification.retry(meant)) == ("object", "slow")
    assert meant.message.endswith(failure.message)
    other = Failure(FailureKind.DENIED, "quota", 403)
    assert classification.of_apply(other) is other


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (VERSION_GONE, "shop.example.com/v1"),
        (LAST_APPLIED, ""),
        (TYPED, None),
        ("request to convert CR to an invalid group/version: ", None),
        ("etcdserver: leader changed", None),
    ],
)
def test_which_version_of_managedfields_is_outdated(text: str, version: str | None) -> None:
    code, kind, body = _status(500, text)
    assert classification.outdated_version(classification.classify(code, kind, body, secret=False)) == version
