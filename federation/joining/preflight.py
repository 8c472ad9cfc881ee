"""What is asked of a cluster before anything is written to it: reachable, trusted, right version, clock, rights.

Every check is made even when another has failed, so that a user mends all of it at once; only a cluster that does not
answer ends the list. Nothing is stored anywhere by any of them.
"""

import asyncio
import datetime as dt
import enum
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from federation.joining import applying
from federation.joining.errors import PreflightFailed
from federation.joining.fleet import Fleet
from federation.kube.connection import Answer, Connection
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind

OLDEST_MEMBER = (1, 24)
"""Server-side apply as we use it, and bound tokens without a Secret, are stable from here on."""

OLDEST_HOST = (1, 29)
"""CRDs with CEL rules are stable from here on."""

SKEW_WARNING, SKEW_LIMIT = 10.0, 120.0
"""Seconds. A bound token is valid from the member's now: a host that is minutes behind judges its end wrongly."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)")


class Verdict(enum.StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `hint` is what to do about a failure."""

    name: str
    verdict: Verdict
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


@dataclass(frozen=True, slots=True)
class Findings:
    """All checks of one cluster, and what was learnt: its identity ("" when it did not say) and version."""

    checks: tuple[Check, ...]
    uid: str = ""
    version: str = ""

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that forbid to go on."""
        return tuple(check for check in self.checks if check.verdict is Verdict.FAILED)


_RBAC = "rbac.authorization.k8s.io"


def member_rights(namespace: str) -> list[Right]:
    """What `join` does in a member. Server-side apply needs patch, and create where the object is new."""
    found = [Right("get", "namespaces")]
    for verb in ("create", "patch"):
        found += [
            Right(verb, "namespaces"),
            Right(verb, "serviceaccounts", namespace=namespace),
            Right(verb, "clusterroles", _RBAC),
            Right(verb, "clusterrolebindings", _RBAC),
            Right(verb, "roles", _RBAC, namespace),
            Right(verb, "rolebindings", _RBAC, namespace),
        ]
    return [*found, Right("create", "serviceaccounts", namespace=namespace, subresource="token")]


def host_rights(namespace: str) -> list[Right]:
    """What `join` does at the host."""
    found = []
    for verb in ("get", "create", "patch"):
        found.append(Right(verb, "secrets", namespace=namespace))
        found.append(Right(verb, "kubefedclusters", "core.kubefed.io", namespace))
    return found


async def look(
    connection: Connection,
    rights: Sequence[Right],
    *,
    oldest: tuple[int, int],
    now: dt.datetime,
    role: applying.Manifest | None = None,
) -> Findings:
    """Everything that can be asked of one cluster. `role` is the ClusterRole that the user is about to grant there."""
    answer = await connection.request("GET", "/version")
    reached, version_text = _reached(connection, answer)
    if reached.verdict is Verdict.FAILED:
        return Findings((reached,))
    checks = [reached]
    if connection.endpoint.trust.skip_all:
        checks.append(
            Check("tls", Verdict.WARNING, "the kubeconfig skips TLS verification, and so will the controller")
        )
    checks.append(version(version_text, oldest))
    checks.append(await _clock(connection, now))
    uid, identity = await _uid(connection)
    if identity is not None:
        checks.append(identity)
    checks.append(await _rights(connection, rights))
    if role is not None:
        checks.append(await _grant(connection, role))
    return Findings(tuple(checks), uid, version_text)


def version(text: str, oldest: tuple[int, int]) -> Check:
    """Whether a Kubernetes version is one we work with."""
    found = _VERSION.match(text)
    if not found:
        return Check("version", Verdict.UNKNOWN, f"the server calls its version {text[:40]!r}")
    if (int(found[1]), int(found[2])) < oldest:
        return Check(
            "version",
            Verdict.FAILED,
            f"Kubernetes {text} is older than {oldest[0]}.{oldest[1]}, the oldest that is supported",
            "upgrade the cluster first",
        )
    return Check("version", Verdict.OK, f"Kubernetes {text}")


def skew(host: str, member: str) -> Check:
    """How far the two versions are apart, in minors; only a member newer than the host by more than 3 is warned of."""
    left, right = _VERSION.match(host), _VERSION.match(member)
    if not left or not right:
        return Check("version skew", Verdict.UNKNOWN, f"host {host or '?'}, member {member or '?'}")
    minors = int(right[2]) - int(left[2])
    if minors == 0:
        return Check("version skew", Verdict.OK, f"host and member are both {left[1]}.{left[2]}")
    text = f"the member is {abs(minors)} minor version{'s' if abs(minors) > 1 else ''} "
    text += f"{'newer' if minors > 0 else 'older'} than the host ({host}, {member})"
    if abs(minors) > 3:
        return Check("version skew", Verdict.WARNING, f"{text}: types may be served in other versions there")
    return Check("version skew", Verdict.OK, text)


def clock(server: dt.datetime, now: dt.datetime) -> Check:
    """How far the server's clock, told in whole seconds, is from ours."""
    seconds = abs((server - now).total_seconds())
    if seconds <= 1.5:
        return Check("clock", Verdict.OK, "within 1 s of this machine's")
    text = f"{seconds:.0f} s {'ahead of' if server > now else 'behind'} this machine's"
    if seconds > SKEW_LIMIT:
        return Check("clock", Verdict.FAILED, text, "set both clocks by NTP: tokens and certificates depend on them")
    return Check("clock", Verdict.WARNING if seconds > SKEW_WARNING else Verdict.OK, text)


def identity(name: str, uid: str, server: str, known: Fleet) -> Check:
    """Whether this cluster may have this name: neither is known with another partner (design, decision 11)."""
    mine = known.member(name)
    if mine is not None and mine.uid and uid and mine.uid != uid:
        return Check(
            "identity",
            Verdict.FAILED,
            f"{name} is already the name of another cluster (kube-system {mine.uid} at {mine.server}; "
            f"this one is {uid})",
            f"join under another name, or first run: fedctl unjoin {name}",
        )
    for other in known.members:
        same = other.uid == uid if other.uid and uid else other.server == server.rstrip("/")
        if other.name != name and same:
            return Check(
                "identity",
                Verdict.FAILED,
                f"this cluster has already joined as {other.name}: under a second name it would get everything twice",
                f"use {other.name}, or first run: fedctl unjoin {other.name}",
            )
    what = "the host itself" if uid and uid == known.uid else "not known yet" if mine is None else "as recorded"
    return Check("identity", Verdict.OK, f"kube-system {uid or 'unknown'}, {what}")


def refuse_failed(cluster: str, checks: Iterable[Check]) -> None:
    """Raise PreflightFailed naming every failed check."""
    failed = [check for check in checks if check.verdict is Verdict.FAILED]
    if failed:
        text = "; ".join(f"{check.name}: {check.message}" for check in failed)
        hints = list(dict.fromkeys(check.hint for check in failed if check.hint))
        raise PreflightFailed(f"cluster {cluster} cannot be joined: {text}", "; ".join(hints))


def _reached(connection: Connection, answer: Answer | Failure) -> tuple[Check, str]:
    server = connection.endpoint.server
    if isinstance(answer, Failure):
        name = {FailureKind.UNTRUSTED: "tls", FailureKind.UNAUTHORIZED: "credentials"}.get(answer.kind, "reachable")
        return Check(name, Verdict.FAILED, f"{server}: {answer.message}", _unreachable_hint(connection, answer)), ""
    try:
        found = answer.json()
    except ApiFailure:
        found = None
    if not isinstance(found, dict) or "gitVersion" not in found:
        message = f"{server} answers, but not as a Kubernetes API server does"
        return Check("reachable", Verdict.FAILED, message, "check the server's URL in the kubeconfig"), ""
    return Check("reachable", Verdict.OK, server), str(found["gitVersion"])


def _unreachable_hint(connection: Connection, failure: Failure) -> str:
    match failure.kind:
        case FailureKind.UNTRUSTED:
            return "give the kubeconfig the right certificate-authority-data"
        case FailureKind.UNAUTHORIZED:
            return f"log in again; try: kubectl --context {connection.name} auth whoami"
    return f"try: kubectl --context {connection.name} version"


async def _uid(connection: Connection) -> tuple[str, Check | None]:
    try:
        found = await connection.read("/api/v1/namespaces/kube-system")
        return str(found["metadata"]["uid"]), None
    except ApiFailure as error:
        hint = "who a cluster is, is read from its kube-system namespace: ask for get on namespaces"
        return "", Check("identity", Verdict.FAILED, error.failure.message, hint)


async def _clock(connection: Connection, now: dt.datetime) -> Check:
    # A review is stored nowhere and anybody may ask for one; the server dates its answer.
    path, body = "/apis/authentication.k8s.io/v1/selfsubjectreviews", "SelfSubjectReview"
    outcome = await _post(connection, path, {"apiVersion": "authentication.k8s.io/v1", "kind": body})
    created = str((outcome or {}).get("metadata", {}).get("creationTimestamp") or "")
    try:
        return clock(dt.datetime.fromisoformat(created), now)
    except (ValueError, TypeError):
        return Check("clock", Verdict.UNKNOWN, "the server does not tell its time (Kubernetes 1.28 and newer do)")


async def missing(connection: Connection, rights: Iterable[Right]) -> tuple[list[Right], list[Right]]:
    """Which rights we lack, and which the server would not tell about."""
    asked = list(rights)
    answers = await asyncio.gather(*(_allowed(connection, right) for right in asked))
    lacking = [right for right, allowed in zip(asked, answers, strict=True) if allowed is False]
    unknown = [right for right, allowed in zip(asked, answers, strict=True) if allowed is None]
    return lacking, unknown


async def _rights(connection: Connection, rights: Sequence[Right]) -> Check:
    lacking, unknown = await missing(connection, rights)
    if lacking:
        text = ", ".join(str(right) for right in lacking)
        return Check("rights", Verdict.FAILED, f"you may not: {text}", "ask the cluster's admin for these rights")
    if unknown:
        return Check("rights", Verdict.UNKNOWN, f"the server does not say whether you may {unknown[0]}")
    return Check("rights", Verdict.OK, f"all {len(rights)} that are needed")


async def _allowed(connection: Connection, right: Right) -> bool | None:
    attributes = {"verb": right.verb, "group": right.group, "resource": right.resource}
    attributes |= {"namespace": right.namespace} if right.namespace else {}
    attributes |= {"subresource": right.subresource} if right.subresource else {}
    group = "authorization.k8s.io/v1"
    body = {"apiVersion": group, "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
    outcome = await _post(connection, f"/apis/{group}/selfsubjectaccessreviews", body)
    return bool((outcome.get("status") or {}).get("allowed")) if outcome else None


async def _grant(connection: Connection, role: applying.Manifest) -> Check:
    # RBAC lets nobody grant what he does not hold; a dry run says so exactly and stores nothing.
    try:
        await applying.apply(connection, role, dry_run=True)
    except ApiFailure as error:
        hint = "join as an admin of the cluster: nobody can grant rights that he does not hold"
        return Check("grant", Verdict.FAILED, f"the role cannot be created: {error.failure.message}", hint)
    return Check("grant", Verdict.OK, f"clusterrole {role['metadata']['name']} can be created")


async def _post(connection: Connection, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    answer = await connection.request("POST", path, body=orjson.dumps(body))
    if isinstance(answer, Failure):
        return None
    try:
        found = answer.json()
    except ApiFailure:
        return None
    return found if isinstance(found, dict) else None
