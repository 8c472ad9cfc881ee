"""Bootstrap tokens: what `fedctl token create` prints and `fedctl register` reads, and the rule that may come with one.

One is a service account of the hub in a namespace that holds nothing else, with rights by its group: to create
CertificateSigningRequests, and to read one by name. So a token is ended by deleting its account.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from federation.core import checks, jwt
from federation.model.errors import Invalid

ENDS_ANNOTATION = "kubefed.io/token-ends"
"""On a bootstrap account: when the token that was made for it ends (RFC 3339)."""
ACCEPT_ANNOTATION = "kubefed.io/auto-accept"
"""On a bootstrap account: the names of clusters, apart by commas, that are accepted without a person."""
TOKEN_LABEL = "kubefed.io/bootstrap-token"  # noqa: S105 - a label
"""On a bootstrap account: that it is one, `true`."""
SYSTEM = "system"
"""As a pin: the hub's certificate is checked by the system's certificates, because nobody knows another CA of it."""
_MARK = "kubefed1."
_PIN = re.compile(r"sha256:[0-9a-f]{64}")
_PATTERN = re.compile(r"[a-z0-9*]([-a-z0-9*]{0,61}[a-z0-9*])?")
_LONGEST = 64 << 10


def namespace(system: str) -> str:
    """The namespace of the hub's bootstrap accounts; `system` is the federation's."""
    return f"{system}-registration"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a token's account says. `patterns` are names, `*` in them stands for any characters."""

    token: str
    patterns: tuple[str, ...] = ()
    ended: bool = False

    def accepts(self, cluster: str) -> bool:
        """Whether a cluster of this name is accepted without a person."""
        return any(_fits(pattern, cluster) for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a printed token holds. `types` are the enabled types' names, by which rights in the member are made.

    `namespace` is the federation's at the hub. `ca` is a PEM bundle; b"" where the system's certificates are to be
    trusted.
    """

    bearer: str = field(repr=False)
    ca: bytes = b""
    types: tuple[str, ...] = ()
    namespace: str = ""

    @property
    def ends(self) -> float | None:
        """When it ends, in unix seconds; None where the token does not say."""
        lifetime = jwt.lifetime(jwt.claims(self.bearer))
        return lifetime[1] if lifetime is not None else None


def encode(invitation: Invitation) -> str:
    """One word, as it is printed."""
    body = {
        "bearer": invitation.bearer,
        "ca": invitation.ca.decode("ascii"),
        "types": list(invitation.types),
        "namespace": invitation.namespace,
    }
    return _MARK + base64.urlsafe_b64encode(orjson.dumps(body)).decode().rstrip("=")


def decode(text: str, field: str = "--token") -> Invitation:
    """What was printed. Raises Invalid, which quotes nothing of it."""
    word = text.strip()
    if not word.startswith(_MARK) or len(word) > _LONGEST:
        raise Invalid(field, "is not what fedctl token create has printed: it begins with " + _MARK)
    try:
        raw = word.removeprefix(_MARK)
        body = orjson.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
        return _invitation(body)
    except (binascii.Error, ValueError, TypeError, KeyError, AttributeError):
        raise Invalid(field, "is not whole: copy all that fedctl token create has printed") from None


def _invitation(body: Any) -> Invitation:
    bearer, ca, types, home = (body[name] for name in ("bearer", "ca", "types", "namespace"))
    if not jwt.is_bearer(bearer) or not checks.is_dns_1123(home) or not all(checks.is_dns_1123(each) for each in types):
        raise ValueError
    return Invitation(bearer, ca.encode("ascii"), tuple(types), home)


def pins(values: Sequence[str], field: str = "--ca-hash") -> tuple[str, ...]:
    """The pins that a user gives: `sha256:` and 64 hex digits each, or `system` alone. Raises Invalid."""
    found = tuple(dict.fromkeys(each.strip().lower() for each in values))
    if not found:
        raise Invalid(field, "is required: without it nobody knows that the hub is the hub")
    if found == (SYSTEM,):
        return found
    for each in found:
        if not _PIN.fullmatch(each):
            raise Invalid(field, f"{checks.quote(each, 100)} is not sha256: and 64 hex digits")
    return found


def patterns(values: Sequence[str], field: str = "--auto-accept") -> tuple[str, ...]:
    """The names that are accepted without a person. Raises Invalid for one that cannot name a cluster."""
    found = tuple(dict.fromkeys(name.strip() for text in values for name in text.split(",") if name.strip()))
    for each in found:
        if not _PATTERN.fullmatch(each):
            raise Invalid(field, f"{checks.quote(each)} is not a cluster's name, in which * stands for any characters")
    return found


def rule(name: str, annotations: Mapping[str, str], *, ended: bool) -> Rule:
    """The rule that a bootstrap account's annotations set; one that cannot be understood accepts nothing."""
    try:
        return Rule(name, patterns([annotations.get(ACCEPT_ANNOTATION, "")]), ended)
    except Invalid:
        return Rule(name, (), ended)


def account_of(username: str, system: str) -> str:
    """The bootstrap account that a user is; "" for any other user."""
    prefix = f"system:serviceaccount:{namespace(system)}:"
    return username.removeprefix(prefix) if username.startswith(prefix) else ""


def _fits(pattern: str, cluster: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), cluster) is not None
