"""Names that are built from other names: what join creates in a member and at the hub.

KubeFed's names (pkg/kubefedctl/util: `<cluster>-<host>`), cut to what Kubernetes allows: a cut name ends in a digest of
the whole, so that two long names that begin alike stay two.
"""

import hashlib
import re

from federation.core import checks
from federation.model.errors import Invalid

_LONGEST = 253
_DIGEST = 8
_ROLE_PREFIX = "kubefed-controller-manager:"
_OUTSIDE_DNS = re.compile(r"[^a-z0-9]+")


def cluster_name(name: str, field: str = "metadata.name") -> str:
    """The name of a KubeFedCluster, checked: a DNS subdomain (RFC 1123). Raises Invalid with a name that would do."""
    try:
        return checks.dns_1123(checks.string(name, field), field)
    except Invalid as error:
        if not name:
            raise
        raise Invalid(field, f"{error.message}; for example {checks.quote(dns_label(name))}") from None


def service_account(cluster: str, host: str) -> str:
    """The account in the member, and the Secret at the hub that holds its credentials, are both named so."""
    return fitted(f"{cluster}-{host}")


def role(cluster: str, host: str) -> str:
    """The member's ClusterRole, Role and their bindings are named so."""
    return fitted(f"{_ROLE_PREFIX}{cluster}-{host}")


def fitted(name: str, limit: int = _LONGEST) -> str:
    """The name, or when it is longer than `limit` its beginning and a digest of the whole."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - _DIGEST - 1].rstrip('.-:')}-{_digest(name)}"


def dns_label(text: str) -> str:
    """A DNS label (at most 63 of a-z, 0-9, `-`) from any text, such as a kubeconfig context; one label per text."""
    label = _OUTSIDE_DNS.sub("-", text.lower()).strip("-")
    if label == text and len(label) <= 63:
        return label
    return f"{label[: 63 - _DIGEST - 1].rstrip('-')}-{_digest(text)}".lstrip("-")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST // 2).hexdigest()
