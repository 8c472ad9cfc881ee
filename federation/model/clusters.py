"""What the hub knows of its member clusters, and what a member holds."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Cluster:
    """A joined member as planning sees it.

    `ready` False means its API cannot be asked now, None that it has not been probed yet: in both cases nothing may be
    concluded about what it holds.
    `is_host` marks the hub itself joined as its own member.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool | None = None
    message: str = ""
    is_host: bool = False


class Missing(enum.Enum):
    """Two of the three answers to "what does this member hold?"; the third is Observed."""

    ABSENT = "absent"
    """The store has synced and holds no object with our label: there is none."""
    UNKNOWN = "unknown"
    """Nobody can tell now. Planning waits; an outage never deletes."""


class Observed(NamedTuple):
    """A member's object as its PartialObjectMetadata shows it, reduced to what decisions read."""

    uid: str
    version: int
    """resourceVersion as a number: it grows within one resource (Kubernetes API convention since 1.35)."""
    entry: str
    """Digest of our managedFields entry; "" when we own nothing there."""
    managed: bool
    """The label kubefed.io/managed reads "true"; False means it holds anything else."""
    deleting: bool = False
    owns_replicas: bool = False
    """Our main entry owns spec.replicas, so leaving it out of an apply would drop it to 1."""
    other_hub: str = ""
    """Field manager of another hub that applied to this object; "" when there is none."""
    legacy: bool = False
    """Made by KubeFed: an Update entry owns our label and no entry is ours."""
    claimed: bool = False
    """Our claim is on it: we have told the hub that has it that it is placed here by us, too."""
    claims: tuple[str, ...] = ()
    """Field managers of other hubs whose claims are on it, sorted."""


Observation = Observed | Missing
