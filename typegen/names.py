"""How a federated type is called: KubeFed's names (`FederatedDeployment`, `federateddeployments`, `fdeploy`)."""

import dataclasses
import re

from typegen.model import ApiResource, Options, Unusable

LABEL_LIMIT = 63
NAME_LIMIT = 253
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_VERSION = re.compile(r"v(?P<major>[0-9]+)((?P<stage>alpha|beta)(?P<minor>[0-9]+))?")


def federated(target: ApiResource, options: Options) -> ApiResource:
    """The names of the type that wraps `target`.

    The plural is `federated` and the target's own plural, so that irregular ones (gateways, prometheuses) stay
    readable; FederatedNamespace is the one type whose scope is not the target's. Raises Unusable when a name exceeds
    what Kubernetes allows (63 characters for kind and plural, 253 for the CRD's name).
    """
    kind = options.federated_kind or f"Federated{target.kind}"
    plural = options.federated_plural or _plural(target, kind, options)
    singular = f"federated{target.singular}" if not options.federated_kind else kind.lower()
    names = dataclasses.replace(
        target,
        group=options.federated_group,
        version=options.federated_version,
        kind=kind,
        plural=plural,
        singular=singular,
        namespaced=target.namespaced or target.is_namespace,
        short_names=tuple(f"f{name}" for name in target.short_names if len(name) < LABEL_LIMIT),
        scale="",
    )
    _check(names)
    return names


def _plural(target: ApiResource, kind: str, options: Options) -> str:
    """`federated` and the target's plural; for a chosen kind what stands before the target's, and that plural."""
    if not options.federated_kind:
        return f"federated{target.plural}"
    lower, own = kind.lower(), target.kind.lower()
    if not lower.endswith(own):
        raise Unusable(f"{target.qualified}: the plural of {kind} is not clear: say it too, {kind}/PLURAL")
    return lower.removesuffix(own) + target.plural


def list_kind(federated: ApiResource) -> str:
    """`<Kind>List`, as far as it fits: Kubernetes allows it 63 characters like the kind itself."""
    return f"{federated.kind[: LABEL_LIMIT - len('List')]}List"


def _check(names: ApiResource) -> None:
    if "." not in names.group:
        raise Unusable(f"federated group {names.group!r} needs a dot, e.g. types.kubefed.io")
    for what, value, option in (
        ("kind", names.kind.lower(), "federated_kind"),
        ("plural", names.plural, "federated_plural"),
        ("singular", names.singular, "federated_kind"),
        ("version", names.version, "federated_version"),
    ):
        if len(value) > LABEL_LIMIT:
            raise Unusable(
                f"federated {what} {value!r} has {len(value)} characters, Kubernetes allows {LABEL_LIMIT}: "
                f"choose a shorter one with the option {option} (--name on the command line)"
            )
        if not _LABEL.fullmatch(value):
            raise Unusable(f"federated {what} {value!r} is not a DNS label (a-z, 0-9 and -, beginning with a letter)")
    name = f"{names.plural}.{names.group}"
    if len(name) > NAME_LIMIT:
        raise Unusable(f"the CRD's name {name!r} has {len(name)} characters, Kubernetes allows {NAME_LIMIT}")


def priority(version: str) -> tuple[int, int, int, str]:
    """A sort key, best first, for API versions: v2 before v1 before v2beta1 before v1alpha1 before anything else.

    The order in which Kubernetes prefers a CRD's versions (apimachinery's version.CompareKubeAwareVersionStrings).
    """
    match = _VERSION.fullmatch(version)
    if not match:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[match["stage"]]
    return (stage, -int(match["major"]), -int(match["minor"] or 0), version)
