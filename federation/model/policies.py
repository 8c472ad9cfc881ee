"""What the controller may do in a member: with what it finds, with what others change, and when it is to remove.

Set for all (KubeFedConfig), for a type (FederatedTypeConfig) and for an object (annotations); see core.policies.
"""

import enum
from dataclasses import dataclass

Pointer = tuple[str, ...]
"""A JSON pointer (RFC 6901), as its unescaped reference tokens."""


class Takeover(enum.StrEnum):
    """What becomes of an object that is there already and is not managed."""

    ALWAYS = "Always"
    """It is taken over, as by KubeFed."""
    IF_NO_DIFF = "IfNoDiff"
    """It is taken over where an apply would change nothing but our marks; else nothing is written, and reported."""
    NEVER = "Never"
    """Nothing is written, and reported."""


class Drift(enum.StrEnum):
    """What becomes of a change that somebody makes to a copy."""

    CORRECT = "Correct"
    REPORT = "Report"
    """It stays, and is reported, until the federated object has another manifest for that cluster."""


class Deletion(enum.StrEnum):
    """What becomes of a copy whose federated object is deleted, or is not placed in its cluster any more."""

    DELETE = "Delete"
    ORPHAN = "Orphan"
    """It is released: our marks go, and it stays as it is."""


@dataclass(frozen=True, slots=True)
class Policies:
    """What one place says; None where it says nothing."""

    takeover: Takeover | None = None
    drift: Drift | None = None
    deletion: Deletion | None = None
    ignore_fields: tuple[Pointer, ...] | None = None


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds for one object. `ignored` are the fields that are set at creation and left alone afterwards."""

    takeover: Takeover = Takeover.ALWAYS
    drift: Drift = Drift.CORRECT
    deletion: Deletion = Deletion.DELETE
    ignored: tuple[Pointer, ...] = ()


NOTHING_SAID = Policies()
DEFAULT = InForce()
