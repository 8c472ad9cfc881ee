"""Bootstrap tokens at the hub: make, list and end them. `fedctl token`.

A token is a service account in a namespace that has nothing else (core of it: registration.invitations). Ending one is
deleting its account: the API server refuses the token then. The first one installs what registration needs there.
"""

import datetime as dt
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.core import binding, times
from federation.joining import applying, fleet, tokens, workdefinitions
from federation.joining.applying import Report
from federation.joining.errors import Refused
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.resources import NAMESPACES, SERVICE_ACCOUNTS, ObjectName
from federation.registration import invitations
from federation.registration.invitations import Invitation, Rule
from typegen import templates

SHORTEST = 600
"""Seconds that a token lives at least: Kubernetes makes none for less."""


@dataclass(frozen=True, slots=True)
class Made:
    """A new token. `word` is what `fedctl register` wants, `pins` are of the hub's CA."""

    name: str
    word: str
    pins: tuple[str, ...]
    server: str
    ends: str
    names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Made({self.name!r})"


@dataclass(frozen=True, slots=True)
class Listed:
    """A token that was made before: nobody can read it again."""

    rule: Rule
    created: str
    ends: str


async def create(
    host: Connection, system: str, *, seconds: int, patterns: Sequence[str], server: str, report: Report
) -> Made:
    """Make a token that ends after so many seconds. `server`: the hub's URL for members; "" is the kubeconfig's."""
    known = await fleet.read(host, system)
    if known.namespaced:
        raise Refused(
            f"{host.name}: the federation's scope is Namespaced, and each cluster in pull mode has a namespace",
            "join the cluster in push mode: fedctl join NAME",
        )
    await prepare(host, system, report, accepts=bool(patterns))
    home = invitations.namespace(system)
    account = ObjectName(home, f"register-{secrets.token_hex(4)}")
    await applying.apply(host, _account(account, patterns, ""))
    try:
        granted = await tokens.request(host, account, seconds=seconds)
        await applying.apply(host, _account(account, patterns, granted.expires))
    except ApiFailure:
        await applying.delete(host, SERVICE_ACCOUNTS, account)  # without an end it would stay
        raise
    from federation.registration import certificates  # noqa: PLC0415 - it imports cryptography

    ca = host.endpoint.trust.ca or b""
    invitation = Invitation(granted.token, ca, tuple(sorted(each.name for each in known.enabled)), system)
    return Made(
        account.name,
        invitations.encode(invitation),
        tuple(certificates.pins(ca)) if ca else (invitations.SYSTEM,),
        binding.api_endpoint(server).rstrip("/") if server else host.endpoint.server,
        granted.expires,
        tuple(patterns),
    )


async def prepare(host: Connection, system: str, report: Report, *, accepts: bool = False) -> None:
    """Install what registration needs at the hub; `accepts`: also what the controller needs to accept by itself."""
    await workdefinitions.install(host, report, hub=True)
    home = invitations.namespace(system)
    manifests = templates.documents("host/registration.yaml", namespace=system, home=home)
    if accepts:
        manifests += templates.documents("host/auto-accept.yaml", namespace=system)
    for manifest in manifests:
        outcome = await applying.apply(host, manifest)
        if outcome is not applying.Outcome.UNCHANGED:
            label = applying.label(applying.resource_of(manifest), applying.name_of(manifest))
            report(f"{host.name}: {label} {outcome}")


async def is_prepared(host: Connection, system: str) -> bool:
    """Whether that has been done."""
    return await applying.find(host, NAMESPACES, ObjectName("", invitations.namespace(system))) is not None


async def listing(host: Connection, system: str) -> list[Listed]:
    """Every token that has not been ended, the oldest first."""
    home = invitations.namespace(system)
    found = await applying.listing(host, SERVICE_ACCOUNTS, home, selector=f"{invitations.TOKEN_LABEL}=true")
    now = dt.datetime.now(dt.UTC)
    listed = [_listed(each["metadata"], now) for each in found]
    return sorted(listed, key=lambda each: (each.created, each.rule.token))


async def delete(host: Connection, system: str, names: Sequence[str], report: Report) -> None:
    """End tokens. Raises Refused for a name that none has; what was asked for with a token stays accepted."""
    home = invitations.namespace(system)
    for name in names:
        where = ObjectName(home, name)
        found = await applying.find(host, SERVICE_ACCOUNTS, where)
        if found is None or (found["metadata"].get("labels") or {}).get(invitations.TOKEN_LABEL) != "true":
            raise Refused(f"{host.name}: there is no token {name}", "see them: fedctl token list")
        await applying.delete(host, SERVICE_ACCOUNTS, where)
        report(f"{host.name}: token {name} ended; clusters that were accepted stay")


def _account(where: ObjectName, patterns: Sequence[str], ends: str) -> dict[str, Any]:
    annotations = {invitations.ENDS_ANNOTATION: ends} if ends else {}
    if patterns:
        annotations[invitations.ACCEPT_ANNOTATION] = ",".join(patterns)
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": where.name,
            "namespace": where.namespace,
            "labels": {invitations.TOKEN_LABEL: "true"},
            "annotations": annotations,
        },
        "automountServiceAccountToken": False,
    }


def _listed(metadata: Mapping[str, Any], now: dt.datetime) -> Listed:
    annotations = metadata.get("annotations") or {}
    ends = str(annotations.get(invitations.ENDS_ANNOTATION, ""))
    moment = times.moment(ends)
    rule = invitations.rule(str(metadata["name"]), annotations, ended=moment is not None and moment <= now)
    return Listed(rule, str(metadata.get("creationTimestamp") or ""), ends)
