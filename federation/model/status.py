"""A federated object's status as stored at the hub (KubeFed's shape and our additions)."""

import msgspec


class Condition(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """KubeFed's condition: times are RFC 3339 strings in whole seconds."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_update_time: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class ClusterStatus(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """One cluster's line. Healthy lines are a name and a fingerprint: the whole status has a budget.

    `since` is when a line that is not healthy took its status, RFC 3339.

    `generation` is the generation last applied there, written only when it is not the object's observedGeneration.
    `fingerprint` is `<manifest digest>.<owned digest>` of the last successful apply (observations.Applied). In a stored
    status one that many have is written once (core.sharing).
    """

    name: str
    status: str = ""
    message: str = ""
    generation: int = 0
    fingerprint: str = ""
    since: str = ""
    remote_status: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Status(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """status of a federated object."""

    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    clusters: tuple[ClusterStatus, ...] = ()
