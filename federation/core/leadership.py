"""Who leads: what a Lease says, when it may be taken, and what it means that it is not as we left it; pure.

The Lease has KubeFed's name and client-go's form, so that every tool that shows Leases shows this one. KubeFed v0.10
elects by a ConfigMap or Endpoints, so it has to be stopped: this Lease does not keep it from leading.
"""

import enum
import math
from dataclasses import dataclass
from typing import Any

from federation.core import times
from federation.model import marks
from federation.model.federated import StoredObject
from federation.model.settings import LeaderElection

LEASE = "kubefed-controller-manager"
"""KubeFed's name for it."""
REPLICAS = f"{LEASE}-replicas"
"""By this one the processes know of each other that share several shards. Nobody holds it."""
_LONGEST_SECONDS = 10**9


def lease_name(shard: int = 0) -> str:
    """The Lease whose holder leads; each shard of the clusters has one."""
    return LEASE if not shard else f"{LEASE}-{shard}"


def host(identity: str) -> str:
    """The host, in Kubernetes the Pod, that a holder's name begins with, by KubeFed's and by our own convention."""
    return identity.rpartition("_")[0] or identity


@dataclass(frozen=True, slots=True)
class Lease:
    """A Lease as it was read or written. `seconds`: how long its holder may count on it; 0 where it does not say.
    `shards` is what it says of how many shards there are (core.shards.Numbers)."""

    uid: str
    version: str
    holder: str = ""
    seconds: float = 0.0
    acquired: str = ""
    renewed: str = ""
    transitions: int = 0
    shards: str = ""


def read(stored: StoredObject) -> Lease:
    """What a Lease says. Whatever somebody wrote into it that has no meaning counts as not written."""
    spec, meta = stored.spec, stored.metadata
    return Lease(
        uid=meta.uid,
        version=meta.resource_version,
        holder=_text(spec.get("holderIdentity")),
        seconds=float(_number(spec.get("leaseDurationSeconds"))),
        acquired=_text(spec.get("acquireTime")),
        renewed=_text(spec.get("renewTime")),
        transitions=_number(spec.get("leaseTransitions")),
        shards=meta.annotations.get(marks.SHARDS_ANNOTATION, ""),
    )


def promised(lease: Lease, own: LeaderElection) -> float:
    """Seconds for which its holder may count on the Lease after a renewal: by its own word and by the settings.

    The longer counts: the settings may just have changed, and a Lease of a restored hub may have another's number.
    """
    return max(lease.seconds, own.lease_duration)


def claim(lease: Lease | None, identity: str, settings: LeaderElection, at: float) -> dict[str, Any]:
    """The spec that makes us the holder, or keeps us so, at this time (unix seconds)."""
    now = times.microtime(at)
    acquired, transitions = now, 0
    if lease is not None:
        mine = lease.holder == identity
        acquired = (lease.acquired if mine else "") or now
        transitions = lease.transitions + (0 if mine else 1)
    return {
        "holderIdentity": identity,
        "leaseDurationSeconds": math.ceil(settings.lease_duration),
        "acquireTime": acquired,
        "renewTime": now,
        "leaseTransitions": transitions,
    }


def release(at: float) -> dict[str, Any]:
    """The spec that gives it back, as client-go does."""
    now = times.microtime(at)
    return {"holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": now, "renewTime": now}


class Standing(enum.Enum):
    """What it means for its holder that the Lease is not as it was left."""

    OURS = "ours"
    """Somebody has edited something else of it."""
    OLDER = "older"
    """It has gone back in time: it is of a restored hub. Nobody has taken it."""
    LOST = "lost"


def standing(found: Lease, mine: Lease) -> Standing:
    """What `found` means for the holder of `mine`. Who takes over counts one transition more."""
    if found.holder == mine.holder:
        return Standing.OURS
    if went_back(found, mine):
        return Standing.OLDER
    return Standing.LOST


def went_back(found: Lease, known: Lease) -> bool:
    """Whether the Lease shows a state of before, as after a restore of the hub."""
    return found.uid == known.uid and found.transitions < known.transitions


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    sound = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LONGEST_SECONDS
    return int(value) if sound and isinstance(value, int) else 0
