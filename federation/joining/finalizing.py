"""Have the host's API server add our finalizer to federated objects: a MutatingAdmissionPolicy of each control plane.

It saves the controller one write for every created object. Nothing depends on it: the controller adds the finalizer
itself before it pushes an object that lacks it. Its conditions are in templates/host/finalizer-policy.yaml.

Only where somebody asks for it: an API server (seen with 1.36.3) answers 503 to creations that such a policy is to
change while it does not know the schema of their API version, whatever failurePolicy says. That is so for up to some
seconds after the first federated type was enabled, and after the API server has started.
"""

import enum
import json

from federation.core import naming
from federation.joining import applying
from federation.joining.applying import Manifest, Outcome, Report
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.marks import SYSTEM_NAMESPACES
from federation.model.resources import ObjectName
from typegen import templates
from typegen.model import Options

_UNSERVED = (FailureKind.TYPE_MISSING, FailureKind.NOT_FOUND)


class Policy(enum.StrEnum):
    """Whether the host gets the policy."""

    KEEP = "keep"
    """As it is: brought up to date where it is installed."""
    AUTO = "auto"
    """Where it serves such policies."""
    TRUE = "true"
    FALSE = "false"
    """It is taken away."""


def policy_name(namespace: str) -> str:
    """The name of the policy and of its binding: a host may have several control planes."""
    return naming.fitted(f"kubefed-sync-finalizer.{namespace}")


def manifests(namespace: str, controller: str) -> list[Manifest]:
    """The policy and its binding. `controller` is its service account's name in the namespace."""
    return [
        *templates.documents(
            "host/finalizer-policy.yaml",
            name=policy_name(namespace),
            namespace=namespace,
            group=Options().federated_group,
            controller=f"system:serviceaccount:{namespace}:{controller}",
            system=json.dumps(sorted(SYSTEM_NAMESPACES | {namespace})),
        )
    ]


async def install(
    host: Connection, namespace: str, controller: str, policy: Policy, report: Report, *, dry_run: bool = False
) -> None:
    """Apply it or take it away. But for TRUE, a host without it, or a user without the right, is no error."""
    if policy is Policy.FALSE:
        if not dry_run:
            await _remove(host, namespace, report)
        return
    if policy is Policy.KEEP and not await _installed(host, namespace):
        return
    if policy is Policy.AUTO and not await _served(host, report):
        return
    try:
        new = await _apply(host, manifests(namespace, controller), report, dry_run=dry_run)
    except ApiFailure as error:
        if policy is Policy.TRUE or error.failure.kind is not FailureKind.RIGHT_MISSING:
            raise
        report(_without(host, error.failure))
        return
    if new and not dry_run:
        report(f"from now on {host.name}'s API server adds the finalizer to federated objects, the controller need not")


async def _apply(host: Connection, wanted: list[Manifest], report: Report, *, dry_run: bool) -> bool:
    """Whether something was created."""
    outcomes = set()
    for manifest in wanted:
        outcome = await applying.apply(host, manifest, dry_run=dry_run)
        label = applying.label(applying.resource_of(manifest), applying.name_of(manifest))
        report(f"{host.name}: {label} {outcome}" + (" (dry run)" if dry_run else ""))
        outcomes.add(outcome)
    return Outcome.CREATED in outcomes


async def _served(host: Connection, report: Report) -> bool:
    """Whether the host serves MutatingAdmissionPolicies in v1."""
    resource = applying.MUTATING_POLICIES
    try:
        known = await applying.read(host, f"/apis/{resource.api_version}", deadline=10.0)
    except ApiFailure as error:
        if error.failure.kind not in _UNSERVED:
            report(_without(host, error.failure))
        return False
    found = known.get("resources")
    served = found if isinstance(found, list) else ()
    return any(isinstance(each, dict) and each.get("name") == resource.plural for each in served)


async def _installed(host: Connection, namespace: str) -> bool:
    try:
        where = ObjectName("", policy_name(namespace))
        return await applying.find(host, applying.MUTATING_POLICIES, where) is not None
    except ApiFailure:
        return False  # the host does not serve it, or nobody may look at it


async def _remove(host: Connection, namespace: str, report: Report) -> None:
    where = ObjectName("", policy_name(namespace))
    for resource in (applying.MUTATING_POLICY_BINDINGS, applying.MUTATING_POLICIES):
        if await applying.delete(host, resource, where) is Outcome.DELETED:
            report(f"{host.name}: {applying.label(resource, where)} {Outcome.DELETED}")


def _without(host: Connection, failure: Failure) -> str:
    return (
        f"warning: {host.name}: the API server will not add the finalizer to federated objects, the controller does "
        f"(one write more for each): {failure.message}"
    )
