"""Ask the member whether the account of a work may do what the work asks, before it is done (spec.executor)."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from federation.kube.connection import Connection
from federation.model.errors import ApiFailure, Invalid
from federation.model.failures import Failure
from federation.model.resources import CLUSTER_ROLES, ROLES, ObjectName, Resource
from federation.model.works import Account, Identifier
from federation.work import executing

AT_ONCE = 8
REVIEWS = Resource("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False)


class Executor:
    """SubjectAccessReviews in one member. A review stores nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._limit = asyncio.Semaphore(AT_ONCE)

    async def refusal(
        self, account: Account, resource: Resource, what: Identifier, content: bytes, *, deletes: bool
    ) -> str:
        """Why the account may not apply this object; "" where it may. Raises ApiFailure where that cannot be asked."""
        namespace = what.namespace
        asked = executing.wanted(resource, namespace, what.name, deletes=deletes)
        if refused := await self._first_refused(account, asked):
            return refused
        if resource.group != executing.RBAC:
            return ""
        item = orjson.loads(content)
        try:
            instead = executing.escalates(resource, namespace, item)
            if instead is None or not await self._first_refused(account, [instead]):
                return ""
            granted = await self._granted(resource, namespace, item)
        except Invalid as error:
            return f"{account.user} would grant rights that cannot be checked: {error} (spec.executor)"
        refused = await self._first_refused(account, granted)
        return f"{refused}; whoever grants a right must have it" if refused else ""

    async def _granted(self, resource: Resource, namespace: str, item: Mapping[str, Any]) -> list[executing.Attributes]:
        if resource.plural in ("roles", "clusterroles"):
            if item.get("aggregationRule"):
                raise Invalid("aggregationRule", "grants what other roles do")
            return executing.grants(resource, namespace, item)
        role = item.get("roleRef") or {}
        bound = ROLES if role.get("kind") == "Role" else CLUSTER_ROLES
        where = ObjectName(namespace if bound is ROLES else "", str(role.get("name", "")))
        answer = await self._connection.request("GET", bound.path(where))
        if isinstance(answer, Failure):
            raise Invalid("roleRef", f"the role cannot be read: {answer.message}")
        return executing.grants(bound, namespace, answer.json())

    async def _first_refused(self, account: Account, asked: "list[executing.Attributes]") -> str:
        answers = await asyncio.gather(*(self._allowed(account, each) for each in asked))
        for each, allowed in zip(asked, answers, strict=True):
            if not allowed:
                return executing.refusal(account, each)
        return ""

    async def _allowed(self, account: Account, attributes: executing.Attributes) -> bool:
        async with self._limit:
            body = orjson.dumps(executing.review(account, attributes))
            answer = await self._connection.request("POST", REVIEWS.collection(), body=body)
        if isinstance(answer, Failure):
            raise ApiFailure(answer, "asking for the rights of a work's account")
        status = answer.json().get("status")
        return isinstance(status, dict) and status.get("allowed") is True
