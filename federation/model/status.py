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

    Of a type with status collection: `remote_status` is the member object's status, `ready` how much of it is ready
    (`2/3`), `unhealthy` why it is not well.
    """

    name: str
    status: str = ""
    message: str = ""
    generation: int = 0
    fingerprint: str = ""
    since: str = ""
    remote_status: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    ready: str = ""
    unhealthy: str = ""


class Summary(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """status.summary: the members' statuses together. All fields are always written: a merge patch keeps others.

    `desired`, `ready` and `updated` count replicas, or objects where a type has none, of the clusters whose status is
    known.
    """

    desired: int = 0
    ready: int = 0
    updated: int = 0
    unhealthy_clusters: int = 0
    unknown_clusters: int = 0


class Status(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """status of a federated object."""

    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    clusters: tuple[ClusterStatus, ...] = ()
    summary: Summary | None = None
