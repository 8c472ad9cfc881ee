"""Requests of clusters to be members in pull mode, as the hub has them: CertificateSigningRequests with OCM's label.

Read by `fedctl accept` and `fedctl get registrations`; decided by registration.approval, as the controller does.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from federation.core import times
from federation.joining import answers, applying, fleet, invitations
from federation.kube import connection as http
from federation.kube import decoding
from federation.kube.connection import MERGE_PATCH, Connection
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import StoredObject
from federation.model.resources import CERTIFICATE_REQUESTS, KUBEFED_CLUSTERS, LEASES, ObjectName
from federation.registration import approval, asking, grants, names
from federation.registration import invitations as rules
from federation.registration.approval import Decision, Verdict
from federation.registration.asking import Request, State
from federation.registration.invitations import Rule


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, what is thought of it, and the token that it was made with; "" for none."""

    request: Request
    decision: Decision
    version: str
    token: str = ""

    @property
    def waits(self) -> bool:
        """Whether a person may accept it."""
        return self.decision.verdict in (Verdict.PERSON, Verdict.ACCEPT)


async def read(host: Connection, system: str, cluster: str = "") -> list[Asked]:
    """The requests of one cluster, or of all; the newest first. Raises ApiFailure."""
    from federation.registration import certificates  # noqa: PLC0415 - it imports cryptography

    selector = f"{names.CLUSTER_LABEL}={cluster}" if cluster else names.CLUSTER_LABEL
    found = await applying.listing(host, CERTIFICATE_REQUESTS, selector=selector)
    if not found:
        return []
    members = {str(each["metadata"]["name"]): each for each in await fleet.listing(host, KUBEFED_CLUSTERS, system)}
    tokens = await known_rules(host, system)
    asked = []
    for each in found:
        as_stored = stored(each)
        if as_stored is None:
            continue
        request = asking.read(as_stored)
        known = grants.known(stored(members.get(request.labelled)))
        token = rules.account_of(request.username, system)
        decision = approval.decide(request, certificates.contents, known, tokens.get(token))
        asked.append(Asked(request, decision, as_stored.metadata.resource_version, token))
    return sorted(asked, key=lambda each: (each.request.created, each.request.name), reverse=True)


async def known_rules(host: Connection, system: str) -> dict[str, Rule]:
    """The rules of tokens by their names; {} where you may not read them: then a person decides."""
    try:
        return {each.rule.token: each.rule for each in await invitations.listing(host, system)}
    except ApiFailure as error:
        if error.failure.kind is not FailureKind.RIGHT_MISSING:
            raise
        return {}


async def decide(host: Connection, asked: Asked, status: Mapping[str, Any]) -> None:
    """Approve or deny it, if nothing of it has changed since it was read. Raises ApiFailure.

    It is no error that it was approved meanwhile: the controller finishes an acceptance whose KubeFedCluster it sees.
    """
    where = ObjectName("", asked.request.name)
    body = {"metadata": {"uid": asked.request.uid, "resourceVersion": asked.version}, "status": status}
    answer = await applying.request(
        host,
        "PATCH",
        f"{CERTIFICATE_REQUESTS.path(where)}/approval",
        body=orjson.dumps(body),
        content_type=MERGE_PATCH,
    )
    if isinstance(answer, Failure) and answer.kind is FailureKind.VERSION_CONFLICT:
        now = await find(host, where.name)
        wanted = {str(each.get("type")) for each in status.get("conditions") or ()}
        if now is not None and now.state in (State.APPROVED, State.ISSUED) and "Approved" in wanted:
            return
    http.expect(answer, f"{host.name}: decide on certificatesigningrequest {where.name}")


async def find(host: Connection, name: str) -> Request | None:
    """One request as it is now; None where it is gone or cannot be read."""
    return _read(await applying.find(host, CERTIFICATE_REQUESTS, ObjectName("", name)))


async def heartbeats(host: Connection) -> dict[str, str]:
    """When each cluster in pull mode was last heard, as its Lease says (RFC 3339); {} where you may not read Leases."""
    params = {"fieldSelector": f"metadata.name={names.LEASE}"}
    answer = await applying.request(host, "GET", LEASES.collection(), params=params)
    if isinstance(answer, Failure):
        return {}
    found, _ = answers.page(answer.json("list leases"), "list leases")
    beats = {}
    for each in found:
        renewed = answers.section(each, "spec").get("renewTime")
        beats[str(each["metadata"].get("namespace"))] = renewed if isinstance(renewed, str) else ""
    return beats


def stamp() -> str:
    """Now, as conditions have it."""
    return times.rfc3339(dt.datetime.now(dt.UTC).timestamp())


def _read(found: Mapping[str, Any] | None) -> Request | None:
    as_stored = stored(found)
    return asking.read(as_stored) if as_stored is not None else None


def stored(found: Mapping[str, Any] | None) -> StoredObject | None:
    """An object of the hub as the controller reads it; None where there is none, or it cannot be read."""
    if found is None:
        return None
    try:
        return decoding.stored(http.encode(found))
    except (msgspec.MsgspecError, *decoding.ERRORS):
        return None
