"""Endpoints from their sources: a user's kubeconfig, the pod we run in, or what the hub stores about a member.

A user's kubeconfig is loaded by kubernetes-asyncio with everything it may hold (exec plugins, OIDC, files). What the
hub stores is held to less (design, decision 9): server, CA, token or client certificate as data, nothing that runs
a program, reads a file or skips TLS.
"""

import base64
import binascii
import logging
import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import yaml
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException, incluster_config, kube_config

from federation.kube import tls
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.tls import Trust
from federation.model.errors import Unusable

# What its loader would print about a failed exec plugin is in the error that we raise.
logging.getLogger("kubernetes_asyncio").addHandler(logging.NullHandler())
_STORED_USER_KEYS = frozenset({"token", "client-certificate-data", "client-key-data"})
_STORED_CLUSTER_KEYS = frozenset({"server", "certificate-authority-data", "tls-server-name", "proxy-url"})


def default_paths(explicit: str | None = None) -> str:
    """kubectl's rule: the flag, else $KUBECONFIG (a path list), else ~/.kube/config."""
    return explicit or os.environ.get("KUBECONFIG") or str(pathlib.Path.home() / ".kube" / "config")


def contexts(paths: str) -> tuple[list[str], str]:
    """The contexts' names and the current one ("" when none is set). Unusable when nothing can be read."""
    merged = _merge(paths)
    try:
        return [entry["name"] for entry in merged["contexts"] or []], merged.safe_get("current-context") or ""
    except (ConfigException, TypeError, KeyError) as error:
        raise Unusable(f"{paths} is not a kubeconfig: a context without a name ({type(error).__name__})") from None


async def from_kubeconfig(paths: str, context: str | None = None) -> Endpoint:
    """The endpoint of one context (the current one when None)."""
    endpoint = await _load(paths, context)

    async def again() -> str:
        return (await _load(paths, context)).credentials.header

    endpoint.credentials = Credentials(endpoint.credentials.header, again)
    return endpoint


async def _load(paths: str, context: str | None) -> Endpoint:
    merged = _merge(paths)
    configuration = _blank()
    where = f"context {context!r} of {paths}" if context else f"the current context of {paths}"
    try:
        with tempfile.TemporaryDirectory(prefix="federation-") as directory:
            loader = kube_config.KubeConfigLoader(
                config_dict=merged, active_context=context, config_base_path=None, temp_file_path=directory
            )
            await loader.load_and_set(configuration)
            endpoint = _endpoint(configuration)
            if endpoint.server.startswith("https"):
                tls.context(endpoint.trust)  # refused here, where the file and the context can be named
            # It remembers the key files it wrote, which go with the directory: make it forget them.
            kube_config._cleanup_temp_files()  # noqa: SLF001
    except (ConfigException, Unusable) as error:
        raise Unusable(f"{where}: {error}") from None
    except OSError as error:
        named = error.filename or "its exec command, or a file that it names"
        raise Unusable(f"{where}: {named}: {error.strerror or type(error).__name__}") from None
    except (ValueError, TypeError, KeyError, AttributeError, AssertionError) as error:
        raise Unusable(f"{paths} cannot be used as a kubeconfig: {type(error).__name__}") from None
    return endpoint


def in_cluster() -> Endpoint:
    """The endpoint of the pod we run in; its token file is read again when it is refused."""
    configuration = _blank()

    def load() -> None:
        try:
            incluster_config.load_incluster_config(configuration, try_refresh_token=False)
        except (ConfigException, OSError) as error:
            raise Unusable(f"not in a pod: {error}") from None

    async def again() -> str:
        load()
        return _header(configuration)

    load()
    endpoint = _endpoint(configuration)
    endpoint.credentials = Credentials(endpoint.credentials.header, again)
    return endpoint


def stored(cluster: Mapping[str, Any], secret: Mapping[str, str]) -> Endpoint:
    """The endpoint of a joined member from a KubeFedCluster's spec and its Secret's `data` (base64).

    The Secret holds `token` (KubeFed), or `kubeconfig` (ours). Unusable says what is wrong, never what it holds.
    """
    if secret.get("kubeconfig"):
        return _from_stored_kubeconfig(cluster, _decode(secret["kubeconfig"], "kubeconfig"))
    token = _decode(secret.get("token", ""), "token").strip()
    if not token:
        raise Unusable("the Secret holds neither `token` nor `kubeconfig`")
    return Endpoint(
        str(cluster.get("apiEndpoint", "")),
        _trust(cluster, ca=_decode(str(cluster.get("caBundle") or ""), "caBundle of the KubeFedCluster")),
        Credentials(f"Bearer {_printable(token, 'token')}"),
        proxy=str(cluster.get("proxyURL") or ""),
    )


def _from_stored_kubeconfig(cluster: Mapping[str, Any], content: bytes) -> Endpoint:
    try:
        document = yaml.load(content, yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date or number that is none
        raise Unusable("the stored kubeconfig is not YAML") from None
    try:
        context = _named(document, "contexts", document.get("current-context"))["context"]
        server = _named(document, "clusters", context["cluster"])["cluster"]
        user = _named(document, "users", context["user"])["user"]
    except (KeyError, TypeError, AttributeError, StopIteration):
        raise Unusable("the stored kubeconfig lacks a current-context with its cluster and user") from None
    for what, holds, allowed in (("cluster", server, _STORED_CLUSTER_KEYS), ("user", user, _STORED_USER_KEYS)):
        if not isinstance(holds, dict):
            raise Unusable(f"the stored kubeconfig's {what} is not a map")
        refused = sorted({str(name)[:64] for name in holds} - allowed)
        if refused:
            raise Unusable(
                f"the stored kubeconfig's {what} uses {', '.join(refused)}: at the hub only"
                f" {', '.join(sorted(allowed))} are accepted"
            )
    ca = _decode(server.get("certificate-authority-data") or str(cluster.get("caBundle") or ""), "CA data")
    certificate = _decode(user.get("client-certificate-data", ""), "client-certificate-data")
    key = _decode(user.get("client-key-data", ""), "client-key-data")
    token = str(user.get("token") or "")
    if not token and not (certificate and key):
        raise Unusable("the stored kubeconfig's user has neither a token nor a client certificate with its key")
    return Endpoint(
        str(server.get("server") or cluster.get("apiEndpoint", "")),
        _trust(cluster, ca=ca, certificate=certificate, key=key),
        Credentials(f"Bearer {_printable(token.encode(errors='replace'), 'token')}" if token else ""),
        proxy=str(server.get("proxy-url") or cluster.get("proxyURL") or ""),
        server_name=str(server.get("tls-server-name") or ""),
    )


def _trust(cluster: Mapping[str, Any], *, ca: bytes, certificate: bytes = b"", key: bytes = b"") -> Trust:
    skipped = set(cluster.get("disabledTLSValidations") or ())
    return Trust(
        ca=ca or None,
        certificate=certificate or None,
        key=key or None,
        skip_all="*" in skipped,
        skip_name="SubjectName" in skipped,
        skip_period="ValidityPeriod" in skipped,
    )


def _named(document: Mapping[str, Any], section: str, name: Any) -> Any:
    return next(entry for entry in document[section] if entry["name"] == name) if name else {}


def _decode(value: str, what: str) -> bytes:
    try:
        return base64.b64decode(value or "", validate=False)
    except (binascii.Error, ValueError, TypeError):
        raise Unusable(f"{what} is not base64") from None


def _printable(token: bytes, what: str) -> str:
    try:
        text = token.decode("ascii")
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable() or " " in text:
        raise Unusable(f"{what} in the Secret is not a bearer token")
    return text


def _merge(paths: str) -> Any:
    try:
        merger = kube_config.KubeConfigMerger(paths)
    except (OSError, yaml.YAMLError, AttributeError, TypeError, KeyError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        detail = f"line {mark.line + 1}" if mark else type(error).__name__
        raise Unusable(f"{paths} is not a kubeconfig ({detail})") from None
    if merger.config is None:
        raise Unusable(f"no kubeconfig at {paths}: set KUBECONFIG or give --kubeconfig")
    named = [
        document["current-context"] for document in merger.config_files.values() if document.get("current-context")
    ]
    if named:
        merger.config.value["current-context"] = named[0]  # kubectl's rule; the library takes the last
    return merger.config


def _blank() -> Any:
    return type.__call__(Configuration)  # never the process-wide default that other code may have set


def _endpoint(configuration: Any) -> Endpoint:
    def content(path: str | None) -> bytes | None:
        return pathlib.Path(path).read_bytes() if path else None

    trust = Trust(
        ca=content(configuration.ssl_ca_cert),
        certificate=content(configuration.cert_file),
        key=content(configuration.key_file),
        skip_all=not configuration.verify_ssl,
    )
    return Endpoint(
        configuration.host,
        trust,
        Credentials(_header(configuration)),
        proxy=configuration.proxy or "",
        server_name=configuration.tls_server_name or "",
    )


def _header(configuration: Any) -> str:
    return str(configuration.api_key.get("BearerToken") or "")
