"""Check a cluster before anything is written to it: reachable, trusted, version, clock, identity, rights.

Every check is made even when another has failed, so that a user sees all problems at once; only when the cluster does
not answer are the others left out. None of them stores anything.
"""

import asyncio
import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from federation.core import scrubbing, times
from federation.joining import answers, applying, assessments, fleet
from federation.joining.assessments import Check, Grade, Right
from federation.kube.connection import Answer, Connection
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind


@dataclass(frozen=True, slots=True)
class Findings:
    """All checks of one cluster, its identity ("" when unknown) and its version.

    `space`: the identity that the federation's own namespace gives it, where that was asked for and is there.
    """

    checks: tuple[Check, ...]
    uid: str = ""
    version: str = ""
    space: str = ""


async def check(
    connection: Connection,
    rights: Sequence[Right],
    *,
    oldest: tuple[int, int],
    now: dt.datetime,
    role: applying.Manifest | None = None,
    namespace: str = "",
) -> Findings:
    """All checks of one cluster. `role` is the role that the user is about to grant there.

    `namespace` is the federation's where its scope is Namespaced: then that gives the cluster its identity, and the
    user need not be allowed to read another.
    """
    answer = await connection.request("GET", "/version")
    reached, version = _reached(connection, answer)
    if reached.grade is Grade.FAILED:
        return Findings((reached,))
    checks = [reached]
    if connection.endpoint.trust.skip_all:
        checks.append(Check("tls", Grade.WARNING, "the kubeconfig skips TLS verification, and so will the controller"))
    checks.append(assessments.version(version, oldest))
    checks.append(await _clock(connection, now))
    uid, identity = await _uid(connection)
    space = ""
    if namespace:
        space, identity = await _space(connection, namespace)
        rights = rights if space or identity is not None else [*rights, *assessments.namespace_rights()]
    if identity is not None:
        checks.append(identity)
    checks.append(await _rights(connection, rights))
    if role is not None and (space or not namespace):
        checks.append(await _grant(connection, role))
    return Findings(tuple(checks), uid, version, space)


def _reached(connection: Connection, answer: Answer | Failure) -> tuple[Check, str]:
    server = connection.endpoint.server
    if isinstance(answer, Failure):
        name = {FailureKind.UNTRUSTED: "tls", FailureKind.UNAUTHORIZED: "credentials"}.get(answer.kind, "reachable")
        return Check(name, Grade.FAILED, f"{server}: {answer.message}", _unreachable_hint(connection, answer)), ""
    try:
        found = answer.json()
    except ApiFailure:
        found = None
    if not isinstance(found, dict) or "gitVersion" not in found:
        message = f"{server} answers, but not as a Kubernetes API server does"
        return Check("reachable", Grade.FAILED, message, "check the server's URL in the kubeconfig"), ""
    return Check("reachable", Grade.OK, server), scrubbing.line(str(found["gitVersion"]), 64)


def _unreachable_hint(connection: Connection, failure: Failure) -> str:
    match failure.kind:
        case FailureKind.UNTRUSTED:
            return "give the kubeconfig the right certificate-authority-data"
        case FailureKind.UNAUTHORIZED:
            return f"log in again; try: kubectl --context {connection.name} auth whoami"
    return f"try: kubectl --context {connection.name} version"


async def _uid(connection: Connection) -> tuple[str, Check | None]:
    try:
        return await fleet.cluster_uid(connection), None
    except ApiFailure as error:
        hint = "a cluster's identity is the UID of its kube-system namespace: ask its admin for get on namespaces"
        return "", Check("identity", Grade.FAILED, error.failure.message, hint)


async def _space(connection: Connection, namespace: str) -> tuple[str, Check | None]:
    try:
        return await fleet.own_identity(connection, namespace), None
    except ApiFailure as error:
        hint = f"a cluster's identity is the UID of its namespace {namespace}: ask its admin for get on that"
        return "", Check("identity", Grade.FAILED, error.failure.message, hint)


async def _clock(connection: Connection, now: dt.datetime) -> Check:
    # A review is not stored and everybody may create one; the answer has the server's time.
    path, body = "/apis/authentication.k8s.io/v1/selfsubjectreviews", "SelfSubjectReview"
    outcome = await _post(connection, path, {"apiVersion": "authentication.k8s.io/v1", "kind": body})
    there = times.moment(answers.section(outcome or {}, "metadata").get("creationTimestamp"))
    if there is None:
        return Check("clock", Grade.UNKNOWN, "the server does not return its time (Kubernetes 1.28 and newer do)")
    return assessments.clock(there, now)


async def missing(connection: Connection, rights: Iterable[Right]) -> tuple[list[Right], list[Right]]:
    """The rights that we lack, and those for which the server did not answer."""
    asked = list(rights)
    answers = await asyncio.gather(*(_allowed(connection, right) for right in asked))
    lacking = [right for right, allowed in zip(asked, answers, strict=True) if allowed is False]
    unknown = [right for right, allowed in zip(asked, answers, strict=True) if allowed is None]
    return lacking, unknown


async def _rights(connection: Connection, rights: Sequence[Right]) -> Check:
    lacking, unknown = await missing(connection, rights)
    if lacking:
        text = ", ".join(str(right) for right in lacking)
        return Check("rights", Grade.FAILED, f"you may not: {text}", "ask the cluster's admin for these rights")
    if unknown:
        return Check("rights", Grade.UNKNOWN, f"the server does not answer whether you may {unknown[0]}")
    return Check("rights", Grade.OK, f"all {len(rights)} that are needed")


async def _allowed(connection: Connection, right: Right) -> bool | None:
    attributes = {"verb": right.verb, "group": right.group, "resource": right.resource}
    attributes |= {"namespace": right.namespace} if right.namespace else {}
    attributes |= {"subresource": right.subresource} if right.subresource else {}
    group = "authorization.k8s.io/v1"
    body = {"apiVersion": group, "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
    outcome = await _post(connection, f"/apis/{group}/selfsubjectaccessreviews", body)
    allowed = answers.section(outcome or {}, "status").get("allowed")
    return allowed if isinstance(allowed, bool) else None


async def _grant(connection: Connection, role: applying.Manifest) -> Check:
    # RBAC lets nobody grant rights that they do not have; a dry run checks exactly that and stores nothing.
    try:
        await applying.apply(connection, role, dry_run=True)
    except ApiFailure as error:
        hint = "join as an admin of the cluster: nobody can grant rights that they do not have"
        return Check("grant", Grade.FAILED, f"the role cannot be created: {error.failure.message}", hint)
    return Check("grant", Grade.OK, f"{role['kind'].lower()} {role['metadata']['name']} can be created")


async def _post(connection: Connection, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    answer = await connection.request("POST", path, body=orjson.dumps(body))
    if isinstance(answer, Failure):
        return None
    try:
        found = answer.json()
    except ApiFailure:
        return None
    return found if isinstance(found, dict) else None
