"""Endpoints from what the hub stores, a user's kubeconfig and a pod; refusals name the field, never a secret."""

import base64
import contextlib
import json
import os
import ssl
import tempfile
import traceback
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from federation.kube import kubeconfig, tls
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.tls import Trust
from federation.model.errors import Unusable
from federation.playground import pki

CANARY = "hunter2canary"
SERVER = "https://10.0.0.1:6443"
CA = pki.authority("ca")
CLIENT = pki.client(CA, "federation")


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


def b64(content: str | bytes) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()


def cluster(**spec: Any) -> dict[str, Any]:
    return {"apiEndpoint": SERVER, "caBundle": b64(CA.certificate), **spec}


def document(server: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **others: Any) -> dict[str, str]:
    """A Secret's data with a kubeconfig."""
    body = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "m1", "user": "u"}}],
        "clusters": [{"name": "m1", "cluster": {"server": SERVER} if server is None else server}],
        "users": [{"name": "u", "user": {"token": CANARY} if user is None else user}],
        **others,
    }
    return {"kubeconfig": b64(yaml.safe_dump(body))}


# --- stored -----------------------------------------------------------------------------------------------------


def test_a_stored_token() -> None:
    endpoint = kubeconfig.stored(cluster(proxyURL="http://proxy:3128"), {"token": b64(f"{CANARY}\n"), "ca.crt": "x"})
    assert (endpoint.server, endpoint.trust, endpoint.proxy) == (
        SERVER,
        Trust(ca=CA.certificate),
        "http://proxy:3128",
    )
    assert endpoint.credentials.header == f"Bearer {CANARY}"


def test_a_stored_kubeconfig_with_a_client_certificate() -> None:
    user = {"client-certificate-data": b64(CLIENT.certificate), "client-key-data": b64(CLIENT.key)}
    server = {
        "server": "https://other:6443/",
        "certificate-authority-data": b64(CA.certificate),
        "tls-server-name": "api.internal",
        "proxy-url": "http://proxy",
    }
    endpoint = kubeconfig.stored({}, document(server, user))
    assert (endpoint.server, endpoint.server_name, endpoint.proxy) == (
        "https://other:6443",
        "api.internal",
        "http://proxy",
    )
    assert endpoint.trust == Trust(ca=CA.certificate, certificate=CLIENT.certificate, key=CLIENT.key)
    assert endpoint.credentials.header == ""


def test_a_stored_kubeconfig_may_leave_the_place_to_its_cluster() -> None:
    endpoint = kubeconfig.stored(cluster(), document({}))
    assert (endpoint.server, endpoint.trust.ca) == (SERVER, CA.certificate)


@pytest.mark.parametrize(
    ("skipped", "expected"),
    [
        pytest.param(["*"], Trust(skip_all=True), id="all"),
        pytest.param(["SubjectName"], Trust(skip_name=True), id="name"),
        pytest.param(["ValidityPeriod", "SubjectName"], Trust(skip_name=True, skip_period=True), id="two"),
        pytest.param(None, Trust(), id="none"),
    ],
)
def test_what_is_not_validated(skipped: list[str] | None, expected: Trust) -> None:
    spec = {"apiEndpoint": SERVER, "disabledTLSValidations": skipped}
    assert kubeconfig.stored(spec, {"token": b64("x")}).trust == expected


@pytest.mark.parametrize(
    ("spec", "secret", "says"),
    [
        pytest.param(cluster(), {}, "neither `token` nor `kubeconfig`", id="empty-secret"),
        pytest.param(cluster(), {"token": ""}, "neither `token` nor `kubeconfig`", id="empty-token"),
        pytest.param(cluster(), {"token": b64(" \n")}, "neither `token` nor `kubeconfig`", id="blank-token"),
        pytest.param(cluster(), {"token": f"{CANARY}="}, "token is not base64", id="token-not-base64"),
        pytest.param(cluster(), {"token": b64(f"a{CANARY}\nb")}, "not a bearer token", id="two-lines"),
        pytest.param(cluster(), {"token": b64(f"{CANARY} x")}, "not a bearer token", id="a-space"),
        pytest.param(cluster(), {"token": b64(f"{CANARY}é")}, "not a bearer token", id="not-ascii"),
        pytest.param(cluster(), {"token": b64(f"{CANARY}\r\nX-Evil: 1")}, "not a bearer token", id="header-injection"),
        pytest.param(cluster(caBundle="A"), {"token": b64(CANARY)}, "caBundle of the KubeFedCluster", id="ca"),
        pytest.param(cluster(caBundle="@@@@"), {"token": b64(CANARY)}, "not base64", id="a-ca-of-no-base64-at-all"),
        pytest.param(
            cluster(apiEndpoint="https://h\\x"), {"token": b64(CANARY)}, "is not an http(s) URL", id="no-host"
        ),
        pytest.param({"apiEndpoint": ""}, {"token": b64(CANARY)}, "is not an http(s) URL", id="no-endpoint"),
        pytest.param({"apiEndpoint": "http://m1"}, {"token": b64(CANARY)}, "is not https", id="clear-text"),
        pytest.param({"apiEndpoint": "HTTP://m1"}, {"token": b64(CANARY)}, "is not https", id="clear-text-in-capitals"),
        pytest.param(cluster(), document({"server": "http://m1"}), "is not https", id="clear-text-in-a-kubeconfig"),
        pytest.param(
            {"apiEndpoint": "http://m1"}, document({}), "is not https", id="clear-text-that-a-kubeconfig-leaves-to-it"
        ),
        pytest.param({"apiEndpoint": "10.0.0.1:6443/x"}, {"token": b64(CANARY)}, "is not an http(s) URL", id="no-url"),
        pytest.param({"apiEndpoint": "ftp://10.0.0.1"}, {"token": b64(CANARY)}, "is not an http(s) URL", id="ftp"),
        pytest.param({"apiEndpoint": "https://[::1"}, {"token": b64(CANARY)}, "is not an http(s) URL", id="half-ipv6"),
        pytest.param({"apiEndpoint": "https://h:99999"}, {"token": b64(CANARY)}, "is not an http(s) URL", id="port"),
        pytest.param({"apiEndpoint": "https://h:x"}, {"token": b64(CANARY)}, "is not an http(s) URL", id="port-name"),
        pytest.param({"apiEndpoint": "https://a b"}, {"token": b64(CANARY)}, "is not an http(s) URL", id="space"),
        pytest.param({"apiEndpoint": "file:///etc"}, {"token": b64(CANARY)}, "is not an http(s) URL", id="file"),
        pytest.param(
            {"apiEndpoint": f"https://u:{CANARY}@h"}, {"token": b64("x")}, "must not carry a user name", id="userinfo"
        ),
        pytest.param({"apiEndpoint": f"u:{CANARY}@h"}, {"token": b64("x")}, "must not carry a user name", id="no-url"),
        pytest.param(cluster(proxyURL=f"socks4://u:{CANARY}@p"), {"token": b64("x")}, "proxy is not", id="socks-proxy"),
        pytest.param(cluster(proxyURL=f"{CANARY}"), {"token": b64("x")}, "proxy is not", id="proxy"),
        pytest.param(cluster(), {"kubeconfig": b64(f"a: b: {CANARY}")}, "is not YAML", id="not-yaml"),
        pytest.param(cluster(), {"kubeconfig": b64(b"\xff\xfe\x00")}, "is not YAML", id="not-text"),
        pytest.param(cluster(), {"kubeconfig": b64("[" * 5000)}, "is not YAML", id="deep"),
        pytest.param(cluster(), {"kubeconfig": b64("a: 2001-99-99")}, "lacks a current-context", id="no-such-day"),
        pytest.param(cluster(), {"kubeconfig": b64("a: 1\n" * 200_000)}, "at most 524288 characters", id="too-long"),
        pytest.param(cluster(), {"kubeconfig": b64("[" + "a," * 3000 + "]")}, "is not YAML", id="too-many-values"),
        pytest.param(cluster(), {"kubeconfig": b64(BOMB)}, "is not YAML", id="aliases-that-multiply"),
        pytest.param(cluster(), {"kubeconfig": b64(f"--- a\n--- {CANARY}\n")}, "is not YAML", id="two-documents"),
        pytest.param(cluster(), {"kubeconfig": b64("")}, "neither `token` nor `kubeconfig`", id="empty-kubeconfig"),
        pytest.param(cluster(), {"kubeconfig": b64(CANARY)}, "lacks a current-context", id="a-string"),
        pytest.param(cluster(), document(contexts=[]), "lacks a current-context", id="no-such-context"),
        pytest.param(cluster(), document(contexts={"c": CANARY}), "lacks a current-context", id="contexts-no-list"),
        pytest.param(cluster(), document(users=[]), "lacks a current-context", id="no-such-user"),
        pytest.param(cluster(), document(**{"current-context": None}), "lacks a current-context", id="no-context"),
        pytest.param(
            cluster(), document(user={"exec": {"command": CANARY}}), "user uses exec: at the hub only", id="exec"
        ),
        pytest.param(
            cluster(), document(user={"auth-provider": {"name": CANARY}}), "uses auth-provider", id="auth-provider"
        ),
        pytest.param(cluster(), document(user={"tokenFile": "/etc/shadow"}), "uses tokenFile", id="token-file"),
        pytest.param(
            cluster(), document(user={"client-key": "/k", "client-certificate": "/c"}), "client-certificate", id="files"
        ),
        pytest.param(
            cluster(), document(user={"username": "u", "password": CANARY}), "uses password, username", id="basic"
        ),
        pytest.param(
            cluster(), document({"insecure-skip-tls-verify": True}), "cluster uses insecure-skip-tls", id="skip-tls"
        ),
        pytest.param(
            cluster(), document({"certificate-authority": "/etc/x"}), "cluster uses certificate-authority", id="ca-file"
        ),
        pytest.param(cluster(), document(user={}), "neither a token nor a client certificate", id="no-credentials"),
        pytest.param(
            cluster(),
            document(user={"client-certificate-data": b64(CLIENT.certificate)}),
            "neither a token nor a client certificate",
            id="certificate-without-key",
        ),
        pytest.param(
            cluster(), document({"certificate-authority-data": 7}), "CA data is not base64", id="ca-is-a-number"
        ),
        pytest.param(
            cluster(),
            document(user={"client-certificate-data": b64("x"), "client-key-data": f"{CANARY}="}),
            "client-key-data is not base64",
            id="key-not-base64",
        ),
        pytest.param(cluster(), document(user={"token": f"{CANARY} x"}), "not a bearer token", id="bad-token"),
        pytest.param(cluster(), document(user={"token": [CANARY, "x"]}), "not a bearer token", id="token-is-a-list"),
    ],
)
def test_stored_refusals(spec: dict[str, Any], secret: dict[str, str], says: str) -> None:
    with pytest.raises(Unusable) as caught:
        kubeconfig.stored(spec, secret)
    assert says in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("user", [pytest.param(CANARY, id="string"), pytest.param([{CANARY: 1}], id="list")])
def test_a_user_that_is_no_map(user: Any) -> None:
    with pytest.raises(Unusable) as caught:
        kubeconfig.stored(cluster(), document(user=user))
    assert "user is not a map" in str(caught.value)
    assert CANARY not in str(caught.value)


TEXT = st.text(max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(content=VALUES, spec=st.fixed_dictionaries({"apiEndpoint": TEXT, "caBundle": TEXT, "proxyURL": TEXT}))
def test_any_stored_kubeconfig_is_used_or_refused(content: Any, spec: dict[str, Any]) -> None:
    for secret in (
        {"kubeconfig": b64(yaml.safe_dump(content))},
        document(user=content) if content is not None else document(),
        document(server=content) if content is not None else document(),
        document(contexts=content),
        {"token": b64(str(content))},
    ):
        with contextlib.suppress(Unusable):
            kubeconfig.stored(spec, secret)


def test_nothing_that_holds_a_secret_prints_it() -> None:
    endpoint = kubeconfig.stored(cluster(), document(user={"token": CANARY}))
    key = Trust(certificate=CLIENT.certificate, key=CANARY.encode())
    for thing in (endpoint, endpoint.credentials, endpoint.trust, key, Credentials(CANARY)):
        assert CANARY not in repr(thing)
        assert CANARY not in f"{thing}"


# --- same place -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(Endpoint(SERVER + "/", Trust(), Credentials("Bearer other")), True, id="another-token"),
        pytest.param(Endpoint("https://10.0.0.2:6443", Trust()), False, id="server"),
        pytest.param(Endpoint(SERVER, Trust(ca=b"x")), False, id="ca"),
        pytest.param(Endpoint(SERVER, Trust(certificate=b"x", key=b"y")), False, id="client-certificate"),
        pytest.param(Endpoint(SERVER, proxy="http://p"), False, id="proxy"),
        pytest.param(Endpoint(SERVER, server_name="x"), False, id="server-name"),
    ],
)
def test_when_connections_can_be_kept(other: Endpoint, same: bool) -> None:
    assert Endpoint(SERVER).same_place(other) is same


# --- a user's kubeconfig ----------------------------------------------------------------------------------------


def user_file(path: Path, user: dict[str, Any], server: dict[str, Any] | None = None) -> str:
    path.write_bytes(base64.b64decode(document(server or {"server": SERVER}, user)["kubeconfig"]))
    return str(path)


async def test_a_users_kubeconfig_may_hold_files(tmp_path: Path) -> None:
    (tmp_path / "client.crt").write_bytes(CLIENT.certificate)
    (tmp_path / "client.key").write_bytes(CLIENT.key)
    user = {"client-certificate": str(tmp_path / "client.crt"), "client-key": str(tmp_path / "client.key")}
    server = {"server": SERVER, "certificate-authority-data": b64(CA.certificate)}
    paths = user_file(tmp_path / "config", user, server)
    endpoint = await kubeconfig.from_kubeconfig(paths)
    assert endpoint.trust == Trust(ca=CA.certificate, certificate=CLIENT.certificate, key=CLIENT.key)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go during the test."""
    path = tmp_path / "scratch"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def plugin(path: Path, status: dict[str, Any]) -> dict[str, Any]:
    """An exec plugin that returns this status, as a kubeconfig names it."""
    version = "client.authentication.k8s.io/v1"
    path.write_text(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))
    return {"command": "cat", "args": [str(path)], "apiVersion": version}


PAIR = {"client-certificate-data": b64(CLIENT.certificate), "client-key-data": b64(CLIENT.key)}
RETURNED = {"clientCertificateData": CLIENT.certificate.decode(), "clientKeyData": CLIENT.key.decode()}


async def test_keys_of_a_kubeconfig_stay_on_no_disk(tmp_path: Path, scratch: Path) -> None:
    """Neither those that it holds nor those of a plugin; twice, as when credentials are renewed."""
    trust = Trust(ca=CA.certificate, certificate=CLIENT.certificate, key=CLIENT.key)
    server = {"server": SERVER, "certificate-authority-data": b64(CA.certificate)}
    for user in (PAIR, {"exec": plugin(tmp_path / "answer", RETURNED)}):
        paths = user_file(tmp_path / "config", user, server)
        for _ in range(2):
            endpoint = await kubeconfig.from_kubeconfig(paths)
            assert (endpoint.trust, endpoint.credentials.header) == (trust, "")
            assert os.listdir(scratch) == []


async def test_data_goes_before_files(tmp_path: Path) -> None:
    files = {"client-certificate": "/no/such/crt", "client-key": "/no/such/key"}
    server = {"server": SERVER, "certificate-authority": "/no/such/ca", "certificate-authority-data": ""}
    endpoint = await kubeconfig.from_kubeconfig(user_file(tmp_path / "config", PAIR | files, server))
    assert endpoint.trust == Trust(certificate=CLIENT.certificate, key=CLIENT.key)


async def test_a_file_is_relative_to_its_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(CA.certificate)
    server = {"server": SERVER, "certificate-authority": "ca.crt"}
    endpoint = await kubeconfig.from_kubeconfig(user_file(tmp_path / "config", {"token": "x"}, server))
    assert endpoint.trust == Trust(ca=CA.certificate)


@pytest.mark.parametrize(
    ("status", "header", "certified"),
    [
        pytest.param({"token": "new"}, "Bearer new", False, id="token"),
        pytest.param(RETURNED, "", True, id="certificate"),
        pytest.param({"token": "new"} | RETURNED, "Bearer new", True, id="both"),
    ],
)
async def test_what_an_exec_plugin_returns_counts(
    status: dict[str, Any], header: str, certified: bool, tmp_path: Path
) -> None:
    user = {"token": CANARY, "username": "u", "password": CANARY, "exec": plugin(tmp_path / "answer", status)}
    endpoint = await kubeconfig.from_kubeconfig(user_file(tmp_path / "config", user))
    assert endpoint.credentials.header == header
    assert endpoint.trust == (Trust(certificate=CLIENT.certificate, key=CLIENT.key) if certified else Trust())


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"token": ""}, id="empty-token"),
        pytest.param({"clientCertificateData": RETURNED["clientCertificateData"]}, id="certificate-without-key"),
    ],
)
async def test_an_exec_plugin_that_returns_nothing_of_use(status: dict[str, Any], tmp_path: Path) -> None:
    user = {"token": CANARY, "exec": plugin(tmp_path / "answer", status)}
    with pytest.raises(Unusable, match="returned neither a token nor a client certificate"):
        await kubeconfig.from_kubeconfig(user_file(tmp_path / "config", user))


async def test_a_user_with_a_password(tmp_path: Path) -> None:
    paths = user_file(tmp_path / "config", {"username": "u", "password": "p"})
    assert (await kubeconfig.from_kubeconfig(paths)).credentials.header == f"Basic {b64('u:p')}"


async def test_a_token_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    paths = user_file(tmp_path / "config", {"tokenFile": "token"})
    assert (await kubeconfig.from_kubeconfig(paths)).credentials.header == "Bearer t"


async def test_an_oidc_token_that_is_valid(tmp_path: Path) -> None:
    token = f"a.{b64(json.dumps({'exp': 4102444800}))}.c"
    paths = user_file(tmp_path / "config", {"auth-provider": {"name": "oidc", "config": {"id-token": token}}} | PAIR)
    endpoint = await kubeconfig.from_kubeconfig(paths)
    assert endpoint.credentials.header == f"Bearer {token}"
    assert endpoint.trust.key == CLIENT.key


async def test_a_token_file_is_read_again_when_the_token_is_refused(tmp_path: Path) -> None:
    paths = user_file(tmp_path / "config", {"token": "old"})
    endpoint = await kubeconfig.from_kubeconfig(paths, "c")
    assert endpoint.credentials.header == "Bearer old"
    user_file(tmp_path / "config", {"token": "new"})
    await endpoint.credentials.renew("Bearer old")
    assert endpoint.credentials.header == "Bearer new"
    (tmp_path / "config").unlink()
    with pytest.raises(Unusable, match="no kubeconfig at"):
        await endpoint.credentials.renew("Bearer new")


@pytest.mark.parametrize(
    ("content", "context", "says"),
    [
        pytest.param(None, None, "no kubeconfig at", id="missing"),
        pytest.param(b"a: b: c\n", None, "is not a kubeconfig (line 1)", id="not-yaml"),
        pytest.param(b"- a\n", None, "kubeconfig", id="a-list"),
        pytest.param(b"just text\n", None, "kubeconfig", id="a-string"),
        pytest.param(b"\ta: b\n", None, "is not a kubeconfig (line 1)", id="tab"),
        pytest.param(base64.b64decode(document()["kubeconfig"]), "nowhere", "context 'nowhere'", id="no-such-context"),
        pytest.param(
            base64.b64decode(document(users=[])["kubeconfig"]),
            None,
            "cannot be used as a kubeconfig",
            id="no-such-user",
        ),
        pytest.param(
            base64.b64decode(document({"server": "10.0.0.1"}, {"token": "x"})["kubeconfig"]),
            None,
            "config: '10.0.0.1' is not an http(s) URL",
            id="no-url",
        ),
        pytest.param(
            base64.b64decode(
                document({"server": SERVER, "certificate-authority-data": b64("x")}, {"token": "x"})["kubeconfig"]
            ),
            "c",
            "config: the CA bundle is not PEM certificates",
            id="ca-is-text",
        ),
        pytest.param(
            base64.b64decode(
                document({"server": SERVER, "certificate-authority-data": f"{CANARY}="}, {"token": "x"})["kubeconfig"]
            ),
            "c",
            "config: certificate-authority-data is not base64",
            id="ca-not-base64",
        ),
        pytest.param(
            base64.b64decode(
                document(
                    {"server": SERVER},
                    {"exec": {"command": "/no/such-login", "apiVersion": "client.authentication.k8s.io/v1"}},
                )["kubeconfig"]
            ),
            "c",
            "config: /no/such-login: No such file or directory",
            id="exec-is-not-installed",
        ),
    ],
)
async def test_broken_files(content: bytes | None, context: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Unusable) as caught:
        await kubeconfig.from_kubeconfig(str(path), context)
    assert says in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_kubectls_rule_for_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert kubeconfig.default_paths() == str(tmp_path / ".kube" / "config")
    monkeypatch.setenv("KUBECONFIG", "/a:/b")
    assert kubeconfig.default_paths() == "/a:/b"
    assert kubeconfig.default_paths("/c") == "/c"


# --- in a pod ---------------------------------------------------------------------------------------------------


async def test_in_a_pod_the_token_file_is_read_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from kubernetes_asyncio.config import incluster_config  # noqa: PLC0415 - its file names are its own

    (tmp_path / "token").write_text("old")
    (tmp_path / "ca.crt").write_bytes(CA.certificate)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    real = incluster_config.InClusterConfigLoader

    def loader(**_: object) -> Any:
        files = {"token_filename": str(tmp_path / "token"), "cert_filename": str(tmp_path / "ca.crt")}
        return real(**files, try_refresh_token=False)

    monkeypatch.setattr(incluster_config, "InClusterConfigLoader", loader)
    endpoint = kubeconfig.in_cluster()
    assert (endpoint.server, endpoint.credentials.header) == ("https://10.0.0.1:443", "Bearer old")
    (tmp_path / "token").write_text("new")
    await endpoint.credentials.renew("Bearer old")
    assert endpoint.credentials.header == "Bearer new"
    (tmp_path / "token").unlink()
    with pytest.raises(Unusable, match="not in a pod"):
        await endpoint.credentials.renew("Bearer new")


def test_not_in_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(Unusable, match="not in a pod"):
        kubeconfig.in_cluster()


# --- TLS contexts -----------------------------------------------------------------------------------------------


def encrypted(pair: pki.KeyPair) -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    key = serialization.load_pem_private_key(pair.key, password=None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(CANARY.encode()),
    )


@pytest.mark.parametrize(
    ("trust", "says"),
    [
        pytest.param(Trust(ca=b"no certificate"), "CA bundle is not PEM", id="ca-is-text"),
        pytest.param(Trust(ca=b"\xff\xfe"), "CA bundle is not PEM", id="ca-is-binary"),
        pytest.param(Trust(ca=CLIENT.key), "CA bundle is not PEM", id="ca-is-a-key"),
        pytest.param(Trust(certificate=b"x", key=CLIENT.key), "not a PEM pair", id="no-certificate"),
        pytest.param(
            Trust(certificate=CLIENT.certificate, key=pki.client(CA, "other").key), "not a PEM pair", id="another-key"
        ),
        pytest.param(
            Trust(certificate=CLIENT.certificate, key=encrypted(CLIENT)), "not a PEM pair", id="a-key-with-a-password"
        ),
    ],
)
def test_unusable_certificates(trust: Trust, says: str) -> None:
    with pytest.raises(Unusable) as caught:
        tls.context(trust)
    assert says in str(caught.value)
    printed = "".join(traceback.format_exception(caught.value))
    assert CLIENT.key.decode().splitlines()[1] not in printed


def test_a_key_is_loaded_from_memory(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise AssertionError("a directory for a key")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", refuse)
    assert tls.context(Trust(certificate=CLIENT.certificate, key=CLIENT.key, skip_all=True))
    with pytest.raises(Unusable):
        tls.context(Trust(certificate=CLIENT.certificate, key=CLIENT.key[:-40]))


@pytest.mark.parametrize("key", [CLIENT.key, CLIENT.key[:-30]], ids=["good", "bad"])
def test_where_there_are_no_files_in_memory_the_key_is_removed_at_once(
    key: bytes, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(_: str) -> int:
        raise OSError

    monkeypatch.setattr(os, "memfd_create", lacking)
    made = ssl.create_default_context()
    seen: list[tuple[int, int]] = []
    load = made.load_cert_chain

    def loading(path: str, password: Any) -> None:
        seen.append((os.stat(path).st_mode & 0o777, os.stat(Path(path).parent).st_mode & 0o777))
        load(path, password=password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", lambda _, path, password: loading(path, password))
    with contextlib.nullcontext() if key == CLIENT.key else pytest.raises(Unusable):
        tls.load_pair(made, CLIENT.certificate, key)
    assert seen == [(0o600, 0o700)]
    assert os.listdir(scratch) == []


def test_contexts_are_built_once() -> None:
    assert tls.context(Trust(ca=CA.certificate)) is tls.context(Trust(ca=CA.certificate))
    assert tls.context(Trust(ca=CA.certificate)) is not tls.context(Trust(ca=CA.certificate, skip_name=True))


ONE = """
clusters: [{name: NAME, cluster: {server: "https://NAME"}}]
contexts: [{name: NAME, context: {cluster: NAME, user: NAME}}]
users: [{name: NAME, user: {token: t}}]
current-context: NAME
"""


async def test_of_several_files_the_first_current_context_counts_as_for_kubectl(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(ONE.replace("NAME", name))
    paths = f"{tmp_path / 'a'}:{tmp_path / 'b'}"
    assert (await kubeconfig.from_kubeconfig(paths)).server == "https://a"


async def test_relative_names_of_files_start_from_their_own_kubeconfig(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(f"token of {name}")
        (tmp_path / name / "config").write_text(ONE.replace("token: t", "tokenFile: token").replace("NAME", name))
    paths = f"{tmp_path / 'a' / 'config'}:{tmp_path / 'b' / 'config'}"
    assert (await kubeconfig.from_kubeconfig(paths, "b")).credentials.header == "Bearer token of b"


async def test_files_that_are_read_already_are_read_again_only_for_a_new_token(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(ONE.replace("NAME", "a"))
    files = kubeconfig.read(str(path))
    path.write_text(ONE.replace("NAME", "a").replace("token: t", "token: new"))
    endpoint = await kubeconfig.from_kubeconfig(str(path), "a", files)
    assert endpoint.credentials.header == "Bearer t"
    await endpoint.credentials.renew("Bearer t")
    assert endpoint.credentials.header == "Bearer new"
    assert (await kubeconfig.from_kubeconfig(str(path), "a", files)).credentials.header == "Bearer t"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(ONE.replace("{name: NAME, context", "{context").replace("NAME", "a"), id="context-without-a-name"),
        pytest.param(ONE.replace('"https://NAME"', "5").replace("NAME", "a"), id="server-that-is-no-text"),
        pytest.param("[1, 2]", id="a-list"),
        pytest.param("", id="empty"),
    ],
)
async def test_what_is_no_kubeconfig_is_one_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken"
    path.write_text(text)
    with pytest.raises(Unusable, match=str(path)):
        await kubeconfig.from_kubeconfig(str(path))
