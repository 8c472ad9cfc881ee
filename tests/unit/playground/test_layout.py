"""Names, places, records, command lines and kubeconfigs: what a playground is made of before anything runs."""

import base64
import ssl
from pathlib import Path

import pytest
import yaml

from federation.playground import access, commands, layout, pki
from federation.playground.access import LocalCluster
from federation.playground.clusters import Playground
from federation.playground.errors import PlaygroundError
from federation.playground.layout import ClusterRecord, Layout, Record

CLUSTER = LocalCluster("m1", "https://127.0.0.1:16001", "a-secret-token", "CA")


@pytest.mark.parametrize("name", ["a", "m1", "a-b", "0", "a" * 63])
def test_a_dns_label_is_a_name(name: str) -> None:
    assert layout.default_directory(name, {"XDG_STATE_HOME": "/s"}) == Path("/s/federation/playground", name)


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a.b", "../x", "a/b", "a" * 64, "a b", "a\n"])
def test_anything_else_is_refused_before_it_becomes_a_path(name: str) -> None:
    with pytest.raises(PlaygroundError, match="lower-case letters"):
        layout.default_directory(name, {"XDG_STATE_HOME": "/s"})


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    files = Layout(tmp_path / "pg")
    assert layout.load(files) is None
    record = Record(16000, {"b": ClusterRecord(16001, controller_manager=True), "a": ClusterRecord(16002, False, True)})
    layout.save(files, record)
    assert layout.load(files) == record
    assert files.record.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"{", b'{"etcd_port": "x", "clusters": {}}', b'{"etcd_port": 1}', b"[]"])
def test_a_garbled_record_is_an_error_and_no_empty_playground(tmp_path: Path, content: bytes) -> None:
    files = Layout(tmp_path)
    files.record.write_bytes(content)
    with pytest.raises(PlaygroundError, match="take the playground down and bring it up again"):
        layout.load(files)


@pytest.mark.parametrize("stranger", ["thesis.tex", "etcd.conf", "Documents/", "kubeconfig/", ".bashrc"])
def test_a_directory_with_anything_else_in_it_is_never_removed(tmp_path: Path, stranger: str) -> None:
    files = Layout(tmp_path / "home")
    layout.write(files.ca_certificate, b"x")
    path = files.directory / stranger
    path.mkdir() if stranger.endswith("/") else path.touch()
    for act in (
        lambda: Playground(files.directory, report=lambda _: None).down(),
        lambda: Playground.up(files.directory, ("m1",), report=lambda _: None),
    ):
        with pytest.raises(PlaygroundError, match="nothing was removed"):
            act()
    assert path.exists()


def test_a_file_in_the_directorys_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "pg").touch()
    with pytest.raises(PlaygroundError, match="choose another directory"):
        Playground.up(tmp_path / "pg", ("m1",), report=lambda _: None)
    assert (tmp_path / "pg").exists()


def test_clear_removes_all_that_a_playground_makes(tmp_path: Path) -> None:
    files = Layout(tmp_path / "pg")
    own = files.cluster("m1")
    for path in (
        files.record,
        files.kubeconfig,
        files.ca_key,
        files.etcd.log,
        files.etcd.pid,
        own.tokens,
        own.log("x"),
        files.many.members,
        files.many_etcd.pid,
    ):
        layout.write(path, b"")
    files.etcd.pid.with_suffix(".tmp").touch()
    (files.directory / "ca.key.tmp").touch()
    (files.directory / "kind").touch()
    files.etcd.data.mkdir()
    layout.clear(files)
    assert not files.directory.exists()
    layout.clear(files)


def test_everything_listens_on_loopback_only() -> None:
    files = Layout(Path("/pg"))
    lines = [
        *commands.etcd(Path("/etcd"), files.etcd, 1),
        *commands.apiserver(Path("/kube-apiserver"), files, "m1", port=2, etcd_port=1),
        *commands.many(Path("/kube-apiserver-many"), files, etcd_port=1),
    ]
    addresses = [line.partition("=")[2] for line in lines if "address" in line or "-urls" in line]
    assert len(addresses) >= 7
    assert {each.removeprefix("http://").partition(":")[0] for each in addresses} == {"127.0.0.1"}
    manager = commands.controller_manager(Path("/kcm"), files, files.cluster("m1"))
    assert "--secure-port=0" in manager


def test_clusters_of_one_etcd_have_prefix_issuer_and_keys_of_their_own() -> None:
    files = Layout(Path("/pg"))
    one, two = (set(commands.apiserver(Path("/a"), files, name, port=2, etcd_port=1)) for name in ("m1", "m2"))
    differing = {line.partition("=")[0] for line in one ^ two}
    assert differing >= {
        "--etcd-prefix",
        "--service-account-issuer",
        "--service-account-key-file",
        "--service-account-signing-key-file",
        "--token-auth-file",
    }


def test_a_kubeconfig_names_all_three_things_as_the_cluster() -> None:
    config = yaml.safe_load(access.kubeconfig([CLUSTER]))
    assert config["clusters"] == [
        {
            "name": "m1",
            "cluster": {"server": CLUSTER.url, "certificate-authority-data": base64.b64encode(b"CA").decode()},
        }
    ]
    assert config["users"] == [{"name": "m1", "user": {"token": "a-secret-token"}}]
    assert config["contexts"] == [{"name": "m1", "context": {"cluster": "m1", "user": "m1"}}]
    assert yaml.safe_load(access.kubeconfig([]))["current-context"] == ""


def test_secrets_are_in_no_repr() -> None:
    assert "a-secret-token" not in repr(CLUSTER)
    assert "PRIVATE KEY" not in repr(pki.authority("test"))


def test_the_authoritys_certificates_are_trusted_by_openssl(tmp_path: Path) -> None:
    ca = pki.authority("test")
    pair = pki.serving(ca, "m1", dns=("localhost",), ips=("127.0.0.1",))
    file = tmp_path / "pair.pem"
    file.write_bytes(pair.certificate + pair.key)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(file)
    client_side = access.tls(ca.certificate.decode())
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT

    def handshake(name: str) -> str | None:
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_side.wrap_bio(to_client, to_server, server_hostname=name)
        server = server_side.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(4):
            for side in (client, server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        return client.version()

    assert handshake("127.0.0.1") == "TLSv1.3"
    assert handshake("localhost") == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake("127.0.0.2")


def test_a_client_certificate_carries_user_and_groups() -> None:
    from cryptography import x509  # noqa: PLC0415 - only this test reads certificates

    pair = pki.client(pki.authority("test"), "alice", ("team-a", "team-b"))
    subject = x509.load_pem_x509_certificate(pair.certificate).subject
    assert subject.rfc4514_string() == "CN=alice,O=team-b,O=team-a"
