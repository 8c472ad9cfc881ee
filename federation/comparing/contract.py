"""What each scenario has to give, so that its claim can be decided. Scenarios and verdicts both go by this.

Numbers are samples: `GIVES` names figures and the keys of their places. What is no number is a row: an `Application`,
an `Upgrade`, a `Fault`, a `Credential`, a `Command`, a `Right` or a `Share`, made a finding by `found` and
read again by `rows`. What is counted in rows (figures read in Read.FINDINGS) is counted by `counting`,
not by the scenario.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeVar

import msgspec

from federation.comparing.model import Finding, Step


@dataclass(frozen=True, slots=True)
class Gives:
    """Figures of a scenario that are measured under the same keys of a place."""

    scenario: str
    figures: tuple[str, ...]
    at: tuple[str, ...]


_CHANGE = (
    "hub_cpu",
    "controller_cpu",
    "agents_cpu",
    "members_cpu",
    "hub_writes",
    "hub_requests",
    "member_writes",
    "member_requests",
    "hub_bytes",
    "latency",
    "member_latency",
    "done",
    "rate",
)
_REST = (
    "hub_cpu_rest",
    "controller_cpu_rest",
    "agent_cpu_rest",
    "hub_requests_rest",
    "hub_memory",
    "controller_memory",
    "agent_memory",
    "hub_watches",
    "member_watches",
)

GIVES = (
    Gives("joining", ("commands", "copied", "until_ready"), ("clusters",)),
    Gives("joining", ("until_held",), ("clusters", "objects")),
    Gives("hub-load", _CHANGE, ("members", "phase")),
    Gives("hub-load", _REST, ("members", "phase")),
    Gives("hub-load", ("rate", "core_full", "controller_share"), ("members", "phase")),
    Gives("growth", (*_CHANGE, *_REST), ("kind", "members", "phase")),
    Gives("twins", ("hub_keys", "hub_stored"), ("members",)),
    Gives("cut", ("repaired", "converged", "lost", "twice"), ("cut",)),
    Gives("bend", (*_CHANGE, *_REST), ("members", "phase")),
    Gives("distance", ("latency", "member_latency", "done"), ("rtt_ms", "loss_percent", "hangs")),
)
"""`phase` is create, update, delete or rest; `kind` is real or simulated; `cut` is link (one member's) or hub (all of
it); `hangs` is how many members do. A figure that a subject has not (agents of push) is left out, not given as 0. A
scenario may add keys to a place: numbers under different places are never put together. Rows are: all of a subject's
round, but for `members`."""


class Lies(StrEnum):
    """Where a credential lies."""

    HUB = "hub"
    MEMBER = "member"
    PERSON = "person"


class How(StrEnum):
    """How it opens a cluster."""

    DIRECTLY = "directly"
    BY_AGENT = "by the agent"
    """Whoever holds it writes at the hub, and the agent of a member does in the member what is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """One step of a rolling upgrade of a CRD (claim 5, `versions`); every subject takes the same steps."""

    ABOUT: ClassVar[str] = "upgrade"
    step: str
    """As "one member serves v2 only"."""
    broke: bool
    """A user's change did not arrive in a member that it is for, within the scenario's limit or ever."""
    seconds: float
    """In which it did not; 0 where nothing broke."""
    hub_says: str
    """The hub's own words, of a status, condition or Event; empty where it says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One seeded fault in a member (claim 6, `trouble`)."""

    ABOUT: ClassVar[str] = "fault"
    fault: str
    shown: bool
    """The hub shows it, in time."""
    where: str
    """As "status of the federated object"; empty where it is not shown."""
    seconds: float | None
    """Until it was shown; null where it is not."""
    commands: float | None
    """That a person types at the hub to see it; null where it is not shown."""
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One credential, and a cluster that it opens (claim 8, `credentials`): a row for each such pair, by attempts."""

    ABOUT: ClassVar[str] = "credential"
    name: str
    lies: Lies
    where: str
    """As "Secret kube-federation-system/m1-token"."""
    opens: str
    """The cluster: host, or a member's name."""
    how: How
    valid_days: float | None
    """At most, from when it is made; null for ever."""
    writes: bool
    """An attempt to write with it, or by it, succeeded there."""
    can: str
    """As SelfSubjectRulesReview says it, in short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a person types for the first of the clusters (claim 1, `joining`)."""

    ABOUT: ClassVar[str] = "command"
    side: str
    """host, member or both"""
    command: str
    carries: str
    """The credentials that go from one cluster to another with it; empty for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """What somebody must be allowed for a cluster to become a member (claim 1, `joining`)."""

    ABOUT: ClassVar[str] = "right"
    side: str
    """host or member"""
    who: str
    may: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A part of the time of a process at the size at which a subject bends (claim 9, `bend`), by a profile."""

    ABOUT: ClassVar[str] = "share"
    process: str
    part: str
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What an application is in the hub's etcd (claim 4, `twins`), each number for one of them."""

    ABOUT: ClassVar[str] = "application"
    objects: float
    federated_objects: float
    works: float
    plain_keys: float
    plain_bytes: float
    """Of the same objects on the hub without any federation."""


Row = Application | Upgrade | Fault | Credential | Command | Right | Share
_Row = TypeVar("_Row", Application, Upgrade, Fault, Credential, Command, Right, Share)

FOUND: dict[str, Sequence[type[Row]]] = {
    "joining": (Command, Right),
    "twins": (Application,),
    "versions": (Upgrade,),
    "trouble": (Fault,),
    "credentials": (Credential,),
    "bend": (Share,),
}
"""The rows of each scenario."""


def found(step: Step, row: Row) -> Finding:
    """`row` as raw data of `step`."""
    return Finding(
        scenario=step.scenario,
        subject=step.subject,
        round=step.round,
        about=row.ABOUT,
        facts=msgspec.to_builtins(row),
        at=step.at,
    )


def rows(findings: Iterable[Finding], kind: type[_Row]) -> list[_Row]:
    """Those of `kind`. Raises ValueError that says which fact is missing or wrong."""
    try:
        return [msgspec.convert(dict(each.facts), kind) for each in findings if each.about == kind.ABOUT]
    except msgspec.ValidationError as error:
        raise ValueError(f"a finding about {kind.ABOUT}: {error}") from None
