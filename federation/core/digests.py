"""Short digests: whether two byte strings are equal, in 8 characters that fit a status line."""

import base64
import hashlib


def short(data: bytes | memoryview) -> str:
    """48 bits of BLAKE2b as 8 characters of base64url (RFC 4648), without a dot: fingerprints are joined by one."""
    return base64.urlsafe_b64encode(hashlib.blake2b(data, digest_size=6).digest()).decode()
