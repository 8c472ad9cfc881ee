"""What went wrong at an API server, as a value: a member's failure is data, a bug is an exception."""

import enum
from dataclasses import dataclass


class FailureKind(enum.Enum):
    """What an answer that is not success means for what happens next."""

    FIELD_CONFLICT = enum.auto()  # 409 with FieldManagerConflict causes: somebody else owns these fields
    VERSION_CONFLICT = enum.auto()  # 409 without causes: read again, decide again
    ALREADY_EXISTS = enum.auto()  # create-only met an object
    UID_MISMATCH = enum.auto()  # the object was deleted or re-created since it was observed
    NOT_FOUND = enum.auto()  # the object itself
    NAMESPACE_MISSING = enum.auto()
    NAMESPACE_TERMINATING = enum.auto()
    TYPE_MISSING = enum.auto()  # group, version or resource is not served
    INVALID = enum.auto()  # the manifest is wrong; only a changed manifest is worth another try
    UNDECLARED = enum.auto()  # a field that the type does not have there; the hub's has it, so an upgrade will bring it
    TOO_LARGE = enum.auto()
    DENIED = enum.auto()  # quota, LimitRange, policy, webhook: the object's own, may pass later
    RIGHT_MISSING = enum.auto()  # RBAC: our credentials lack a right, the message names it
    UNAUTHORIZED = enum.auto()  # 401
    THROTTLED = enum.auto()  # 429
    UNAVAILABLE = enum.auto()  # 5xx that are the member's
    TIMED_OUT = enum.auto()  # no answer within the deadline
    UNREACHABLE = enum.auto()  # DNS, TCP, TLS
    UNTRUSTED = enum.auto()  # the server's certificate is not what we were told
    EXPIRED = enum.auto()  # 410: the resourceVersion is too old, list again
    UNEXPECTED = enum.auto()  # an answer that no API server should give


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of Status.details.causes: the field, and for conflicts who owns it. Never a value."""

    field: str
    manager: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is not success. `message` is already scrubbed and capped; it may be shown to users."""

    kind: FailureKind
    message: str
    code: int = 0
    reason: str = ""
    causes: tuple[Cause, ...] = ()
    retry_after: float | None = None

    @property
    def whose(self) -> str:
        """ "member" counts against the member's breaker; "object" is this object's own; "race" is neither."""
        if self.kind in _MEMBERS:
            return "member"
        return "race" if self.kind in _RACES else "object"


_MEMBERS = frozenset(
    {
        FailureKind.UNAUTHORIZED,
        FailureKind.THROTTLED,
        FailureKind.UNAVAILABLE,
        FailureKind.TIMED_OUT,
        FailureKind.UNREACHABLE,
        FailureKind.UNTRUSTED,
        FailureKind.UNEXPECTED,
    }
)
_RACES = frozenset(
    {
        FailureKind.VERSION_CONFLICT,
        FailureKind.UID_MISMATCH,
        FailureKind.NOT_FOUND,
        FailureKind.NAMESPACE_MISSING,
        FailureKind.EXPIRED,
    }
)
