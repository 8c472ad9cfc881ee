"""Classify what a refused or lost request means: the only way from an API server's answer to a kind of failure.

Used by kube, which makes a Failure of every answer that is not success, and by controllers, which retry by it; what
follows from each kind is in model.failures. Looked at is first what is most reliable: code, content type, details,
causes, and last the texts of the 500s that apply gives for a bad manifest (tried on kube-apiserver 1.36; every row is
a test).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import orjson

from federation.core import scrubbing
from federation.model import bounds
from federation.model.conditions import PropagationStatus
from federation.model.failures import Cause, Failure, FailureKind, Retry

Verb = Literal["create", "update", "delete", "release"]
"""What a push does to an object."""

_CONFLICT_WITH = re.compile(r'conflicts? with "((?:[^"\\]|\\.)*)"')
_RIGHT_MISSING = re.compile(
    r'\bUser "[^"]*" cannot [a-z]+ (?:resource|path) |is attempting to grant RBAC permissions not currently held'
)
# Every pattern here takes linear time: none looks for its end from each of its many possible beginnings. Where a text
# has two parts with anything between them, `_then` looks for the second after the first of the first.
_WEBHOOK = re.compile(r"\badmission webhook \"[^\"]*\" denied the request")
_POLICY = re.compile(r"\bValidatingAdmissionPolicy '[^']*' ")
_POLICY_DENIES = re.compile(r"denied request")
_NAMED = 5
"""Fields or managers that a message names."""
_UNDECLARED = "field not declared in schema"
_BAD_MANIFEST = re.compile(r"failed to (?:create typed|convert) \w+ object")
_TOO_LARGE = re.compile(r"etcdserver: request is too large|code = ResourceExhausted|larger than max")
_TOO_LONG = re.compile(r"Too long: ")
_OF_A_MEBIBYTE = re.compile(r"\b1048576\b")
_MESSAGE = re.compile(rb'"message":("(?:[^"\\]|\\.)*)')
"""The message of a Status that was cut, its closing quote perhaps with it."""
_WEBHOOK_DOWN = re.compile(r"failed calling webhook ")
_UID_MISMATCH = re.compile(r"uid mismatch: |UID in (?:the )?precondition")
_VERSION_GONE = re.compile(r"request to convert CR to an invalid group/version: ([A-Za-z0-9.-]{1,253}/[a-z0-9]{1,63})")
_LAST_APPLIED = "failed to convert merged object to last applied version"
_NAMESPACE_GOING = "system is ensuring all content is removed from this namespace"

_OF_THE_CLUSTER = frozenset({"FieldValueNotFound", "InternalError"})
_ALLOCATED_AT_UPDATES = re.compile(r"spec\.ports\[\d+\]\.nodePort|status\b.*")
_ALLOCATED = re.compile(rf"{_ALLOCATED_AT_UPDATES.pattern}|spec\.clusterIPs?(?:\[\d+\])?|spec\.healthCheckNodePort")
"""Fields whose values a cluster gives to one object only, and those that no manifest holds. An address that a Service
has may not change, so that there it is the manifest that must."""
_OUT_OF_RANGE = re.compile(r"not in the valid range|does not match the current range")
"""Of a port or an address that the cluster gives to nobody."""

_STATUSES: Mapping[Verb, tuple[PropagationStatus, PropagationStatus]] = {
    "create": (PropagationStatus.CREATION_FAILED, PropagationStatus.CREATION_TIMED_OUT),
    "update": (PropagationStatus.UPDATE_FAILED, PropagationStatus.UPDATE_TIMED_OUT),
    "delete": (PropagationStatus.DELETION_FAILED, PropagationStatus.DELETION_TIMED_OUT),
    "release": (PropagationStatus.LABEL_REMOVAL_FAILED, PropagationStatus.LABEL_REMOVAL_TIMED_OUT),
}


def classify(
    code: int, content_type: str, body: bytes, *, secret: bool, retry_after: str | None = None, namespaces: bool = False
) -> Failure:
    """The meaning of an answer with a status code of 300 or more, or of a watch's ERROR event (its Status, its code).

    Text from outside is cut before anything is searched in it, and only the first causes are looked at.

    `secret`: the request was about a Secret, so that no text of the server is passed on, except what cannot hold a
    value. `retry_after` is the header. `namespaces`: it was about a Namespace, whose own absence is otherwise reported
    like that of an object's namespace.
    """
    status = _status(content_type, body)
    if status is None:
        kind = _without_status(code, body)
        return Failure(
            kind, _plain_message(kind, code, content_type, body), code, retry_after=_seconds(retry_after, None)
        )
    message = status.get("message")
    text = message if isinstance(message, str) else ""
    reason = scrubbing.reason(status.get("reason"))
    details = status.get("details")
    details = details if isinstance(details, dict) else {}
    raw_causes = _causes(details)
    kind = _kind(code, reason, _searched(text), details, raw_causes, namespaces=namespaces)
    causes = tuple(_cause(cause, secret=secret) for cause in raw_causes)
    return Failure(
        kind,
        _message(kind, code, reason, text, causes, secret=secret),
        code,
        reason,
        causes,
        _seconds(retry_after, details.get("retryAfterSeconds")),
        missing=_missing(details) if code == 404 else "",
    )


def timed_out(seconds: float, *, late: bool = False) -> Failure:
    """No answer within the deadline: what became of the request is unknown, and applying again is safe.

    `late`: it may have come, and this process was too late to read it.
    """
    message = f"no answer within {seconds:g} s"
    if late:
        message = f"no answer read within {seconds:g} s: this controller is late"
    return Failure(FailureKind.TIMED_OUT, message, late=late)


def unreachable(message: str, *, untrusted: bool = False) -> Failure:
    """No connection (DNS, TCP, TLS), or with `untrusted` one to a server whose certificate is not the expected one."""
    kind = FailureKind.UNTRUSTED if untrusted else FailureKind.UNREACHABLE
    return Failure(kind, scrubbing.scrub(message, secret=False))


def retry(failure: Failure, *, update: bool = False) -> Retry:
    """How soon another try is worth it: "never" waits for a changed manifest, "slow" for somebody to act.

    An API server's own validation looks at the object alone, so that what it refuses is refused until the manifest is
    another. Not so where every cause is about what else this cluster has: a port or an address that it allocates
    and somebody else has, something that it did not find, a status that others write.
    """
    if failure.kind is FailureKind.INVALID and failure.code == 422 and failure.causes:
        given = _ALLOCATED_AT_UPDATES if update else _ALLOCATED
        if all(
            cause.reason in _OF_THE_CLUSTER or (given.fullmatch(cause.field) and not cause.out_of_range)
            for cause in failure.causes
        ):
            return "slow"
    return failure.kind.retry


def of_apply(failure: Failure) -> Failure:
    """The meaning of a failure that an apply got. It creates what is not there, so what was not found is something that
    the object refers to (the role of a binding): this object's own trouble, and no race."""
    if failure.kind is not FailureKind.NOT_FOUND:
        return failure
    return replace(
        failure,
        kind=FailureKind.REFERENCE_MISSING,
        message=f"the object refers to something that does not exist: {failure.message}",
    )


def outdated_version(failure: Failure) -> str | None:
    """Where an apply is refused for what managedFields say of another version of the type: which one is not served any
    more, or "" where it is our own last one, whose schema lacks a field. None for every other failure.

    An API server converts an object to each version in which somebody has written it, which for custom types fails for
    good once that version is gone (tried on 1.36). No other apply and no time mends that.
    """
    if gone := _VERSION_GONE.search(failure.message):
        return gone[1]
    return "" if _LAST_APPLIED in failure.message else None


def may_be_immutable(failure: Failure) -> bool:
    """Whether a new object might fare better than a changed one: the API server's own validation refused the change.

    Not what a policy or a webhook denies: somebody wants it so, which is no reason to delete anything.
    """
    return failure.kind is FailureKind.INVALID and failure.code == 422


def status_for(failure: Failure, *, verb: Verb) -> PropagationStatus:
    """A cluster's status after a failed operation. A create that met another version met an object: adoption is off."""
    if failure.kind is FailureKind.TYPE_MISSING:
        return PropagationStatus.VERSION_UNAVAILABLE
    if verb == "create" and failure.kind in (FailureKind.ALREADY_EXISTS, FailureKind.VERSION_CONFLICT):
        return PropagationStatus.ALREADY_EXISTS
    failed, late = _STATUSES[verb]
    return late if failure.kind is FailureKind.TIMED_OUT else failed


def _status(content_type: str, body: bytes) -> Mapping[str, Any] | None:
    """The Status in the body; None when the answer is not an API server's."""
    if "json" not in content_type:
        return None
    try:
        status = orjson.loads(body[: bounds.LARGEST_ERROR])
    except orjson.JSONDecodeError:
        return _cut_status(body) if len(body) >= bounds.LARGEST_ERROR else None
    return status if isinstance(status, dict) and status.get("kind") == "Status" else None


def _cut_status(body: bytes) -> Mapping[str, Any] | None:
    """A Status that quotes so much that only its beginning was read: its message's beginning, with the code enough."""
    head = body[: bounds.LONGEST_TEXT]
    if not head.startswith(b'{"kind":"Status"'):
        return None
    found = _MESSAGE.search(head)
    quoted = found[1].decode("utf-8", "ignore").encode() if found else b'"'
    for end in (len(quoted), quoted.rfind(b"\\")):  # the last escape may have been cut, too
        try:
            return {"message": orjson.loads(quoted[:end] + b'"')}
        except orjson.JSONDecodeError:
            continue
    return {}


def _searched(text: str) -> str:
    """As much of a message as its meaning is looked for in: its beginning, and its end, which names the limits."""
    if len(text) <= bounds.LONGEST_TEXT:
        return text
    return f"{text[: bounds.LONGEST_TEXT * 3 // 4]}\n{text[-(bounds.LONGEST_TEXT // 4) :]}"


def _causes(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The first causes, as many as anybody reads."""
    causes = details.get("causes")
    if not isinstance(causes, list):
        return []
    return [cause for cause in causes[: bounds.MOST_CAUSES] if isinstance(cause, dict)]


def _then(text: str, first: re.Pattern[str], second: re.Pattern[str]) -> bool:
    """Whether `second` is somewhere after `first`."""
    found = first.search(text)
    return found is not None and second.search(text, found.end()) is not None


def _is_too_large(text: str) -> bool:
    return _TOO_LARGE.search(text) is not None or _then(text, _TOO_LONG, _OF_A_MEBIBYTE)


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
        return "404: the API server does not serve this group and version"
    if kind is FailureKind.UNEXPECTED:
        what = scrubbing.scrub(content_type.partition(";")[0], secret=False, limit=60) or "no content type"
        return f"{code} with {what}: this is not a Kubernetes API server's answer; check the endpoint and any proxy"
    # Text of a proxy or of priority and fairness; without JSON it never quotes an object.
    text = scrubbing.scrub(body[:500].decode("utf-8", "replace"), secret=False, limit=120)
    return f"{code}: {text}" if text and not text.startswith("<") else str(code)


def _kind(
    code: int, reason: str, text: str, details: Mapping[str, Any], causes: list[dict[str, Any]], *, namespaces: bool
) -> FailureKind:
    denied = _WEBHOOK.search(text) is not None or _then(text, _POLICY, _POLICY_DENIES)
    if denied:  # a webhook chooses its code: its 401 is not about our credentials, nor its 503 about the member
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


def _missing(details: Mapping[str, Any]) -> str:
    """What the details of a 404 name: the storage of a type that is served says so, nothing else does."""
    name, plural, group = (details.get(key) for key in ("name", "kind", "group"))
    if not isinstance(name, str) or not isinstance(plural, str) or not name or len(name) > bounds.LONGEST_NAME:
        return ""
    qualified = f"{plural}.{group}" if isinstance(group, str) and group else plural
    return f"{qualified}/{name}" if len(qualified) <= 2 * bounds.LONGEST_NAME else ""


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
    return FailureKind.TOO_LARGE if _is_too_large(text) else FailureKind.INVALID


def _server_error(reason: str, text: str) -> FailureKind:
    if _BAD_MANIFEST.match(text) and not reason:
        return FailureKind.UNDECLARED if _UNDECLARED in text else FailureKind.INVALID
    if not reason and (_VERSION_GONE.match(text) or _LAST_APPLIED in text):
        return FailureKind.UNDECLARED  # of this object, whose managedFields say it (outdated_version)
    if _is_too_large(text):
        return FailureKind.TOO_LARGE
    # The webhook is down, not the member: other types go on.
    return FailureKind.DENIED if _WEBHOOK_DOWN.search(text) else FailureKind.UNAVAILABLE


def _cause(cause: Mapping[str, Any], *, secret: bool) -> Cause:
    field, message, reason = cause.get("field"), cause.get("message"), scrubbing.reason(cause.get("reason"))
    manager = ""
    if reason == "FieldManagerConflict" and isinstance(message, str):
        found = _CONFLICT_WITH.search(message[: bounds.LONGEST_TEXT])
        manager = scrubbing.scrub(found[1], secret=False, limit=128) if found else ""
    return Cause(
        scrubbing.field(field, secret=secret) if isinstance(field, str) else "",
        manager,
        reason,
        out_of_range=isinstance(message, str) and _OUT_OF_RANGE.search(message[: bounds.LONGEST_TEXT]) is not None,
    )


def _message(kind: FailureKind, code: int, reason: str, text: str, causes: tuple[Cause, ...], *, secret: bool) -> str:
    if kind is FailureKind.FIELD_CONFLICT:
        managers = sorted({cause.manager for cause in causes})
        return f"conflict with {_first(managers)}: {_fields(causes)}"
    if not secret:
        return scrubbing.scrub(text, secret=False) or f"{code} {reason}".rstrip()
    shown = scrubbing.scrub(text, secret=True) or kind.for_secrets
    parts = (f"{code} {reason}".rstrip(), shown, _fields(causes))
    return ": ".join(part for part in parts if part)


def _fields(causes: tuple[Cause, ...]) -> str:
    return _first(list(dict.fromkeys(cause.field for cause in causes if cause.field)))


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _seconds(header: str | None, detail: object) -> float | None:
    """Retry-After in seconds, with a floor and a ceiling: the one place where a server's wait is read.

    A date (RFC 9110 allows one, API servers send none) is left to the backoff, as is whatever is no number of seconds.
    """
    text = header.strip() if header is not None else ""
    if text.isascii() and text.isdecimal():
        seconds = float(text[:9])  # more digits are more than the ceiling all the same
    elif isinstance(detail, int) and not isinstance(detail, bool) and detail > 0:
        seconds = float(min(detail, 10**9))
    else:
        return None
    return min(max(seconds, bounds.SHORTEST_WAIT), bounds.LONGEST_WAIT)
