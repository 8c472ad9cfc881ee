"""What the account of a work (spec.executor) must be allowed to, as SubjectAccessReviews in the member.

The verbs are Open Cluster Management's. An API server keeps a user from granting rights that he does not have; it
would not keep the agent, which writes in his place, so that for RBAC objects every right that they grant is asked for,
as the API server would.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from federation.model.errors import Invalid
from federation.model.resources import Resource
from federation.model.works import Account

_VERBS = ("create", "update", "patch", "get")
RBAC = "rbac.authorization.k8s.io"
MOST_REVIEWS = 300
"""For one object: a role that grants more must be given to an account that may escalate."""

Attributes = Mapping[str, Any]


def wanted(resource: Resource, namespace: str, name: str, *, deletes: bool) -> list[Attributes]:
    """What the account must be allowed to do with the object; `deletes`: it goes when the work goes."""
    verbs = (*_VERBS, "delete") if deletes else _VERBS
    return [_resource(resource, namespace, name, verb) for verb in verbs]


def grants(resource: Resource, namespace: str, item: Mapping[str, Any]) -> list[Attributes]:
    """What a Role or ClusterRole grants, all of which its author must have. Raises Invalid."""
    if resource.group != RBAC or resource.plural not in ("roles", "clusterroles"):
        return []
    found: list[Attributes] = []
    for rule in _maps(item.get("rules")):
        found += _granted(rule, namespace)
        if len(found) > MOST_REVIEWS:
            raise Invalid("rules", f"grants more than {MOST_REVIEWS} rights, which are not asked for one by one")
    return found


def escalates(resource: Resource, namespace: str, item: Mapping[str, Any]) -> Attributes | None:
    """The right that stands for all that an RBAC object grants; None where it grants nothing itself.

    A binding grants what its role does; who may `bind` that role may grant it.
    """
    if resource.group != RBAC:
        return None
    if resource.plural in ("roles", "clusterroles"):
        granting = item.get("rules") or item.get("aggregationRule")
        return _resource(resource, namespace, _name(item), "escalate") if granting else None
    role = item.get("roleRef")
    role = role if isinstance(role, dict) else {}
    kind = role.get("kind")
    plural = {"Role": "roles", "ClusterRole": "clusterroles"}.get(str(kind))
    if plural is None:
        raise Invalid("roleRef.kind", "is neither Role nor ClusterRole")
    bound = Resource(RBAC, "v1", str(kind), plural, namespaced=plural == "roles")
    return _resource(bound, namespace if plural == "roles" else "", str(role.get("name", "")), "bind")


def review(account: Account, attributes: Attributes) -> dict[str, Any]:
    """The SubjectAccessReview."""
    kind = "nonResourceAttributes" if "path" in attributes else "resourceAttributes"
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": account.user, "groups": list(account.groups), kind: dict(attributes)},
    }


def refusal(account: Account, attributes: Attributes) -> str:
    """What is said of a right that the account does not have."""
    if "path" in attributes:
        return f"{account.user} may not {attributes['verb']} {attributes['path']} (spec.executor)"
    group = f".{attributes['group']}" if attributes.get("group") else ""
    where = f' in namespace "{attributes["namespace"]}"' if attributes.get("namespace") else ""
    return f"{account.user} may not {attributes['verb']} {attributes['resource']}{group}{where} (spec.executor)"


def _resource(resource: Resource, namespace: str, name: str, verb: str) -> Attributes:
    return {
        "group": resource.group,
        "version": resource.version,
        "resource": resource.plural,
        "namespace": namespace,
        "name": name,
        "verb": verb,
    }


def _granted(rule: Mapping[str, Any], namespace: str) -> list[Attributes]:
    verbs = _texts(rule.get("verbs"))
    found: list[Attributes] = [
        {"path": path, "verb": verb} for path in _texts(rule.get("nonResourceURLs")) for verb in verbs
    ]
    for group in _texts(rule.get("apiGroups")):
        for resource in _texts(rule.get("resources")):
            plural, _, subresource = resource.partition("/")
            for name in _texts(rule.get("resourceNames")) or ("",):
                found += [
                    {
                        "group": group,
                        "version": "*",
                        "resource": plural,
                        "subresource": subresource,
                        "namespace": namespace,
                        "name": name,
                        "verb": verb,
                    }
                    for verb in verbs
                ]
    return found


def _name(item: Mapping[str, Any]) -> str:
    metadata = item.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _maps(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _texts(value: object) -> Sequence[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
