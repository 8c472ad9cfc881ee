"""What somebody who reads all Secrets and ConfigMaps of a cluster can do with what he finds: by trying it.

What looks like a token or a key is tried at every cluster; what one does not know is no credential. Whatever is tried
is a dry run, so that nothing changes. Nothing here prints or keeps what it has found.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from cryptography import x509

from federation.comparing.client import Client
from federation.core import jwt
from federation.kube.connection import MERGE_PATCH, Connection
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.tls import Trust
from federation.model.failures import Failure
from federation.playground.access import LocalCluster

_TOKEN = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]+")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----.+?-----END (?:[A-Z]+ )?PRIVATE KEY-----\n?", re.DOTALL)
_ENCODED = re.compile(rb"[A-Za-z0-9+/]{64,}={0,2}")
_DAY = 86400.0
_CHANGES = {"create", "update", "patch", "delete", "*"}
_TOLD = 6
"""Resources that are named; of more only how many."""
_REVIEWS = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
_PROBE = {"metadata": {"annotations": {"compare.kubefed.io/probe": "a dry run"}}}


@dataclass(frozen=True, slots=True)
class Stolen:
    """A token, or a certificate with its key, and where it lay ("Secret namespace/name")."""

    where: str
    token: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)

    @property
    def days(self) -> float | None:
        """For how long it is valid from when it was made; None: for ever."""
        if self.certificate:
            found = x509.load_pem_x509_certificate(self.certificate)
            return (found.not_valid_after_utc - found.not_valid_before_utc).total_seconds() / _DAY
        life = jwt.lifetime(jwt.claims(self.token))
        return (life[1] - life[0]) / _DAY if life is not None else None


@dataclass(frozen=True, slots=True)
class Power:
    """What a credential can do in one cluster."""

    user: str
    writes: bool
    """One of the changes that it may make was tried, and the API server would have made it."""
    can: str


def found_in(kind: str, item: Mapping[str, Any]) -> list[Stolen]:
    """What a Secret or a ConfigMap holds that may be a credential, each once."""
    where = f"{kind} {item['metadata']['namespace']}/{item['metadata']['name']}"
    data = item.get("data") or {}
    values = [_decoded(value) if kind == "Secret" else value.encode() for value in data.values()]
    text = b"\n".join([*values, *(inner for value in values for inner in _inner(value))])
    tokens = dict.fromkeys(match.decode() for match in _TOKEN.findall(text))
    certificates, keys = (dict.fromkeys(each.findall(text)) for each in (_CERTIFICATE, _KEY))
    pairs = [(certificate, key) for key in keys for certificate in certificates if _fits(certificate, key)]
    return [
        *(Stolen(where, token=token) for token in tokens if jwt.claims(token)),
        *(Stolen(where, certificate=certificate, key=key) for certificate, key in pairs),
    ]


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value)
    except (binascii.Error, ValueError):
        return b""


def _inner(value: bytes) -> Iterator[bytes]:
    """What is encoded once more, as in a kubeconfig."""
    for each in _ENCODED.findall(value):
        try:
            yield base64.b64decode(each)
        except (binascii.Error, ValueError):
            continue


def _fits(certificate: bytes, key: bytes) -> bool:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    try:
        own = serialization.load_pem_private_key(key, None).public_key()
        named = x509.load_pem_x509_certificate(certificate).public_key()
    except (ValueError, TypeError):
        return False
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return own.public_bytes(*form) == named.public_bytes(*form)


async def searched(cluster: Client) -> list[Stolen]:
    """All Secrets and ConfigMaps of a cluster, read as its admin."""
    stolen: dict[tuple[str, bytes], Stolen] = {}
    for kind, plural in (("Secret", "secrets"), ("ConfigMap", "configmaps")):
        for item in (await cluster.get(f"/api/v1/{plural}"))["items"]:
            for each in found_in(kind, item):
                stolen.setdefault((each.token, each.certificate), each)
    return list(stolen.values())


async def power(stolen: Stolen, cluster: LocalCluster, admin: Client, namespaces: Sequence[str]) -> Power | None:
    """What it can do there, looked at in these namespaces; None: the cluster does not know it."""
    trust = Trust(cluster.ca_pem.encode(), stolen.certificate or None, stolen.key or None)
    credentials = Credentials(f"Bearer {stolen.token}" if stolen.token else "")
    connection = Connection(cluster.name, Endpoint(cluster.url, trust, credentials), agent="compare")
    try:
        user = await _user(connection)
        if not user:
            return None
        rules = {name: await _rules(connection, name) for name in namespaces}
        return Power(user, await _writes(connection, admin, rules), _can(rules))
    finally:
        await connection.close()


async def _user(connection: Connection) -> str:
    group = "authentication.k8s.io/v1"
    found = await _review(connection, f"/apis/{group}/selfsubjectreviews", group, "SelfSubjectReview", {})
    name = str(((found or {}).get("userInfo") or {}).get("username", ""))
    return "" if name == "system:anonymous" else name


Rule = tuple[str, str, frozenset[str]]
"""Group, resource and verbs."""


async def _rules(connection: Connection, namespace: str) -> set[Rule]:
    group = "authorization.k8s.io/v1"
    path = f"/apis/{group}/selfsubjectrulesreviews"
    found = await _review(connection, path, group, "SelfSubjectRulesReview", {"namespace": namespace})
    return {
        (name, resource, frozenset(rule["verbs"]))
        for rule in (found or {}).get("resourceRules") or ()
        for name in rule.get("apiGroups") or [""]
        for resource in rule.get("resources") or []
        if resource not in _REVIEWS
    }


async def _review(
    connection: Connection, path: str, group: str, kind: str, spec: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    body = {"apiVersion": group, "kind": kind, "spec": spec}
    answer = await connection.request("POST", path, body=orjson.dumps(body))
    if isinstance(answer, Failure):
        return None
    status: Mapping[str, Any] = answer.json().get("status") or {}
    return status


def _can(rules: Mapping[str, Iterable[Rule]]) -> str:
    """In short: what may be changed and which Secrets may be read, and where that is not everywhere."""
    parts = []
    for what, verbs in (("change", _CHANGES), ("read", {"get", "list", "*"})):
        by_resource: dict[str, set[str]] = {}
        for namespace, found in rules.items():
            for group, resource, allowed in found:
                if allowed & verbs and (what == "change" or resource in ("secrets", "*")):
                    name = "everything" if "*" in (group, resource) else f"{resource}.{group}".rstrip(".")
                    by_resource.setdefault(name, set()).add(namespace)
        named = sorted(by_resource)
        if "everything" in by_resource:
            named = ["everything"]
        told = ", ".join(_within(name, by_resource[name], rules) for name in named[:_TOLD])
        more = f" and {len(named) - _TOLD} more" if len(named) > _TOLD else ""
        if told:
            parts.append(f"{what} {told}{more}")
    return "; ".join(parts) or "nothing that changes or reads a Secret"


def _within(name: str, namespaces: set[str], rules: Mapping[str, Iterable[Rule]]) -> str:
    return name if namespaces == set(rules) else f"{name} (in {', '.join(sorted(namespaces))})"


async def _writes(connection: Connection, admin: Client, rules: Mapping[str, Iterable[Rule]]) -> bool:
    """Try what may be changed until one change would be made."""
    for namespace, found in rules.items():
        for group, resource, verbs in sorted(found, key=lambda rule: rule[:2]):
            if verbs & _CHANGES and await _changes(connection, admin, namespace, group, resource):
                return True
    return False


async def _changes(connection: Connection, admin: Client, namespace: str, group: str, resource: str) -> bool:
    """Whether an object of this resource could be changed, or a ConfigMap made."""
    if resource in ("configmaps", "*"):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "compare-probe"}}
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        made = await connection.request("POST", path, body=orjson.dumps(body), params={"dryRun": "All"})
        return not isinstance(made, Failure)
    for version in await _versions(admin, group):
        prefix = f"/apis/{group}/{version}" if group else f"/api/{version}"
        plural, _, subresource = resource.partition("/")
        path = f"{prefix}/namespaces/{namespace}/{plural}"
        code, listed = await admin.ask("GET", f"{path}?limit=1")
        items = (orjson.loads(listed).get("items") or ()) if code == 200 else ()
        for item in items:
            target = f"{path}/{item['metadata']['name']}" + (f"/{subresource}" if subresource else "")
            done = await connection.request(
                "PATCH", target, body=orjson.dumps(_PROBE), content_type=MERGE_PATCH, params={"dryRun": "All"}
            )
            return not isinstance(done, Failure)
    return False


async def _versions(admin: Client, group: str) -> list[str]:
    if not group or group == "*":
        return ["v1"]
    code, found = await admin.ask("GET", f"/apis/{group}")
    return [each["version"] for each in orjson.loads(found)["versions"]] if code == 200 else []
