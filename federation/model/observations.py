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
    no reason was given); None where it is not cordoned. `shard` is the other shard that serves it; None: this one does.
    `pulls`: an agent there fetches what it should hold (spec.syncMode Pull), so that what is asked and written is at
    the hub: `ready` says whether that can be. `silent` is since when nobody has heard its agent; "" while it is heard.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool | None = None
    message: str = ""
    is_host: bool = False
    cordon: str | None = None
    shard: int | None = None
    pulls: bool = False
    silent: str = ""


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


class Said(enum.Enum):
    """What an agent has said of the manifest that its work has now."""

    NOTHING = "nothing"
    APPLIED = "applied"
    FAILED = "failed"


class Feedback(msgspec.Struct, frozen=True, gc=False):
    """What an agent has reported of a copy: values by their names, as JSON. `complete`: nothing was left out."""

    values: bytes
    complete: bool = True


class ObservedWork(Observed, frozen=True, gc=False):
    """What a cluster in pull mode has, as far as its ManifestWork at the hub shows it: uid and version are the work's.

    `digest` is of what the work asks for (core.works), and `intact` says that nobody has changed that since. `next` is
    the generation that it should have by our next write. `noted`: it says that its controller deletes it.
    `orphans`: the copy stays when the work is deleted. `bundle` is the work's name where it may have others, too: then
    uid, `digest` and `said` are of this one alone.
    `feedback` is what was reported of the copy since the present manifest was applied; None where nothing was.
    """

    digest: str = ""
    intact: bool = True
    next: int = 0
    noted: bool = False
    orphans: bool = False
    said: Said = Said.NOTHING
    message: str = ""
    feedback: Feedback | None = None
    bundle: str = ""


Observation = Observed | Missing


class Collected(msgspec.Struct, frozen=True, gc=False):
    """What the status of a member's object says, for types with status collection.

    `version` is the object's resourceVersion. `raw` is the status as it is reported, None where there is none, or where
    it is not wanted; `left_out` is why one that is wanted is not kept. `unhealthy` is why the object is not well.
    """

    version: int = 0
    desired: int = 0
    ready: int = 0
    updated: int = 0
    unhealthy: str = ""
    raw: msgspec.Raw | None = None
    left_out: str = ""


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

    @property
    def by_work(self) -> bool:
        """Whether the agent of a cluster in pull mode has said so."""
        return self.known and self.owned_digest == BY_WORK

    @property
    def until(self) -> int:
        """The latest time that Observed.applied_at may have been."""
        return self.applied_at

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

    @property
    def until(self) -> int:
        """The latest of the times that it stands for."""
        return self.applied_at + self.spread

    def shown_by(self, observed: Observed) -> bool:
        """Whether the object may be as this apply left it."""
        if self.owned_digest != observed.owned_digest:
            return False
        return not self.timed or 0 <= observed.applied_at - self.applied_at <= self.spread


UNKNOWN_DIGEST = "?"
"""In place of a digest, which it never equals, after an apply without an answer: it is to be applied anew."""

BY_WORK = "work"
"""In place of the digest of the fields that we own: the copy is its agent's, and its work at the hub shows it."""

MAY_HAVE_COPY = Applied(UNKNOWN_DIGEST, UNKNOWN_DIGEST)
"""A create may have been sent and may have come to pass. Until the cluster has shown that nothing is there, it counts
as having a copy: in every plan and, as a line of the status, across restarts."""
