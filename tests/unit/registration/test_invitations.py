"""Bootstrap tokens: what is printed is what is read; pins; and the names that a token accepts by itself."""

import base64
import hashlib

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from federation.model.errors import Invalid
from federation.playground import pki
from federation.registration import certificates, invitations
from federation.registration.invitations import Invitation, Rule

CA = pki.authority("a hub").certificate
HOME = "kube-federation-system"


def bearer(**claims: object) -> str:
    return "eyJhbGciOiJSUzI1NiJ9." + base64.urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip("=") + ".sig"


def test_what_is_printed_is_what_is_read() -> None:
    made = Invitation(bearer(iat=1, exp=1000), CA, ("configmaps", "deployments.apps"), HOME)
    read = invitations.decode(f"  {invitations.encode(made)}\n")
    assert read == made
    assert read.ends == 1000.0
    assert made.bearer not in repr(made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "kubefed1.",
        "kubefed1.e30",
        "kubefed1.!!!",
        "kubefed1." + "A" * 70_000,
        "eyJhbGciOiJSUzI1NiJ9.e30.sig",
    ],
)
def test_what_was_not_printed_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(Invalid) as raised:
        invitations.decode(text)
    assert raised.value.field == "--token"
    assert text[9:40] not in raised.value.message or not text[9:40]


@pytest.mark.parametrize(
    "change",
    [
        {"bearer": "two words"},
        {"bearer": 1},
        {"namespace": "No/Name"},
        {"types": ["Deployment/../x"]},
        {"ca": "ü"},
        {"ca": None},
    ],
)
def test_a_token_that_was_changed_is_refused(change: dict[str, object]) -> None:
    body = {"bearer": bearer(), "ca": "", "types": [], "namespace": HOME} | change
    text = "kubefed1." + base64.urlsafe_b64encode(orjson.dumps(body)).decode()
    with pytest.raises(Invalid, match="is not whole"):
        invitations.decode(text)


def test_a_pin_is_kubeadms() -> None:
    """openssl x509 -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 (Kubernetes' documentation)."""
    public = x509.load_pem_x509_certificate(CA).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert certificates.pins(CA) == [f"sha256:{hashlib.sha256(der).hexdigest()}"]


def test_only_what_is_pinned_is_trusted() -> None:
    other = pki.authority("somebody else").certificate
    (pin,) = certificates.pins(CA)
    assert certificates.pinned(other + CA, [pin]) == CA
    assert certificates.pinned(other, [pin]) == b""


def test_pins_are_read_as_they_are_printed() -> None:
    pin = "sha256:" + "0a" * 32
    assert invitations.pins([pin.upper(), f" {pin} "]) == (pin,)
    assert invitations.pins(["system"]) == ("system",)


@pytest.mark.parametrize("values", [[], [""], ["sha256:12"], ["sha1:" + "0" * 64], ["system", "sha256:" + "0" * 64]])
def test_without_a_pin_nothing_is_trusted(values: list[str]) -> None:
    with pytest.raises(Invalid):
        invitations.pins(values)


def test_a_rule_names_clusters() -> None:
    assert invitations.patterns(["east, edge-*", "east"]) == ("east", "edge-*")
    rule = invitations.rule("t", {invitations.ACCEPT_ANNOTATION: "east,edge-*"}, ended=False)
    assert [rule.accepts(each) for each in ("east", "edge-7", "edge-", "edge", "xeast", "easter")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("value", ["East", "a/b", "a.b", "-a", "a" * 64, "[ab]*"])
def test_a_rule_that_names_no_cluster_is_refused_and_accepts_nothing(value: str) -> None:
    with pytest.raises(Invalid):
        invitations.patterns([value])
    annotations = {invitations.ACCEPT_ANNOTATION: value}
    assert invitations.rule("t", annotations, ended=False) == Rule("t", ())


def test_a_token_is_its_account() -> None:
    user = "system:serviceaccount:kube-federation-system-registration:join-1"
    assert invitations.account_of(user, HOME) == "join-1"
    assert invitations.account_of(user, "fed") == ""
    assert invitations.account_of("system:serviceaccount:kube-federation-system:kubefed-controller", HOME) == ""
