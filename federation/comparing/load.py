"""What users do: the objects of a step, made from its seed, and the requests that create, change and delete them.

The same seed gives the same objects in the same order. Two kinds of load: ConfigMaps of about 1 kB, as the bare client
applies them, and applications of a Deployment, a Service, a ConfigMap and a Secret.
"""

import base64
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.comparing.client import MERGE, Client
from federation.comparing.configmaps import PAD
from federation.comparing.fleet import FEDERATED

VERSION = "compare.kubefed.io/version"
"""The annotation of a copy that tells which change has made it so."""
API = "types.kubefed.io/v1beta1"
TYPES = ("namespaces", "configmaps", "secrets", "services", "deployments.apps")
"""What must be enabled."""
COLLECTIONS = {
    "ConfigMap": ("/api/v1", "configmaps"),
    "Secret": ("/api/v1", "secrets"),
    "Service": ("/api/v1", "services"),
    "Deployment": ("/apis/apps/v1", "deployments"),
}
APPLICATION = ("Deployment", "Service", "ConfigMap", "Secret")


def version(number: int) -> str:
    """As it is in the annotation: no version is a part of another one."""
    return f"version-{number:06}"


@dataclass(frozen=True, slots=True)
class Item:
    """One object of a user. `seed` decides what is in it."""

    kind: str
    name: str
    seed: int

    @property
    def plural(self) -> str:
        """Of its kind."""
        return COLLECTIONS[self.kind][1]

    def template(self, number: int) -> dict[str, Any]:
        """What every member should hold after the change of this number."""
        metadata = {"labels": {"app": self.name}, "annotations": {VERSION: version(number)}}
        return {"metadata": metadata, **_CONTENT[self.kind](self, number)}

    def federated(
        self, namespace: str, number: int, clusters: Sequence[str], selected: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """As its user writes it: for all clusters and another label in the first; or for those that are `selected`."""
        if selected is not None:
            return self._object(namespace, {"template": self.template(number), "placement": selected})
        placement = {"clusters": [{"name": each} for each in clusters]}
        override = {"op": "add", "path": "/metadata/labels/where", "value": clusters[0]}
        overrides = [{"clusterName": clusters[0], "clusterOverrides": [override]}]
        return self._object(
            namespace, {"template": self.template(number), "placement": placement, "overrides": overrides}
        )

    def _object(self, namespace: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        metadata = {"name": self.name, "namespace": namespace}
        return {"apiVersion": API, "kind": f"Federated{self.kind}", "metadata": metadata, "spec": spec}

    def plain(self, namespace: str, number: int) -> dict[str, Any]:
        """The same without federation."""
        template = self.template(number)
        group = COLLECTIONS[self.kind][0].removeprefix("/apis/").removeprefix("/api/")
        metadata = {**template["metadata"], "name": self.name, "namespace": namespace}
        return {"apiVersion": group, "kind": self.kind, **template, "metadata": metadata}


def config_maps(seed: int, count: int, name: str = "item") -> list[Item]:
    """So many ConfigMaps, in the order in which they are created."""
    drawn = random.Random(f"{name} {seed}")
    made = [Item("ConfigMap", f"{name}-{number:04}", drawn.getrandbits(32)) for number in range(count)]
    drawn.shuffle(made)
    return made


def applications(seed: int, count: int) -> list[list[Item]]:
    """So many applications, in the order in which they are created."""
    drawn = random.Random(seed)
    made = [
        [Item(kind, f"app-{number:04}-{COLLECTIONS[kind][1]}", drawn.getrandbits(32)) for kind in APPLICATION]
        for number in range(count)
    ]
    drawn.shuffle(made)
    return made


class User:
    """Whoever writes federated objects into one namespace of the hub."""

    def __init__(self, host: Client, namespace: str, clusters: Sequence[str]) -> None:
        self._host = host
        self._namespace = namespace
        self._clusters = clusters

    async def create(self, item: Item, *, placement: Mapping[str, Any] | None = None) -> None:
        """POST."""
        body = item.federated(self._namespace, 1, self._clusters, placement)
        await self._host.send("POST", self.path(item.kind), body)

    async def update(self, item: Item, number: int) -> None:
        """PATCH: another template."""
        await self._host.send(
            "PATCH", self.path(item.kind, item.name), {"spec": {"template": item.template(number)}}, MERGE
        )

    async def delete(self, item: Item) -> None:
        """DELETE."""
        await self._host.send("DELETE", self.path(item.kind, item.name))

    def path(self, kind: str, name: str = "") -> str:
        """Of federated objects of a kind, or of one."""
        collection = f"{FEDERATED}/{self._namespace}/federated{COLLECTIONS[kind][1]}"
        return f"{collection}/{name}" if name else collection


def _config_map(item: Item, number: int) -> Mapping[str, Any]:
    return {"data": {"version": version(number), "seed": str(item.seed), "pad": PAD}}


def _secret(item: Item, number: int) -> Mapping[str, Any]:
    drawn = random.Random(item.seed)
    words = {"password": drawn.randbytes(24), "certificate": drawn.randbytes(1200), "version": version(number).encode()}
    return {"type": "Opaque", "data": {name: base64.b64encode(value).decode() for name, value in words.items()}}


def _service(item: Item, number: int) -> Mapping[str, Any]:
    port = 8000 + random.Random(item.seed).randrange(1000)
    ports = [{"name": "http", "port": 80 + number, "targetPort": port, "protocol": "TCP"}]
    return {"spec": {"selector": {"app": item.name}, "ports": ports}}


def _deployment(item: Item, number: int) -> Mapping[str, Any]:
    drawn = random.Random(item.seed)
    labels = {"app": item.name}
    container = {
        "name": "server",
        "image": f"registry.example/server:{number}",
        "ports": [{"containerPort": 8080}],
        "env": [{"name": f"SETTING_{each}", "value": str(drawn.getrandbits(32))} for each in range(8)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
    }
    return {
        "spec": {
            "replicas": drawn.randint(1, 5),
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        }
    }


_CONTENT = {"ConfigMap": _config_map, "Secret": _secret, "Service": _service, "Deployment": _deployment}
