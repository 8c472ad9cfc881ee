"""What went wrong at an API server, as a value: a member's failure is data, a bug is an exception."""

import enum
from dataclasses import dataclass
from typing import Literal, Self

Concern = Literal["member", "object", "race"]
"""Whom a failure is about: "member" counts against the member's lane; "object" is this object's own; "race" is neither,
for what was decided is out of date."""

Retry = Literal["now", "soon", "slow", "never"]
"""How soon another try is worth it: "slow" waits for somebody to act, "never" for a changed manifest."""


class FailureKind(enum.Enum):
    """What an answer that is not success means for what happens next: whom it concerns, and when to try again.

    `for_secrets` is the message where the request was about a Secret, so that the server's own may not be shown.
    """

    concerns: Concern
    retry: Retry
    for_secrets: str

    def __new__(cls, name: str, concerns: Concern, retry: Retry, for_secrets: str = "") -> Self:
        """One kind and its properties."""
        kind = object.__new__(cls)
        kind._value_ = name
        kind.concerns, kind.retry, kind.for_secrets = concerns, retry, for_secrets
        return kind

    FIELD_CONFLICT = "FieldConflict", "object", "slow"
    """409 with FieldManagerConflict causes: somebody else owns these fields."""
    VERSION_CONFLICT = "VersionConflict", "race", "now"
    """409 without causes: read again, decide again."""
    ALREADY_EXISTS = "AlreadyExists", "object", "slow", "the object exists already"
    """A create-only request met an object."""
    UID_MISMATCH = "UidMismatch", "race", "now", "the object was deleted or created anew"
    """The object was deleted or re-created since it was observed."""
    NOT_FOUND = "NotFound", "race", "now", "the object does not exist"
    """The object itself."""
    REFERENCE_MISSING = "ReferenceMissing", "object", "slow", "something that the object refers to does not exist"
    """404 to an apply: the object names something that is not there."""
    NAMESPACE_MISSING = "NamespaceMissing", "race", "soon", "the namespace does not exist"
    NAMESPACE_TERMINATING = "NamespaceTerminating", "object", "slow", "the namespace is being deleted"
    TYPE_MISSING = "TypeMissing", "object", "slow", "the API server does not serve this type"
    """Group, version or resource is not served."""
    INVALID = "Invalid", "object", "never"
    """The manifest is wrong; only a changed manifest is worth another try."""
    UNDECLARED = "Undeclared", "object", "slow"
    """A field that the type does not have there; the hub's has it, so an upgrade will bring it."""
    TOO_LARGE = "TooLarge", "object", "never", "the object is too large"
    DENIED = (
        "Denied",
        "object",
        "slow",
        "quota, policy or webhook refused it; the text is withheld because it may quote the Secret",
    )
    """Quota, LimitRange, policy, webhook: it may pass later."""
    RIGHT_MISSING = "RightMissing", "object", "slow", "a right is missing"
    """RBAC: our credentials lack a right, the message names it."""
    UNAUTHORIZED = "Unauthorized", "member", "soon"
    """401."""
    THROTTLED = "Throttled", "member", "soon"
    """429."""
    UNAVAILABLE = "Unavailable", "member", "soon"
    """5xx that are the member's."""
    TIMED_OUT = "TimedOut", "member", "soon"
    """No answer within the deadline."""
    UNREACHABLE = "Unreachable", "member", "soon"
    """DNS, TCP, TLS."""
    UNTRUSTED = "Untrusted", "member", "slow"
    """The server's certificate is not the expected one."""
    EXPIRED = "Expired", "race", "now"
    """410: the resourceVersion is too old, list again."""
    TOO_MUCH = "TooMuch", "member", "slow"
    """A list, or all lists of the member together, are larger than what is kept of one member."""
    UNEXPECTED = "Unexpected", "member", "slow"
    """An answer that no API server should give."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of Status.details.causes: the field, and for conflicts who owns it. Never a value."""

    field: str
    manager: str = ""
    reason: str = ""
    out_of_range: bool = False
    """The value is none that the cluster gives to anybody."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is not success. `message` is already scrubbed and capped; it may be shown to users.

    `late`: this process was so late meanwhile that nothing follows about the other side. `missing`: what an API
    server's 404 says is not there, as `plural.group/name`; "" where it does not say it (no type served, a proxy).
    """

    kind: FailureKind
    message: str
    code: int = 0
    reason: str = ""
    causes: tuple[Cause, ...] = ()
    retry_after: float | None = None
    late: bool = False
    missing: str = ""

    @property
    def concerns(self) -> Concern:
        """Whom it is about."""
        return self.kind.concerns
