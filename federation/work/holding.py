"""What follows from a work that the hub does not show: nothing is deleted because something is absent.

A hub that was restored from yesterday's backup, or exchanged, does not know works that a member has. Open Cluster
Management's agent evicts what belongs to them after an hour; this one holds it, and says so. It lets go on proof alone:
the work was seen with a deletionTimestamp (one that a controller of this project has written: with its note, too); a
record at the hub names its uid as deleted on purpose; or a person says so
at the AppliedManifestWork.
"""

import enum
from collections.abc import Iterable, Mapping

from federation.core import bundles
from federation.core.proof import Proof
from federation.model.works import DELETED_ANNOTATION, FORGOTTEN_ANNOTATION, HUB_LABEL, AppliedResource, AppliedWork


class Verdict(enum.Enum):
    """What is done about a work that is not at the hub."""

    WAIT = "wait"  # the hub has not been listed yet, or cannot be
    HOLD = "hold"
    LET_GO = "let go"


HELD = "the hub does not have its ManifestWork, and nothing shows that it was deleted on purpose: nothing is deleted"
NOT_MEANT = (
    "its ManifestWork is being deleted, and not by the controller that has written it (its namespace or the definition "
    "goes): nothing is deleted"
)
UNSURE = "it is deleted, and what is to become of its objects is not understood: nothing is deleted"
UNNAMED = (
    "its ManifestWork does not name some of its objects any more, and its controller has not taken them out: they stay"
)
OTHER_HUB = "it was made for another hub (another hubHash): nothing is deleted"


def judge(*, listed: bool, uid: str, leaving: bool, applied: AppliedWork | None, forgotten: frozenset[str]) -> Verdict:
    """The verdict on a work that the hub's list does not have. `listed`: that list was read since the agent began.

    `uid` is the work's, "" where it is not known any more. `leaving`: it was seen with a deletionTimestamp.
    """
    if applied is not None and applied.let_go:
        return Verdict.LET_GO
    if leaving or (uid and uid in forgotten):
        return Verdict.LET_GO
    return Verdict.HOLD if listed else Verdict.WAIT


def is_meant(labels: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
    """Whether the deletion of a work is the word of who has written it.

    Works go with their namespace, and all works of a hub with their definition. A controller of this project notes on
    its works that it deletes them, and why; of a work without its label nothing but its deletion can be known.
    """
    return HUB_LABEL not in labels or bool(annotations.get(DELETED_ANNOTATION))


def unproven(
    hub: str, annotations: Mapping[str, str], unnamed: Iterable[AppliedResource]
) -> tuple[AppliedResource, ...]:
    """Of objects that a work names no more, those that stay, because nothing shows that this is meant.

    A controller of this project (`hub` is its field manager, "" for others) notes what it takes out of a work. What is
    missing without that is the doing of somebody else, or of a backup that the hub was put back to.
    """
    if not hub:
        return ()
    noted = bundles.taken_out(annotations)
    return tuple(each for each in unnamed if each.what not in noted)


def goes(*, let_go: bool) -> Proof:
    """The proof by which all objects of a work go: its verdict was LET_GO, by the word of a person or of the hub."""
    return Proof("a person says so" if let_go else "the work was deleted at the hub")


def unnamed(generation: int) -> Proof:
    """The proof by which an object goes that a work names no more, as the hub has it now."""
    return Proof(f"generation {generation} of the work does not name it")


def forgotten(annotations: Iterable[Mapping[str, str]]) -> frozenset[str]:
    """The uids that the hub's works record as deleted on purpose."""
    return frozenset(
        uid.strip()
        for each in annotations
        if FORGOTTEN_ANNOTATION in each
        for uid in each[FORGOTTEN_ANNOTATION].split(",")
        if uid.strip()
    )
