"""Which certificate requests are approved. Each rule has a request that breaks it and nothing else.

Requests are real ones, signed by cryptography; the API server's own part (who asks) is a field that nobody can forge.
"""

import dataclasses
import ipaddress
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID

from federation.registration import asking, certificates, names
from federation.registration.approval import Known, Verdict, decide
from federation.registration.asking import Request, State
from federation.registration.invitations import Rule

EAST, AGENT = "east", "a1b2c3"
GROUP, USER = "system:open-cluster-management:east", "system:open-cluster-management:east:a1b2c3"
BOOTSTRAP = "system:serviceaccount:kube-federation-system-registration:join-1"
ACCEPTED = Known(pull=True, agent=AGENT)
KEY = ec.generate_private_key(ec.SECP256R1())


def csr(*subject: tuple[x509.ObjectIdentifier, str], sans: Any = None, extension: Any = None, word: str = "") -> bytes:
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
    made = x509.CertificateSigningRequestBuilder().subject_name(name)
    if sans is not None:
        made = made.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    if extension is not None:
        made = made.add_extension(extension, critical=False)
    if word:
        made = made.add_attribute(AttributeOID.CHALLENGE_PASSWORD, word.encode())
    return made.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


O, CN = NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME  # noqa: E741 - as in a subject
RIGHT = csr((O, GROUP), (CN, USER))


def renewal(pem: bytes = RIGHT, **changes: Any) -> Request:
    """A request of the accepted agent, made with its own certificate."""
    request = Request("csr-1", "u", EAST, names.SIGNER, USER, usages=asking.USAGES, pem=pem)
    return dataclasses.replace(request, **changes)


def verdict(request: Request, known: Known | None = ACCEPTED, rule: Rule | None = None) -> tuple[Verdict, str]:
    found = decide(request, certificates.contents, known, rule)
    return found.verdict, found.reason


def test_an_accepted_agent_renews() -> None:
    assert verdict(renewal())[0] is Verdict.RENEW
    assert verdict(renewal(csr((O, GROUP), (O, names.COMMON_GROUP), (CN, USER))))[0] is Verdict.RENEW
    assert verdict(renewal(usages=("client auth", "digital signature")))[0] is Verdict.RENEW, "for keys that only sign"
    assert verdict(renewal(certificates.request(certificates.new_key(), EAST, AGENT)))[0] is Verdict.RENEW


def test_the_agent_of_open_cluster_management_renews() -> None:
    """Go writes all organisations as one attribute of several values, in the order of their bytes."""
    organisations = [x509.NameAttribute(O, each) for each in (GROUP, names.COMMON_GROUP)]
    parts = [
        x509.RelativeDistinguishedName(organisations),
        x509.RelativeDistinguishedName([x509.NameAttribute(CN, USER)]),
    ]
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(parts)).sign(KEY, hashes.SHA256())
    assert verdict(renewal(made.public_bytes(serialization.Encoding.PEM)))[0] is Verdict.RENEW


OTHER = "system:open-cluster-management:west"
BROKEN = [
    pytest.param({"signer": "kubernetes.io/kubelet-serving"}, "its signer is", id="another-signer"),
    pytest.param({"signer": "kubernetes.io/kube-apiserver-client-kubelet"}, "its signer is", id="the-kubelets-signer"),
    pytest.param({"labelled": ""}, "names no cluster", id="no-label"),
    pytest.param({"labelled": "west"}, "its organisations are not", id="label-of-another-cluster"),
    pytest.param({"labelled": "managed-clusters"}, "names no cluster", id="the-common-group-as-a-cluster"),
    pytest.param({"labelled": "East"}, "names no cluster", id="a-label-that-is-no-namespace"),
    pytest.param({"pem": csr((CN, USER))}, "its organisations are not", id="no-organisation"),
    pytest.param({"pem": csr((O, OTHER), (CN, USER))}, "its organisations are not", id="another-clusters-organisation"),
    pytest.param({"pem": csr((O, GROUP), (O, OTHER), (CN, USER))}, "its organisations", id="two-organisations"),
    pytest.param(
        {"pem": csr((O, GROUP), (O, "system:masters"), (CN, USER))}, "its organisations", id="system-masters-beside"
    ),
    pytest.param({"pem": csr((O, "system:masters"), (CN, USER))}, "its organisations", id="system-masters"),
    pytest.param({"pem": csr((O, names.COMMON_GROUP), (CN, USER))}, "its organisations", id="the-common-group-alone"),
    pytest.param(
        {"pem": csr((O, GROUP), (O, names.COMMON_GROUP), (O, names.COMMON_GROUP), (CN, USER))},
        "its organisations",
        id="the-common-group-twice",
    ),
    pytest.param({"pem": csr((O, GROUP), (O, GROUP), (CN, USER))}, "its organisations", id="its-own-twice"),
    pytest.param({"pem": csr((O, GROUP))}, "exactly one common name", id="no-common-name"),
    pytest.param({"pem": csr((O, GROUP), (CN, USER), (CN, USER))}, "exactly one common", id="two-common-names"),
    pytest.param({"pem": csr((O, GROUP), (CN, GROUP))}, "its common name", id="one-part"),
    pytest.param({"pem": csr((O, GROUP), (CN, f"{USER}:admin"))}, "its common name", id="three-parts"),
    pytest.param({"pem": csr((O, GROUP), (CN, f"{GROUP}:"))}, "its common name", id="an-empty-agent"),
    pytest.param({"pem": csr((O, GROUP), (CN, f"{OTHER}:{AGENT}"))}, "its common name", id="another-clusters-name"),
    pytest.param({"pem": csr((O, GROUP), (CN, f"{names.PREFIX}east-2:{AGENT}"))}, "its common", id="a-longer-name"),
    pytest.param({"pem": csr((O, GROUP), (CN, "system:admin"))}, "its common name", id="somebody-elses-name"),
    pytest.param({"pem": csr((O, GROUP), (CN, f"{USER}\x00admin"))}, "its common name", id="a-name-with-a-null"),
    pytest.param({"pem": csr((O, GROUP), (CN, f"{USER}\n"))}, "its common name", id="a-name-with-a-line-break"),
    pytest.param(
        {"pem": csr((O, GROUP), (CN, USER), (NameOID.ORGANIZATIONAL_UNIT_NAME, "x"))}, "subject has more", id="a-unit"
    ),
    pytest.param(
        {"pem": csr((O, GROUP), (CN, USER), sans=[x509.DNSName("kubernetes")])}, "other names", id="a-dns-name"
    ),
    pytest.param(
        {"pem": csr((O, GROUP), (CN, USER), sans=[x509.IPAddress(ipaddress.ip_address("10.0.0.1"))])},
        "other names",
        id="an-address",
    ),
    pytest.param(
        {"pem": csr((O, GROUP), (CN, USER), sans=[x509.UniformResourceIdentifier("spiffe://a/b")])},
        "other names",
        id="a-uri",
    ),
    pytest.param({"pem": csr((O, GROUP), (CN, USER), sans=[x509.RFC822Name("a@b.c")])}, "other names", id="an-email"),
    pytest.param(
        {"pem": csr((O, GROUP), (CN, USER), extension=x509.BasicConstraints(ca=True, path_length=None))},
        "extensions",
        id="a-ca",
    ),
    pytest.param(
        {"pem": csr((O, GROUP), (CN, USER), extension=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))},
        "extensions",
        id="server-auth-inside",
    ),
    pytest.param({"pem": csr((O, GROUP), (CN, USER), word="x")}, "extensions", id="another-attribute"),
    pytest.param({"usages": (*asking.USAGES, "server auth")}, "its usages", id="server-auth-beside"),
    pytest.param({"usages": ("server auth", "digital signature", "key encipherment")}, "its usages", id="no-client"),
    pytest.param({"usages": ("client auth",)}, "its usages", id="no-signature"),
    pytest.param({"usages": ("cert sign", *asking.USAGES)}, "its usages", id="cert-sign"),
    pytest.param({"usages": ()}, "its usages", id="no-usages"),
    pytest.param({"usages": ("any",)}, "its usages", id="any-usage"),
    pytest.param({"pem": b""}, "not one PEM block", id="nothing"),
    pytest.param({"pem": RIGHT.replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST")}, "PEM", id="another-type"),
    pytest.param({"pem": RIGHT.replace(b"CERTIFICATE REQUEST", b"CERTIFICATE")}, "PEM", id="a-certificates-type"),
    pytest.param({"pem": RIGHT + csr((O, "system:masters"), (CN, "admin"))}, "PEM block", id="a-second-block-behind"),
    pytest.param({"pem": csr((O, "system:masters"), (CN, "admin")) + RIGHT}, "PEM block", id="a-first-block-before"),
    pytest.param({"pem": b"text\n" + RIGHT}, "PEM block", id="text-before"),
    pytest.param({"pem": RIGHT + b"text"}, "PEM block", id="text-behind"),
    pytest.param({"pem": RIGHT.replace(b"M", b"N", 1)}, "cannot be read", id="damaged"),
    pytest.param({"pem": RIGHT + b"\n" * (17 << 10) + b"x"}, "more than", id="much-of-it"),
    pytest.param({"username": "system:open-cluster-management:west:a1b2c3"}, "asks for a", id="another-clusters-agent"),
    pytest.param({"username": "system:open-cluster-management:east:other"}, "asks for a", id="another-agent-of-it"),
    pytest.param({"username": "system:open-cluster-management:"}, "asks for a", id="the-bare-prefix"),
]


@pytest.mark.parametrize(("changes", "reason"), BROKEN)
def test_each_rule_refuses_what_breaks_it(changes: dict[str, Any], reason: str) -> None:
    found, why = verdict(renewal(**changes))
    assert found is Verdict.WRONG, why
    assert reason in why


@pytest.mark.parametrize(("changes", "reason"), [each for each in BROKEN if "asks for a" not in each.values])
def test_nor_is_it_left_to_a_person_or_accepted_with_a_token(changes: dict[str, Any], reason: str) -> None:
    """What `fedctl accept` may approve keeps the same rules, and so does a token that accepts everything."""
    found, why = verdict(renewal(**{"username": BOOTSTRAP, **changes}), None, Rule("join-1", ("*",)))
    assert found is Verdict.WRONG, why
    assert reason in why


def test_a_request_whose_signature_is_of_another_key_is_refused() -> None:
    """The last bytes are the signature; a request with another's public key in it would be signed by who has not it."""
    der = bytearray(x509.load_pem_x509_csr(RIGHT).public_bytes(serialization.Encoding.DER))
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    mine = KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    theirs = other.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    forged = x509.load_der_x509_csr(bytes(der).replace(mine, theirs))
    found, why = verdict(renewal(forged.public_bytes(serialization.Encoding.PEM)))
    assert (found, "not signed with the key" in why) == (Verdict.WRONG, True)


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        pytest.param(None, "has been accepted", id="never-accepted"),
        pytest.param(Known(pull=False), "has been accepted", id="a-push-cluster"),
        pytest.param(Known(pull=True, agent="other"), "is other now", id="replaced-by-another-agent"),
        pytest.param(Known(pull=True), "is none now", id="nobody-accepted"),
        pytest.param(Known(pull=True, agent=AGENT, leaving=True), "is leaving", id="leaving"),
    ],
)
def test_only_the_agent_that_was_accepted_renews(known: Known | None, reason: str) -> None:
    found, why = verdict(renewal(), known)
    assert (found, reason in why) == (Verdict.WRONG, True), why


@pytest.mark.parametrize("state", [State.APPROVED, State.ISSUED, State.DENIED, State.FAILED])
def test_what_is_decided_is_not_decided_again(state: State) -> None:
    assert verdict(renewal(state=state))[0] is Verdict.DECIDED


@pytest.mark.parametrize(
    ("username", "known", "rule", "expected"),
    [
        pytest.param(BOOTSTRAP, None, None, Verdict.PERSON, id="nobody-knows-its-token"),
        pytest.param(BOOTSTRAP, None, Rule("t"), Verdict.PERSON, id="a-token-without-a-rule"),
        pytest.param(BOOTSTRAP, None, Rule("t", ("east",)), Verdict.ACCEPT, id="a-rule-for-its-name"),
        pytest.param(BOOTSTRAP, None, Rule("t", ("ea*",)), Verdict.ACCEPT, id="a-rule-with-a-star"),
        pytest.param(BOOTSTRAP, None, Rule("t", ("west", "eas")), Verdict.PERSON, id="a-rule-for-others"),
        pytest.param(BOOTSTRAP, None, Rule("t", ("e.st",)), Verdict.PERSON, id="a-dot-is-a-dot"),
        pytest.param(BOOTSTRAP, None, Rule("t", ("*",), ended=True), Verdict.PERSON, id="a-token-that-has-ended"),
        pytest.param("system:admin", None, None, Verdict.PERSON, id="an-admin-who-asks-by-hand"),
        pytest.param(BOOTSTRAP, ACCEPTED, Rule("t", ("*",)), Verdict.PERSON, id="the-same-agent-anew"),
        pytest.param(
            BOOTSTRAP,
            Known(pull=True, agent="z"),
            Rule("t", ("*",)),
            Verdict.PERSON,
            id="a-second-agent-under-the-name",
        ),
        pytest.param(BOOTSTRAP, Known(pull=False), Rule("t", ("*",)), Verdict.PERSON, id="the-name-of-a-push-cluster"),
        pytest.param(
            BOOTSTRAP,
            Known(pull=True, agent=AGENT, request="u"),
            None,
            Verdict.ACCEPT,
            id="accepted-and-not-approved-yet",
        ),
        pytest.param(
            BOOTSTRAP,
            Known(pull=True, agent=AGENT, request="u0"),
            Rule("t", ("*",)),
            Verdict.PERSON,
            id="another-request-than-the-accepted-one",
        ),
        pytest.param(
            BOOTSTRAP, Known(pull=True, agent="z", request="u"), None, Verdict.PERSON, id="accepted-for-another-agent"
        ),
        pytest.param(BOOTSTRAP, Known(pull=True), Rule("t", ("east",)), Verdict.ACCEPT, id="made-before-by-a-person"),
    ],
)
def test_a_first_certificate_is_a_persons_or_its_tokens(
    username: str, known: Known | None, rule: Rule | None, expected: Verdict
) -> None:
    found, why = verdict(renewal(username=username), known, rule)
    assert found is expected, why
