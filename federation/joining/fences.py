"""Restrict where in a member the controller may write: a ValidatingAdmissionPolicy about the controller's account.

RBAC has no exceptions, and rights on workloads are in effect rights on the cluster (a pod may mount the node's files).
The policy applies whatever the role allows: the controller may not write into the namespaces of `fence` and, where
`only` is set, only into the namespaces of `only`. A policy stays until a join names another one; an empty list removes
it.
"""

import json

from federation.core import naming
from federation.joining import applying
from federation.joining.applying import Outcome, Report
from federation.joining.errors import Refused
from federation.joining.objects import Manifest, Wanted
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import ObjectName, Resource
from typegen import templates

Names = tuple[str, ...]


def policy_name(account: ObjectName) -> str:
    """The policy's name in the member, where each control plane may have an account of this name."""
    own = "" if account.namespace == SYSTEM_NAMESPACE else f"{account.namespace}."
    return naming.fitted(f"kubefed-fence.{own}{account.name}")


def policy(account: ObjectName, fence: Names, only: Names) -> list[Manifest]:
    """The policy and its binding."""
    return templates.documents(
        "member/fence.yaml",
        name=policy_name(account),
        namespace=account.namespace,
        account=account.name,
        fenced=json.dumps(fence),
        only=json.dumps(only) if only else "",
    )


async def refuse_unserved(member: Connection, wanted: Wanted) -> None:
    """Raise Refused when a fence is wanted and the member has no such policies: it would silently have no effect."""
    if wanted.fence or wanted.only:
        await expect_served(member, "--fence and --namespaces have")


async def expect_served(member: Connection, flags: str) -> None:
    """Raise Refused where the member has no such policies; `flags` is what would have no effect."""
    answer = await applying.request(
        member, "GET", applying.VALIDATING_POLICIES.collection(), params={"limit": "1"}, deadline=10.0
    )
    if isinstance(answer, Failure) and answer.kind in (FailureKind.TYPE_MISSING, FailureKind.NOT_FOUND):
        raise Refused(
            f"{member.name}: it serves no validatingadmissionpolicies (Kubernetes 1.30 and newer do), so {flags} "
            "no effect there",
            "leave them out, or upgrade the member first",
        )


async def after(
    member: Connection, wanted: Wanted, account: ObjectName, before: ObjectName | None
) -> tuple[Names, Names] | None:
    """The lists `fence` and `only` that a join will leave there; None: it changes nothing.

    `before` is the account of the join before this one, where that is another: a policy is about one account, so that
    its fence would not hold for the new one.
    """
    if wanted.fence is None and wanted.only is None and before is None:
        return None
    fence, only = await _installed(member, account)
    if before is not None and not fence and not only:
        fence, only = await _installed(member, before)
    if wanted.fence is None and wanted.only is None and not fence and not only:
        return None
    return fence if wanted.fence is None else wanted.fence, only if wanted.only is None else wanted.only


async def apply(member: Connection, account: ObjectName, lists: tuple[Names, Names], report: Report) -> None:
    """Apply the policy with these lists, or delete it when both are empty."""
    if any(lists):
        await applying.apply_all(member, policy(account, *lists), report)
        return
    for resource, name in traces(account):
        if await applying.delete(member, resource, name) is Outcome.DELETED:
            report(f"{member.name}: {applying.label(resource, name)} {Outcome.DELETED}")


def traces(account: ObjectName) -> list[tuple[Resource, ObjectName]]:
    """The objects of a fence, in the order of their deletion."""
    name = ObjectName("", policy_name(account))
    return [(applying.VALIDATING_POLICY_BINDINGS, name), (applying.VALIDATING_POLICIES, name)]


async def _installed(member: Connection, account: ObjectName) -> tuple[Names, Names]:
    """The namespaces of the fence that is installed there; none where no such policies are served."""
    try:
        found = await applying.find(member, applying.VALIDATING_POLICIES, ObjectName("", policy_name(account)))
    except ApiFailure as error:
        if error.failure.kind is not FailureKind.TYPE_MISSING:
            raise
        return (), ()
    annotations = ((found or {}).get("metadata") or {}).get("annotations") or {}
    return _names(annotations.get("kubefed.io/fence")), _names(annotations.get("kubefed.io/namespaces"))


def _names(text: str | None) -> Names:
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return ()
    return tuple(str(each) for each in found) if isinstance(found, list) else ()
