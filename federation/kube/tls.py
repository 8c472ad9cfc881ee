"""TLS contexts, built once per set of certificates and shared: building one blocks the loop for about 30 ms."""

import contextlib
import functools
import os
import pathlib
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from federation.model.errors import Unusable

_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python's ssl does not name."""

_DESCRIPTORS = "/proc/self/fd"


@dataclass(frozen=True, slots=True)
class Trust:
    """Which server we trust, and our client certificate. PEM bytes; `ca` None means the system's certificates.

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
    # Renegotiation (TLS 1.2) could come between a request and its answer.
    made.options |= ssl.OP_NO_RENEGOTIATION
    if trust.skip_name or trust.skip_all:
        made.check_hostname = False
    if trust.skip_all:
        made.verify_mode = ssl.CERT_NONE
    if trust.skip_period:
        made.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    if trust.certificate and trust.key:
        load_pair(made, trust.certificate, trust.key)
    return made


def load_pair(made: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Use this certificate. Raises Unusable when the key is not its own."""
    with _readable(certificate.rstrip() + b"\n" + key) as pair:
        try:
            made.load_cert_chain(pair, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            raise Unusable("the client certificate and key are not a PEM pair that belongs together") from error


@contextlib.contextmanager
def _readable(content: bytes) -> Iterator[str]:
    """A path that `content` can be read from, because ssl reads a client key from files only.

    On Linux it is a file that exists in memory alone, so that nothing is left of it however the process ends.
    Elsewhere it is in a private directory, which is removed as soon as the key is loaded.
    """
    descriptor = _memory()
    if descriptor is not None:
        with open(descriptor, "wb", buffering=0) as file:
            file.write(content)
            yield f"{_DESCRIPTORS}/{descriptor}"
        return
    with tempfile.TemporaryDirectory(prefix="federation-") as directory:
        path = pathlib.Path(directory, "pair.pem")
        path.touch(mode=0o600)
        path.write_bytes(content)
        yield str(path)


def _memory() -> int | None:
    """A new file in memory, if the system has that, and lets us open it by a path."""
    try:
        return os.memfd_create("pair.pem") if os.access(_DESCRIPTORS, os.X_OK) else None
    except (AttributeError, OSError):
        return None


def _no_password() -> str:
    """For an encrypted key: without this OpenSSL would ask for the password at the terminal, and wait."""
    return ""
