"""What an agent keeps in its member about its hub, in two Secrets, and what it does next by them; pure.

`bootstrap-hub-kubeconfig` is written by `fedctl register`: a kubeconfig with the bootstrap token, and whom to be.
`hub-kubeconfig-secret` is the agent's own: its certificate and key, with a kubeconfig that has both, as Open Cluster
Management's agents have it (keys `kubeconfig`, `tls.crt`, `tls.key`, `cluster-name`, `agent-name`). A request that is
under way is kept there, too, with its key, so that an agent that is started anew waits for the same answer.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from federation.core import times
from federation.registration import names, renewal

BEGINS_ANNOTATION, ENDS_ANNOTATION = "kubefed.io/certificate-begins", "kubefed.io/certificate-ends"
"""On the agent's Secret: of the certificate in it, so that nobody needs to decode it."""
_CLUSTER, _AGENT, _KUBECONFIG = "cluster-name", "agent-name", "kubeconfig"
_PENDING, _PENDING_KEY, _PENDING_FOR = "pending-request", "pending.key", "pending-for"
RENEWAL = "renewal"
"""What a request is for that is made with the certificate; else it is the uid of the bootstrap Secret."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How to ask for the first certificate. `kubeconfig` as `fedctl register` wrote it; `uid` is the Secret's."""

    uid: str
    cluster: str
    agent: str
    kubeconfig: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pending:
    """A request under way: its name at the hub, its key, and what it is for."""

    name: str
    purpose: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Held:
    """The agent's Secret. `version` is its resourceVersion, "" where there is none yet; times in unix seconds."""

    version: str = ""
    cluster: str = ""
    agent: str = ""
    begins: float = 0.0
    ends: float = 0.0
    kubeconfig: bytes = field(default=b"", repr=False)
    pending: Pending | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Make a key, keep it, and create a request: with the bootstrap token, or (`bootstrap` None) the certificate."""

    bootstrap: Bootstrap | None


@dataclass(frozen=True, slots=True)
class Look:
    """Look for the answer to the request that is under way."""

    pending: Pending
    bootstrap: Bootstrap | None


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is to be done before this time, unless somebody registers anew; None: not before that."""

    until: float | None
    problem: str = ""


Step = Ask | Look | Rest


def next_step(held: Held, bootstrap: Bootstrap | None, now: float, jitter: float) -> Step:
    """What the agent does about its credentials. `jitter`, from 0 to 1, is of this agent and does not change.

    A bootstrap Secret is an order: somebody has run `fedctl register`, perhaps for another hub. It is carried out
    though the certificate at hand is good, which is used until there is another.
    """
    pending = held.pending
    if bootstrap is not None:
        if pending is not None and pending.purpose == bootstrap.uid:
            return Look(pending, bootstrap)
        return Ask(bootstrap)
    if not held.kubeconfig:
        return Rest(None, "this cluster is not registered: run here what fedctl token create prints at the hub")
    if now >= held.ends:
        return Rest(None, renewal.ended(held.cluster, held.ends))
    if pending is not None and pending.purpose == RENEWAL:
        return Look(pending, None)
    due = renewal.due(held.begins, held.ends, jitter)
    return Ask(None) if now >= due else Rest(due)


def read_bootstrap(secret: Mapping[str, Any] | None) -> Bootstrap | None:
    """The bootstrap Secret; None where there is none, or it lacks a part."""
    if secret is None:
        return None
    data = _data(secret)
    cluster, agent = (data.get(each, b"").decode(errors="replace") for each in (_CLUSTER, _AGENT))
    config = data.get(_KUBECONFIG, b"")
    if not (names.is_cluster(cluster) and names.is_agent(agent) and config):
        return None
    return Bootstrap(str(secret["metadata"].get("uid", "")), cluster, agent, config)


def read(secret: Mapping[str, Any] | None) -> Held:
    """The agent's Secret; parts that make no sense count as absent."""
    if secret is None:
        return Held()
    data, meta = _data(secret), secret["metadata"]
    annotations = meta.get("annotations") or {}
    begins, ends = (times.moment(annotations.get(each)) for each in (BEGINS_ANNOTATION, ENDS_ANNOTATION))
    name, purpose, key = (data.get(each, b"") for each in (_PENDING, _PENDING_FOR, _PENDING_KEY))
    whole = begins is not None and ends is not None and data.get(_KUBECONFIG)
    return Held(
        version=str(meta.get("resourceVersion", "")),
        cluster=data.get(_CLUSTER, b"").decode(errors="replace"),
        agent=data.get(_AGENT, b"").decode(errors="replace"),
        begins=begins.timestamp() if begins is not None and whole else 0.0,
        ends=ends.timestamp() if ends is not None and whole else 0.0,
        kubeconfig=data[_KUBECONFIG] if whole else b"",
        pending=Pending(name.decode(errors="replace"), purpose.decode(errors="replace"), key)
        if name and purpose and key
        else None,
    )


def with_pending(pending: Pending | None) -> dict[str, Any]:
    """A merge patch of the agent's Secret that notes a request, or that none is under way."""
    if pending is None:
        return {"data": dict.fromkeys((_PENDING, _PENDING_FOR, _PENDING_KEY))}
    parts = {_PENDING: pending.name.encode(), _PENDING_FOR: pending.purpose.encode(), _PENDING_KEY: pending.key}
    return {"data": {name: _encoded(value) for name, value in parts.items()}}


def with_certificate(
    cluster: str, agent: str, *, place: Mapping[str, Any], certificate: bytes, key: bytes, life: tuple[float, float]
) -> dict[str, Any]:
    """A merge patch that puts the new certificate in the place of the old one. `place`: see `cluster_of`."""
    parts = {
        _CLUSTER: cluster.encode(),
        _AGENT: agent.encode(),
        "tls.crt": certificate,
        "tls.key": key,
        _KUBECONFIG: kubeconfig(
            place, {"client-certificate-data": _encoded(certificate), "client-key-data": _encoded(key)}
        ),
    }
    annotations = dict(zip((BEGINS_ANNOTATION, ENDS_ANNOTATION), map(times.rfc3339, life), strict=True))
    ended = dict.fromkeys((_PENDING, _PENDING_FOR, _PENDING_KEY))
    return {
        "metadata": {"annotations": annotations},
        "data": {name: _encoded(value) for name, value in parts.items()} | ended,
    }


def bootstrap_data(cluster: str, agent: str, server: str, ca: bytes, bearer: str) -> dict[str, str]:
    """`data` of the bootstrap Secret."""
    place: dict[str, Any] = {"server": server}
    if ca:
        place["certificate-authority-data"] = _encoded(ca)
    parts = {
        _CLUSTER: cluster.encode(),
        _AGENT: agent.encode(),
        _KUBECONFIG: kubeconfig(place, {"token": bearer}),
    }
    return {name: _encoded(value) for name, value in parts.items()}


def kubeconfig(place: Mapping[str, Any], user: Mapping[str, Any]) -> bytes:
    """A kubeconfig of one context, as JSON, which is YAML."""
    return orjson.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "hub", "cluster": dict(place)}],
            "users": [{"name": "agent", "user": dict(user)}],
            "contexts": [{"name": "hub", "context": {"cluster": "hub", "user": "agent"}}],
            "current-context": "hub",
        }
    )


def cluster_of(config: bytes) -> Mapping[str, Any]:
    """The cluster of a kubeconfig that is of ours: server and CA. Raises ValueError for any other."""
    try:
        found = orjson.loads(config)["clusters"][0]["cluster"]
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError):
        raise ValueError("not a kubeconfig of ours") from None
    if not isinstance(found, dict):
        raise ValueError("not a kubeconfig of ours")
    return found


def _data(secret: Mapping[str, Any]) -> dict[str, bytes]:
    found = secret.get("data")
    decoded = {}
    for name, value in found.items() if isinstance(found, dict) else ():
        try:
            decoded[name] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError, TypeError):
            continue
    return decoded


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()
