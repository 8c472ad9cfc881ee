"""What the CRDs of core.kubefed.io let in, the controller's parsers accept: mistakes are refused where they are made.

Random objects, each a valid one with some fields replaced, are offered to a real API server; what it takes is parsed.
"""

import base64
import copy
import json
import os
import random
import ssl
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest

from federation.core import configuration
from federation.kube import kubeconfig, tls
from federation.model.errors import Invalid, Unusable
from federation.playground import pki
from federation.playground.clusters import Playground
from tests.clusters.crds_server import Object, Server
from tests.clusters.test_crds_core import (
    CONFIG_MAPS,
    KUBEFED_DEFAULTS,
    NAMESPACES,
    PATHS,
    cluster,
    config,
    type_config,
)
from typegen import templates

SEED = int(os.environ.get("FEDERATION_SEED", "1"))
COUNT = int(os.environ.get("PARSED_OBJECTS", "700"))
CERTIFICATE = pki.authority("ca").certificate
CA = base64.b64encode(CERTIFICATE).decode()
SECRET = {"token": base64.b64encode(b"abc").decode()}

GONE = object()
ODD: list[Any] = [
    "",
    "x",
    "X",
    "a.b",
    "-",
    "1a",
    "a" * 63,
    "a" * 64,
    0,
    -1,
    1,
    1.5,
    1e30,
    2**63 - 1,
    True,
    None,
    [],
    {},
]
DURATIONS = ["10s", "1m30s", "+5s", ".5s", "1.s", "0s", "-1s", "1", "s", "9223372036s", "9223372037s", "1ns", "1us"]
DURATIONS += ["1\u00b5s", "1\u03bcs", "1h1h", "1e3s", " 1s", "1s\n", "1d", "0.0000000001s", "1" * 30 + "s", "999999h"]
ENDPOINTS = [
    "https://h",
    "https://h:0",
    "https://h:99999",
    "https://h:0443",
    "https://u:p@h",
    "http://h",
    "HTTPS://h",
    "h",
]
ENDPOINTS += [
    "h:6443",
    "h:06443/",
    "h:6443/x",
    "h:x",
    "[::1]:6443",
    "::1",
    "https://[::1]",
    "https://[::1",
    "//h",
    "/h",
]
ENDPOINTS += ["https:h", "https:///p", "https://h/p/", "https://h?q=1", "https://h#f", "ftp://h", "https://h h", "h\th"]
ENDPOINTS += ["https://h_1", "https://h\u00f6st", "https://h%41", "https://h%", "https://h/%", "https://h,i", "h:0"]
ENDPOINTS += ["https://[fe80::1%25eth0]:1", "https://h!", "https://*.h", "https://h:6443:1", "h@i", "https://h\x7f"]
ENDPOINTS += ["https://h\u200b", "https://h/\u00f6", "https://-h", "https://h..i", "https://1.2.3", "10.0.0.1:6443"]
PROXIES = [each.replace("https", scheme) for each in ENDPOINTS for scheme in ("http", "socks5", "socks5h", "socks4")]
PROXIES += ["http://u:p@h", "socks5://u:p@h", "http://u:%zz@h", "HTTP://h", "Socks5://h"]
BUNDLES = [CA, "", "eA==", "x", CA[:-4], base64.b64encode(b"\xff\xfe").decode(), f"{CA[:64]}\n{CA[64:]}"]
BUNDLES += [
    base64.b64encode(each).decode()
    for each in (
        CERTIFICATE * 2,
        b"# Issuer: ca\r\n" + CERTIFICATE.replace(b"\n", b"\r\n"),
        # Cut short, each within another part.
        *(CERTIFICATE[:-count] for count in (1, 2, 10, 26, 60, 300)),
        CERTIFICATE + CERTIFICATE[:-20],
        CERTIFICATE[9:],
        CERTIFICATE[9:] + CERTIFICATE,
    )
]
NAMES = ["configmaps", "deployments.apps", "namespaces", "1s.example.com", "x.y.z", "a" * 64, "a" * 64 + ".b", "a-.b"]
NAMES += ["deployments.x.apps", "configmaps.apps", "a", "a.b.c.d", "deployments", "x-y", "0"]
RESOURCE = {
    "group": ["", "apps", "x.apps", "types.kubefed.io", "X", "a..b", "a" * 254, ".a", "1.2", "x"],
    "version": ["v1", "v1beta1", "1", "V1", "v1.1", "v-", "v" * 64],
    "kind": ["ConfigMap", "K" * 63, "K" * 62 + "s", "K" * 60 + "Box", "1K", "k-k", "K.K", "Ky", "K" * 64, "K\u00f6"],
    "pluralName": ["configmaps", "deployments", "1a", "a.b", "A", "x" * 63, "x-"],
    "scope": ["Namespaced", "Cluster", "namespaced"],
}
POINTERS = [
    "/spec/replicas",
    "/data/a~1b~0c",
    "/",
    "",
    "spec",
    "/spec/",
    "//a",
    "/a~2",
    "/a~",
    "/l/-",
    "/l/0",
    "/status",
]
POINTERS += ["/kind", "/kind/x", "/kinds", "/metadata", "/metadata/name", "/metadata/names", "/metadata/labels"]
POINTERS += ["/metadata/labels/a", "/metadata/labels/kubefed.io~1managed", "/metadata/annotations", "/a\nb", "/\u00f6"]
POINTERS += ["/metadata/annotations/kubefed.io~1created-by", "/metadata/annotations/x", "/a" * 512, "/a" * 513]
POLICIES: dict[str, list[Any]] = {
    "spec.policies.takeover": ["Always", "IfNoDiff", "Never", "never", ""],
    "spec.policies.drift": ["Correct", "Report", "Ignore"],
    "spec.policies.deletion": ["Delete", "Orphan", "Keep"],
    "spec.policies.ignoreFields": [[], *([each] for each in POINTERS), ["/a"] * 64, ["/a"] * 65, [None], ["/a", 7]],
    "spec.policies": [{}],
}


def keyed(names: Iterable[str], values: list[Any]) -> dict[str, list[Any]]:
    return dict.fromkeys(names, values)


FIELDS: Mapping[str, Mapping[str, list[Any]]] = {
    "KubeFedCluster": {
        "spec.apiEndpoint": ENDPOINTS,
        "spec.proxyURL": PROXIES,
        "spec.caBundle": BUNDLES,
        "spec.secretRef.name": ["s", "S", "a.b", "a/b", "-", "a" * 253, "a" * 254, "a b"],
        "spec.disabledTLSValidations": [[], ["*"], ["SubjectName", "ValidityPeriod"], ["*", "SubjectName"], ["x"]],
        "spec.secretRef": [],
        "spec": [],
    },
    "KubeFedConfig": {
        **{
            f"spec.{field}": DURATIONS
            for field in (
                *(f"controllerDuration.{each}" for each in ("availableDelay", "unavailableDelay", "cacheSyncTimeout")),
                *(f"leaderElect.{each}" for each in ("leaseDuration", "renewDeadline", "retryPeriod")),
                *(f"clusterHealthCheck.{each}" for each in ("period", "timeout")),
            )
        },
        **keyed(
            (
                "spec.clusterHealthCheck.failureThreshold",
                "spec.clusterHealthCheck.successThreshold",
                "spec.syncController.maxConcurrentReconciles",
                "spec.statusController.maxConcurrentReconciles",
            ),
            [1, 5, 2**31, 2**63 - 1, 2**63, 1e18, 1e19, 3.0, "1"],
        ),
        "spec.syncController.adoptResources": ["Enabled", "Disabled", "enabled"],
        "spec.scope": ["Cluster", "Namespaced", "cluster"],
        "spec.leaderElect.resourceLock": ["leases", "configmaps", "x"],
        "spec.featureGates": [
            [{"name": "PushReconciler", "configuration": "Disabled"}],
            [{"name": "PushReconciler"}],
            [{"name": "x", "configuration": "Enabled"}],
            [{"name": "PushReconciler", "configuration": "Enabled"}] * 2,
        ],
        **POLICIES,
        **keyed(
            ("spec", "spec.leaderElect", "spec.syncController", "spec.clusterHealthCheck", "spec.controllerDuration"),
            [],
        ),
    },
    "FederatedTypeConfig": {
        "metadata.name": NAMES,
        **{
            f"spec.{part}.{field}": values
            for part in ("targetType", "federatedType", "statusType")
            for field, values in RESOURCE.items()
        },
        **POLICIES,
        "spec.propagation": ["Enabled", "Disabled", "x"],
        "spec.statusCollection": ["Enabled", "Disabled", "x"],
        **keyed(("spec", "spec.targetType", "spec.federatedType", "spec.statusType"), []),
    },
}
STATUS_TYPE = {"group": "core.kubefed.io", "version": "v1beta1", "kind": "FederatedX", "scope": "Namespaced"}
BARE = type_config(targetType={"kind": "Deployment", "scope": "Namespaced", "version": "v1"})
"""Plural and group come from its name."""
VALID: Mapping[str, list[Object]] = {
    "KubeFedCluster": [cluster(caBundle=CA), cluster(proxyURL="http://p:1", disabledTLSValidations=["SubjectName"])],
    "KubeFedConfig": [config(**KUBEFED_DEFAULTS), config()],
    "FederatedTypeConfig": [type_config(), CONFIG_MAPS, NAMESPACES, type_config(statusType=STATUS_TYPE), BARE],
}


def parse(kind: str, stored: Object) -> None:
    """As the controller reads it."""
    match kind:
        case "KubeFedCluster":
            tls.context(kubeconfig.stored(stored["spec"], SECRET).trust)
        case "KubeFedConfig":
            configuration.settings(stored.get("spec"))
        case _:
            configuration.type_config(stored)


@pytest.fixture(scope="module")
def server(playground: Playground, trust: ssl.SSLContext) -> Iterator[Server]:
    server = Server(playground.clusters["m3"], trust)
    definitions = templates.core_crds()
    server.establish(definitions)
    yield server
    server.remove(definitions)


def varied(draw: random.Random, kind: str) -> Object:
    """A valid object with one to three fields replaced or removed."""
    made = copy.deepcopy(draw.choice(VALID[kind]))
    for _ in range(draw.choice((1, 1, 2, 3))):
        path, values = draw.choice(list(FIELDS[kind].items()))
        *parents, last = path.split(".")
        node: Any = made
        for name in parents:
            node = node.setdefault(name, {}) if isinstance(node, dict) else {}
        if not isinstance(node, dict):
            continue
        value = draw.choice([*values * 3, *ODD, GONE, GONE] if path != "metadata.name" else values)
        if value is GONE:
            node.pop(last, None)
        else:
            node[last] = copy.deepcopy(value)
    return made


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", list(FIELDS))
def test_what_the_hub_takes_the_controller_can_read(server: Server, kind: str) -> None:
    draw = random.Random(SEED)
    verdicts: Counter[tuple[bool, bool]] = Counter()
    findings: dict[str, str] = {}
    for _ in range(COUNT):
        wanted = varied(draw, kind)
        answer = server.create(PATHS[kind], wanted)
        assert answer.code in (201, 400, 422), answer
        refused = why(lambda body=wanted if answer.code != 201 else answer.body: parse(kind, body))  # type: ignore[misc]
        verdicts[answer.code == 201, not refused] += 1
        if answer.code == 201 and refused:
            findings.setdefault(refused.partition(":")[0], f"{refused}\n{json.dumps(wanted)}")
    assert not findings, f"{len(findings)} of {COUNT}:\n" + "\n".join(findings.values())
    assert min(verdicts[True, True], verdicts[False, False]) > COUNT / 20, "both verdicts are common"


def why(parsing: Callable[[], None]) -> str:
    """What the parser refuses, "" when it accepts."""
    try:
        parsing()
    except (Invalid, Unusable) as error:
        return str(error)
    except (KeyError, TypeError, AttributeError) as error:  # of what no API server would store
        return repr(error)
    return ""
