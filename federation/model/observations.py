"""What the hub knows of its member clusters, what a member has, and what was applied there."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True, slots=True)
class Cluster:
    """A joined member as planning sees it.

    `ready` False means its API cannot be asked now, None that it has not been probed yet: in both cases nothing may be
    concluded about what it has.
    `is_host` marks the hub itself joined as its own member. `cordon`: nothing is to be written there, and why ("" where
    no reason was given); None where it is not cordoned.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool | None = None
    message: str = ""
    is_host: bool = False
    cordon: str | None = None


class Missing(enum.Enum):
    """Two of the three answers to "what does this member have?"; the third is Observed."""

    ABSENT = "absent"
    """The first list has ended, and there is no object with our label."""
    UNKNOWN = "unknown"
    """It cannot be known now. Planning waits; an outage never deletes."""


class Observed(msgspec.Struct, frozen=True, gc=False):
    """A member's object as its PartialObjectMetadata shows it, reduced to what decisions read.

    gc=False here and below: there are as many as placements, nothing in them can refer back, and a garbage collection
    must not look at each.
    """

    uid: str
    version: int
    """resourceVersion as a number: it grows within one resource (Kubernetes API convention since 1.35)."""
    owned_digest: str
    """Digest of the fields that we own, our managedFields entry; "" when we own none."""
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
    """Our claim is on it: a note for the hub that has it that our hub places it here, too."""
    claims: tuple[str, ...] = ()
    """Field managers of other hubs whose claims are on it, sorted."""
    broken: str = ""
    """Why its metadata cannot be read: it is there, and nothing else is known of it."""
    created: bool = False
    """Our entry owns the note that this hub has created it (marks.CREATED_ANNOTATION)."""
    copied: bool = False
    """The label is only a copy: a controller there made the object for another one, which we manage."""
    applied_at: int = 0
    """The time of our managedFields entry, in seconds of the epoch. Only an apply of ours that changes something moves
    it, or gives it one: it is 0 where the first apply found everything as it should be."""


Observation = Observed | Missing


class Applied(msgspec.Struct, frozen=True, gc=False):
    """What we last applied to one cluster: digests of the manifest, and of the fields that we owned afterwards.

    `applied_at` is what Observed.applied_at was then.
    """

    digest: str
    owned_digest: str
    generation: int = 0
    applied_at: int = 0

    @property
    def known(self) -> bool:
        """Whether anything is known to have been applied; of MAY_HAVE_COPY nothing is."""
        return self.digest != UNKNOWN_DIGEST

    def shown_by(self, observed: Observed) -> bool:
        """Whether the object is as this apply left it: of the fields that we own, and when that last changed.

        The fields alone do not show it: a member that was restored from a backup has the same ones, with older values.
        """
        return self.owned_digest == observed.owned_digest and self.applied_at == observed.applied_at


class Recorded(Applied, frozen=True, gc=False):
    """The same as a stored status records it, until the member has shown its object.

    Lines that share a fingerprint share its time: theirs is within `spread` seconds after `applied_at`. An earlier
    version has recorded no time: it is not `timed`, and every time fits.
    """

    spread: int = 0
    timed: bool = True

    def shown_by(self, observed: Observed) -> bool:
        """Whether the object may be as this apply left it."""
        if self.owned_digest != observed.owned_digest:
            return False
        return not self.timed or 0 <= observed.applied_at - self.applied_at <= self.spread


UNKNOWN_DIGEST = "?"
"""In place of a digest, which it never equals, after an apply without an answer: it is to be applied anew."""

MAY_HAVE_COPY = Applied(UNKNOWN_DIGEST, UNKNOWN_DIGEST)
"""A create may have been sent and may have come to pass. Until the cluster has shown that nothing is there, it counts
as having a copy: in every plan and, as a line of the status, across restarts."""
