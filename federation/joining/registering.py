"""Register a cluster in pull mode, in the member: `fedctl register`. What goes there, and what is checked before.

Nothing of the member goes to the hub: the agent makes its key there, and asks with the token that is left for it in a
Secret. The hub is believed by its pinned CA alone, before anything is sent to it.
"""

import secrets
from dataclasses import dataclass, field
from typing import Any

from federation.core import binding, checks, times
from federation.joining import agents, applying, fences, heartbeat, workdefinitions
from federation.joining.applying import Outcome, Report
from federation.joining.errors import NotConfirmed, Refused
from federation.kube.connection import Connection
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.tls import Trust
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.resources import CERTIFICATE_REQUESTS, SECRETS, ObjectName
from federation.registration import invitations, names, stored
from federation.registration.invitations import Invitation

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asks of a registration. `pins` are of the hub's CA; `image` "" for an agent that is run otherwise."""

    name: str
    hub: str
    invitation: Invitation = field(repr=False)
    pins: tuple[str, ...] = ()
    namespace: str = agents.NAMESPACE
    image: str = ""
    types: tuple[str, ...] = ()
    """Instead of those that were enabled when the token was made."""
    fence: tuple[str, ...] | None = None
    """Namespaces that the agent may never write into, whatever it has rights for; None leaves a fence as it is."""

    @property
    def account(self) -> ObjectName:
        """The agent's service account."""
        return ObjectName(self.namespace, agents.ACCOUNT)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is applied in the member after the work API's definition, in this order; `agent` is the id that asks."""

    agent: str
    manifests: tuple[Manifest, ...]
    bootstrap: Manifest = field(repr=False)


async def register(member: Connection, wanted: Wanted, report: Report, *, dry_run: bool = False) -> Plan:
    """Check the hub and the token, then put into the member what its agent needs. Raises Refused, ApiFailure."""
    names.cluster(wanted.name, "--name")
    await _check_fence(member, wanted)
    endpoint = hub_endpoint(wanted)
    await check_hub(endpoint, wanted, report)
    made = plan(wanted, endpoint, await _present(member, wanted))
    await workdefinitions.install(member, report, hub=False, dry_run=dry_run)
    for manifest in (*made.manifests, made.bootstrap):
        label = applying.label(applying.resource_of(manifest), applying.name_of(manifest))
        try:
            outcome = await applying.apply(member, manifest, dry_run=dry_run)
        except ApiFailure as error:
            if not dry_run or error.failure.kind is not FailureKind.NAMESPACE_MISSING:
                raise
            outcome = Outcome.CREATED  # a dry run does not create the namespace that it needs
        report(f"{member.name}: {label} {'would be ' if dry_run else ''}{outcome}")
    if wanted.fence == () and not dry_run:
        await fences.apply(member, wanted.account, ((), ()), report)
    return made


def plan(wanted: Wanted, endpoint: Endpoint, present: stored.Held) -> Plan:
    """The manifests. `present`: what the member has of an agent. Raises Refused where that is another cluster's."""
    if present.cluster and present.cluster != wanted.name:
        raise Refused(
            f"this cluster is registered as {present.cluster}",
            f"register it by that name, or first: fedctl unregister {present.cluster}",
        )
    agent = present.agent if names.is_agent(present.agent) else secrets.token_hex(6)
    manifests = agents.manifests(
        [_target(each) for each in wanted.types or wanted.invitation.types],
        namespace=wanted.namespace,
        image=wanted.image,
        secret="",
    )
    ca = endpoint.trust.ca or b""
    bootstrap: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": names.BOOTSTRAP_SECRET, "namespace": wanted.namespace},
        "data": stored.bootstrap_data(wanted.name, agent, endpoint.server, ca, wanted.invitation.bearer),
    }
    rest = [each for each in manifests if each["kind"] != "CustomResourceDefinition"]
    fence = fences.policy(wanted.account, wanted.fence, ()) if wanted.fence else []
    return Plan(agent, (*fence, *rest), bootstrap)


async def _check_fence(member: Connection, wanted: Wanted) -> None:
    for each in wanted.fence or ():
        if not checks.is_dns_1123(each):
            raise Refused(f"--fence: {checks.quote(each)} is not a namespace's name")
        if each == wanted.namespace:
            raise Refused(f"--fence: {each} is the agent's own namespace, where it keeps what it needs")
    if wanted.fence:
        await fences.expect_served(member, "--fence has")


def hub_endpoint(wanted: Wanted) -> Endpoint:
    """The hub with the token, trusted by those certificates of the token's bundle that are pinned. Raises Refused."""
    from federation.registration import certificates  # noqa: PLC0415 - cryptography takes 16 MB

    ca = wanted.invitation.ca
    if wanted.pins == (invitations.SYSTEM,):
        if ca:
            raise Refused(
                "the token names a CA of the hub, and --ca-hash is system",
                "give the --ca-hash that was printed with it",
            )
    else:
        ca = certificates.pinned(ca, wanted.pins) if ca else b""
        if not ca:
            raise Refused(
                "no CA of the hub that the token names has this --ca-hash: the two are not of one fedctl token create",
                "copy the whole line that fedctl token create has printed",
            )
    server = binding.api_endpoint(wanted.hub).rstrip("/")
    endpoint = Endpoint(server, Trust(ca=ca or None), Credentials(f"Bearer {wanted.invitation.bearer}"))
    if not endpoint.server.startswith("https://"):
        raise Refused(f"--hub {server} is not https: no token is sent over plain http")
    return endpoint


async def check_hub(endpoint: Endpoint, wanted: Wanted, report: Report) -> None:
    """Ask the hub for a request that there is not: whoever may, may register. Raises Refused.

    That it does not answer here is no error: it is the member that has to reach it.
    """
    hub = Connection("hub", endpoint)
    path = CERTIFICATE_REQUESTS.path(ObjectName("", f"{wanted.name}-{secrets.token_hex(5)}"))
    try:
        answer = await hub.request("GET", path)
        late = heartbeat.skew(hub)
    finally:
        await hub.close()
    ends = wanted.invitation.ends
    ended = f"; it ended at {times.rfc3339(ends)}" if ends is not None and ends < heartbeat.now(hub).timestamp() else ""
    if not isinstance(answer, Failure) or answer.kind is FailureKind.NOT_FOUND:
        if late:
            report(f"warning: the clocks here and at the hub differ by {abs(late):.0f} s")
        return
    match answer.kind:
        case FailureKind.UNTRUSTED:
            raise Refused(
                f"{endpoint.server} is not the hub that the token is for: {answer.message}",
                "nothing was sent to it; compare --hub with what fedctl token create has printed",
            )
        case FailureKind.UNAUTHORIZED:
            raise Refused(f"{endpoint.server} does not accept the token{ended}", "at the hub: fedctl token create")
        case FailureKind.RIGHT_MISSING:
            raise Refused(f"{endpoint.server}: {answer.message}", "at the hub: fedctl token create, which installs it")
        case kind if kind in applying.SILENT:
            report(f"warning: not tried from here, where {endpoint.server} does not answer: {answer.message}")
        case _:
            raise Refused(f"{endpoint.server}: {answer.message}")


async def wait_certificate(member: Connection, wanted: Wanted, agent: str, *, timeout: float) -> None:
    """Wait until the agent has its certificate. Raises NotConfirmed."""
    where = ObjectName(wanted.namespace, names.HUB_SECRET)
    token = ObjectName(wanted.namespace, names.BOOTSTRAP_SECRET)

    async def there() -> bool:
        held = stored.read(await applying.find(member, SECRETS, where))
        return bool(held.kubeconfig) and await applying.find(member, SECRETS, token) is None

    try:
        await applying.until(there, timeout=timeout, what="")
    except NotConfirmed:
        raise NotConfirmed(
            f"agent {agent} has no certificate within {timeout:g} s",
            f"at the hub: fedctl accept {wanted.name}; here: kubectl -n {wanted.namespace} logs deployment/work-agent",
        ) from None


async def _present(member: Connection, wanted: Wanted) -> stored.Held:
    """What the member has of an agent already: a new registration is the same agent's."""
    own = stored.read(await applying.find(member, SECRETS, ObjectName(wanted.namespace, names.HUB_SECRET)))
    if own.cluster:
        return own
    where = ObjectName(wanted.namespace, names.BOOTSTRAP_SECRET)
    before = stored.read_bootstrap(await applying.find(member, SECRETS, where))
    return stored.Held(agent=before.agent) if before is not None and before.cluster == wanted.name else own


def _target(name: str) -> tuple[str, str]:
    """(API group, plural) of a type's name, `deployments.apps`."""
    plural, _, group = name.partition(".")
    return group, plural
