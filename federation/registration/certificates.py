"""Keys, certificate requests and certificates: made and read with cryptography. The only module that imports it.

The agent makes its key with `new_key` in the member; what goes to the hub is what `request` makes of it.
"""

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from federation.model.errors import Unusable
from federation.registration import names
from federation.registration.asking import Contents, Unreadable

_BEGIN, _END = b"-----BEGIN CERTIFICATE REQUEST-----", b"-----END CERTIFICATE REQUEST-----"
_LARGEST = 16 << 10
"""Bytes of a request that is looked at: those of Kubernetes' own tools have less than one thousand."""
_WRONG = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


@dataclass(frozen=True, slots=True)
class Issued:
    """What a certificate says: its subject, and when it begins and ends."""

    common_name: str
    begins: datetime
    ends: datetime


def new_key() -> bytes:
    """A new private key (PEM, PKCS 8): ECDSA on P-256, as kubeadm's and OCM's agents have it."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def request(key: bytes, cluster: str, agent: str) -> bytes:
    """The PEM certificate request of this agent. Raises Unusable for a key that cannot be read."""
    subject = x509.Name(
        [
            _attribute(NameOID.ORGANIZATION_NAME, names.group(cluster)),
            _attribute(NameOID.ORGANIZATION_NAME, names.COMMON_GROUP),
            _attribute(NameOID.COMMON_NAME, names.user(cluster, agent)),
        ]
    )
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(_private(key), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def contents(pem: bytes) -> Contents:
    """What a certificate request asks for. Raises Unreadable, with why nobody can know.

    Exactly one PEM block of this type, and nothing around it: what follows would be looked at by another reader.
    """
    block = pem.strip()
    if len(block) > _LARGEST:
        raise Unreadable(f"its request has more than {_LARGEST} bytes")
    if not block.startswith(_BEGIN) or not block.endswith(_END) or block.count(b"-----BEGIN") != 1:
        raise Unreadable("its request is not one PEM block of type CERTIFICATE REQUEST")
    try:
        with _long_names():
            found = x509.load_pem_x509_csr(block)
            subject = found.subject
            signed = found.is_signature_valid
            extensions = tuple(each.oid.dotted_string for each in found.extensions)
            attributes = tuple(each.oid.dotted_string for each in found.attributes)
    except (*_WRONG, InvalidSignature):
        raise Unreadable("its request cannot be read") from None
    return Contents(
        common_names=_texts(subject, NameOID.COMMON_NAME),
        organizations=_texts(subject, NameOID.ORGANIZATION_NAME),
        other_attributes=tuple(
            each.oid.dotted_string
            for each in subject
            if each.oid not in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        ),
        extensions=extensions or attributes,
        signed=signed,
    )


def issued(certificate: bytes) -> Issued:
    """What the first certificate of a PEM chain says. Raises Unusable when it cannot be read."""
    try:
        with _long_names():
            found = x509.load_pem_x509_certificate(certificate)
            (name,) = _texts(found.subject, NameOID.COMMON_NAME)
    except _WRONG:
        raise Unusable("the certificate cannot be read") from None
    return Issued(name, found.not_valid_before_utc, found.not_valid_after_utc)


def fits(certificate: bytes, key: bytes) -> bool:
    """Whether the certificate is for this key."""
    try:
        with _long_names():
            public = x509.load_pem_x509_certificate(certificate).public_key()
        return _spki(public) == _spki(_private(key).public_key())
    except (*_WRONG, Unusable):
        return False


def pins(bundle: bytes) -> Sequence[str]:
    """The pin of each certificate in a PEM bundle, as kubeadm's --discovery-token-ca-cert-hash has it.

    `sha256:` and the hash, in hex, of the DER form of its public key (SubjectPublicKeyInfo). Raises Unusable.
    """
    return [_pin(each) for each in _bundle(bundle)]


def pinned(bundle: bytes, wanted: Sequence[str]) -> bytes:
    """Those certificates of a PEM bundle that have one of these pins; b"" where none has. Raises Unusable."""
    kept = [each for each in _bundle(bundle) if _pin(each) in wanted]
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in kept)


def _bundle(bundle: bytes) -> list[x509.Certificate]:
    try:
        with _long_names():
            return x509.load_pem_x509_certificates(bundle)
    except _WRONG:
        raise Unusable("the CA bundle is not PEM certificates") from None


def _pin(certificate: x509.Certificate) -> str:
    return f"sha256:{hashlib.sha256(_spki(certificate.public_key())).hexdigest()}"


def _spki(public: object) -> bytes:
    if not hasattr(public, "public_bytes"):
        raise TypeError
    made: bytes = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return made


def _private(key: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        found = serialization.load_pem_private_key(key, None)
    except _WRONG:
        raise Unusable("the private key cannot be read") from None
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise Unusable("the private key is not an elliptic curve's")
    return found


def _texts(subject: x509.Name, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    return tuple(str(each.value) for each in subject.get_attributes_for_oid(oid))


def _attribute(oid: x509.ObjectIdentifier, value: str) -> x509.NameAttribute[str]:
    with _long_names():
        return x509.NameAttribute(oid, value, _validate=False)


@contextmanager
def _long_names() -> Iterator[None]:
    """X.520 has at most 64 characters in a name. Go, and so Kubernetes, does not count: OCM's names have more."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Attribute's length must be")
        yield
