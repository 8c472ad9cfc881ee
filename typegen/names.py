"""The names of federated types, by KubeFed's rules (`FederatedDeployment`, `federateddeployments`, `fdeploy`)."""

import dataclasses
import re

from typegen.model import ApiResource, Options, Unusable

LABEL_LIMIT = 63
NAME_LIMIT = 253
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_NAMESPACE.pattern}(\.{_NAMESPACE.pattern})*")
_VERSION = re.compile(r"v(?P<major>[0-9]+)((?P<stage>alpha|beta)(?P<minor>[0-9]+))?")


def federated(target: ApiResource, options: Options) -> ApiResource:
    """The names of the type that wraps `target`.

    The plural is `federated` and the target's own plural, also for irregular ones (gateways, prometheuses).
    FederatedNamespace is the only type whose scope is not the target's. Raises Unusable when a name is longer than
    Kubernetes allows (63 characters for kind and plural, 253 for the CRD's name).
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
    """`federated` and the target's plural; for a chosen kind its prefix before the target's kind, and that plural."""
    if not options.federated_kind:
        return f"federated{target.plural}"
    lower, own = kind.lower(), target.kind.lower()
    if not lower.endswith(own):
        raise Unusable(f"{target.qualified}: the plural of {kind} is not clear: give it, too, as {kind}/PLURAL")
    return lower.removesuffix(own) + target.plural


def list_kind(federated: ApiResource) -> str:
    """`<Kind>List`, cut to the 63 characters that Kubernetes allows."""
    return f"{federated.kind[: LABEL_LIMIT - len('List')]}List"


def _check(names: ApiResource) -> None:
    if "." not in names.group:
        raise Unusable(f"federated group {names.group!r} needs a dot, e.g. types.kubefed.io")
    if not _SUBDOMAIN.fullmatch(names.group):
        raise Unusable(f"federated group {names.group!r} is not a DNS name (a-z, 0-9, - and dots)")
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


def check_places(options: Options) -> None:
    """Raise Unusable where the options name a namespace or an account as Kubernetes would not accept it."""
    namespace, account = options.system_namespace, options.member_account
    if len(namespace) > LABEL_LIMIT or not _NAMESPACE.fullmatch(namespace):
        raise Unusable(f"system namespace {namespace!r} is not a DNS label (a-z, 0-9 and -)")
    if len(account) > NAME_LIMIT or not _SUBDOMAIN.fullmatch(account):
        raise Unusable(f"member account {account!r} is not a DNS name (a-z, 0-9, - and dots)")


def priority(version: str) -> tuple[int, int, int, str]:
    """A sort key, best first, for API versions: v2 before v1 before v2beta1 before v1alpha1 before anything else.

    The order in which Kubernetes prefers a CRD's versions (apimachinery's version.CompareKubeAwareVersionStrings).
    """
    match = _VERSION.fullmatch(version)
    if not match:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[match["stage"]]
    return (stage, -int(match["major"]), -int(match["minor"] or 0), version)
