"""The record of a migration, as it is kept in a ConfigMap: what KubeFed had before it was touched. Pure.

Replicas and webhook configurations are recorded before they are changed. What is seen later and says less (a Deployment
that stands at 0, a configuration that is away) does not replace it; what says more does, because then somebody has
started KubeFed again meanwhile.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import orjson

from federation.model.errors import Invalid

NAME = "kubefed-migration"
"""The ConfigMap's."""
LABEL = "kubefed.io/migration"
"""On every ConfigMap of a migration."""
_RECORD = "record"
_HOOK = "hook."
_SERVER_SET = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")

Manifest = Mapping[str, Any]


class Narrowed(msgspec.Struct, frozen=True, rename="camel"):
    """What a member's account had before its rights were narrowed. `role` is a ClusterRole, or a Role
    in `role_namespace`; `secret` is the member's with the token without end.

    The token itself is recorded nowhere: it stays in that Secret until the migration is finished.
    """

    namespace: str
    account: str
    role: str
    role_namespace: str = ""
    rules: list[dict[str, Any]] = []
    secret: str = ""


class Record(msgspec.Struct, frozen=True, rename="camel"):
    """`replicas` and `hooks` are as before; `stopped` is when KubeFed was first seen stopped (RFC 3339)."""

    started: str = ""
    by: str = ""
    stopped: str = ""
    replicas: dict[str, int] = {}
    hooks: dict[str, Manifest] = {}
    narrowed: dict[str, Narrowed] = {}
    removed: bool = False


def with_workloads(record: Record, replicas: Mapping[str, int]) -> Record:
    """With the replicas of Deployments as they are now; 0 is recorded only of one that is not there yet."""
    seen = {name: count for name, count in replicas.items() if count or name not in record.replicas}
    return msgspec.structs.replace(record, replicas={**record.replicas, **seen})


def with_hooks(record: Record, hooks: Mapping[str, Manifest]) -> Record:
    """With these configurations, by `hook_key`; those that are recorded and are away now stay."""
    return msgspec.structs.replace(record, hooks={**record.hooks, **{key: bare(each) for key, each in hooks.items()}})


def stopped(record: Record, at: str) -> Record:
    """With the time at which KubeFed was seen stopped."""
    return msgspec.structs.replace(record, stopped=at)


def hook_key(plural: str, name: str) -> str:
    """Under what a webhook configuration is kept: a ConfigMap's key."""
    return f"{plural}.{name}"


def bare(manifest: Manifest) -> dict[str, Any]:
    """A manifest without what its server sets, so that it can be created anew."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in _SERVER_SET}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}


def encode(record: Record) -> dict[str, str]:
    """The ConfigMap's data: the configurations apart, so that a person can apply them by hand."""
    plain = msgspec.to_builtins(msgspec.structs.replace(record, hooks={}))
    data = {_RECORD: orjson.dumps(plain, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()}
    return data | {f"{_HOOK}{key}": orjson.dumps(each).decode() for key, each in record.hooks.items()}


def decode(data: Mapping[str, str]) -> Record:
    """What a ConfigMap says. Raises Invalid where somebody has changed it into something else."""
    try:
        record = msgspec.json.decode(data.get(_RECORD, "{}"), type=Record)
        hooks = {key.removeprefix(_HOOK): _manifest(text) for key, text in data.items() if key.startswith(_HOOK)}
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
        raise Invalid(f"configmap {NAME}", f"is no record of a migration: {error}") from None
    return msgspec.structs.replace(record, hooks=hooks)


def with_narrowed(record: Record, cluster: str, before: Narrowed) -> Record:
    """With what a member's account had; what is recorded of it already stays, it is older."""
    return msgspec.structs.replace(record, narrowed={cluster: before, **record.narrowed})


def without_narrowed(record: Record, clusters: Iterable[str]) -> Record:
    """Without these members: their rights are as before."""
    gone = set(clusters)
    return msgspec.structs.replace(
        record, narrowed={name: each for name, each in record.narrowed.items() if name not in gone}
    )


def _manifest(text: str) -> Manifest:
    found = orjson.loads(text)
    if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
        raise ValueError("a webhook configuration in it is no object")
    return found
