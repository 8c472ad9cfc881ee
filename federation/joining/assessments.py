"""Assess what `preflight` has read from a cluster: version, skew, clock, identity, rights. Pure."""

import datetime as dt
import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

from federation.joining.errors import PreflightFailed
from federation.joining.fleet import Fleet, Member
from federation.model.marks import OWN_NAMESPACE

OLDEST_MEMBER = (1, 24)
"""Server-side apply as we use it, and bound tokens without a Secret, are stable from here on."""

OLDEST_HOST = (1, 29)
"""CRDs with CEL rules are stable from here on."""

SKEW_WARNING, SKEW_LIMIT = 10.0, 120.0
"""Seconds. A token's times are by the member's clock: with a clock that is minutes off it would be renewed too late."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)")


class Grade(enum.StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `hint` is what to do about a failure."""

    name: str
    grade: Grade
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource that a step needs; `namespace` "" is cluster-wide."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        full = f"{self.resource}.{self.group}" if self.group else self.resource
        full += f"/{self.subresource}" if self.subresource else ""
        return f"{self.verb} {full}" + (f" in {self.namespace}" if self.namespace else "")


_RBAC = "rbac.authorization.k8s.io"


def member_rights(namespace: str, *, namespaced: bool = False) -> list[Right]:
    """What `join` does in a member. Server-side apply needs patch, and create where the object is new.

    `namespaced`: the scope is Namespaced, and nothing is written outside of the namespace.
    """
    found = [Right("get", "namespaces", namespace=namespace if namespaced else "")]
    for verb in ("create", "patch"):
        if not namespaced:
            found += [
                Right(verb, "namespaces"),
                Right(verb, "clusterroles", _RBAC),
                Right(verb, "clusterrolebindings", _RBAC),
            ]
        found += [
            Right(verb, "serviceaccounts", namespace=namespace),
            Right(verb, "roles", _RBAC, namespace),
            Right(verb, "rolebindings", _RBAC, namespace),
        ]
    found += [Right(verb, "secrets", namespace=namespace) for verb in ("create", "list", "delete")]
    return [*found, Right("create", "serviceaccounts", namespace=namespace, subresource="token")]


def namespace_rights() -> list[Right]:
    """What making the federation's namespace in a member needs."""
    return [Right("create", "namespaces"), Right("patch", "namespaces")]


def host_rights(namespace: str) -> list[Right]:
    """What `join` does at the host."""
    found = []
    for verb in ("get", "create", "patch"):
        found.append(Right(verb, "secrets", namespace=namespace))
        found.append(Right(verb, "kubefedclusters", "core.kubefed.io", namespace))
    return found


def version(text: str, oldest: tuple[int, int]) -> Check:
    """Whether a Kubernetes version is one we work with."""
    found = _VERSION.match(text)
    if not found:
        return Check("version", Grade.UNKNOWN, f"the server calls its version {text[:40]!r}")
    if (int(found[1]), int(found[2])) < oldest:
        return Check(
            "version",
            Grade.FAILED,
            f"Kubernetes {text} is older than {oldest[0]}.{oldest[1]}, the oldest that is supported",
            "upgrade the cluster first",
        )
    return Check("version", Grade.OK, f"Kubernetes {text}")


def skew(host: str, member: str) -> Check:
    """How many minor versions the two are apart; a WARNING from 4 on."""
    left, right = _VERSION.match(host), _VERSION.match(member)
    if not left or not right:
        return Check("version skew", Grade.UNKNOWN, f"host {host or '?'}, member {member or '?'}")
    minors = int(right[2]) - int(left[2])
    if minors == 0:
        return Check("version skew", Grade.OK, f"host and member are both {left[1]}.{left[2]}")
    text = f"the member is {abs(minors)} minor version{'s' if abs(minors) > 1 else ''} "
    text += f"{'newer' if minors > 0 else 'older'} than the host ({host}, {member})"
    if abs(minors) > 3:
        return Check("version skew", Grade.WARNING, f"{text}: types may be served in other versions there")
    return Check("version skew", Grade.OK, text)


def clock(server: dt.datetime, now: dt.datetime) -> Check:
    """How far the server's clock, which is read in whole seconds, is from ours."""
    seconds = abs((server - now).total_seconds())
    if seconds <= 1.5:
        return Check("clock", Grade.OK, "within 1 s of this machine's")
    text = f"{seconds:.0f} s {'ahead of' if server > now else 'behind'} this machine's"
    if seconds > SKEW_LIMIT:
        return Check("clock", Grade.FAILED, text, "set both clocks by NTP: tokens and certificates depend on them")
    return Check("clock", Grade.WARNING if seconds > SKEW_WARNING else Grade.OK, text)


def identity(name: str, uids: tuple[str, ...], server: str, known: Fleet) -> Check:
    """Whether this cluster may have this name: no other cluster has it, and this cluster has no other name.

    `uids` are the identities that it shows, of both kinds (marks.IDENTITY_ANNOTATION) as far as they are known; those
    of different kinds cannot be compared.
    """
    mine = known.member(name)
    shown = {uid.startswith(OWN_NAMESPACE): uid for uid in uids if uid}

    def is_it(other: Member) -> bool:
        uid = shown.get(other.uid.startswith(OWN_NAMESPACE)) if other.uid else None
        return other.uid == uid if uid else other.server == server.rstrip("/")

    if mine is not None and mine.uid and mine.uid.startswith(OWN_NAMESPACE) in shown and not is_it(mine):
        return Check(
            "identity",
            Grade.FAILED,
            f"{name} is already the name of another cluster ({_which(mine.uid)} at {mine.server}; "
            f"this one is {shown[mine.uid.startswith(OWN_NAMESPACE)]})",
            f"join under another name, or first run: fedctl unjoin {name}",
        )
    for other in known.members:
        if other.name != name and is_it(other):
            return Check(
                "identity",
                Grade.FAILED,
                f"this cluster has already joined as {other.name}: under a second name it would get everything twice",
                f"use {other.name}, or first run: fedctl unjoin {other.name}",
            )
    itself = {known.uid, known.space} & set(shown.values())
    what = "the host itself" if itself else "not known yet" if mine is None else "as recorded"
    uid = shown.get(False) or shown.get(True) or "unknown"
    return Check("identity", Grade.OK, f"{_which(uid)}, {what}")


def _which(uid: str) -> str:
    """An identity and what of the cluster it is."""
    return uid if uid.startswith(OWN_NAMESPACE) else f"kube-system {uid}"


def refuse_failed(cluster: str, checks: Iterable[Check]) -> None:
    """Raise PreflightFailed naming every failed check."""
    failed = [check for check in checks if check.grade is Grade.FAILED]
    if failed:
        text = "; ".join(f"{check.name}: {check.message}" for check in failed)
        hints = list(dict.fromkeys(check.hint for check in failed if check.hint))
        raise PreflightFailed(f"cluster {cluster} cannot be joined: {text}", "; ".join(hints))
