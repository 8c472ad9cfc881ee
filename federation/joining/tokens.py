"""A member's token, bound to a Secret in the member; the next join replaces the Secret, which revokes the token.

The Secret is empty. Kubernetes refuses a token about ten seconds after its Secret was deleted; tokens that the
controller renews are bound to the same Secret. Where the member serves ValidatingAdmissionPolicies, one of ours keeps
the account from requesting tokens that are not bound, are valid for long or are for another audience.
"""

import json
import secrets
from dataclasses import dataclass

import orjson

from federation.core import jwt, naming
from federation.joining import answers, applying
from federation.joining.applying import Report
from federation.joining.errors import Refused
from federation.joining.objects import Manifest
from federation.kube import connection as http
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import SECRETS, SERVICE_ACCOUNTS, ObjectName
from typegen import templates

SECONDS = 30 * 24 * 3600
"""How long a token is requested for; a server may shorten it. The controller renews it at half of its life."""
LONGEST = 31 * 24 * 3600
"""The longest life that the policy lets the controller request."""

LABEL = "kubefed.io/token-binding"
ACCOUNT_ANNOTATION = "kubefed.io/service-account"
"""On such a Secret: the account whose tokens are bound to it. Not a label: an account's name may be too long."""

_NOT_THERE = (FailureKind.TYPE_MISSING, FailureKind.NOT_FOUND, FailureKind.RIGHT_MISSING)


@dataclass(frozen=True, slots=True)
class Binding:
    """The Secret that tokens are bound to."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Granted:
    """A token, and when it expires (RFC 3339)."""

    token: str
    expires: str

    def __repr__(self) -> str:
        return f"Granted(<hidden>, {self.expires!r})"


def binding_manifest(account: ObjectName) -> Manifest:
    """A new Secret for tokens to be bound to, with a random name."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": LABEL,
        "metadata": {
            "name": f"{account.name[:230].rstrip('-.')}-token-{secrets.token_hex(4)}",
            "namespace": account.namespace,
            "labels": {LABEL: "true"},
            "annotations": {ACCOUNT_ANNOTATION: account.name},
        },
    }


async def bind(member: Connection, account: ObjectName, report: Report) -> Binding:
    """Make the Secret that new tokens are bound to."""
    manifest = binding_manifest(account)
    where = applying.name_of(manifest)
    path, label = SECRETS.collection(where.namespace), applying.label(SECRETS, where)
    answer = await applying.request(member, "POST", path, body=orjson.dumps(manifest), secret=True)
    doing = f"{member.name}: create {label}"
    made = answers.kubernetes_object(http.expect(answer, doing).json(doing), doing)
    report(f"{member.name}: {label} created")
    return Binding(where.name, str(made["metadata"].get("uid", "")))


async def request(
    member: Connection, account: ObjectName, binding: Binding | None = None, *, seconds: int = SECONDS
) -> Granted:
    """A token of that account, bound to the Secret where one is given."""
    spec: Manifest = {"expirationSeconds": seconds}
    if binding is not None:
        spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Secret", "name": binding.name, "uid": binding.uid}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = f"{SERVICE_ACCOUNTS.path(account)}/token"
    answer = await member.request("POST", path, body=orjson.dumps(body), secret=True)
    doing = f"{member.name}: create serviceaccount {account} token"
    granted = answers.section(answers.mapping(http.expect(answer, doing).json(doing), doing), "status")
    token = granted.get("token")
    if not isinstance(token, str) or not token:
        raise Refused(f"{member.name}: the API server made no token for serviceaccount {account}")
    return Granted(token, str(granted.get("expirationTimestamp", ""))[:40])


async def bindings(member: Connection, account: ObjectName) -> list[ObjectName]:
    """Every Secret that was made for tokens of this account."""
    found = await applying.listing(member, SECRETS, account.namespace, selector=f"{LABEL}=true")
    return [
        ObjectName(account.namespace, str(each["metadata"]["name"]))
        for each in found
        if (each["metadata"].get("annotations") or {}).get(ACCOUNT_ANNOTATION) == account.name
    ]


async def end_others(member: Connection, account: ObjectName, binding: Binding, report: Report) -> None:
    """Delete the Secrets of earlier joins, which revokes the tokens that are bound to them."""
    for where in await bindings(member, account):
        if where.name != binding.name:
            outcome = await applying.delete(member, SECRETS, where)
            report(f"{member.name}: {applying.label(SECRETS, where)} {outcome}: the tokens bound to it are revoked")


def policy_name(account: ObjectName) -> str:
    """The token policy's name in the member, where each control plane may have an account of this name."""
    own = "" if account.namespace == SYSTEM_NAMESPACE else f"{account.namespace}."
    return naming.fitted(f"kubefed-token.{own}{account.name}")


def policy(account: ObjectName, binding: Binding, token: str) -> list[Manifest]:
    """The policy and its binding, for the tokens that renew this one."""
    return templates.documents(
        "member/token-policy.yaml",
        name=policy_name(account),
        namespace=account.namespace,
        account=account.name,
        binding=binding,
        audiences=json.dumps(jwt.audiences(jwt.claims(token))),
        seconds=LONGEST,
    )


async def restrict(member: Connection, account: ObjectName, binding: Binding, token: str, report: Report) -> None:
    """Apply the policy; where the member serves none, or does not let us write it, that is reported and no error."""
    try:
        await applying.apply_all(member, policy(account, binding, token), report)
    except ApiFailure as error:
        if error.failure.kind not in _NOT_THERE:
            raise
        why = "you may not write" if error.failure.kind is FailureKind.RIGHT_MISSING else "it serves no"
        report(
            f"note: {member.name}: {why} validatingadmissionpolicies: nothing keeps the controller's account there "
            "from asking for tokens that outlive the next join"
        )
