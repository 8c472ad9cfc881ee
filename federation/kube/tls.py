"""TLS contexts, built once per set of certificates and shared: building one blocks the loop for about 30 ms."""

import functools
import pathlib
import ssl
import tempfile
from dataclasses import dataclass

from federation.model.errors import Unusable

_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python's ssl does not name."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What we expect of the server and show of ourselves. PEM bytes; `ca` None means the system's roots.

    The three `skip_` fields are KubeFedCluster's disabledTLSValidations: `*`, `SubjectName`, `ValidityPeriod`.
    """

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    skip_all: bool = False
    skip_name: bool = False
    skip_period: bool = False

    def __repr__(self) -> str:
        return f"Trust(ca={'given' if self.ca else 'system'}, client={'certificate' if self.certificate else 'none'})"


@functools.lru_cache(maxsize=4096)
def context(trust: Trust) -> ssl.SSLContext:
    """The context for this trust; Unusable when the PEM data cannot be read."""
    try:
        made = ssl.create_default_context(cadata=trust.ca.decode() if trust.ca else None)
    except (ssl.SSLError, ValueError) as error:
        raise Unusable("the CA bundle is not PEM certificates") from error
    # Python 3.13 turned on VERIFY_X509_STRICT, which refuses the CAs that older kubeadm and managed clusters made.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if trust.skip_name or trust.skip_all:
        made.check_hostname = False
    if trust.skip_all:
        made.verify_mode = ssl.CERT_NONE
    if trust.skip_period:
        made.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    if trust.certificate and trust.key:
        _load_client_certificate(made, trust.certificate, trust.key)
    return made


def _load_client_certificate(made: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # ssl reads a client key from files only: a private directory that is gone as soon as the key is loaded.
    with tempfile.TemporaryDirectory(prefix="federation-") as directory:
        pair = pathlib.Path(directory, "pair.pem")
        pair.touch(mode=0o600)
        pair.write_bytes(certificate.rstrip() + b"\n" + key)
        try:
            made.load_cert_chain(pair, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            raise Unusable("the client certificate and key are not a PEM pair that belongs together") from error


def _no_password() -> str:
    """For a key that is encrypted: without this OpenSSL would ask at the terminal, and wait."""
    return ""
