"""Endpoints from their sources: a user's kubeconfig, the pod we run in, or what the hub stores about a member.

A user's kubeconfig is loaded by kubernetes-asyncio with everything that it may hold (files, OIDC, passwords); only what
that library would write to a file is decoded here: certificates and keys given as data, or by an exec plugin. What the
hub stores may hold less, because others may write it: server, CA, token or client certificate as data, nothing that
runs a program, reads a file or skips TLS.
"""

import base64
import binascii
import copy
import logging
import os
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.core import binding, jwt, scrubbing
from federation.kube import tls
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.tls import Trust
from federation.model.errors import Unusable
from typegen.kubeyaml import reading

# The loader logs what the error that we raise says, too: without this handler Python would print it to stderr.
logging.getLogger("kubernetes_asyncio").addHandler(logging.NullHandler())
_STORED_USER_KEYS = frozenset({"token", "client-certificate-data", "client-key-data"})
_STORED_CLUSTER_KEYS = frozenset({"server", "certificate-authority-data", "tls-server-name", "proxy-url"})


Files = Sequence[tuple[str, Mapping[str, Any]]]
"""Kubeconfigs: their paths, absolute, and their contents as read, which may be anything that YAML can hold."""

_STORED = reading.Limits(size=512 * 1024, nodes=2_000, depth=20, aliased_nodes=200, aliased_text=64 * 1024)
"""A kubeconfig has a few dozen fields, some of them long (certificates). One within these limits is read in
milliseconds, so it may be read on the event loop."""


def default_paths(explicit: str | None = None) -> str:
    """kubectl's rule: the flag, else $KUBECONFIG (a path list), else ~/.kube/config."""
    return explicit or os.environ.get("KUBECONFIG") or str(pathlib.Path.home() / ".kube" / "config")


def read(paths: str) -> Files:
    """The files' contents; files that do not exist are left out, as by kubectl. Raises Unusable when none exists."""
    found: list[tuple[str, Any]] = []
    for path in (pathlib.Path(each).expanduser() for each in paths.split(os.pathsep) if each):
        try:
            found.append((str(path), reading.value(path.read_text(encoding="utf-8"))))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise Unusable(f"{path} cannot be read ({type(error).__name__})") from None
        except reading.Unreadable as error:
            detail = f"line {error.line}" if error.line else error.message
            raise Unusable(f"{path} is not a kubeconfig ({detail})") from None
    if not found:
        raise Unusable(f"no kubeconfig at {paths}: set KUBECONFIG or give --kubeconfig")
    return found


async def from_kubeconfig(paths: str, context: str | None = None, files: Files | None = None) -> Endpoint:
    """The endpoint of one context (the current one when None). `files` are those at `paths`, if already read."""
    endpoint = await _load(paths, context, files or read(paths))

    async def again() -> str:
        return (await _load(paths, context, read(paths))).credentials.header

    endpoint.credentials = Credentials(endpoint.credentials.header, again)
    return endpoint


@dataclass(frozen=True, slots=True)
class _Pem:
    """Certificates and keys that a kubeconfig holds as data. None where it does not."""

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None


# kubernetes-asyncio takes 37 MB, so it is imported where it is needed: a stored kubeconfig is read without it.


async def _load(paths: str, context: str | None, files: Files) -> Endpoint:
    from kubernetes_asyncio.config import ConfigException, kube_config  # noqa: PLC0415

    merged = _merge(paths, context, files)
    configuration = _blank()
    where = f"context {context!r} of {paths}" if context else f"the current context of {paths}"
    try:
        pem = await _take_pem(merged, context)
        loader = kube_config.KubeConfigLoader(config_dict=merged, active_context=context, config_base_path=None)
        await loader.load_and_set(configuration)
        endpoint = _endpoint(configuration, pem)
        if endpoint.server.startswith("https"):
            tls.context(endpoint.trust)  # refused here, where the file and the context can be named
    except (ConfigException, Unusable) as error:
        raise Unusable(f"{where}: {error}") from None
    except OSError as error:
        named = error.filename or "its exec command, or a file that it names"
        raise Unusable(f"{where}: {named}: {error.strerror or type(error).__name__}") from None
    except (ValueError, TypeError, KeyError, AttributeError, AssertionError) as error:
        raise Unusable(f"{paths} cannot be used as a kubeconfig: {type(error).__name__}") from None
    return endpoint


async def _take_pem(merged: Any, context: str | None) -> _Pem:
    """Take the certificates and keys out of the kubeconfig, so that its loader has none to write to files.

    An exec plugin runs here, because it may return a certificate with its key, which the loader would write, too. What
    it returns counts instead of what the kubeconfig holds for the same user.
    """
    settings = merged["contexts"].get_with_name(context or merged["current-context"])["context"]
    cluster = merged["clusters"].get_with_name(settings["cluster"])["cluster"]
    ca = _pop(cluster, "certificate-authority")
    user = _user(merged, settings)
    if user is None:
        return _Pem(ca)
    if "exec" not in user:
        return _Pem(ca, _pop(user, "client-certificate"), _pop(user, "client-key"))
    from kubernetes_asyncio.config import exec_provider  # noqa: PLC0415

    got = await exec_provider.ExecProvider(user["exec"]).run()
    token, certificate, key = (got.get(each) for each in ("token", "clientCertificateData", "clientKeyData"))
    if not token and not (certificate and key):
        raise Unusable("its exec command returned neither a token nor a client certificate with its key")
    for replaced in ("exec", "auth-provider", "token", "tokenFile", "username", "password"):
        user.value.pop(replaced, None)
    if token:
        user.value["token"] = token
    own = _Pem(ca, _pop(user, "client-certificate"), _pop(user, "client-key"))
    return _Pem(ca, certificate.encode(), key.encode()) if certificate and key else own


def _user(merged: Any, settings: Any) -> Any:
    name = settings.safe_get("user")
    found = merged["users"].get_with_name(name, safe=True) if name and merged.safe_get("users") else None
    return None if found is None else found["user"]


def _pop(holder: Any, name: str) -> bytes | None:
    """The decoded data, if there is any. Data goes before a file, also when it is empty: kubernetes-asyncio's rule."""
    if f"{name}-data" not in holder:
        return None
    holder.value.pop(name, None)
    return _decode(holder.value.pop(f"{name}-data"), f"{name}-data") or None


def in_cluster() -> Endpoint:
    """The endpoint of the pod we run in; its token file is read again when it is refused."""
    from kubernetes_asyncio.config import ConfigException, incluster_config  # noqa: PLC0415

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

    The Secret holds `token` (KubeFed), or `kubeconfig` (ours), whose own server, CA and proxy then count. Raises
    Unusable; its message never quotes credentials.
    """
    if secret.get("kubeconfig"):
        return _encrypted(_from_stored_kubeconfig(cluster, _decode(secret["kubeconfig"], "kubeconfig")))
    token = _decode(secret.get("token", ""), "token").strip()
    if not token:
        raise Unusable("the Secret holds neither `token` nor `kubeconfig`")
    return _encrypted(
        Endpoint(
            binding.api_endpoint(str(cluster.get("apiEndpoint") or "")),
            _trust(cluster, ca=_decode(str(cluster.get("caBundle") or ""), "caBundle of the KubeFedCluster")),
            Credentials(f"Bearer {_printable(token, 'token')}"),
            proxy=str(cluster.get("proxyURL") or ""),
        )
    )


def _encrypted(endpoint: Endpoint) -> Endpoint:
    if not endpoint.server.startswith("https://"):
        raise Unusable(f"{endpoint.server} is not https: stored credentials are never sent in clear text")
    return endpoint


def _from_stored_kubeconfig(cluster: Mapping[str, Any], content: bytes) -> Endpoint:
    try:
        document = reading.value(content.decode(), _STORED)
    except UnicodeDecodeError:
        raise Unusable("the stored kubeconfig is not YAML: it is not UTF-8 text") from None
    except reading.Unreadable as error:  # its message may quote what the kubeconfig holds
        where = f" (line {error.line})" if error.line else f" of at most {_STORED.size} characters"
        raise Unusable(f"the stored kubeconfig is not YAML{where}") from None
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
                f"the stored kubeconfig's {what} uses {scrubbing.line(', '.join(refused))}: at the hub only"
                f" {', '.join(sorted(allowed))} are accepted"
            )
    ca = _decode(server.get("certificate-authority-data") or str(cluster.get("caBundle") or ""), "CA data")
    certificate = _decode(user.get("client-certificate-data", ""), "client-certificate-data")
    key = _decode(user.get("client-key-data", ""), "client-key-data")
    token = str(user.get("token") or "")
    if not token and not (certificate and key):
        raise Unusable("the stored kubeconfig's user has neither a token nor a client certificate with its key")
    return Endpoint(
        str(server.get("server") or binding.api_endpoint(str(cluster.get("apiEndpoint") or ""))),
        _trust(cluster, ca=ca, certificate=certificate, key=key),
        Credentials(f"Bearer {_printable(token.encode(errors='replace'), 'token')}" if token else ""),
        proxy=str(server.get("proxy-url") or cluster.get("proxyURL") or ""),
        server_name=str(server.get("tls-server-name") or ""),
    )


def _trust(cluster: Mapping[str, Any], *, ca: bytes, certificate: bytes = b"", key: bytes = b"") -> Trust:
    skipped = cluster.get("disabledTLSValidations") or []
    if not isinstance(skipped, list) or not all(isinstance(each, str) for each in skipped):
        raise Unusable("disabledTLSValidations of the KubeFedCluster is not a list of strings")
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
    """The bytes; lines may be broken. What is no base64 must not pass for nothing: no CA would mean the system's."""
    try:
        return base64.b64decode("".join((value or "").split()), validate=True)
    except (binascii.Error, ValueError, TypeError, AttributeError):
        raise Unusable(f"{what} is not base64") from None


def _printable(token: bytes, what: str) -> str:
    try:
        text = token.decode("ascii")
    except UnicodeDecodeError:
        text = ""
    if not jwt.is_bearer(text):
        raise Unusable(f"{what} in the Secret is not a bearer token")
    return text


def _merge(paths: str, context: str | None, files: Files) -> Any:
    """What one context needs, as kubernetes-asyncio's merger makes it: of equal names the first file's entry counts.

    That merger reads the files itself, and copies all contexts: with a thousand of them it takes more than a second.
    """
    from kubernetes_asyncio.config import kube_config  # noqa: PLC0415

    first, content = files[0]
    try:
        named: dict[str, Any] = {"contexts": context or _current(files)}
        merged: dict[str, Any] = {**content, "current-context": named["contexts"]}
        for section in ("contexts", "clusters", "users"):
            entries = ((path, each) for path, content in files for each in content.get(section) or [])
            found = next(((path, each) for path, each in entries if each["name"] == named.get(section)), None)
            merged[section] = [] if found is None else [_node(f"{first}/{section}", *found)]
            if section == "contexts" and found is not None:
                settings = found[1]["context"]
                named |= {"clusters": settings.get("cluster"), "users": settings.get("user")}
    except (AttributeError, TypeError, KeyError) as error:
        raise Unusable(f"{paths} is not a kubeconfig ({type(error).__name__})") from None
    return kube_config.ConfigNode(first, merged, first)


def _current(files: Files) -> Any:
    """kubectl's rule: the first file that names one. The library takes the last."""
    return next((content["current-context"] for _, content in files if content.get("current-context")), None)


def _node(section: str, path: str, entry: Any) -> Any:
    """A copy, because the loader changes what it gets. The path is what relative file names in it start from."""
    from kubernetes_asyncio.config import kube_config  # noqa: PLC0415

    return kube_config.ConfigNode(f"{section}[name={entry['name']}]", copy.deepcopy(entry), path)


def _blank() -> Any:
    from kubernetes_asyncio.client import Configuration  # noqa: PLC0415

    return type.__call__(Configuration)  # a new one, never the process-wide default that other code may have set


def _endpoint(configuration: Any, pem: _Pem = _Pem()) -> Endpoint:
    def content(path: str | None) -> bytes | None:
        return pathlib.Path(path).read_bytes() if path else None

    trust = Trust(
        ca=pem.ca or content(configuration.ssl_ca_cert),
        certificate=pem.certificate or content(configuration.cert_file),
        key=pem.key or content(configuration.key_file),
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
