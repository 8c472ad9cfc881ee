"""Say what a refused or lost request means: the only table from an API server's answer to what happens next.

Read by kube, which makes a Failure of every answer that is not success, and by controllers, which retry by it. The
order is that of what is reliable: code, content type, details, causes, and last the texts of the 500s that apply gives
for a bad manifest (tried on kube-apiserver 1.36; every row is a test).
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

import orjson

from federation.core import scrubbing
from federation.model.failures import Cause, Failure, FailureKind
from federation.model.words import Word

Operation = Literal["create", "update", "delete", "release"]
Retry = Literal["now", "soon", "slow", "never"]

scrub = scrubbing.scrub

_CONFLICT_WITH = re.compile(r'conflicts? with "((?:[^"\\]|\\.)*)"')
_RIGHT_MISSING = re.compile(
    r'\bUser "[^"]*" cannot [a-z]+ (?:resource|path) |is attempting to grant RBAC permissions not currently held'
)
_POLICY = re.compile(
    r"\badmission webhook \"[^\"]*\" denied the request|\bValidatingAdmissionPolicy '[^']*' .*denied request", re.DOTALL
)
_UNDECLARED = "field not declared in schema"
_BAD_MANIFEST = re.compile(r"failed to (?:create typed|convert) \w+ object")
_TOO_LARGE = re.compile(
    r"etcdserver: request is too large|code = ResourceExhausted|larger than max|Too long: .*\b1048576\b", re.DOTALL
)
_LONGEST_WAIT = 300.0
"""Seconds of a Retry-After that are believed: a server that says a year must not be left alone for a year."""
_WEBHOOK_DOWN = re.compile(r"failed calling webhook ")
_UID_MISMATCH = re.compile(r"uid mismatch: |UID in (?:the )?precondition")
_NAMESPACE_GOING = "system is ensuring all content is removed from this namespace"

_SAID_FOR_SECRETS = {
    FailureKind.UID_MISMATCH: "the object was deleted or created anew",
    FailureKind.NOT_FOUND: "the object does not exist",
    FailureKind.ALREADY_EXISTS: "the object exists already",
    FailureKind.NAMESPACE_MISSING: "the namespace does not exist",
    FailureKind.NAMESPACE_TERMINATING: "the namespace is being deleted",
    FailureKind.TYPE_MISSING: "the member does not serve this type",
    FailureKind.TOO_LARGE: "the object is too large",
    FailureKind.DENIED: "quota, policy or webhook refused it; the text is withheld because it may quote the Secret",
    FailureKind.RIGHT_MISSING: "a right is missing",
}

_RETRY: Mapping[FailureKind, Retry] = {
    FailureKind.VERSION_CONFLICT: "now",
    FailureKind.UID_MISMATCH: "now",
    FailureKind.NOT_FOUND: "now",
    FailureKind.EXPIRED: "now",
    FailureKind.NAMESPACE_MISSING: "soon",
    FailureKind.UNAUTHORIZED: "soon",
    FailureKind.THROTTLED: "soon",
    FailureKind.UNAVAILABLE: "soon",
    FailureKind.TIMED_OUT: "soon",
    FailureKind.UNREACHABLE: "soon",
    FailureKind.FIELD_CONFLICT: "slow",
    FailureKind.ALREADY_EXISTS: "slow",
    FailureKind.NAMESPACE_TERMINATING: "slow",
    FailureKind.TYPE_MISSING: "slow",
    FailureKind.UNDECLARED: "slow",
    FailureKind.DENIED: "slow",
    FailureKind.RIGHT_MISSING: "slow",
    FailureKind.UNTRUSTED: "slow",
    FailureKind.UNEXPECTED: "slow",
    FailureKind.INVALID: "never",
    FailureKind.TOO_LARGE: "never",
}

_WORDS: Mapping[Operation, tuple[Word, Word]] = {
    "create": (Word.CREATION_FAILED, Word.CREATION_TIMED_OUT),
    "update": (Word.UPDATE_FAILED, Word.UPDATE_TIMED_OUT),
    "delete": (Word.DELETION_FAILED, Word.DELETION_TIMED_OUT),
    "release": (Word.LABEL_REMOVAL_FAILED, Word.LABEL_REMOVAL_TIMED_OUT),
}


def classify(
    code: int, content_type: str, body: bytes, *, secret: bool, retry_after: str | None = None, namespaces: bool = False
) -> Failure:
    """The meaning of an answer with a status code of 300 or more, or of a watch's ERROR event (its Status, its code).

    `secret` says that the request was about a Secret: no text of the server is passed on then, except what cannot hold
    a value. `retry_after` is the header. `namespaces` says that the request was about a Namespace, whose own absence is
    otherwise told like that of an object's namespace.
    """
    status = _status(content_type, body)
    if status is None:
        kind = _without_status(code, body)
        return Failure(
            kind, _plain_message(kind, code, content_type, body), code, retry_after=_seconds(retry_after, None)
        )
    message = status.get("message")
    text = message if isinstance(message, str) else ""
    reason = scrubbing.word(status.get("reason"))
    details = status.get("details")
    details = details if isinstance(details, dict) else {}
    raw_causes = [cause for cause in details.get("causes") or () if isinstance(cause, dict)]
    kind = _kind(code, reason, text, details, raw_causes, namespaces=namespaces)
    causes = tuple(_cause(cause, secret=secret) for cause in raw_causes)
    return Failure(
        kind,
        _message(kind, code, reason, text, causes, secret=secret),
        code,
        reason,
        causes,
        _seconds(retry_after, details.get("retryAfterSeconds")),
    )


def timed_out(seconds: float) -> Failure:
    """No answer within the deadline: what became of the request is unknown, and applying again is safe."""
    return Failure(FailureKind.TIMED_OUT, f"no answer within {seconds:g} s")


def unreachable(message: str, *, untrusted: bool = False) -> Failure:
    """No connection (DNS, TCP, TLS), or with `untrusted` one to a server whose certificate is not the expected one."""
    kind = FailureKind.UNTRUSTED if untrusted else FailureKind.UNREACHABLE
    return Failure(kind, scrubbing.scrub(message, secret=False))


def retry(failure: Failure) -> Retry:
    """How soon another try is worth it: "never" waits for a changed manifest, "slow" for somebody to act."""
    return _RETRY[failure.kind]


def may_be_immutable(failure: Failure) -> bool:
    """Whether a new object might fare better than a changed one: the API server's own validation refused the change.

    Not what a policy or a webhook denies: that is somebody's will, and no reason to delete anything.
    """
    return failure.kind is FailureKind.INVALID and failure.code == 422


def word_for(failure: Failure, *, operation: Operation) -> Word:
    """KubeFed's word for a failed operation. A create that met another version met an object (adoption disabled)."""
    if failure.kind is FailureKind.TYPE_MISSING:
        return Word.VERSION_UNAVAILABLE
    if operation == "create" and failure.kind in (FailureKind.ALREADY_EXISTS, FailureKind.VERSION_CONFLICT):
        return Word.ALREADY_EXISTS
    failed, late = _WORDS[operation]
    return late if failure.kind is FailureKind.TIMED_OUT else failed


def _status(content_type: str, body: bytes) -> Mapping[str, Any] | None:
    """The Status in the body; None when the answer is not an API server's."""
    if "json" not in content_type:
        return None
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return status if isinstance(status, dict) and status.get("kind") == "Status" else None


def _without_status(code: int, body: bytes) -> FailureKind:
    match code:
        case 401:
            return FailureKind.UNAUTHORIZED
        case 404 if body.startswith(b"404 page not found"):
            return FailureKind.TYPE_MISSING
        case 408:
            return FailureKind.TIMED_OUT
        case 410:
            return FailureKind.EXPIRED
        case 413:
            return FailureKind.TOO_LARGE
        case 429:
            return FailureKind.THROTTLED
    return FailureKind.UNAVAILABLE if code >= 500 else FailureKind.UNEXPECTED


def _plain_message(kind: FailureKind, code: int, content_type: str, body: bytes) -> str:
    if kind is FailureKind.TYPE_MISSING:
        return "404: the member does not serve this group and version"
    if kind is FailureKind.UNEXPECTED:
        what = scrubbing.scrub(content_type.partition(";")[0], secret=False, limit=60) or "no content type"
        return f"{code} with {what}: this is not a Kubernetes API server's answer; check the endpoint and any proxy"
    # Text of a proxy or of priority and fairness; without JSON it never quotes an object.
    text = scrubbing.scrub(body[:500].decode("utf-8", "replace"), secret=False, limit=120)
    return f"{code}: {text}" if text and not text.startswith("<") else str(code)


def _kind(
    code: int, reason: str, text: str, details: Mapping[str, Any], causes: list[dict[str, Any]], *, namespaces: bool
) -> FailureKind:
    if 400 <= code < 500 and code != 401 and _POLICY.search(text):
        return FailureKind.DENIED
    match code:
        case 400:
            return FailureKind.INVALID
        case 401:
            return FailureKind.UNAUTHORIZED
        case 403:
            return _forbidden(text, causes)
        case 404:
            return _not_found(text, details, namespaces=namespaces)
        case 405 | 406 | 415:
            return FailureKind.TYPE_MISSING
        case 408 | 504:
            return FailureKind.TIMED_OUT
        case 409:
            return _conflict(reason, text, causes)
        case 410:
            return FailureKind.EXPIRED
        case 413:
            return FailureKind.TOO_LARGE
        case 422:
            return _invalid(text, causes)
        case 429:
            return FailureKind.THROTTLED
    return _server_error(reason, text) if code >= 500 else FailureKind.UNEXPECTED


def _forbidden(text: str, causes: list[dict[str, Any]]) -> FailureKind:
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return FailureKind.NAMESPACE_TERMINATING
    return FailureKind.RIGHT_MISSING if _RIGHT_MISSING.search(text) else FailureKind.DENIED


def _not_found(text: str, details: Mapping[str, Any], *, namespaces: bool) -> FailureKind:
    if not details.get("name") and "could not find the requested resource" in text:
        return FailureKind.TYPE_MISSING
    if details.get("kind") == "namespaces" and not namespaces:
        return FailureKind.NAMESPACE_MISSING
    return FailureKind.NOT_FOUND


def _conflict(reason: str, text: str, causes: list[dict[str, Any]]) -> FailureKind:
    if any(cause.get("reason") == "FieldManagerConflict" for cause in causes):
        return FailureKind.FIELD_CONFLICT
    if reason == "AlreadyExists":
        return FailureKind.ALREADY_EXISTS
    if _UID_MISMATCH.search(text):
        return FailureKind.UID_MISMATCH
    return FailureKind.NAMESPACE_TERMINATING if _NAMESPACE_GOING in text else FailureKind.VERSION_CONFLICT


def _invalid(text: str, causes: list[dict[str, Any]]) -> FailureKind:
    if any(cause.get("field") == "metadata.uid" for cause in causes):
        return FailureKind.UID_MISMATCH
    return FailureKind.TOO_LARGE if _TOO_LARGE.search(text) else FailureKind.INVALID


def _server_error(reason: str, text: str) -> FailureKind:
    if _BAD_MANIFEST.match(text) and not reason:
        return FailureKind.UNDECLARED if _UNDECLARED in text else FailureKind.INVALID
    if _TOO_LARGE.search(text):
        return FailureKind.TOO_LARGE
    # The webhook is down, not the member: other types go on.
    return FailureKind.DENIED if _WEBHOOK_DOWN.search(text) else FailureKind.UNAVAILABLE


def _cause(cause: Mapping[str, Any], *, secret: bool) -> Cause:
    field, message, reason = cause.get("field"), cause.get("message"), scrubbing.word(cause.get("reason"))
    manager = ""
    if reason == "FieldManagerConflict" and isinstance(message, str) and (found := _CONFLICT_WITH.search(message)):
        manager = scrubbing.scrub(found[1], secret=False, limit=128)
    return Cause(scrubbing.field(field, secret=secret) if isinstance(field, str) else "", manager, reason)


def _message(kind: FailureKind, code: int, reason: str, text: str, causes: tuple[Cause, ...], *, secret: bool) -> str:
    if kind is FailureKind.FIELD_CONFLICT:
        managers = sorted({cause.manager for cause in causes})
        return f"conflict with {', '.join(managers)}: {_fields(causes)}"
    if not secret:
        return scrubbing.scrub(text, secret=False) or f"{code} {reason}".rstrip()
    said = scrubbing.scrub(text, secret=True) or _SAID_FOR_SECRETS.get(kind, "")
    parts = (f"{code} {reason}".rstrip(), said, _fields(causes))
    return ": ".join(part for part in parts if part)


def _fields(causes: tuple[Cause, ...]) -> str:
    fields = list(dict.fromkeys(cause.field for cause in causes if cause.field))
    return ", ".join(fields[:5]) + (f" and {len(fields) - 5} more" if len(fields) > 5 else "")


def _seconds(header: str | None, detail: object) -> float | None:
    """Retry-After in seconds; a date (RFC 9110 allows one, API servers send none) is left to the backoff."""
    if header is not None and header.strip().isdecimal():
        return min(float(header.strip()), _LONGEST_WAIT)
    if isinstance(detail, int) and not isinstance(detail, bool) and detail > 0:
        return min(float(detail), _LONGEST_WAIT)
    return None
